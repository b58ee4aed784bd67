package event_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

const (
	registered = "REGISTER phone\n"
	linked     = registered + "ADD_DEVICE laptop\n"
	unlinked   = linked + "REMOVE_DEVICE laptop\n"
	erased     = linked + "ERASE\n"
)

// Whole histories that must replay, with the list that they end in.
func TestHistories(t *testing.T) {
	tests := []struct{ name, history, devices string }{
		{"all types", linked + "ADD_DEVICE xtablet\nREMOVE_DEVICE laptop\nCONFIRM\nOPERATOR_REMOVE xtablet\nADD_DEVICE tv", "6:tv"},
		{"Curve25519 primary", "REGISTER xphone\nADD_DEVICE xlaptop\nADD_DEVICE laptop", "1:xlaptop 2:laptop"},
		{"device logs itself out", linked + "REMOVE_DEVICE laptop by subject", ""},
		{"re-registration empties the list", linked + "REREGISTER phone2", ""},
		{"endorsed", linked + "REREGISTER phone2 endorsed\nADD_DEVICE laptop2", "3:laptop2"},
		{"endorsed across key types", "REGISTER xphone\nREREGISTER phone endorsed", ""},
		{"a key may return after ERASE", erased + "REREGISTER laptop\nADD_DEVICE phone", "4:phone"},
		{"erased twice", erased + "REREGISTER phone\nERASE\nREREGISTER phone", ""},
		{"list stays ascending", linked + "ADD_DEVICE tv\nADD_DEVICE radio\nREMOVE_DEVICE tv\nADD_DEVICE tv2", "1:laptop 3:radio 5:tv2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t, tt.history)
			var want []string
			for _, word := range strings.Fields(tt.devices) {
				index, key, _ := strings.Cut(word, ":")
				want = append(want, index+":"+c.key(key).String())
			}
			var got []string
			for _, d := range c.at.Devices {
				got = append(got, fmt.Sprintf("%d:%s", d.KeyIndex, d.Key))
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("devices %v, want %v", got, want)
			}
		})
	}
}

