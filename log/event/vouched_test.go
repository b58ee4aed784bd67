package event_test

import (
	"errors"
	"slices"
	"testing"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/event"
)

// A key that is in the account already is not admitted again, so its coordinate does
// not come from admission: it is refused as used all the same, in each dress.
func TestUsedKeyThatIsVouchedFor(t *testing.T) {
	c := newChain(t, linked)
	for _, k := range c.at.Keys() {
		p := pointOf(t, k)
		for form, k := range map[string]event.Key{
			"itself":     edKey(p),
			"negative":   edKey(new(edwards25519.Point).Negate(p)),
			"Curve25519": event.Key(append([]byte{event.KeyCurve25519}, p.BytesMontgomery()...)),
		} {
			for _, known := range [][]event.Key{nil, c.at.Keys(), append(c.at.Keys(), k)} {
				d := c.draft("ADD_DEVICE tv")
				d.Subject, d.after[len(d.after)-1].Key = k, k
				e := c.sign(d)
				if err := c.at.Clone().Apply(event.Check(e, known...)); rule(err) != event.RuleKeyUsed {
					t.Errorf("ADD_DEVICE, %s, %d known: %v", form, len(known), err)
				}
				d = c.draft("REREGISTER phone2 endorsed")
				d.Primary = k
				e = c.sign(d)
				if err := c.at.Clone().Apply(event.Check(e, known...)); rule(err) != event.RuleKeyUsed {
					t.Errorf("REREGISTER, %s, %d known: %v", form, len(known), err)
				}
			}
		}
	}
}

func rule(err error) event.Rule {
	var e *event.Error
	if errors.As(err, &e) {
		return e.Rule
	}
	return ""
}

// What one event's caller vouches for says nothing about the next event.
func TestVouchedPerEvent(t *testing.T) {
	c := newChain(t, linked)
	d := c.draft("OPERATOR_REMOVE laptop")
	d.Subject = event.Key{event.KeyCurve25519}
	e := c.sign(d)
	for at := range 3 {
		events, admitted := make([]*event.Event, 3), make([][]event.Key, 3)
		for i := range events {
			events[i] = e
		}
		admitted[at] = []event.Key{d.Subject}
		for i, got := range event.CheckAll(events, admitted) {
			want := event.RuleNotAdmitted
			if i == at {
				want = ""
			}
			if rule(got.Err()) != want {
				t.Errorf("vouched for event %d: event %d: %v", at, i, got.Err())
			}
		}
	}
}

// Rule 14: the primary first.
func TestPrimaryIsAdmittedFirst(t *testing.T) {
	c := newChain(t, linked)
	d := c.draft("ADD_DEVICE tv")
	d.Primary, d.Subject = event.Key{event.KeyCurve25519}, event.Key{event.KeyEd25519, 2}
	var e *event.Error
	if err := event.Check(c.sign(d)).Err(); !errors.As(err, &e) || e.Rule != event.RuleNotAdmitted || e.Role != event.Primary {
		t.Errorf("%v", err)
	}
}

// Vouching is byte for byte: not for another key of that coordinate.
func TestVouchedByteForByte(t *testing.T) {
	c := newChain(t, linked)
	d := c.draft("OPERATOR_REMOVE laptop")
	d.Subject = event.Key{event.KeyCurve25519} // u = 0
	minusOne := event.Key(unhex(t, "01ec"+"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"+"7f"))
	if rule(event.Check(c.sign(d), minusOne).Err()) != event.RuleNotAdmitted {
		t.Error("admitted")
	}
}

// An event that was built by hand, with a role that Parse refuses.
func TestRoleBeyondRow(t *testing.T) {
	c := newChain(t, linked)
	e := c.sign(c.draft("CONFIRM"))
	e.Signatures[0].Role = 7
	if rule(event.Check(e).Err()) != event.RuleRow {
		t.Error("accepted")
	}
}

// A vouched key that has no coordinate would not be remembered: it is refused.
func TestVouchedKeyWithoutCoordinate(t *testing.T) {
	c := newChain(t, registered)
	id := edKey(edwards25519.NewIdentityPoint())
	d := c.draft("ADD_DEVICE tv")
	d.Subject, d.after[0].Key = id, id
	e := c.sign(d)
	e.Signatures[1].Bytes = [64]byte{1} // R is the identity, S is 0: anybody's signature under it
	if err := c.at.Apply(event.Check(e, id)); rule(err) != event.RuleNotAdmitted {
		t.Errorf("an identity that the caller vouches for: %v", err)
	}
}

// What was found out about a primary key holds for the events after it, and what
// a caller said about it does not.
func TestSharedPrimary(t *testing.T) {
	for _, history := range []string{registered, "REGISTER xphone\n"} {
		c := newChain(t, history)
		var events []*event.Event
		var want []event.Rule
		add := func(e *event.Event, rule event.Rule) { events, want = append(events, e), append(want, rule) }
		for _, line := range []string{"ADD_DEVICE laptop", "ADD_DEVICE xtv", "CONFIRM", "REREGISTER phone2 endorsed", "ADD_DEVICE watch", "CONFIRM"} {
			e := c.sign(c.draft(line))
			add(e, "")
			bad := *e
			bad.Signatures = slices.Clone(e.Signatures)
			bad.Signatures[0].Bytes[0] ^= 1
			add(&bad, event.RuleSignature)
			if err := c.at.Apply(event.Check(e)); err != nil {
				t.Fatal(err)
			}
		}
		unfit := c.draft("OPERATOR_REMOVE watch")
		unfit.Primary = event.Key{event.KeyCurve25519}
		for range 3 {
			add(c.sign(unfit), event.RuleNotAdmitted)
		}
		for vouched := range events {
			admitted := make([][]event.Key, len(events))
			admitted[vouched] = []event.Key{events[vouched].Primary}
			for i, got := range event.CheckAll(events, admitted) {
				want := want[i]
				if i == vouched && want == event.RuleNotAdmitted {
					want = ""
				}
				if rule(got.Err()) != want {
					t.Errorf("after %q, primary of event %d vouched for: event %d: %v, want rule %q", history, vouched, i, got.Err(), want)
				}
			}
		}
	}
}
