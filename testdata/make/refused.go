package main

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/musterlog/muster/log/event"
)

const (
	registered = "REGISTER phone\n"
	linked     = registered + "ADD_DEVICE laptop\n"
	unlinked   = linked + "REMOVE_DEVICE laptop\n"
	erased     = linked + "ERASE\n"
)

// refuse is an event whose account breaks a rule. Each one is right but for
// what spoil changes, and signed anew after that.
func (f *eventFile) refuse(label string, c *chain, e *event.Event, rule event.Rule) {
	data := e.Bytes()
	parsed, err := event.Parse(data)
	if err == nil {
		before := c.at.Clone()
		err = before.Apply(event.Check(parsed))
	}
	agree(ruleOf(err) == rule, "event %q: %v, want %s", label, err, rule)
	f.Refused = append(f.Refused, refusedEvent{label, rule, f.state(c), data})
}

// state gives an account a name among the file's states.
func (f *eventFile) state(c *chain) string {
	s := c.state()
	if len(s.Devices) == event.MaxDevices {
		s.Devices, s.Fill = []device{}, event.MaxDevices
	}
	for _, n := range f.States {
		if reflect.DeepEqual(n.State, s) {
			return n.Name
		}
	}
	label := fmt.Sprintf("%d events", s.Next)
	for slices.ContainsFunc(f.States, func(n named) bool { return n.Name == label }) {
		label += "'"
	}
	f.States = append(f.States, named{label, s})
	return label
}

