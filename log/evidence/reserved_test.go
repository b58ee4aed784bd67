package evidence_test

import (
	"encoding/binary"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
)

// A later version may allow what this one refuses: a log of such a version is
// not convicted by it (protocol section 9.2).
func TestReservedNeverConvicts(t *testing.T) {
	// withKey is an event whose subject is another key than 33 bytes allow.
	withKey := func(e []byte, key []byte) []byte {
		const subject = 1 + 32 + 32 + 4 + 4 + 32 + 8 + 4 + 2 + event.KeySize
		b := append([]byte{}, e[:subject]...)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
		return append(b, e[subject+2:]...)
	}
	hybrid := append([]byte{0x10}, make([]byte, 32+1312)...)
	unknown := append([]byte{0x11}, make([]byte, 32)...)
	for _, c := range []struct {
		name    string
		change  func(e []byte) []byte
		convict bool
	}{
		{"event type 7, bytes after it", func(e []byte) []byte { return append(e, 0) }, true},
		{"event type 8", func(e []byte) []byte { e[0] = 8; return e }, false},
		{"event type 15", func(e []byte) []byte { e[0] = 15; return e }, false},
		{"event type 15, bytes after it", func(e []byte) []byte { e[0] = 15; return append(e, 0) }, false},
		{"event type 16", func(e []byte) []byte { e[0] = 16; return e }, true},
		{"a subject of key type 0x10", func(e []byte) []byte { return withKey(e, hybrid) }, false},
		{"a subject of key type 0x11", func(e []byte) []byte { return withKey(e, unknown) }, true},
		{"a primary of key type 0x10", func(e []byte) []byte { e[1+32+32+4+4+32+8+4+2] = 0x10; return e }, false},
		{"a primary of key type 2", func(e []byte) []byte { e[1+32+32+4+4+32+8+4+2] = 2; return e }, true},
	} {
		w := newWorld()
		w.Append(w.alice.Account(), c.change(w.alice.Confirm()))
		w.Append(w.alice.Account(), w.alice.Confirm())
		w.Seal()
		if got := guilty(w.key(), must(w.tree().BrokenEvents(w.open(w.alice, 3)))); got != c.convict {
			t.Errorf("%s: convicts: %v", c.name, got)
		}
		if guilty(w.key(), must(w.tree().BrokenEvents(w.open(w.alice, 3), w.open(w.alice, 4)))) {
			t.Errorf("%s: convicts beside another event", c.name)
		}
	}

	// A label of another kind.
	w := newWorld()
	o := w.open(w.alice, 2)
	if o.Label[0] ^= 3; guilty(w.key(), must(w.tree().BrokenEvents(o))) {
		t.Error("a label of kind 2 convicts")
	}

	rebuilt := 0
	for name, at := range map[string]int{"version": 2, "suite": 4} {
		for _, s := range samples() {
			if s.key.Type != checkpoint.Ed25519 || s.file.Kind == evidence.E1 || s.file.Kind == evidence.E2 || s.file.Kind == evidence.E3 {
				continue // these read no leaf: they hold in any version
			}
			if s.name == "E5 size 0" || len(s.file.Lines) > 100 {
				continue
			}
			if f := regenesis(s.file, at, 0); f == nil || !guilty(s.key, f) {
				continue // hangs on the size, or has no GENESIS
			}
			rebuilt++
			if guilty(s.key, regenesis(s.file, at, 1)) {
				t.Errorf("%s: convicts a log of another %s", s.name, name)
			}
		}
		for _, p := range []uint64{0, alice2} {
			w := newWorld()
			g := append([]byte{}, w.Leaves[0]...)
			g[at]++
			w.Leaves[p] = g
			w.Sign()
			if guilty(w.key(), must(w.tree().BrokenLeaves(p))) {
				t.Errorf("GENESIS of another %s at %d convicts", name, p)
			}
		}
	}
	if rebuilt < 2*45 {
		t.Errorf("only %d files were rebuilt", rebuilt)
	}
	w.Leaves[0] = []byte{byte(leaf.KindGenesis)}
	w.Sign()
	if guilty(w.key(), must(w.tree().BrokenLeaves(0))) {
		t.Error("a GENESIS that ends before its version convicts")
	}
}

// regenesis is the same file of a log whose GENESIS is of another version: the
func regenesis(f *evidence.File, at int, by byte) *evidence.File {
	w := newWorld()
	g := &evidence.File{Kind: f.Kind, Origin: f.Origin}
	for _, l := range f.Lines {
		if l, ok := l.(evidence.Leaf); ok {
			for uint64(len(w.Leaves)) <= l.Position {
				w.Leaves = append(w.Leaves, w.Leaves[epoch3])
			}
			w.Leaves[l.Position] = l.Bytes
		}
	}
	w.Leaves[0] = append([]byte{}, w.Leaves[0]...)
	if len(w.Leaves[0]) < 5 || w.Leaves[0][0] != byte(leaf.KindGenesis) {
		return nil
	}
	w.Leaves[0][at] += by
	w.Sign()
	for _, l := range f.Lines {
		switch l := l.(type) {
		case evidence.Note:
			g.Lines = append(g.Lines, evidence.Note(w.Note))
		case evidence.Leaf:
			g.Lines = append(g.Lines, must(w.tree().At(l.Position)))
		default:
			g.Lines = append(g.Lines, l)
		}
	}
	return g
}
