package auditor_test

import (
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

func TestHonestLog(t *testing.T) {
	l := newLiar(20, 40)
	l.Seal() // an empty epoch
	dir := t.TempDir()
	r, err := l.audits(t, dir, l.files())
	if err != nil || r.Leaves != uint64(len(l.Leaves)) || r.Events != 800 || r.Epochs != 22 || r.Checkpoint.Size != r.Leaves {
		t.Fatalf("%+v, %v", r, err)
	}
	for range 300 { // goes on where it stopped
		l.event()
	}
	l.Seal()
	l.TimeMs++
	l.SealAs(&leaf.Epoch{Sealed: true, Epoch: l.Epochs, TimeMs: l.TimeMs, First: l.First, Keys: l.Keys, PrefixRoot: l.Tree.Root(), Successor: "keys.example.org/log2"})
	r, err = l.audits(t, dir, l.files())
	if err != nil || r.Events != 1100 || r.Epochs != 24 || !r.Sealed {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestBrokenLeaves has every rule of protocol section 4.2 broken by the log,
// which signs the result: the auditor stops at that leaf, and its file
// convicts the log without the log.
func TestBrokenLeaves(t *testing.T) {
	// seal closes an epoch with one field changed.
	seal := func(l *liarLog, change func(*leaf.Epoch)) uint64 {
		l.TimeMs++
		l.Shown = l.Map
		tree, err := prefix.Build(l.PrefixLeaves(), leaf.MaxCount)
		if err != nil {
			panic(err)
		}
		e := &leaf.Epoch{Epoch: l.Epochs, TimeMs: l.TimeMs, First: l.First, Keys: l.Keys, PrefixRoot: tree.Root()}
		change(e)
		l.SealAs(e)
		return uint64(len(l.Leaves)) - 1
	}
	genesis := func(l *liarLog, change func(*leaf.Genesis)) uint64 {
		g := &leaf.Genesis{Origin: origin, VRFKey: l.VRFKey.Public()}
		change(g)
		l.Leaves[0] = g.Bytes()
		l.Sign()
		return 0
	}
	cases := []struct {
		name string
		kind evidence.Kind
		lie  func(l *liarLog) uint64
	}{
		{"GENESIS of another log", evidence.E5, func(l *liarLog) uint64 {
			return genesis(l, func(g *leaf.Genesis) { g.Origin = "keys.example.org/other" })
		}},
		{"GENESIS of a later version", "", func(l *liarLog) uint64 {
			l.Leaves[0][2] = 2
			l.Sign()
			return 0
		}},
		{"GENESIS that succeeds nonsense", "", func(l *liarLog) uint64 {
			return genesis(l, func(g *leaf.Genesis) { g.Predecessor = "nonsense" })
		}},
		{"GENESIS that succeeds itself", "", func(l *liarLog) uint64 {
			return genesis(l, func(g *leaf.Genesis) { g.Predecessor = checkpoint.Checkpoint{Origin: origin, Size: 2}.Text() })
		}},
		{"EVENT at 0", evidence.E5, func(l *liarLog) uint64 {
			l.Leaves[0] = (&leaf.Event{}).Bytes()
			l.Sign()
			return 0
		}},
		{"EPOCH at 0", evidence.E5, func(l *liarLog) uint64 {
			l.Leaves[0] = (&leaf.Epoch{}).Bytes()
			l.Sign()
			return 0
		}},
		{"a second GENESIS", evidence.E5, func(l *liarLog) uint64 {
			p := l.leaf(l.Leaves[0])
			l.Seal()
			return p
		}},
		{"an unknown kind", evidence.E5, func(l *liarLog) uint64 {
			p := l.leaf([]byte{4, 1, 2, 3})
			l.Seal()
			return p
		}},
		{"an empty leaf", evidence.E5, func(l *liarLog) uint64 {
			p := l.leaf(nil)
			l.Seal()
			return p
		}},
		{"an EVENT of one byte more", evidence.E5, func(l *liarLog) uint64 {
			p := l.leaf(append((&leaf.Event{Index: indexOf(1 << 40)}).Bytes(), 0))
			l.Seal()
			return p
		}},
		{"an EPOCH of one byte less", evidence.E5, func(l *liarLog) uint64 {
			e := (&leaf.Epoch{Epoch: l.Epochs, TimeMs: l.TimeMs + 1, First: l.First, Keys: l.Keys}).Bytes()
			p := l.leaf(e[:len(e)-1])
			l.Seal()
			return p
		}},
		{"an EPOCH is left out of the count", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.Epoch++ })
		}},
		{"an EPOCH's number again", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.Epoch-- })
		}},
		{"number and count lie together", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.Epoch++; e.Keys-- })
		}},
		{"number and count lie together, the other way", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.Epoch--; e.Keys++ })
		}},
		{"one event too many", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.Keys++ })
		}},
		{"one event too few", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.Keys-- })
		}},
		{"first within the epoch", evidence.E5, func(l *liarLog) uint64 {
			l.event()
			l.event()
			return seal(l, func(e *leaf.Epoch) { e.First++ })
		}},
		{"first within the epoch before", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.First-- })
		}},
		{"first at the epoch before", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.First -= 6 })
		}},
		{"first is 0", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.First = 0 })
		}},
		{"first is after the EPOCH", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.First = e.Position() + 1 })
		}},
		{"time stands still", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.TimeMs-- })
		}},
		{"time goes back", evidence.E5, func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.TimeMs = 7 })
		}},
		{"time after the last one that there is", evidence.E5, func(l *liarLog) uint64 {
			seal(l, func(e *leaf.Epoch) { e.TimeMs = 1<<64 - 1 })
			return seal(l, func(e *leaf.Epoch) { e.TimeMs = 5 })
		}},
		{"an index again in its epoch", evidence.E5, func(l *liarLog) uint64 {
			l.event()
			p := l.eventAs(indexOf(uint64(len(l.Leaves)) - 1))
			l.event()
			l.Seal()
			return p
		}},
		{"an index of an earlier epoch", evidence.E5, func(l *liarLog) uint64 {
			l.event()
			p := l.eventAs(indexOf(2))
			l.event()
			l.Seal()
			return p
		}},
		{"an index that shares 255 bits", evidence.E5, func(l *liarLog) uint64 {
			l.event()
			i := indexOf(3)
			i[31] ^= 1
			p := l.leaf((&leaf.Event{Index: i}).Bytes()) // no map could hold both
			l.Keys++
			l.Seal()
			return p
		}},
		{"an index again, before another broken rule", evidence.E5, func(l *liarLog) uint64 {
			p := l.eventAs(indexOf(2))
			seal(l, func(e *leaf.Epoch) { e.Keys += 7 })
			return p
		}},
		{"a leaf after SEAL", evidence.E5, func(l *liarLog) uint64 {
			p := seal(l, func(e *leaf.Epoch) { e.Sealed = true })
			l.Seal()
			return p + 1
		}},
		{"SEAL to itself", "", func(l *liarLog) uint64 {
			return seal(l, func(e *leaf.Epoch) { e.Sealed, e.Successor = true, origin })
		}},
		{"a checkpoint that ends in EVENT", evidence.E5, func(l *liarLog) uint64 {
			p := l.event()
			l.Sign()
			return p
		}},
		{"a checkpoint of GENESIS alone", evidence.E5, func(l *liarLog) uint64 {
			l.Leaves = l.Leaves[:1]
			l.Sign()
			return 0
		}},
		{"a checkpoint of size 0", evidence.E5, func(l *liarLog) uint64 {
			l.SignAs(checkpoint.Checkpoint{Origin: origin})
			return 0
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, dir := newLiar(3, 5), t.TempDir()
			position := c.lie(l)
			_, err := l.audits(t, dir, l.files())
			l.caught(t, dir, err, position, c.kind)
		})
	}
}