// Every rule: the line is accepted as it is, and refused for exactly this rule
// once spoiled and signed anew.
func TestRules(t *testing.T) {
	tests := []struct {
		name, history, line string
		spoil               func(c *chain, d *draft)
		want                event.Rule
	}{
		{"other log", linked, "CONFIRM", func(c *chain, d *draft) { d.Log[0]++ }, event.RuleLog},
		{"other account", linked, "CONFIRM", func(c *chain, d *draft) { d.Account[0]++ }, event.RuleAccount},
		{"seq ahead", linked, "CONFIRM", func(c *chain, d *draft) { d.Seq++ }, event.RuleSeq},
		{"seq taken", linked, "CONFIRM", func(c *chain, d *draft) { d.Seq-- }, event.RuleSeq},
		{"prev", linked, "CONFIRM", func(c *chain, d *draft) { d.Prev[0]++ }, event.RulePrev},
		{"prev at seq 0", "", "REGISTER phone", func(c *chain, d *draft) { d.Prev[0]++ }, event.RulePrev},
		{"generation ahead", linked, "CONFIRM", func(c *chain, d *draft) { d.Generation++ }, event.RuleGeneration},
		{"REGISTER generation", "", "REGISTER phone", func(c *chain, d *draft) { d.Generation++ }, event.RuleGeneration},
		{"REREGISTER same generation", linked, "REREGISTER phone2", func(c *chain, d *draft) { d.Generation-- }, event.RuleGeneration},
		{"REREGISTER skips a generation", linked, "REREGISTER phone2", func(c *chain, d *draft) { d.Generation++ }, event.RuleGeneration},
		{"ERASE generation", linked, "ERASE", func(c *chain, d *draft) { d.Generation++ }, event.RuleGeneration},

		{"REGISTER key_index", "", "REGISTER phone", func(c *chain, d *draft) { d.KeyIndex = 1 }, event.RuleRow},
		{"ADD_DEVICE key_index", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.KeyIndex, d.after[1].KeyIndex = 3, 3 }, event.RuleRow},
		{"REMOVE_DEVICE key_index", linked + "ADD_DEVICE tv", "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.KeyIndex = 2 }, event.RuleRow},
		{"OPERATOR_REMOVE key_index", linked + "ADD_DEVICE tv", "OPERATOR_REMOVE laptop", func(c *chain, d *draft) { d.KeyIndex = 2 }, event.RuleRow},
		{"REREGISTER key_index", linked, "REREGISTER phone2", func(c *chain, d *draft) { d.KeyIndex = 0 }, event.RuleRow},
		{"ERASE key_index", linked, "ERASE", func(c *chain, d *draft) { d.KeyIndex = 2 }, event.RuleRow},
		{"CONFIRM key_index", linked, "CONFIRM", func(c *chain, d *draft) { d.KeyIndex = 2 }, event.RuleRow},

		{"REGISTER without primary", "", "REGISTER phone", func(c *chain, d *draft) { d.Primary = event.Key{} }, event.RuleRow},
		{"ERASE with primary", linked, "ERASE", func(c *chain, d *draft) { d.Primary = c.key("phone") }, event.RuleRow},
		{"REGISTER with subject", "", "REGISTER phone", func(c *chain, d *draft) { d.Subject = c.key("tv") }, event.RuleRow},
		{"CONFIRM with subject", linked, "CONFIRM", func(c *chain, d *draft) { d.Subject = c.key("laptop") }, event.RuleRow},
		{"ERASE with subject", linked, "ERASE", func(c *chain, d *draft) { d.Subject = c.key("laptop") }, event.RuleRow},
		{"ADD_DEVICE without subject", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.Subject = event.Key{} }, event.RuleRow},
		{"removal of a key that has another index", linked + "ADD_DEVICE tv", "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.Subject = c.key("tv") }, event.RuleRow},
		{"removal of a device removed before", unlinked, "CONFIRM", func(c *chain, d *draft) {
			d.Type, d.KeyIndex, d.Subject = event.RemoveDevice, 1, c.key("laptop")
		}, event.RuleRow},

		{"REGISTER unsigned", "", "REGISTER phone", func(c *chain, d *draft) { d.roles = nil }, event.RuleRow},
		{"ADD_DEVICE without the companion", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.roles = d.roles[:1] }, event.RuleRow},
		{"ADD_DEVICE without the primary", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.roles = d.roles[1:] }, event.RuleRow},
		{"ADD_DEVICE roles descend", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.roles = []event.Role{1, 0} }, event.RuleRow},
		{"ADD_DEVICE signed twice by one", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.roles = []event.Role{0, 0} }, event.RuleRow},
		{"REMOVE_DEVICE unsigned", linked, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.roles = nil }, event.RuleRow},
		{"REMOVE_DEVICE signed by both", linked, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.roles = []event.Role{0, 1} }, event.RuleRow},
		{"REREGISTER named but no endorsement", linked, "REREGISTER phone2 endorsed", func(c *chain, d *draft) { d.roles = d.roles[:1] }, event.RuleRow},
		{"REREGISTER endorsed only", linked, "REREGISTER phone2 endorsed", func(c *chain, d *draft) { d.roles = d.roles[1:] }, event.RuleRow},
		{"REREGISTER with an extra signature", linked, "REREGISTER phone2", func(c *chain, d *draft) { d.roles = []event.Role{0, 1} }, event.RuleRow},
		{"OPERATOR_REMOVE signed", linked, "OPERATOR_REMOVE laptop", func(c *chain, d *draft) { d.roles = []event.Role{0} }, event.RuleRow},
		{"ERASE signed", linked, "ERASE", func(c *chain, d *draft) { d.roles = []event.Role{0} }, event.RuleRow},
		{"CONFIRM unsigned", linked, "CONFIRM", func(c *chain, d *draft) { d.roles = nil }, event.RuleRow},

		{"REGISTER later", linked, "CONFIRM", func(c *chain, d *draft) {
			d.Generation, d.Type, d.Primary, d.after = 0, event.Register, c.key("phone2"), nil
		}, event.RuleRow},
		{"CONFIRM first", "", "REGISTER phone", func(c *chain, d *draft) { d.Type = event.Confirm }, event.RuleRow},
		{"ERASE first", "", "REGISTER phone", func(c *chain, d *draft) { d.Type, d.Primary, d.roles = event.Erase, event.Key{}, nil }, event.RuleRow},
		{"reserved type", linked, "CONFIRM", func(c *chain, d *draft) { d.Type = 8 }, event.RuleRow},
		{"reserved type, empty and unsigned", linked, "ERASE", func(c *chain, d *draft) { d.Type = 8 }, event.RuleRow},
		{"ERASE after ERASE", erased, "REREGISTER phone", func(c *chain, d *draft) {
			d.Type, d.Primary, d.KeyIndex, d.roles = event.Erase, event.Key{}, 0, nil
			d.Generation--
		}, event.RuleRow},
		{"CONFIRM after ERASE", erased, "REREGISTER phone", func(c *chain, d *draft) {
			d.Type, d.KeyIndex = event.Confirm, 0
			d.Generation--
		}, event.RuleRow},

		{"CONFIRM by a stranger", linked, "CONFIRM", func(c *chain, d *draft) { d.Primary = c.key("stranger") }, event.RuleUnknownPrimary},
		{"ADD_DEVICE by a stranger", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.Primary = c.key("stranger") }, event.RuleUnknownPrimary},
		{"ADD_DEVICE by a companion", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.Primary = c.key("laptop") }, event.RuleUnknownPrimary},
		{"CONFIRM by the primary before", linked + "REREGISTER phone2 endorsed", "CONFIRM", func(c *chain, d *draft) { d.Primary = c.key("phone") }, event.RuleUnknownPrimary},
		{"OPERATOR_REMOVE changes the primary", linked, "OPERATOR_REMOVE laptop", func(c *chain, d *draft) { d.Primary = c.key("stranger") }, event.RuleUnknownPrimary},
		{"REREGISTER endorsed by a companion", linked, "REREGISTER phone2 endorsed", func(c *chain, d *draft) { d.Subject = c.key("laptop") }, event.RuleUnknownPrimary},
		{"REREGISTER endorsed after ERASE", erased, "REREGISTER phone2", func(c *chain, d *draft) { d.Subject, d.roles = c.key("phone"), []event.Role{0, 1} }, event.RuleUnknownPrimary},

		{"ADD_DEVICE twice", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.Subject, d.after[1].Key = c.key("laptop"), c.key("laptop") }, event.RuleKeyUsed},
		{"ADD_DEVICE after removal", unlinked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.Subject, d.after[0].Key = c.key("laptop"), c.key("laptop") }, event.RuleKeyUsed},
		{"ADD_DEVICE of the primary", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.Subject, d.after[1].Key = c.key("phone"), c.key("phone") }, event.RuleKeyUsed},
		{"REREGISTER with the same primary", linked, "REREGISTER phone2", func(c *chain, d *draft) { d.Primary = c.key("phone") }, event.RuleKeyUsed},
		{"REREGISTER of a companion", linked, "REREGISTER phone2", func(c *chain, d *draft) { d.Primary = c.key("laptop") }, event.RuleKeyUsed},
		{"a device returns under a new primary", linked + "REREGISTER phone2", "ADD_DEVICE tv", func(c *chain, d *draft) { d.Subject, d.after[0].Key = c.key("laptop"), c.key("laptop") }, event.RuleKeyUsed},

		{"devices_hash of another list", linked, "CONFIRM", func(c *chain, d *draft) { d.after = nil }, event.RuleDevicesHash},
		{"devices_hash before the addition", linked, "ADD_DEVICE tv", func(c *chain, d *draft) { d.after = d.after[:1] }, event.RuleDevicesHash},
		{"devices_hash before the removal", linked, "REMOVE_DEVICE laptop", func(c *chain, d *draft) { d.after = c.at.Devices }, event.RuleDevicesHash},
		{"devices_hash keeps the list at REREGISTER", linked, "REREGISTER phone2", func(c *chain, d *draft) { d.after = c.at.Devices }, event.RuleDevicesHash},
		{"devices_hash keeps the list at ERASE", linked, "ERASE", func(c *chain, d *draft) { d.after = c.at.Devices }, event.RuleDevicesHash},
		{"devices_hash of any bytes", linked, "OPERATOR_REMOVE laptop", func(c *chain, d *draft) { d.DevicesHash[0] = 1 }, event.RuleDevicesHash},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t, tt.history)
			d := c.draft(tt.line)
			tt.spoil(c, d)
			c.refused(c.sign(d), tt.want)
			c.refused(c.sign(c.draft(tt.line)), "") // the same line unspoiled
		})
	}
}

