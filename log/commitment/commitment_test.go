package commitment_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/name"
)

var (
	opening = name.Opening{0x0f, 1: 0x1e, 15: 0xf0}
	label   = name.Identifier("+15550000000").AccountID().Label()
)

// The formula of section 4, its bytes spelled out.
func TestCommit(t *testing.T) {
	event := "an event"
	key, err := hex.DecodeString("d821f8790d97709796b4d7903357c3f5")
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(string(opening[:]) + "\x21" + string(label[:]) + "\x01\x02\x03\x04" + "\x00\x00\x00\x08" + event))
	got := commitment.Commit(opening, label, 0x01020304, []byte(event))
	if got != name.Commitment(h.Sum(nil)) {
		t.Errorf("commitment %v, want %x", got, h.Sum(nil))
	}
	// Computed once by a program in another language.
	const known = "19990867205d015058f65ce0f2cc6f33bb9af7845e83e221110be76ff2e80f6e"
	if got.String() != known {
		t.Errorf("commitment %v, want %s", got, known)
	}
}

func TestVerify(t *testing.T) {
	event := []byte("an event")
	c := commitment.Commit(opening, label, 7, event)
	if err := commitment.Verify(c, opening, label, 7, event); err != nil {
		t.Fatal(err)
	}
	empty := commitment.Commit(opening, label, 7, nil)
	if err := commitment.Verify(empty, opening, label, 7, nil); err != nil {
		t.Fatal(err)
	}

	otherLabel := name.Identifier("+15550000001").AccountID().Label()
	for _, bad := range []struct {
		name    string
		c       name.Commitment
		opening name.Opening
		label   name.Label
		seq     uint32
		event   string
	}{
		{"another opening", c, name.Opening{}, label, 7, "an event"},
		{"another account", c, opening, otherLabel, 7, "an event"},
		{"another seq", c, opening, label, 8, "an event"},
		{"another event", c, opening, label, 7, "An event"},
		{"event cut short", c, opening, label, 7, "an even"},
		{"event with a byte more", c, opening, label, 7, "an event\x00"},
		{"no event", c, opening, label, 7, ""},
		{"commitment to nothing", empty, opening, label, 7, "an event"},
		{"zero commitment", name.Commitment{}, opening, label, 7, "an event"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			if commitment.Verify(bad.c, bad.opening, bad.label, bad.seq, []byte(bad.event)) == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestEveryBitOfACommitmentCounts(t *testing.T) {
	event := []byte(strings.Repeat("event", 40))
	c := commitment.Commit(opening, label, 7, event)
	for i := range c {
		for bit := range 8 {
			bad := c
			bad[i] ^= 1 << bit
			if commitment.Verify(bad, opening, label, 7, event) == nil {
				t.Errorf("byte %d, bit %d flipped: accepted", i, bit)
			}
		}
	}
}
