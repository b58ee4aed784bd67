package event_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/event"
)

// Whatever may be an anchor gives the account that a full replay gives, and the
// history goes on from it.
func TestAnchorsOfHistories(t *testing.T) {
	const two = linked + "ADD_DEVICE tv\n"
	tests := []struct{ name, history, anchor string }{
		{"REGISTER", "", "REGISTER phone"},
		{"ADD_DEVICE", linked, "ADD_DEVICE tv"},
		{"first ADD_DEVICE", registered, "ADD_DEVICE tv"},
		{"REMOVE_DEVICE of the first", two, "REMOVE_DEVICE laptop"},
		{"REMOVE_DEVICE of the last", two, "REMOVE_DEVICE tv"},
		{"REMOVE_DEVICE of the only", linked, "REMOVE_DEVICE laptop"},
		{"REREGISTER", linked, "REREGISTER phone2"},
		{"REREGISTER endorsed", linked, "REREGISTER phone2 endorsed"},
		{"ERASE", linked, "ERASE"},
		{"CONFIRM", two, "CONFIRM"},
		{"Curve25519", "REGISTER xphone\nADD_DEVICE xlaptop", "ADD_DEVICE xtv"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t, tt.history)
			e := c.sign(c.draft(tt.anchor))
			c.refused(e, "")
			a, err := event.Anchor(testLog, testAccount, event.Check(e), c.at.Devices)
			if err != nil {
				t.Fatal(err)
			}
			replayed, anchored := *c.at, *a
			replayed.Introduced, anchored.Introduced = nil, nil // an anchor knows fewer
			if fmt.Sprintf("%+v", replayed) != fmt.Sprintf("%+v", anchored) {
				t.Errorf("anchored %+v, replayed %+v", anchored, replayed)
			}
			for _, u := range a.Introduced {
				if !slices.Contains(c.at.Introduced, u) {
					t.Errorf("introduced %x, which the history did not", u)
				}
			}
			next := "ADD_DEVICE radio"
			if tt.anchor == "ERASE" {
				next = "REREGISTER phone"
			}
			if err := a.Apply(event.Check(c.sign(c.draft(next)))); err != nil {
				t.Errorf("after the anchor: %v", err)
			}
		})
	}
}

// Keys that an anchor has shown cannot come again, the removed one's included.
func TestAnchorRemembersKeys(t *testing.T) {
	tests := []struct{ name, history, anchor, back string }{
		{"primary", linked, "CONFIRM", "phone"},
		{"listed device", linked, "CONFIRM", "laptop"},
		{"added device", linked, "ADD_DEVICE tv", "tv"},
		{"removed device", linked, "REMOVE_DEVICE laptop", "laptop"},
		{"primary before", linked, "REREGISTER phone2 endorsed", "phone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t, tt.history)
			e := c.sign(c.draft(tt.anchor))
			c.refused(e, "")
			a, err := event.Anchor(testLog, testAccount, event.Check(e), c.at.Devices)
			if err != nil {
				t.Fatal(err)
			}
			wantRule(t, a.Apply(event.Check(c.sign(c.draft("ADD_DEVICE "+tt.back)))), event.RuleKeyUsed)
		})
	}
}