func TestSignatures(t *testing.T) {
	tests := []struct {
		name, history, line string
		spoil               func(e *event.Event)
		role                event.Role
	}{
		{"Ed25519 primary", registered, "ADD_DEVICE tv", func(e *event.Event) { e.Signatures[0].Bytes[0] ^= 1 }, event.Primary},
		{"Ed25519 companion", registered, "ADD_DEVICE tv", func(e *event.Event) { e.Signatures[1].Bytes[40] ^= 1 }, event.Subject},
		{"Curve25519 primary", "REGISTER xphone", "ADD_DEVICE tv", func(e *event.Event) { e.Signatures[0].Bytes[0] ^= 1 }, event.Primary},
		{"Curve25519 sign bit", "REGISTER xphone", "CONFIRM", func(e *event.Event) { e.Signatures[0].Bytes[63] ^= 0x80 }, event.Primary},
		{"Curve25519 companion", registered, "ADD_DEVICE xtv", func(e *event.Event) { e.Signatures[1].Bytes[40] ^= 1 }, event.Subject},
		{"roles swapped", registered, "ADD_DEVICE tv", func(e *event.Event) {
			e.Signatures[0].Bytes, e.Signatures[1].Bytes = e.Signatures[1].Bytes, e.Signatures[0].Bytes
		}, event.Primary},
		{"endorsement", registered, "REREGISTER phone2 endorsed", func(e *event.Event) { e.Signatures[1].Bytes = [64]byte{} }, event.Subject},
		{"self log-out", linked, "REMOVE_DEVICE laptop by subject", func(e *event.Event) { e.Signatures[0].Bytes[63] ^= 1 }, event.Subject},
		{"a signature for other bytes", linked, "CONFIRM", func(e *event.Event) { e.TimeMs++ }, event.Primary},
		{"the primary's signature as the companion's", linked, "REMOVE_DEVICE laptop", func(e *event.Event) { e.Signatures[0].Role = event.Subject }, event.Subject},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChain(t, tt.history)
			e := c.sign(c.draft(tt.line))
			tt.spoil(e)
			err := event.Check(e).Err()
			wantRule(t, err, event.RuleSignature)
			if got := err.(*event.Error).Role; got != tt.role {
				t.Errorf("role %s, want %s", got, tt.role)
			}
			c.refused(e, event.RuleSignature)
			c.refused(c.sign(c.draft(tt.line)), "")
		})
	}
}

