package event_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// samples is one event of each form.
func samples(t *testing.T) []*event.Event {
	t.Helper()
	c := newChain(t, "")
	var events []*event.Event
	for _, line := range []string{
		"REGISTER phone", "ADD_DEVICE laptop", "ADD_DEVICE xtv", "REMOVE_DEVICE laptop", "REMOVE_DEVICE xtv by subject",
		"CONFIRM", "ADD_DEVICE radio", "OPERATOR_REMOVE radio", "REREGISTER xphone endorsed", "ERASE", "REREGISTER phone2",
	} {
		e := c.sign(c.draft(line))
		c.refused(e, "")
		events = append(events, e)
	}
	return events
}

// Where each field lies, counted by hand.
func TestLayout(t *testing.T) {
	c := newChain(t, registered)
	d := c.draft("ADD_DEVICE xtv")
	d.Generation, d.TimeMs = 0x01020304, 0x1122334455667788
	e := c.sign(d)
	primary, subject := c.key("phone"), c.key("xtv")
	u32 := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	want := bytes.Join([][]byte{
		{2}, testLog[:], testAccount[:], u32(0x01020304), u32(1), e.Prev[:],
		{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}, u32(1),
		{0, 33}, primary[:], {0, 33}, subject[:], e.DevicesHash[:],
	}, nil)
	if !bytes.Equal(e.Payload.Bytes(), want) {
		t.Errorf("payload %x, want %x", e.Payload.Bytes(), want)
	}
	signed := append([]byte("muster/v1 account event\x00\x01"), want...)
	if !bytes.Equal(e.SignedBytes(event.Subject), signed) {
		t.Errorf("signed bytes %x, want %x", e.SignedBytes(event.Subject), signed)
	}
	want = bytes.Join([][]byte{
		want, {0, 134}, {0, 0, 64}, e.Signatures[0].Bytes[:], {1, 0, 64}, e.Signatures[1].Bytes[:],
	}, nil)
	if !bytes.Equal(e.Bytes(), want) {
		t.Errorf("event %x, want %x", e.Bytes(), want)
	}
	if len(want) != 355 {
		t.Errorf("the largest event has %d bytes, documented as 355", len(want))
	}
}