// Every rule of an anchor: accepted as drawn, refused for exactly this rule
// once spoiled. Spoilers change the event before it is signed, and the list
// that the answer says (d.after, which is also what is hashed).
func TestAnchorRules(t *testing.T) {
	const two = linked + "ADD_DEVICE xtv\n" // laptop 1, xtv 2; next seq 3
	set := func(index uint32, word string) func(c *chain, d *draft) {
		return func(c *chain, d *draft) {
			d.after = append(d.after, event.Device{KeyIndex: index, Key: c.key(word)})
		}
	}
	tests := []struct {
		name, history, anchor string
		spoil                 func(c *chain, d *draft)
		want                  event.Rule
	}{
		{"log", two, "CONFIRM", func(c *chain, d *draft) { d.Log[0]++ }, event.RuleLog},
		{"account", two, "CONFIRM", func(c *chain, d *draft) { d.Account[0]++ }, event.RuleAccount},
		{"seq out of range", two, "CONFIRM", func(c *chain, d *draft) { d.Seq = 1<<32 - 1 }, event.RuleSeq},
		{"REGISTER with prev", "", "REGISTER phone", func(c *chain, d *draft) { d.Prev[0] = 1 }, event.RulePrev},
		{"REGISTER generation", "", "REGISTER phone", func(c *chain, d *draft) { d.Generation = 1 }, event.RuleGeneration},
		{"REREGISTER generation 0", two, "REREGISTER phone2", func(c *chain, d *draft) { d.Generation = 0 }, event.RuleGeneration},
		{"CONFIRM at seq 0", two, "CONFIRM", func(c *chain, d *draft) { d.Seq, d.Prev = 0, c.at.Head; d.Prev = [32]byte{} }, event.RuleRow},
		{"REGISTER at seq 3", two, "CONFIRM", func(c *chain, d *draft) { d.Type, d.after = event.Register, nil }, event.RuleRow},
		{"row: signature set", two, "CONFIRM", func(c *chain, d *draft) { d.roles = nil }, event.RuleRow},
		{"self log-out is no anchor", two, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.roles = []event.Role{1} }, event.RuleRow},
		{"OPERATOR_REMOVE is no anchor", two, "CONFIRM", func(c *chain, d *draft) {
			d.Type, d.roles, d.KeyIndex, d.Subject, d.after = event.OperatorRemove, nil, 1, c.key("laptop"), d.after[1:]
		}, event.RuleRow},

		{"device after REGISTER", "", "REGISTER phone", set(1, "tv"), event.RuleRow},
		{"device after REREGISTER", two, "REREGISTER phone2", set(1, "tv"), event.RuleRow},
		{"device after ERASE", two, "ERASE", set(1, "tv"), event.RuleRow},
		{"added device missing", two, "ADD_DEVICE radio", func(c *chain, d *draft) { d.after = d.after[:2] }, event.RuleRow},
		{"added device the only one, missing", registered, "ADD_DEVICE radio", func(c *chain, d *draft) { d.after = nil }, event.RuleRow},
		{"added device under another index", two, "ADD_DEVICE radio", func(c *chain, d *draft) { d.after[2].KeyIndex-- }, event.RuleRow},
		{"added device with another key", two, "ADD_DEVICE radio", func(c *chain, d *draft) { d.after[2].Key = c.key("other") }, event.RuleRow},
		{"added device not last", two, "ADD_DEVICE radio", func(c *chain, d *draft) { d.after[1], d.after[2] = d.after[2], d.after[1] }, event.RuleRow},
		{"removed device in the list", two, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.after = c.at.Devices }, event.RuleRow},
		{"removed index in the list, other key", two, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.KeyIndex = 2 }, event.RuleRow},
		{"removed key_index 0", two, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.KeyIndex = 0 }, event.RuleRow},
		{"removed key_index = seq", two, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.KeyIndex = d.Seq }, event.RuleRow},
		{"list descends", two, "CONFIRM", func(c *chain, d *draft) { slices.Reverse(d.after) }, event.RuleRow},
		{"list descends around a removal", two + "ADD_DEVICE radio", "REMOVE_DEVICE laptop", func(c *chain, d *draft) { slices.Reverse(d.after) }, event.RuleRow},
		{"index twice", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].KeyIndex = 1 }, event.RuleRow},
		{"key_index 0", two, "CONFIRM", func(c *chain, d *draft) { d.after[0].KeyIndex = 0 }, event.RuleRow},
		{"key_index = seq", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].KeyIndex = 3 }, event.RuleRow},
		{"key_index > seq", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].KeyIndex = 9 }, event.RuleRow},

		{"key twice in the list", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].Key = d.after[0].Key }, event.RuleKeyUsed},
		{"primary in the list", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].Key = d.Primary }, event.RuleKeyUsed},
		{"other form in the list", two, "CONFIRM", func(c *chain, d *draft) {
			u, _ := d.after[0].Key.Coordinate()
			d.after[1].Key = event.Key(append([]byte{event.KeyCurve25519}, u[:]...))
		}, event.RuleKeyUsed},
		{"added device is the primary", two, "ADD_DEVICE radio", func(c *chain, d *draft) { d.Subject, d.after[2].Key = d.Primary, d.Primary }, event.RuleKeyUsed},
		{"added device is in the list", two, "ADD_DEVICE radio", func(c *chain, d *draft) { d.Subject, d.after[2].Key = d.after[0].Key, d.after[0].Key }, event.RuleKeyUsed},
		{"removed device is the primary", two, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.Subject = d.Primary }, event.RuleKeyUsed},
		{"removed key is in the list", two, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.after[0].Key = d.Subject }, event.RuleKeyUsed},
		{"new primary endorses itself", two, "REREGISTER phone2 endorsed", func(c *chain, d *draft) { d.Subject = d.Primary }, event.RuleKeyUsed},

		{"primary not admitted", two, "CONFIRM", func(c *chain, d *draft) { d.Primary = event.Key{event.KeyCurve25519} }, event.RuleNotAdmitted},
		{"subject not admitted", two, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.Subject = event.Key{event.KeyCurve25519} }, event.RuleNotAdmitted},
		{"listed key not admitted", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].Key = event.Key{event.KeyCurve25519} }, event.RuleNotAdmitted},
		{"listed key is no key", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].Key = event.Key{} }, event.RuleNotAdmitted},
		{"listed key not canonical", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].Key[32] |= 0x80 }, event.RuleNotAdmitted},
		{"listed key of an unknown type", two, "CONFIRM", func(c *chain, d *draft) { d.after[1].Key[0] = 9 }, event.RuleNotAdmitted},

		{"signature", two, "CONFIRM", func(c *chain, d *draft) { delete(c.keys, d.Primary) }, event.RuleSignature},
		{"list that was not signed", two, "CONFIRM", func(c *chain, d *draft) {
			d.DevicesHash = event.DevicesHash(d.Log, d.Account, d.Generation, d.Primary, d.after)
			d.after[1].Key = c.key("rogue")
		}, event.RuleDevicesHash},
		{"a device left out", two, "CONFIRM", func(c *chain, d *draft) {
			d.DevicesHash = event.DevicesHash(d.Log, d.Account, d.Generation, d.Primary, d.after)
			d.after = d.after[:1]
		}, event.RuleDevicesHash},
		{"ERASE of another generation's list", two, "ERASE", func(c *chain, d *draft) { d.DevicesHash[0] = 1 }, event.RuleDevicesHash},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t, tt.history)
			d := c.draft(tt.anchor)
			if _, err := event.Anchor(testLog, testAccount, event.Check(c.sign(d)), d.after); err != nil {
				t.Fatalf("unspoiled: %v", err)
			}
			d = c.draft(tt.anchor)
			tt.spoil(c, d)
			e := c.sign(d)
			a, err := event.Anchor(testLog, testAccount, event.Check(e), d.after)
			wantRule(t, err, tt.want)
			if a != nil {
				t.Error("an account beside an error")
			}
		})
	}
}