// Err is what a server asks that has the event's id already: an event without
// the signatures that its type asks for must not pass for it.
func TestErrIncludesTheSignatureSet(t *testing.T) {
	c := newChain(t, linked)
	e := c.sign(c.draft("ADD_DEVICE tv"))
	if err := event.Check(e).Err(); err != nil {
		t.Fatal(err)
	}
	e.Signatures = e.Signatures[:1]
	wantRule(t, event.Check(e).Err(), event.RuleRow)
	e.Signatures = nil
	wantRule(t, event.Check(e).Err(), event.RuleRow)
}

// A signature made for one role must not serve for the other, even when one key
// could be both: the role is signed.
func TestRoleIsSigned(t *testing.T) {
	c := newChain(t, linked)
	d := c.draft("REMOVE_DEVICE laptop by subject")
	e := c.sign(d)
	k := c.keys[c.key("laptop")]
	wrong, err := k.Sign(e.SignedBytes(event.Primary))
	if err != nil {
		t.Fatal(err)
	}
	e.Signatures[0].Bytes = wrong
	c.refused(e, event.RuleSignature)
}

// Of two broken rules the earlier is reported: every pair of neighbours, and so
// by the order of the checks any two.
func TestOrderOfReports(t *testing.T) {
	type spoiler struct {
		rule  event.Rule
		spoil func(c *chain, d *draft)
		after func(e *event.Event)
	}
	nothing := func(*event.Event) {}
	keep := func(*chain, *draft) {}
	order := []spoiler{
		{event.RuleLog, func(c *chain, d *draft) { d.Log[0]++ }, nothing},
		{event.RuleAccount, func(c *chain, d *draft) { d.Account[0]++ }, nothing},
		{event.RuleSeq, func(c *chain, d *draft) { d.Seq++; d.KeyIndex++ }, nothing},
		{event.RulePrev, func(c *chain, d *draft) { d.Prev[0]++ }, nothing},
		{event.RuleGeneration, func(c *chain, d *draft) { d.Generation++ }, nothing},
		{event.RuleRow, func(c *chain, d *draft) { d.KeyIndex = 77 }, nothing},
		{event.RuleUnknownPrimary, func(c *chain, d *draft) { d.Primary = c.key("stranger") }, nothing},
		{event.RuleNotAdmitted, func(c *chain, d *draft) { d.Subject = event.Key{event.KeyCurve25519} }, nothing},
		{event.RuleSignature, keep, func(e *event.Event) { e.Signatures[0].Bytes[0] ^= 1 }},
		{event.RuleDevicesHash, func(c *chain, d *draft) { d.DevicesHash[0]++ }, nothing},
	}
	for i, first := range order {
		for _, second := range order[i+1:] {
			t.Run(string(first.rule+" before "+second.rule), func(t *testing.T) {
				c := newChain(t, linked)
				d := c.draft("ADD_DEVICE tv")
				second.spoil(c, d)
				first.spoil(c, d)
				e := c.sign(d)
				second.after(e)
				first.after(e)
				c.refused(e, first.rule)
			})
		}
	}
}