func TestParseRefuses(t *testing.T) {
	c := newChain(t, registered)
	good := c.sign(c.draft("ADD_DEVICE tv")).Bytes()
	if _, err := event.Parse(good); err != nil {
		t.Fatal(err)
	}
	const ( // offsets in good
		primary    = 117
		subject    = 152
		signatures = 219
		second     = signatures + 2 + 67
	)
	with := func(at int, b ...byte) []byte {
		out := bytes.Clone(good)
		copy(out[at:], b)
		return out
	}
	splice := func(from, to int, b ...byte) []byte {
		return append(append(bytes.Clone(good[:from]), b...), good[to:]...)
	}
	tests := []struct {
		name string
		b    []byte
		want string
	}{
		{"empty", nil, "no bytes"},
		{"type 0", with(0, 0), "unknown type 0"},
		{"type 16", with(0, 16), "unknown type 16"},
		{"type 255", with(0, 255), "unknown type 255"},
		{"trailing byte", append(bytes.Clone(good), 0), "after the event"},
		{"primary of 32 bytes", splice(primary, primary+3, 0, 32), "32 bytes"},
		{"subject of 34 bytes", splice(subject, subject+2, 0, 34, 1), "34 bytes"},
		{"primary type 0", with(primary+2, 0), "primary: key type 0"},
		{"subject type 0x10", with(subject+2, 0x10), "subject: key type 16"},
		{"signature of 63 bytes", splice(second, len(good), append([]byte{1, 0, 63}, make([]byte, 63)...)...)[:len(good)-1], "inside"},
		{"unknown role", with(second, 2), "role 2"},
		{"role twice", with(second, 0), "do not ascend"},
		{"roles descend", with(signatures+2, 1, 0, 64), "do not ascend"},
		{"too many bytes", make([]byte, event.MaxSize+1), "at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := event.Parse(tt.b)
			wantRule(t, err, event.RuleStructure)
			if e != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	for n := range good {
		if _, err := event.Parse(good[:n]); err == nil {
			t.Errorf("the first %d bytes of %d are an event", n, len(good))
		}
	}
}

// Signatures of a wrong length in a well-formed list.
func TestParseRefusesSignatureLengths(t *testing.T) {
	c := newChain(t, registered)
	payload := c.draft("CONFIRM").Payload
	for _, n := range []int{0, 63, 65} {
		b := binary.BigEndian.AppendUint16(payload.Bytes(), uint16(3+n))
		b = binary.BigEndian.AppendUint16(append(b, 0), uint16(n))
		_, err := event.Parse(append(b, make([]byte, n)...))
		wantRule(t, err, event.RuleStructure)
		if !strings.Contains(err.Error(), fmt.Sprintf("signature of %d bytes", n)) {
			t.Errorf("error %v", err)
		}
	}
}

// Reserved types: the fields are read, with keys and signatures of any length,
// and the client is told to update; broken structure is still broken.
func TestReservedTypes(t *testing.T) {
	var p event.Payload
	head := p.Bytes()[:117]
	body := func(typ byte) []byte {
		b := append([]byte{typ}, head[1:]...)
		b = append(b, 0, 2, 9, 9)                   // primary of 2 bytes
		b = append(b, 0, 0)                         // no subject
		b = append(b, make([]byte, 32)...)          // devices_hash
		return append(b, 0, 7, 9, 0, 1, 7, 0, 0, 0) // role 9 with a byte, role 0 with none
	}
	for typ := byte(8); typ <= 15; typ++ {
		_, err := event.Parse(body(typ))
		wantRule(t, err, event.RuleNewer)
	}
	_, err := event.Parse(append(body(8), 0))
	wantRule(t, err, event.RuleStructure)
	_, err = event.Parse(body(8)[:100])
	wantRule(t, err, event.RuleStructure)
	cut := body(8)
	cut[len(cut)-1] = 1 // the last signature's length points past the list
	_, err = event.Parse(cut)
	wantRule(t, err, event.RuleStructure)
	_, err = event.Parse(body(7))
	wantRule(t, err, event.RuleStructure)
}

// The event_id ignores signatures and covers the whole payload.
func TestID(t *testing.T) {
	c := newChain(t, "REGISTER xphone")
	d := c.draft("CONFIRM")
	one, two := c.sign(d), c.sign(d)
	if one.Signatures[0] == two.Signatures[0] {
		t.Fatal("XEdDSA signatures do not differ: this test shows nothing")
	}
	if one.ID() != two.ID() {
		t.Error("one payload, two ids")
	}
	raw := one.Bytes()
	seen := map[name.EventID]bool{}
	for i := range one.Payload.Bytes() {
		flipped := bytes.Clone(raw)
		flipped[i] ^= 1
		e, err := event.Parse(flipped)
		if err != nil {
			continue
		}
		if id := e.ID(); id == one.ID() || seen[id] {
			t.Errorf("byte %d is not in the id", i)
		} else {
			seen[id] = true
		}
	}
	// All but the two keys' lengths and the primary's type, whose change Parse refuses.
	if want := len(one.Payload.Bytes()) - 5; len(seen) != want {
		t.Errorf("%d bytes tried, want %d", len(seen), want)
	}
}

func TestStrings(t *testing.T) {
	want := "REGISTER ADD_DEVICE REMOVE_DEVICE REREGISTER OPERATOR_REMOVE ERASE CONFIRM type 8 primary subject role 2"
	got := fmt.Sprint(event.Register, " ", event.AddDevice, " ", event.RemoveDevice, " ", event.Reregister, " ",
		event.OperatorRemove, " ", event.Erase, " ", event.Confirm, " ", event.Type(8), " ", event.Primary, " ", event.Subject, " ", event.Role(2))
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range samples(new(testing.T)) {
		f.Add(e.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := event.Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Bytes(), b) {
			t.Fatalf("%x parses and encodes as %x", b, e.Bytes())
		}
		// Whatever parses may be checked, and replayed, without a panic; and
		// what is refused changes nothing.
		a := event.NewAccount(e.Log, e.Account)
		c := event.Check(e)
		if a.Apply(c) != nil && a.Next != 0 {
			t.Fatal("a refused event was counted")
		}
		event.Anchor(e.Log, e.Account, c, []event.Device{{KeyIndex: e.KeyIndex, Key: e.Subject}})
	})
}

func FuzzParseKey(f *testing.F) {
	c := newChain(new(testing.T), "")
	for _, word := range []string{"phone", "xphone"} {
		k := c.key(word)
		f.Add(k[:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := event.ParseKey(b)
		if err != nil {
			return
		}
		if !bytes.Equal(k[:], b) {
			t.Fatalf("%x parses as %s", b, k)
		}
		if event.Admit(k) != nil {
			return
		}
		// An admitted key has a coordinate, and that is an admitted key too.
		u, err := k.Coordinate()
		if err != nil {
			t.Fatal(err)
		}
		if err := event.Admit(event.Key(append([]byte{event.KeyCurve25519}, u[:]...))); err != nil {
			t.Fatalf("%s is admitted, its Curve25519 form is not: %v", k, err)
		}
	})
}
