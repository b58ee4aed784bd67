package auditor

import (
	"bytes"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
)

// What is read of a record gives its bytes again.
func FuzzParseState(f *testing.F) {
	signer, err := checkpoint.NewSigner("example.org/log", [32]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	note, err := checkpoint.Parse(signer.Sign(checkpoint.Checkpoint{Origin: "example.org/log", Size: 7}))
	if err != nil {
		f.Fatal(err)
	}
	epoch := &leaf.Epoch{Epoch: 1, TimeMs: 2, First: 2, Keys: 4}
	good := state{size: 7, epoch: epoch, note: note}
	if _, err := parseState(good.bytes()); err != nil {
		f.Fatal(err)
	}
	f.Add(good.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseState(data); err == nil && !bytes.Equal(s.bytes(), data) {
			t.Errorf("%x encodes to %x", data, s.bytes())
		}
	})
}