// An account holds at most 255 devices; removing one makes room.
func TestListFull(t *testing.T) {
	c := newChain(t, registered)
	for i := range event.MaxDevices {
		e := c.sign(c.draft(fmt.Sprintf("ADD_DEVICE device%d", i)))
		known := append([]event.Key{c.at.Primary}, e.Subject) // honest keys: skip admission, for time
		if err := c.at.Apply(event.Check(e, known...)); err != nil {
			t.Fatal(err)
		}
	}
	c.refused(c.sign(c.draft("ADD_DEVICE more")), event.RuleListFull)
	c.refused(c.sign(c.draft("REMOVE_DEVICE device7")), "")
	c.refused(c.sign(c.draft("ADD_DEVICE more")), "")
	if n := len(c.at.Devices); n != event.MaxDevices {
		t.Errorf("%d devices, want %d", n, event.MaxDevices)
	}
}

// No event has seq 2^32-1, and generation 2^32-1 has no successor: neither may
// wrap to 0.
func TestCountersDoNotWrap(t *testing.T) {
	c := newChain(t, linked)
	c.at.Next = 1<<32 - 2
	c.refused(c.sign(c.draft("CONFIRM")), "")
	c.refused(c.sign(c.draft("CONFIRM")), event.RuleSeq)

	c = newChain(t, linked)
	c.at.Generation = 1<<32 - 1
	c.refused(c.sign(c.draft("REREGISTER phone2")), event.RuleGeneration)
	c.refused(c.sign(c.draft("CONFIRM")), "")
}