func (f *eventFile) refusals() {
	type spoiler = func(c *chain, d *draft)
	roles := func(r ...event.Role) spoiler { return func(_ *chain, d *draft) { d.roles = r } }
	keyIndex := func(i uint32) spoiler { return func(_ *chain, d *draft) { d.KeyIndex = i } }
	primary := func(word string) spoiler { return func(c *chain, d *draft) { d.Primary = c.key(word) } }
	subject := func(word string) spoiler { return func(c *chain, d *draft) { d.Subject = c.key(word) } }
	added := func(k func(c *chain) event.Key) spoiler {
		return func(c *chain, d *draft) {
			d.Subject = k(c)
			d.after[len(d.after)-1].Key = d.Subject
		}
	}
	word := func(w string) func(c *chain) event.Key { return func(c *chain) event.Key { return c.key(w) } }
	const two = linked + "ADD_DEVICE tv\n"
	for _, t := range []struct {
		name, history, line string
		spoil               spoiler
		want                event.Rule
	}{
		{"another log", linked, "CONFIRM", func(_ *chain, d *draft) { d.Log[0]++ }, event.RuleLog},
		{"another account", linked, "CONFIRM", func(_ *chain, d *draft) { d.Account[0]++ }, event.RuleAccount},
		{"seq ahead", linked, "CONFIRM", func(_ *chain, d *draft) { d.Seq++ }, event.RuleSeq},
		{"seq taken", linked, "CONFIRM", func(_ *chain, d *draft) { d.Seq-- }, event.RuleSeq},
		{"seq 2^32 - 1", linked, "CONFIRM", func(c *chain, d *draft) { c.at.Next, d.Seq = 1<<32-1, 1<<32-1 }, event.RuleSeq},
		{"another prev", linked, "CONFIRM", func(_ *chain, d *draft) { d.Prev[0]++ }, event.RulePrev},
		{"generation ahead", linked, "CONFIRM", func(_ *chain, d *draft) { d.Generation++ }, event.RuleGeneration},
		{"REGISTER of generation 1", "", "REGISTER phone", func(_ *chain, d *draft) { d.Generation++ }, event.RuleGeneration},
		{"REREGISTER of the same generation", linked, "REREGISTER phone2", func(_ *chain, d *draft) { d.Generation-- }, event.RuleGeneration},
		{"REREGISTER skips a generation", linked, "REREGISTER phone2", func(_ *chain, d *draft) { d.Generation++ }, event.RuleGeneration},
		{"REREGISTER after generation 2^32 - 1", linked, "REREGISTER phone2", func(c *chain, d *draft) { c.at.Generation, d.Generation = 1<<32-1, 0 }, event.RuleGeneration},
		{"ERASE of another generation", linked, "ERASE", func(_ *chain, d *draft) { d.Generation++ }, event.RuleGeneration},

		{"REGISTER later", linked, "CONFIRM", func(c *chain, d *draft) { d.Type, d.Primary, d.after = event.Register, c.key("phone2"), nil }, event.RuleRow},
		{"CONFIRM first", "", "REGISTER phone", func(_ *chain, d *draft) { d.Type = event.Confirm }, event.RuleRow},
		{"REGISTER with a key_index", "", "REGISTER phone", keyIndex(1), event.RuleRow},
		{"ADD_DEVICE with another key_index", linked, "ADD_DEVICE tv", func(_ *chain, d *draft) { d.KeyIndex, d.after[1].KeyIndex = 3, 3 }, event.RuleRow},
		{"ERASE with a key_index", linked, "ERASE", keyIndex(2), event.RuleRow},
		{"REGISTER without a primary", "", "REGISTER phone", func(_ *chain, d *draft) { d.Primary = event.Key{} }, event.RuleRow},
		{"ERASE with a primary", linked, "ERASE", primary("phone"), event.RuleRow},
		{"ADD_DEVICE without a subject", linked, "ADD_DEVICE tv", func(_ *chain, d *draft) { d.Subject = event.Key{} }, event.RuleRow},
		{"REGISTER unsigned", "", "REGISTER phone", roles(), event.RuleRow},
		{"ADD_DEVICE without the companion", linked, "ADD_DEVICE tv", roles(0), event.RuleRow},
		{"REMOVE_DEVICE signed by both", linked, "REMOVE_DEVICE laptop", roles(0, 1), event.RuleRow},
		{"REREGISTER that names the primary before, without its signature", linked, "REREGISTER phone2 endorsed", roles(0), event.RuleRow},
		{"REREGISTER with a signature that rides along", linked, "REREGISTER phone2", roles(0, 1), event.RuleRow},
		{"OPERATOR_REMOVE signed", linked, "OPERATOR_REMOVE laptop", roles(0), event.RuleRow},
		{"CONFIRM unsigned", linked, "CONFIRM", roles(), event.RuleRow},
		{"CONFIRM after ERASE", erased, "REREGISTER phone2", func(_ *chain, d *draft) { d.Type, d.KeyIndex = event.Confirm, 0; d.Generation-- }, event.RuleRow},
		{"ERASE after ERASE", erased, "ERASE", func(*chain, *draft) {}, event.RuleRow},

		{"CONFIRM by a stranger", linked, "CONFIRM", primary("stranger"), event.RuleUnknownPrimary},
		{"ADD_DEVICE by a companion", linked, "ADD_DEVICE tv", primary("laptop"), event.RuleUnknownPrimary},
		{"CONFIRM by the primary before", linked + "REREGISTER phone2 endorsed\n", "CONFIRM", primary("phone"), event.RuleUnknownPrimary},
		{"CONFIRM by the same primary under its other type", linked, "CONFIRM", func(c *chain, d *draft) { d.Primary = otherType(d.Primary) }, event.RuleUnknownPrimary},
		{"OPERATOR_REMOVE under another primary", linked, "OPERATOR_REMOVE laptop", primary("stranger"), event.RuleUnknownPrimary},
		{"REREGISTER endorsed by a companion", linked, "REREGISTER phone2 endorsed", subject("laptop"), event.RuleUnknownPrimary},
		{"REREGISTER endorsed after ERASE", erased, "REREGISTER phone2", func(c *chain, d *draft) { d.Subject, d.roles = c.key("phone"), []event.Role{0, 1} }, event.RuleUnknownPrimary},

		{"REMOVE_DEVICE of another key_index", two, "REMOVE_DEVICE laptop", keyIndex(2), event.RuleRow},
		{"REMOVE_DEVICE of a device removed before", unlinked, "CONFIRM", func(c *chain, d *draft) {
			d.Type, d.KeyIndex, d.Subject = event.RemoveDevice, 1, c.key("laptop")
		}, event.RuleRow},

		{"ADD_DEVICE of a removed device", unlinked, "ADD_DEVICE tv", added(word("laptop")), event.RuleKeyUsed},
		{"ADD_DEVICE of a removed device under its other type", unlinked, "ADD_DEVICE tv", added(func(c *chain) event.Key { return otherType(c.key("laptop")) }), event.RuleKeyUsed},
		{"ADD_DEVICE of a removed device's negative", unlinked, "ADD_DEVICE tv", added(func(c *chain) event.Key { k := c.key("laptop"); k[32] ^= 0x80; return k }), event.RuleKeyUsed},
		{"ADD_DEVICE of the primary", linked, "ADD_DEVICE tv", added(word("phone")), event.RuleKeyUsed},
		{"ADD_DEVICE of a device from the generation before", linked + "REREGISTER phone2\n", "ADD_DEVICE tv", added(word("laptop")), event.RuleKeyUsed},
		{"REREGISTER with the same primary", linked, "REREGISTER phone2", primary("phone"), event.RuleKeyUsed},

		{"devices_hash of another list", linked, "CONFIRM", func(_ *chain, d *draft) { d.after = nil }, event.RuleDevicesHash},
		{"devices_hash of the list before the addition", linked, "ADD_DEVICE tv", func(_ *chain, d *draft) { d.after = d.after[:1] }, event.RuleDevicesHash},
		{"devices_hash of the list before the removal", linked, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.after = c.at.Devices }, event.RuleDevicesHash},
		{"devices_hash keeps the list at REREGISTER", linked, "REREGISTER phone2", func(c *chain, d *draft) { d.after = c.at.Devices }, event.RuleDevicesHash},
		{"devices_hash of a list with the primary", linked, "CONFIRM", func(_ *chain, d *draft) {
			d.after = slices.Insert(d.after, 0, event.Device{KeyIndex: 0, Key: d.Primary})
		}, event.RuleDevicesHash},
		{"devices_hash of any bytes, unsigned", linked, "OPERATOR_REMOVE laptop", func(_ *chain, d *draft) { d.DevicesHash[0] = 1 }, event.RuleDevicesHash},
	} {
		c := newChain(t.history)
		d := c.draft(t.line)
		t.spoil(c, d)
		f.refuse(t.name, c, c.sign(d), t.want)
	}
	f.badKeys()
	f.badSignatures()
	f.order()
	f.full()
}

