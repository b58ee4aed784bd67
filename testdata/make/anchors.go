package main

import (
	"slices"

	"github.com/musterlog/muster/log/event"
)

// anchors are events as a first lookup meets them, with a list beside them.
func (f *eventFile) anchors() {
	const two = linked + "ADD_DEVICE xtv\n" // laptop 1, xtv 2; next seq 3
	for _, t := range []struct{ name, history, line string }{
		{"REGISTER", "", "REGISTER phone"},
		{"ADD_DEVICE", two, "ADD_DEVICE radio"},
		{"first ADD_DEVICE", registered, "ADD_DEVICE tv"},
		{"REMOVE_DEVICE of the first", two, "REMOVE_DEVICE laptop"},
		{"REREGISTER", two, "REREGISTER phone2"},
		{"REREGISTER, endorsed", two, "REREGISTER phone2 endorsed"},
		{"ERASE", two, "ERASE"},
		{"CONFIRM", two, "CONFIRM"},
		{"Curve25519", "REGISTER xphone\nADD_DEVICE xlaptop", "ADD_DEVICE xtv"},
	} {
		c := newChain(t.history)
		e := c.add(t.line)
		introduced := []hexed{}
		keys := []event.Key{e.Primary, e.Subject}
		for _, d := range c.at.Devices {
			keys = append(keys, d.Key)
		}
		seen := map[event.Key]bool{{}: true}
		for _, k := range keys {
			if !seen[k] {
				u := must(k.Coordinate())
				introduced = append(introduced, u[:])
			}
			seen[k] = true
		}
		_, err := event.Anchor(c.at.Log, c.at.ID, event.Check(e), c.at.Devices)
		agree(err == nil, "anchor %q: %v", t.name, err)
		f.Anchors = append(f.Anchors, anchorCase{t.name, "", e.Seq, e.Bytes(), listed(c.at.Devices), introduced})
	}
	list := func(change func(c *chain, l []event.Device) []event.Device) func(c *chain, d *draft) {
		return func(c *chain, d *draft) { d.after = change(c, d.after) }
	}
	more := func(index uint32, word string) func(c *chain, d *draft) {
		return list(func(c *chain, l []event.Device) []event.Device {
			return append(l, event.Device{KeyIndex: index, Key: c.key(word)})
		})
	}
	for _, t := range []struct {
		name, history, line string
		spoil               func(c *chain, d *draft)
		want                event.Rule
	}{
		{"another log", two, "CONFIRM", func(_ *chain, d *draft) { d.Log[0]++ }, event.RuleLog},
		{"REGISTER of generation 1", "", "REGISTER phone", func(_ *chain, d *draft) { d.Generation = 1 }, event.RuleGeneration},
		{"CONFIRM at seq 0", two, "CONFIRM", func(_ *chain, d *draft) { d.Seq, d.Prev = 0, [32]byte{} }, event.RuleRow},
		{"REGISTER at seq 3", two, "CONFIRM", func(_ *chain, d *draft) { d.Type, d.after = event.Register, nil }, event.RuleRow},
		{"CONFIRM unsigned", two, "CONFIRM", func(_ *chain, d *draft) { d.roles = nil }, event.RuleRow},
		{"a device's own log-out", two, "REMOVE_DEVICE laptop by subject", func(*chain, *draft) {}, event.RuleRow},
		{"OPERATOR_REMOVE", two, "OPERATOR_REMOVE laptop", func(*chain, *draft) {}, event.RuleRow},
		{"a device after REGISTER", "", "REGISTER phone", more(1, "tv"), event.RuleRow},
		{"a device after ERASE", two, "ERASE", more(1, "tv"), event.RuleRow},
		{"added device under another key_index", two, "ADD_DEVICE radio", func(_ *chain, d *draft) { d.after[2].KeyIndex-- }, event.RuleRow},
		{"added device not last", two, "ADD_DEVICE radio", func(_ *chain, d *draft) { d.after[1], d.after[2] = d.after[2], d.after[1] }, event.RuleRow},
		{"removed key_index in the list", two, "REMOVE_DEVICE laptop", func(_ *chain, d *draft) { d.KeyIndex = 2 }, event.RuleRow},
		{"the list descends", two, "CONFIRM", func(_ *chain, d *draft) { slices.Reverse(d.after) }, event.RuleRow},
		{"key_index = seq", two, "CONFIRM", func(_ *chain, d *draft) { d.after[1].KeyIndex = 3 }, event.RuleRow},
		{"one key twice in the list, under its other type", two, "CONFIRM", func(_ *chain, d *draft) { d.after[1].Key = otherType(d.after[0].Key) }, event.RuleKeyUsed},
		{"the primary in the list", two, "CONFIRM", func(_ *chain, d *draft) { d.after[1].Key = d.Primary }, event.RuleKeyUsed},
		{"removed device is the primary", two, "REMOVE_DEVICE laptop", func(_ *chain, d *draft) { d.Subject = d.Primary }, event.RuleKeyUsed},
		{"removed key is in the list", two, "REMOVE_DEVICE laptop", func(_ *chain, d *draft) { d.after[0].Key = d.Subject }, event.RuleKeyUsed},
		{"a new primary endorses itself", two, "REREGISTER phone2 endorsed", func(_ *chain, d *draft) { d.Subject = d.Primary }, event.RuleKeyUsed},
		{"subject not admitted", two, "REMOVE_DEVICE laptop", func(_ *chain, d *draft) { d.Subject = key(5, [32]byte{}) }, event.RuleNotAdmitted},
		{"listed key not admitted", two, "CONFIRM", func(_ *chain, d *draft) { d.after[1].Key = key(5, [32]byte{}) }, event.RuleNotAdmitted},
		{"signature", two, "CONFIRM", func(c *chain, d *draft) { delete(c.keys, d.Primary) }, event.RuleSignature},
		{"a list that was not signed", two, "CONFIRM", func(c *chain, d *draft) {
			d.DevicesHash = event.DevicesHash(d.Log, d.Account, d.Generation, d.Primary, d.after)
			d.after[1].Key = c.key("rogue")
		}, event.RuleDevicesHash},
		{"a device left out", two, "CONFIRM", func(_ *chain, d *draft) {
			d.DevicesHash = event.DevicesHash(d.Log, d.Account, d.Generation, d.Primary, d.after)
			d.after = d.after[:1]
		}, event.RuleDevicesHash},
	} {
		c := newChain(t.history)
		d := c.draft(t.line)
		t.spoil(c, d)
		e := c.sign(d)
		_, err := event.Anchor(c.at.Log, c.at.ID, event.Check(must(event.Parse(e.Bytes()))), d.after)
		agree(ruleOf(err) == t.want, "anchor %q: %v, want %s", t.name, err, t.want)
		f.Anchors = append(f.Anchors, anchorCase{t.name, t.want, d.Seq, e.Bytes(), listed(d.after), nil})
	}
}