// Accounts that went two ways from a clone do not meet again.
func TestClone(t *testing.T) {
	a := newChain(t, linked+"ADD_DEVICE tv")
	b := &chain{t: t, at: a.at.Clone(), keys: a.keys}
	a.refused(a.sign(a.draft("ADD_DEVICE one")), "")
	b.refused(b.sign(b.draft("ADD_DEVICE two")), "")
	a.refused(a.sign(a.draft("ADD_DEVICE two")), "")
	b.refused(b.sign(b.draft("ADD_DEVICE one")), "")
	a.refused(a.sign(a.draft("CONFIRM")), "")
	b.refused(b.sign(b.draft("CONFIRM")), "")
}

// Nor do those that went two ways from one account that stays where it is.
func TestFork(t *testing.T) {
	for _, history := range []string{linked, linked + "ADD_DEVICE tv\n", linked + "ADD_DEVICE tv\nADD_DEVICE watch\n"} {
		c := newChain(t, history)
		before := c.at.Clone()
		for _, line := range []string{"CONFIRM", "REMOVE_DEVICE laptop", "REREGISTER phone2 endorsed", "ERASE"} {
			one, two := c.at.Fork(), c.at.Fork()
			a, b := &chain{t: t, at: &one, keys: c.keys}, &chain{t: t, at: &two, keys: c.keys}
			a.refused(a.sign(a.draft("ADD_DEVICE one")), "")
			b.refused(b.sign(b.draft("ADD_DEVICE two")), "")
			a.refused(a.sign(a.draft(line)), "")
			if line != "ERASE" {
				a.refused(a.sign(a.draft("ADD_DEVICE two")), "")
			}
			b.refused(b.sign(b.draft("ADD_DEVICE one")), "")
			b.refused(b.sign(b.draft("ADD_DEVICE two")), event.RuleKeyUsed)
		}
		if !reflect.DeepEqual(before, c.at) {
			t.Errorf("an event on a fork changed the account: %+v, was %+v", c.at, before)
		}
	}
}

// Admission is done once: keys that the caller vouches for are not asked again.
func TestAdmittedKeysAreSkipped(t *testing.T) {
	c := newChain(t, linked)
	d := c.draft("OPERATOR_REMOVE laptop")
	d.Subject = event.Key{event.KeyCurve25519} // order 2
	e := c.sign(d)
	wantRule(t, event.Check(e).Err(), event.RuleNotAdmitted)
	wantRule(t, event.Check(e, c.at.Primary).Err(), event.RuleNotAdmitted)
	if err := event.Check(e, d.Subject).Err(); err != nil {
		t.Errorf("a key that the caller vouches for: %v", err)
	}
}

// What is hashed is told apart by every field.
func TestDevicesHashCoversEverything(t *testing.T) {
	c := newChain(t, "")
	p, k := c.key("phone"), c.key("laptop")
	other := testLog
	other[0]++
	hashes := map[name.DevicesHash]string{}
	for label, h := range map[string]name.DevicesHash{
		"base":       event.DevicesHash(testLog, testAccount, 0, p, []event.Device{{1, k}}),
		"log":        event.DevicesHash(other, testAccount, 0, p, []event.Device{{1, k}}),
		"account":    event.DevicesHash(testLog, name.AccountID(other), 0, p, []event.Device{{1, k}}),
		"generation": event.DevicesHash(testLog, testAccount, 1, p, []event.Device{{1, k}}),
		"primary":    event.DevicesHash(testLog, testAccount, 0, k, []event.Device{{1, k}}),
		"no primary": event.DevicesHash(testLog, testAccount, 0, event.Key{}, []event.Device{{1, k}}),
		"index":      event.DevicesHash(testLog, testAccount, 0, p, []event.Device{{2, k}}),
		"key":        event.DevicesHash(testLog, testAccount, 0, p, []event.Device{{1, p}}),
		"count":      event.DevicesHash(testLog, testAccount, 0, p, nil),
	} {
		if same, ok := hashes[h]; ok {
			t.Errorf("%s and %s have one hash", label, same)
		}
		hashes[h] = label
	}
}