// otherType is a key's point as Curve25519.
func otherType(k event.Key) event.Key {
	u := must(k.Coordinate())
	return event.Key(append([]byte{event.KeyCurve25519}, u[:]...))
}

// badKeys of each type, in each place.
func (f *eventFile) badKeys() {
	for _, k := range []event.Key{key(1, orderEight()), key(5, [32]byte{})} {
		c := newChain(linked)
		d := c.draft("ADD_DEVICE tv")
		d.Subject, d.after[1].Key = k, k
		f.refuse(fmt.Sprintf("subject not admitted, type %d", k[0]), c, c.sign(d), event.RuleNotAdmitted)
		d = c.draft("REREGISTER phone2")
		d.Primary = k
		f.refuse(fmt.Sprintf("primary not admitted, type %d", k[0]), c, c.sign(d), event.RuleNotAdmitted)
	}
}

func key(typ byte, raw [32]byte) event.Key { return event.Key(append([]byte{typ}, raw[:]...)) }

func (f *eventFile) badSignatures() {
	for _, t := range []struct {
		name, history, line string
		spoil               func(c *chain, e *event.Event)
	}{
		{"Ed25519 primary, a bit of R", registered, "ADD_DEVICE tv", func(_ *chain, e *event.Event) { e.Signatures[0].Bytes[0] ^= 1 }},
		{"Ed25519 companion, a bit of S", registered, "ADD_DEVICE tv", func(_ *chain, e *event.Event) { e.Signatures[1].Bytes[40] ^= 1 }},
		{"Ed25519 S + L", registered, "CONFIRM", func(_ *chain, e *event.Event) { plusOrder(&e.Signatures[0].Bytes) }},
		{"Curve25519 primary, a bit of R", "REGISTER xphone", "CONFIRM", func(_ *chain, e *event.Event) { e.Signatures[0].Bytes[0] ^= 1 }},
		{"Curve25519 companion, a bit of S", registered, "ADD_DEVICE xtv", func(_ *chain, e *event.Event) { e.Signatures[1].Bytes[40] ^= 1 }},
		{"Curve25519, the sign of A", "REGISTER xphone", "CONFIRM", func(_ *chain, e *event.Event) { e.Signatures[0].Bytes[63] ^= 0x80 }},
		{"Curve25519, bit 6 of the last byte", "REGISTER xphone", "CONFIRM", func(_ *chain, e *event.Event) { e.Signatures[0].Bytes[63] ^= 0x40 }},
		{"Curve25519, bit 5 of the last byte", "REGISTER xphone", "CONFIRM", func(_ *chain, e *event.Event) { e.Signatures[0].Bytes[63] ^= 0x20 }},
		{"the two signatures swapped", registered, "ADD_DEVICE tv", func(_ *chain, e *event.Event) {
			e.Signatures[0].Bytes, e.Signatures[1].Bytes = e.Signatures[1].Bytes, e.Signatures[0].Bytes
		}},
		{"zeros as the endorsement", registered, "REREGISTER phone2 endorsed", func(_ *chain, e *event.Event) { e.Signatures[1].Bytes = [64]byte{} }},
		{"a device's log-out, a bit of it", linked, "REMOVE_DEVICE laptop by subject", func(_ *chain, e *event.Event) { e.Signatures[0].Bytes[63] ^= 1 }},
		{"for other bytes", linked, "CONFIRM", func(_ *chain, e *event.Event) { e.TimeMs++ }},
		{"the primary's signature as the companion's", linked, "REMOVE_DEVICE laptop", func(_ *chain, e *event.Event) { e.Signatures[0].Role = event.Subject }},
		{"a device's log-out signed for role 0", linked, "REMOVE_DEVICE laptop by subject", func(c *chain, e *event.Event) {
			e.Signatures[0].Bytes = c.keys[e.Subject].sign(e.SignedBytes(event.Primary))
		}},
		{"over the payload alone", linked, "CONFIRM", func(c *chain, e *event.Event) { e.Signatures[0].Bytes = c.keys[e.Primary].sign(e.Payload.Bytes()) }},
	} {
		c := newChain(t.history)
		e := c.sign(c.draft(t.line))
		t.spoil(c, e)
		f.refuse("signature: "+t.name, c, e, event.RuleSignature)
	}
}

