package evidence_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// A key without a u coordinate is the same as no other (protocol section 2.3),
// not even as the one whose coordinate is zero: what convicts a log of such
// keys is that it took them in, not that it took one twice.
func TestKeyWithoutCoordinateIsNoOther(t *testing.T) {
	zero := event.Key{event.KeyCurve25519}
	none := event.Key(append([]byte{event.KeyEd25519}, bytes.Repeat([]byte{0xff}, 32)...))
	if u, err := zero.Coordinate(); u != [32]byte{} || err != nil {
		t.Fatalf("coordinate %x, %v", u, err)
	}
	for _, keys := range [][2]event.Key{{none, zero}, {zero, none}} {
		w := newWorld()
		first := w.alice.Draft(event.AddDevice)
		second := first
		first.KeyIndex, first.Subject = first.Seq, keys[0]
		second.Seq, second.Prev = first.Seq+1, first.ID()
		second.KeyIndex, second.Subject = second.Seq, keys[1]
		for _, p := range []event.Payload{first, second} {
			w.Append(w.alice.Account(), liar.Sign(p, w.alice.Primary, nil).Bytes())
		}
		w.Seal()
		f := must(w.tree().BrokenEvents(w.open(w.alice, first.Seq), w.open(w.alice, second.Seq)))
		var m *evidence.Misbehaviour
		if err := evidence.Convict(w.key(), f); errors.As(err, &m) {
			t.Errorf("%x and %x: %v", keys[0][:2], keys[1][:2], err)
		}
	}
}

// A proof that ends where nothing is shows no leaf, also of the index that is
// all zeros: what it convicts of is that the map lacks the event.
func TestIndexOfZeros(t *testing.T) {
	w := newWorld()
	p := w.Append(w.bob.Account(), w.bob.Add())
	l := must(leaf.Parse(w.Leaves[p])).(*leaf.Event)
	delete(w.Map, l.Index)
	l.Index = name.Index{}
	w.Leaves[p] = l.Bytes()
	for _, b := range []byte{2, 3} { // so that the way to the zeros ends at a missing child
		w.Map[name.Index{0, b}] = liar.Entry{Position: p}
	}
	w.Seal()
	f := must(w.tree().Dropped(p, p+1, must(w.Show([]name.Index{{}}))))
	m := convicted(t, w.key(), f)
	if !strings.Contains(m.Verdict.Statement, "lacks the event at position") {
		t.Errorf("it says %q", m.Verdict.Statement)
	}
}