// TestWrongMaps has an EPOCH commit to twelve maps that do not follow from its
// events.
func TestWrongMaps(t *testing.T) {
	entry := func(l *liarLog, position uint64) (name.Index, liar.Entry) {
		parsed, err := leaf.Parse(l.Leaves[position])
		if err != nil {
			panic(err)
		}
		i := parsed.(*leaf.Event).Index
		return i, l.Map[i]
	}
	ghost := func(l *liarLog, n uint64) {
		l.Map[indexOf(1<<40+n)] = liar.Entry{Value: name.Value(liar.Seed("ghost")), Position: 1}
	}
	sealed := func(l *liarLog) uint64 { l.Seal(); return uint64(len(l.Leaves)) - 1 }
	as := func(l *liarLog, root name.PrefixRoot) uint64 {
		l.TimeMs++
		l.SealAs(&leaf.Epoch{Epoch: l.Epochs, TimeMs: l.TimeMs, First: l.First, Keys: l.Keys, PrefixRoot: root})
		return uint64(len(l.Leaves)) - 1
	}
	cases := []struct {
		name string
		lie  func(l *liarLog) uint64
	}{
		{"an event of this epoch is missing", func(l *liarLog) uint64 {
			i, _ := entry(l, uint64(len(l.Leaves))-2)
			delete(l.Map, i)
			return sealed(l)
		}},
		{"an event of an earlier epoch is taken out", func(l *liarLog) uint64 {
			i, _ := entry(l, 3)
			delete(l.Map, i)
			return sealed(l)
		}},
		{"an event has another commitment", func(l *liarLog) uint64 {
			i, e := entry(l, uint64(len(l.Leaves))-1)
			l.Map[i] = liar.Entry{Value: prefix.Value(e.Position, name.Commitment{1}), Position: e.Position}
			return sealed(l)
		}},
		{"an earlier event has another commitment", func(l *liarLog) uint64 {
			i, e := entry(l, 4)
			l.Map[i] = liar.Entry{Value: prefix.Value(e.Position, name.Commitment{1}), Position: e.Position}
			return sealed(l)
		}},
		{"an event has another position", func(l *liarLog) uint64 {
			i, e := entry(l, uint64(len(l.Leaves))-1)
			l.Map[i] = liar.Entry{Value: prefix.Value(e.Position-1, name.Commitment(liar.Seed("commitment", string(i[:])))), Position: e.Position}
			return sealed(l)
		}},
		{"two events are swapped", func(l *liarLog) uint64 {
			i, e := entry(l, uint64(len(l.Leaves))-1)
			j, f := entry(l, uint64(len(l.Leaves))-2)
			l.Map[i], l.Map[j] = f, e
			return sealed(l)
		}},
		{"a ghost", func(l *liarLog) uint64 { ghost(l, 1); return sealed(l) }},
		{"a ghost in an epoch without events", func(l *liarLog) uint64 {
			sealed(l)
			ghost(l, 1)
			return sealed(l)
		}},
		{"the root before", func(l *liarLog) uint64 { return as(l, l.Tree.Root()) }},
		{"no map", func(l *liarLog) uint64 { return as(l, name.PrefixRoot{}) }},
		{"the root of the next epoch", func(l *liarLog) uint64 {
			next := &liarLog{l.Fork()}
			next.eventAs(indexOf(uint64(len(l.Leaves)) + 1)) // as it will stand after the EPOCH
			next.Seal()
			return as(l, next.Tree.Root())
		}},
		{"half of the map is missing", func(l *liarLog) uint64 {
			for i := range l.Map {
				if i[0] >= 0x80 {
					delete(l.Map, i)
				}
			}
			return sealed(l)
		}},
	}
	for _, c := range cases {
		for _, n := range []int{1, 300} { // events in the epoch: within one proof, and over several
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				l, dir := newLiar(3, 50), t.TempDir()
				if _, err := l.audits(t, dir, l.files()); err != nil {
					t.Fatal(err)
				}
				for range n + 1 {
					l.event()
				}
				position := c.lie(l)
				l.event()
				l.Seal() // the log goes on
				_, err := l.audits(t, dir, l.files())
				l.caught(t, dir, err, position, evidence.E4c)
			})
		}
	}
	t.Run("a ghost in epoch 0", func(t *testing.T) {
		l, dir := &liarLog{liar.New(origin, start)}, t.TempDir()
		l.Leaves, l.Epochs, l.First = l.Leaves[:1], 0, 1
		l.event()
		ghost(l, 1)
		l.Seal()
		_, err := l.audits(t, dir, l.files())
		l.caught(t, dir, err, 2, evidence.E4c)
	})
}
