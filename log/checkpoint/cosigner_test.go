package checkpoint_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
)

func newMLDSA(t *testing.T) *checkpoint.Cosigner {
	t.Helper()
	return must(checkpoint.NewCosigner(checkpoint.MLDSA44, "w.example.net/pq", seed(9)))
}

func TestMLDSACosignature(t *testing.T) {
	c := newMLDSA(t)
	text := at(9).Text()
	l := c.Cosign(text, 1_800_000_000)
	if got, err := c.Key().Verify(text, l); err != nil || got != 1_800_000_000 {
		t.Fatalf("own cosignature: time %d, %v", got, err)
	}
	if again := c.Cosign(text, 1_800_000_000); !bytes.Equal(again.Signature, l.Signature) {
		t.Error("signing again gave other bytes")
	}
	for i := range l.Signature {
		bad := l
		bad.Signature = bytes.Clone(l.Signature)
		bad.Signature[i] ^= 1
		if _, err := c.Key().Verify(text, bad); err == nil {
			t.Fatalf("byte %d changed, and accepted", i)
		}
	}
	for what, other := range map[string]string{"size": at(10).Text(), "extension": text + "more\n", "origin": strings.Replace(text, "keys", "kays", 1)} {
		if _, err := c.Key().Verify(other, l); err == nil {
			t.Errorf("another %s: accepted", what)
		}
	}
	if err := c.Cosignable(text + "more\n"); err == nil {
		t.Error("extension lines are cosignable")
	}
	// The name is signed: the same key under another name is another cosigner.
	other := must(checkpoint.NewCosigner(checkpoint.MLDSA44, "v.example.net/pq", seed(9)))
	l.Name, l.ID = other.Key().Name, other.Key().ID
	if _, err := other.Key().Verify(text, l); err == nil {
		t.Error("accepted under another name")
	}
}

func TestForeign(t *testing.T) {
	root := strings.Repeat("A", 43) + "="
	for text, want := range map[string]bool{
		"a log with spaces+and plus\n5\n" + root + "\n": true,
		"x\n5\n" + root + "\nextension\n":               true,
		"x\n5\n" + root + "\nextension\nand another\n":  true,
		"x\n5\n" + root + "\n\n":                        false,
		"x\n5\n" + root + "\nextension\n\n":             false,
		"x\n5\n" + root + "\n\nextension\n":             false,
		"x\n5\n" + root + "\na\n\nb\n":                  false,
		"x\n5\n" + root:                                 false,
		"\n5\n" + root + "\n":                           false,
		"x\n05\n" + root + "\n":                         false,
		"x\n+5\n" + root + "\n":                         false,
		"x\n5\r\n" + root + "\n":                        false,
		"x\n9223372036854775808\n" + root + "\n":        false,
		"x\n5\n" + strings.Repeat("A", 42) + "B=\n":     false,
		"x\n5\n" + root[:40] + "\n":                     false,
		"x\n5\n":                                        false,
	} {
		if _, err := checkpoint.ParseForeign(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReceipts(t *testing.T) {
	s := newLog()
	r := checkpoint.Receipt{Origin: name.Origin(s.Key().Name), Index: name.Index{1}, Commitment: name.Commitment{2}, MergeBy: 1_790_000_060_000}
	note := s.SignReceipt(r)
	if got, err := checkpoint.OpenReceipt(s.Key(), note); err != nil || got != r {
		t.Fatalf("own receipt: %+v, %v", got, err)
	}
	if _, err := checkpoint.Parse(note); err == nil {
		t.Error("a receipt reads as a checkpoint")
	}
	if _, err := checkpoint.OpenReceipt(s.Key(), s.Sign(at(9))); err == nil {
		t.Error("a checkpoint reads as a receipt")
	}
	for i := range note {
		for bit := range 8 {
			bad := bytes.Clone(note)
			bad[i] ^= 1 << bit
			if _, err := checkpoint.OpenReceipt(s.Key(), bad); err == nil {
				t.Fatalf("bit %d of byte %d (%s) changed, and accepted", bit, i, hex.EncodeToString(bad[i:i+1]))
			}
		}
	}
	if _, err := checkpoint.OpenReceipt(s.Key(), checkpoint.Append(note, newCosigner(0).Cosign(at(9).Text(), 1))); err == nil {
		t.Error("a second line was accepted")
	}
}