// At most 255 devices, with the removed one put back.
func TestAnchorListFull(t *testing.T) {
	c := newChain(t, registered)
	list := make([]event.Device, event.MaxDevices)
	for i := range list {
		list[i] = event.Device{KeyIndex: uint32(i + 1), Key: c.key(fmt.Sprint("device", i))}
	}
	c.at.Next, c.at.Devices = 1000, list
	tests := []struct {
		name, anchor string
		more         bool
		want         event.Rule
	}{
		{"255", "CONFIRM", false, ""},
		{"256", "CONFIRM", true, event.RuleListFull},
		{"255 after a removal", "REMOVE_DEVICE device3", true, event.RuleListFull},
		{"254 after a removal", "REMOVE_DEVICE device3", false, ""},
		{"256 with the one added", "ADD_DEVICE radio", false, event.RuleListFull},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := c.draft(tt.anchor)
			if tt.more {
				d.after = append(d.after, event.Device{KeyIndex: 900, Key: c.key("more")})
			}
			before := slices.Clone(d.after)
			_, err := event.Anchor(testLog, testAccount, event.Check(c.sign(d)), d.after)
			wantRule(t, err, tt.want)
			if !reflect.DeepEqual(before, d.after) {
				t.Error("the caller's list was changed")
			}
		})
	}
}

// The order of reports at an anchor, where the list is judged too.
func TestAnchorOrder(t *testing.T) {
	c := newChain(t, linked+"ADD_DEVICE tv")
	bad := func(d *draft) { d.after[1].Key = event.Key{event.KeyCurve25519} }
	d := c.draft("CONFIRM")
	d.DevicesHash[0] = 1
	e := c.sign(d)
	e.Signatures[0].Bytes = [64]byte{}
	anchor := func() error {
		_, err := event.Anchor(testLog, testAccount, event.Check(e), d.after)
		return err
	}
	wantRule(t, anchor(), event.RuleSignature) // before devices_hash
	bad(d)
	wantRule(t, anchor(), event.RuleNotAdmitted) // a listed key, before the signature
	d.after[0].KeyIndex = 0
	wantRule(t, anchor(), event.RuleRow)
}
