package evidence_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

const (
	origin = name.Origin("keys.example.org/log1")
	start  = uint64(1_790_000_000_000)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// world is a liar that two cosigners believe, and the phones of two accounts.
type world struct {
	*liar.Log
	witness, auditor *checkpoint.Cosigner
	alice, bob       *liar.Phone
}

// newWorld has ten leaves: GENESIS, the empty epoch 0; epoch 1 with the first
// events of both; epoch 2 with two more of alice's; the empty epoch 3.
func newWorld() *world {
	w := &world{
		Log:     liar.New(origin, start),
		witness: must(checkpoint.NewCosigner(checkpoint.Cosignature, "w1.example.net", liar.Seed("witness"))),
		auditor: must(checkpoint.NewCosigner(checkpoint.MLDSA44, "a1.example.net", liar.Seed("auditor"))),
		alice:   liar.NewPhone(origin, "alice", start),
		bob:     liar.NewPhone(origin, "bob", start),
	}
	w.Cosigners = []*checkpoint.Cosigner{w.witness, w.auditor}
	w.Append(w.alice.Account(), w.alice.Register())
	w.Append(w.bob.Account(), w.bob.Register())
	w.Seal()
	w.Append(w.alice.Account(), w.alice.Add())
	w.Append(w.alice.Account(), w.alice.Confirm())
	w.Seal()
	w.Seal()
	return w
}

// The positions of a new world's leaves.
const (
	epoch0 = 1
	alice0 = 2
	bob0   = 3
	epoch1 = 4
	alice1 = 5
	alice2 = 6
	epoch2 = 7
	epoch3 = 8
	size   = 9
)

func (w *world) key() checkpoint.Key { return w.Signer.Key() }

// tree is the signed tree as it stands.
func tree(l *liar.Log) *evidence.Tree {
	n := must(checkpoint.Parse(l.Note)).Size
	return &evidence.Tree{
		Note: l.Note,
		Leaf: func(p uint64) ([]byte, error) { return l.Leaves[p], nil },
		Path: func(p uint64) ([]leaf.Hash, error) { return answer.Path(p, n, l.Node) },
	}
}

func (w *world) tree() *evidence.Tree { return tree(w.Log) }

func (w *world) index(phone *liar.Phone, seq uint32) name.Index {
	_, i, _ := w.VRF(phone.Account(), seq)
	return i
}

func (w *world) record(phone *liar.Phone, seq uint32) answer.Record {
	return w.Records[phone.Account()][seq]
}

func (w *world) open(phone *liar.Phone, seq uint32) evidence.Open {
	r := w.record(phone, seq)
	return evidence.Open{Position: r.Position, Label: phone.Account().Label(), Seq: seq, Opening: r.Opening, Event: r.Event}
}

// readd links a device again whose key k the account had before.
func (w *world) readd(k *event.PrivateKey) []byte {
	p := w.alice.Draft(event.AddDevice)
	p.KeyIndex, p.Subject = p.Seq, k.Public()
	p.DevicesHash = event.DevicesHash(p.Log, p.Account, p.Generation, p.Primary, append(w.alice.At.Clone().Devices, event.Device{KeyIndex: p.Seq, Key: p.Subject}))
	return liar.Sign(p, w.alice.Primary, k).Bytes()
}

// at is the root of the first n leaves.
func at(l *liar.Log, n uint64) name.TreeRoot { return name.TreeRoot(must(answer.Range(0, n, l.Node))) }

// convicts is a file that convicts key, and its twin that an honest party's
// bytes make in the same way.
type convicts struct {
	name   string
	key    checkpoint.Key
	file   *evidence.File
	honest *evidence.File
	says   string // of the statement
}

// samples is one file for every row of section 9.3. They are made once, and not
// changed.
var samples = sync.OnceValue(func() []convicts {
	var all []convicts
	all = append(all, treeSamples()...)
	all = append(all, mapSamples()...)
	all = append(all, leafSamples()...)
	all = append(all, eventSamples()...)
	all = append(all, promiseSamples()...)
	return append(all, cosignerSamples(all)...)
})

// forked is a world and one that went another way after epoch 1.
func forked() (a, b *world) {
	a, b = newWorld(), newWorld()
	f := *b
	f.Leaves = append([][]byte(nil), b.Leaves...)
	f.Leaves[alice2] = (&leaf.Event{Index: name.Index{1}}).Bytes()
	f.Sign()
	return a, &f
}

func treeSamples() []convicts {
	a, b := forked()
	long := newWorld()
	long.Leaves = append([][]byte(nil), b.Leaves...)
	long.Seal()
	longer := newWorld()
	longer.Seal()
	proof := func(l *liar.Log) []leaf.Hash { return must(answer.Consistency(size, uint64(len(l.Leaves)), l.Node)) }
	show := func(w *world, p uint64) evidence.Leaf { return must(w.tree().At(p)) }
	return []convicts{
		{"E1", a.key(), evidence.TwoRoots(a.Note, b.Note), evidence.TwoRoots(a.Note, a.Note),
			"log keys.example.org/log1 signed two different trees of 9 leaves"},
		{"E2", a.key(), evidence.Fork(a.Note, long.Note, at(long.Log, size), proof(long.Log)), evidence.Fork(a.Note, longer.Note, at(longer.Log, size), proof(longer.Log)),
			"signed a tree of 10 leaves that does not extend its tree of 9 leaves"},
		{"E3", a.key(), evidence.Replaced(a.Note, show(a, alice2), long.Note, show(long, alice2)), evidence.Replaced(a.Note, show(a, alice2), longer.Note, show(longer, alice2)),
			"signed two different leaves at position 6"},
	}
}

func mapSamples() []convicts {
	// Each lie is told in epoch 4, of the 11 leaves that an honest log has too.
	told := func(lie func(w *world)) *world {
		w := newWorld()
		w.Append(w.bob.Account(), w.bob.Add())
		lie(w)
		w.Seal()
		return w
	}
	honest := told(func(*world) {})
	const bob1, epoch4 = 9, 10
	bob := honest.index(honest.bob, 1)
	absent := func(w *world) *prefix.Proof { return must(w.Show([]name.Index{bob})) }

	dropped := told(func(w *world) { delete(w.Map, bob) })
	other := prefix.Value(bob1, name.Commitment{7})
	changed := told(func(w *world) { w.Map[bob] = liar.Entry{Value: other, Position: bob1} })
	due := prefix.Value(bob1, honest.record(honest.bob, 1).Commitment)

	ghost := func(position uint64) (evidence.Member, *world) {
		m := evidence.Member{Index: name.Index{0xa5}, Position: position, Commitment: name.Commitment{1}}
		return m, told(func(w *world) {
			w.Map[m.Index] = liar.Entry{Value: prefix.Value(position, m.Commitment), Position: position}
		})
	}
	ghosts := func(label string, position uint64) convicts {
		m, w := ghost(position)
		true1 := evidence.Member{Index: bob, Position: bob1, Commitment: honest.record(honest.bob, 1).Commitment}
		return convicts{label, w.key(), must(w.tree().Ghost(epoch4, m, must(w.Show([]name.Index{m.Index})))),
			must(honest.tree().Ghost(epoch4, true1, absent(honest))), "has an entry for an event at position"}
	}
	wrong := func(w *world, before, epoch uint64, shown *liar.Log) *evidence.File {
		return must(w.tree().WrongMap(before, epoch, func(i []name.Index) (*prefix.Proof, error) { return shown.Show(i) }))
	}
	past := newWorld()
	empty := told(func(w *world) {})
	empty.Map[name.Index{9}] = liar.Entry{Position: 3}
	empty.Seal()
	emptyHonest := told(func(w *world) {})
	emptyHonest.Seal()
	return []convicts{
		{"E4a absent", honest.key(), must(dropped.tree().Dropped(bob1, epoch4, absent(dropped))), must(honest.tree().Dropped(bob1, epoch4, absent(honest))),
			"signed a tree of 11 leaves in which the map of epoch 4 lacks the event at position 9"},
		{"E4a other value", honest.key(), must(changed.tree().Dropped(bob1, epoch4, evidence.OtherValue(absent(changed), bob, other))),
			must(honest.tree().Dropped(bob1, epoch4, evidence.OtherValue(absent(honest), bob, due))), "has another value for the event at position 9"},
		ghosts("E4b of an EVENT", alice1), ghosts("E4b of an EPOCH", epoch1), ghosts("E4b of GENESIS", 0), ghosts("E4b above", epoch4), ghosts("E4b far above", 1<<62),
		{"E4c lacks", honest.key(), wrong(dropped, epoch3, epoch4, past.Log), wrong(honest, epoch3, epoch4, past.Log),
			"in which the map of epoch 4 does not follow from the map before and the epoch's 1 events"},
		{"E4c empty", honest.key(), wrong(empty, epoch4, epoch4+1, nil), wrong(emptyHonest, epoch4, epoch4+1, nil), "the epoch's 0 events"},
		firstMap(),
		manyEvents(),
	}
}

// firstMap is an E4c of EPOCH 0, which has an event here.
func firstMap() convicts {
	build := func(lie bool) *evidence.File {
		w := newWorld()
		w.Leaves, w.Keys, w.Epochs, w.First = w.Leaves[:1], 0, 0, 1
		w.Records = map[name.AccountID][]answer.Record{}
		w.Map = map[name.Index]liar.Entry{}
		w.Append(w.alice.Account(), []byte("event"))
		if lie {
			clear(w.Map)
		}
		w.Seal()
		return must(w.tree().WrongMap(0, 2, nil))
	}
	return convicts{"E4c of epoch 0", newWorld().key(), build(true), build(false), "the map of epoch 0 does not follow"}
}

// manyEvents is an E4c whose epoch needs three prefix proofs.
func manyEvents() convicts {
	build := func(lie bool) *evidence.File {
		w := newWorld()
		past := newWorld()
		for i := range 450 {
			p := uint64(len(w.Leaves))
			e := leaf.Event{Index: liar.Seed("index", string(rune(i))), Commitment: name.Commitment{byte(i)}}
			w.Leaves = append(w.Leaves, e.Bytes())
			w.Keys++
			w.Map[e.Index] = liar.Entry{Value: prefix.Value(p, e.Commitment), Position: p}
		}
		if lie {
			w.Map[w.index(w.alice, 0)] = liar.Entry{} // an old entry, overwritten
		}
		w.Seal()
		return must(w.tree().WrongMap(epoch3, uint64(len(w.Leaves)-1), past.Show))
	}
	return convicts{"E4c of 450 events", newWorld().key(), build(true), build(false), "the epoch's 450 events"}
}

func leafSamples() []convicts {
	var all []convicts
	honest := newWorld()
	add := func(name, says string, lie func(w *world), positions ...uint64) {
		w := newWorld()
		lie(w)
		w.Sign()
		twin := evidence.File{}
		if h := positions; len(h) == 0 || h[len(h)-1] < size {
			twin = *must(honest.tree().BrokenLeaves(positions...))
		} else {
			longer := newWorld()
			longer.Seal()
			longer.Seal()
			twin = *must(longer.tree().BrokenLeaves(positions...))
		}
		all = append(all, convicts{"E5 " + name, w.key(), must(w.tree().BrokenLeaves(positions...)), &twin, says})
	}
	set := func(p uint64, b []byte) func(w *world) { return func(w *world) { w.Leaves[p] = b } }
	epoch := func(p uint64, change func(e *leaf.Epoch)) func(w *world) {
		return func(w *world) {
			e := must(leaf.Parse(w.Leaves[p])).(*leaf.Epoch)
			change(e)
			w.Leaves[p] = e.Bytes()
		}
	}
	genesis := func(change func(g *leaf.Genesis)) func(w *world) {
		return func(w *world) {
			g := must(leaf.Parse(w.Leaves[0])).(*leaf.Genesis)
			change(g)
			w.Leaves[0] = g.Bytes()
		}
	}
	add("not canonical", "leaf 6 is not canonical", func(w *world) { w.Leaves[alice2] = append(w.Leaves[alice2], 0) }, alice2)
	add("an empty leaf", "leaf 6 is not canonical", set(alice2, nil), alice2)
	add("unknown kind", "leaf 6 is not canonical", set(alice2, []byte{4}), alice2)
	add("GENESIS is an EVENT", "leaf 0 is not GENESIS", func(w *world) { w.Leaves[0] = w.Leaves[alice0] }, 0)
	add("GENESIS is malformed", "leaf 0 is no GENESIS", func(w *world) { w.Leaves[0] = append(bytes.Clone(w.Leaves[0]), 0) }, 0)
	add("GENESIS is empty", "leaf 0 is no GENESIS", set(0, nil), 0)
	add("GENESIS of another origin", "the GENESIS of another log, other.example", genesis(func(g *leaf.Genesis) { g.Origin = "other.example" }), 0)
	add("GENESIS elsewhere", "leaf 6 is a second GENESIS", func(w *world) { w.Leaves[alice2] = w.Leaves[0] }, alice2)
	add("EPOCH at another position", "EPOCH 2, with 5 events before it, stands at position 7: it must be 8", epoch(epoch2, func(e *leaf.Epoch) { e.Keys++ }), epoch2)
	add("EPOCH with first 0", "says that it begins at 0", epoch(epoch2, func(e *leaf.Epoch) { e.First = 0 }), epoch2)
	add("EPOCH with first above it", "says that it begins at 8", epoch(epoch2, func(e *leaf.Epoch) { e.First = epoch2 + 1 }), epoch2)
	add("EPOCH 2 after GENESIS", "EPOCH 2 begins after GENESIS", epoch(epoch2, func(e *leaf.Epoch) { e.First = 1 }), epoch2)
	add("EPOCH after an EVENT", "is not the end of the epoch before", epoch(epoch2, func(e *leaf.Epoch) { e.First = alice2 }), alice1, epoch2)
	add("EPOCH after another", "is not the end of the epoch before", epoch(epoch1, func(e *leaf.Epoch) { e.Epoch, e.Keys = 0, 3 }), epoch1, epoch2)
	add("EPOCH 0 after an EVENT", "is not the end of the epoch before", epoch(epoch1, func(e *leaf.Epoch) { e.Epoch, e.Keys, e.First = 0, 3, bob0 }), alice0, epoch1)
	add("no EVENT in an epoch", "leaf 4 is no EVENT", epoch(epoch2, func(e *leaf.Epoch) { e.First = bob0 }), epoch1, epoch2)
	add("time stands still", "the time must rise with the number", epoch(epoch3, func(e *leaf.Epoch) { e.TimeMs-- }), epoch2, epoch3)
	add("time falls over epochs", "the time must rise with the number", epoch(epoch3, func(e *leaf.Epoch) { e.TimeMs = 5 }), epoch0, epoch3)
	add("one index twice", "the EVENTs at 3 and 6 have one index", func(w *world) {
		e := must(leaf.Parse(w.Leaves[bob0])).(*leaf.Event)
		w.Leaves[alice2] = (&leaf.Event{Index: e.Index}).Bytes()
	}, bob0, alice2)
	add("one index but for the last bit", "the EVENTs at 3 and 6 have one index", func(w *world) {
		e := must(leaf.Parse(w.Leaves[bob0])).(*leaf.Event)
		e.Index[31] ^= 1
		w.Leaves[alice2] = e.Bytes()
	}, bob0, alice2)
	add("an EVENT is last", "leaf 8, the last, is an EVENT", func(w *world) { w.Leaves[epoch3] = w.Leaves[alice2] }, epoch3)
	add("GENESIS is last", "the last leaf is GENESIS", func(w *world) { w.Leaves = w.Leaves[:1] }, 0)
	seal := func(w *world) {
		w.Leaves[epoch3] = (&leaf.Epoch{Sealed: true, Epoch: 3, TimeMs: w.TimeMs, First: epoch3, Keys: 4, PrefixRoot: w.Tree.Root()}).Bytes()
	}
	add("EPOCH after SEAL", "leaf 9 stands after the SEAL at 8", func(w *world) { seal(w); w.Seal() }, epoch3, epoch3+1)
	add("EVENT after SEAL", "leaf 9 stands after the SEAL at 8", func(w *world) { seal(w); w.Append(w.bob.Account(), w.bob.Add()); w.Seal() }, epoch3, epoch3+1)
	w := newWorld()
	w.SignAs(checkpoint.Checkpoint{Origin: origin})
	return append(all, convicts{"E5 size 0", w.key(), must(w.tree().BrokenLeaves()), must(honest.tree().BrokenLeaves()), "signed an empty tree"})
}

func promiseSamples() []convicts {
	w := newWorld()
	r := w.record(w.alice, 1)
	promise := func(i name.Index, c name.Commitment, by uint64) []byte {
		return w.Signer.SignReceipt(checkpoint.Receipt{Origin: origin, Index: i, Commitment: c, MergeBy: by})
	}
	alice := w.index(w.alice, 1)
	kept := promise(alice, r.Commitment, w.TimeMs-1)
	gone := name.Index{3}
	proof := func(i name.Index) *prefix.Proof { return must(w.Show([]name.Index{i})) }
	sealed := newWorld()
	sealed.SealAs(&leaf.Epoch{Sealed: true, Epoch: 4, TimeMs: start + 4, First: size, Keys: 4, PrefixRoot: w.Tree.Root()})
	const later = start + 1_000_000
	return []convicts{
		{"E7 absent", w.key(), must(w.tree().Unkept(promise(gone, name.Commitment{}, w.TimeMs-1), epoch3, proof(gone))), must(w.tree().Unkept(kept, epoch3, proof(alice))), "whose epoch 3, of 2026-09-21 14:13:20.003 UTC, does not have it"},
		{"E7 displaced", w.key(), must(w.tree().Displaced(promise(alice, name.Commitment{}, w.TimeMs-1), epoch3, alice1)), must(w.tree().Displaced(kept, epoch3, alice1)), "another event in its place, at position 5"},
		{"E7 sealed", w.key(), must(sealed.tree().Unkept(promise(gone, name.Commitment{}, later), size, proof(gone))), must(w.tree().Unkept(promise(gone, name.Commitment{}, later), epoch3, proof(gone))), "does not have it"},
	}
}

func cosignerSamples(all []convicts) (out []convicts) {
	w := newWorld()
	seen := map[evidence.Kind]bool{}
	for _, s := range all {
		f := s.file.OfCosigner()
		if seen[f.Kind] || s.file.Kind == evidence.E3 || s.file.Kind == evidence.E6 || s.file.Kind == evidence.E7 {
			continue
		}
		seen[f.Kind] = true
		for _, key := range []checkpoint.Key{w.witness.Key(), w.auditor.Key()} {
			says := "auditor " + key.Name + " cosigned, for log keys.example.org/log1, "
			if f.Kind[0] == 'W' {
				says = "cosigner " + key.Name + " cosigned, for log keys.example.org/log1, "
			}
			out = append(out, convicts{string(f.Kind) + " of " + key.Name, key, f, s.honest.OfCosigner(), says})
		}
	}
	return out
}

// convicted is the file that a stranger gets.
func convicted(t *testing.T, key checkpoint.Key, f *evidence.File) *evidence.Misbehaviour {
	t.Helper()
	err := evidence.Convict(key, f)
	m, ok := err.(*evidence.Misbehaviour)
	if !ok {
		t.Fatalf("convicts nobody: %v", err)
	}
	return m
}