// order: of two broken rules the earlier is reported.
func (f *eventFile) order() {
	steps := []struct {
		rule  event.Rule
		spoil func(c *chain, d *draft)
	}{
		{event.RuleLog, func(_ *chain, d *draft) { d.Log[0]++ }},
		{event.RuleAccount, func(_ *chain, d *draft) { d.Account[0]++ }},
		{event.RuleSeq, func(_ *chain, d *draft) { d.Seq++; d.KeyIndex++ }},
		{event.RulePrev, func(_ *chain, d *draft) { d.Prev[0]++ }},
		{event.RuleGeneration, func(_ *chain, d *draft) { d.Generation++ }},
		{event.RuleRow, func(_ *chain, d *draft) { d.KeyIndex = 77 }},
		{event.RuleUnknownPrimary, func(c *chain, d *draft) { d.Primary = c.key("stranger") }},
		{event.RuleKeyUsed, func(c *chain, d *draft) { d.Subject = c.key("laptop") }},
		{event.RuleNotAdmitted, func(_ *chain, d *draft) { d.Subject = event.Key{event.KeyCurve25519} }},
		{event.RuleSignature, func(c *chain, d *draft) { delete(c.keys, d.Subject) }},
		{event.RuleDevicesHash, func(_ *chain, d *draft) { d.DevicesHash[0]++ }},
	}
	for i := range steps[1:] {
		first, second := steps[i], steps[i+1]
		if second.rule == event.RuleNotAdmitted {
			continue // one key cannot be both used before and refused
		}
		c := newChain(linked)
		d := c.draft("ADD_DEVICE tv")
		second.spoil(c, d)
		first.spoil(c, d)
		f.refuse(fmt.Sprintf("%s before %s", first.rule, second.rule), c, c.sign(d), first.rule)
	}
}

// full is an account with 255 devices.
func (f *eventFile) full() {
	c := newChain(registered)
	for i := uint32(1); i <= event.MaxDevices; i++ {
		k := event.Key{event.KeyCurve25519, byte(i)} // u = key_index: nobody looks at it before list-full is reported
		c.at.Devices = append(c.at.Devices, event.Device{KeyIndex: i, Key: k})
	}
	c.at.Next = event.MaxDevices + 1
	f.refuse("ADD_DEVICE to 255 devices", c, c.sign(c.draft("ADD_DEVICE more")), event.RuleListFull)
}
