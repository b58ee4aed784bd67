package evidence_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// innocent wants a file to convict nobody, as it is and as a stranger would get it.
func innocent(t *testing.T, what string, key checkpoint.Key, f *evidence.File) {
	t.Helper()
	if err := evidence.Convict(key, f); errors.As(err, new(*evidence.Misbehaviour)) {
		t.Errorf("%s: %v", what, err)
	}
	if _, err := shown(key, f).Verify(key); err == nil {
		t.Errorf("%s: verified", what)
	}
}

// Two trees are shown by two sizes, or two roots, and by all lines of the kind: a
// liar too is convicted by nothing less, or an honest log would be.
func TestForksInAnotherForm(t *testing.T) {
	a, b := forked()
	key := a.key()
	root := at(b.Log, size)
	innocent(t, "E2 of one size", key, evidence.Fork(a.Note, b.Note, root, nil))

	// Any tree extends the empty one, whatever root is said of it.
	empty := a.Signer.Sign(checkpoint.Checkpoint{Origin: origin})
	innocent(t, "E2 from no leaves", key, evidence.Fork(empty, a.Note, name.TreeRoot{1}, nil))

	// A proof from a size that is a power of two takes the root as it is given: if none
	// is, a tree that begins with zeros would do.
	other := leaf.Hash{2}
	w := newWorld()
	w.SignAs(checkpoint.Checkpoint{Origin: origin, Size: 1, Root: name.TreeRoot{1}})
	first := w.Note
	w.SignAs(checkpoint.Checkpoint{Origin: origin, Size: 2, Root: name.TreeRoot(leaf.Join(leaf.Hash{}, other))})
	f := evidence.Fork(first, w.Note, name.TreeRoot{}, []leaf.Hash{other})
	convicted(t, key, f)
	f.Lines = append(f.Lines[:2:2], f.Lines[3:]...)
	innocent(t, "E2 without its root", key, f)
}

// What is said of the map holds below the EPOCH, for the epoch that follows, and
// by a proof that says something.
func TestMapsInAnotherForm(t *testing.T) {
	w := newWorld()
	key := w.key()
	innocent(t, "E4a by a proof of nothing", key, must(w.tree().Dropped(alice1, epoch3, &prefix.Proof{})))

	past := newWorld()
	w.Append(w.bob.Account(), w.bob.Add())
	delete(w.Map, w.index(w.bob, 1))
	w.Seal()
	wrong := func() *evidence.File {
		return must(w.tree().WrongMap(epoch3, uint64(len(w.Leaves)-1), func(i []name.Index) (*prefix.Proof, error) { return past.Show(i) }))
	}
	convicted(t, key, wrong())
	last := must(leaf.Parse(w.Leaves[len(w.Leaves)-1])).(*leaf.Epoch)
	last.Epoch++
	w.Leaves[len(w.Leaves)-1] = last.Bytes()
	w.Sign()
	innocent(t, "E4c of an epoch that does not follow", key, wrong())

	// The map before is empty, so that nothing needs to be shown of it: a proof that
	// does not hold is refused all the same.
	l := liar.New(origin, start)
	l.Append(w.alice.Account(), []byte("event"))
	clear(l.Map)
	l.Seal()
	f := must(tree(l).WrongMap(epoch0, 3, func(i []name.Index) (*prefix.Proof, error) { return liar.New(origin, start).Show(i) }))
	convicted(t, key, f)
	f.Lines[3] = evidence.Prefix{Proof: &prefix.Proof{Results: []prefix.Result{{Kind: prefix.NonInclusionParent, Depth: 1}}}}
	innocent(t, "E4c by a proof that does not hold", key, f)

	// Of two EVENTs with one index no map can follow.
	l = liar.New(origin, start)
	l.Leaves, l.Epochs, l.First = l.Leaves[:1], 0, 1
	l.Append(w.alice.Account(), []byte("event"))
	l.Leaves = append(l.Leaves, l.Leaves[1])
	l.Keys++
	clear(l.Map)
	l.Seal()
	innocent(t, "E4c of one index twice", key, must(tree(l).WrongMap(0, 3, nil)))

	w = newWorld()
	r := w.Signer.SignReceipt(checkpoint.Receipt{Origin: origin, Index: w.index(w.alice, 1), Commitment: name.Commitment{1}, MergeBy: start})
	convicted(t, key, must(w.tree().Displaced(r, epoch2, alice1)))
	innocent(t, "E7 by an EVENT above the EPOCH", key, must(w.tree().Displaced(r, epoch1, alice1)))
}

// The events of an E4c stand in the places that follow the EPOCH before them.
func TestMapOfEventsInAnotherOrder(t *testing.T) {
	w, past := newWorld(), newWorld()
	for range 3 {
		w.Append(w.bob.Account(), w.bob.Add())
	}
	w.Seal()
	f := must(w.tree().WrongMap(epoch3, uint64(len(w.Leaves)-1), func(i []name.Index) (*prefix.Proof, error) { return past.Show(i) }))
	innocent(t, "in order", w.key(), f)
	swapped := clone(f) // note, GENESIS, EPOCH, prefix, EVENTs, EPOCH
	swapped.Lines[4], swapped.Lines[5] = f.Lines[5], f.Lines[4]
	swapped.Lines[3] = evidence.Prefix{Proof: must(past.Show([]name.Index{indexAt(w.Log, size+1), indexAt(w.Log, size), indexAt(w.Log, size+2)}))}
	innocent(t, "swapped", w.key(), swapped)
}

// A leaf that cannot be read is shown alone: beside another it says nothing.
func TestUnreadableLeafBesideAnother(t *testing.T) {
	w := newWorld()
	w.Leaves[alice2] = []byte{9}
	w.Leaves[epoch2] = (&leaf.Epoch{Sealed: true, Epoch: 2, TimeMs: start + 2, First: alice1, Keys: 4}).Bytes()
	w.Leaves[epoch3] = []byte{9}
	w.Sign()
	convicted(t, w.key(), must(w.tree().BrokenLeaves(alice2)))
	innocent(t, "before an EPOCH", w.key(), must(w.tree().BrokenLeaves(alice2, epoch2)))
	innocent(t, "after a SEAL", w.key(), must(w.tree().BrokenLeaves(epoch2, epoch3)))
}

// The leaf that says how to read the others is the first, and of this log.
func TestGenesisOfTheFile(t *testing.T) {
	w := newWorld()
	genesis := w.Leaves[0]
	w.Leaves[bob0] = []byte{9}
	w.Leaves[alice2] = genesis
	w.Leaves[0] = append([]byte{}, genesis...)
	w.Leaves[0][2]++ // of another version, which may have such leaves
	w.Sign()
	f := must(w.tree().BrokenLeaves(bob0))
	innocent(t, "of another version", w.key(), f)
	f.Lines[1] = must(w.tree().At(alice2))
	innocent(t, "another leaf", w.key(), f)

	w.Leaves[0] = genesis
	w.Sign()
	convicted(t, w.key(), must(w.tree().BrokenLeaves(bob0)))
	g := must(leaf.Parse(genesis)).(*leaf.Genesis)
	g.Origin = "other.example"
	w.Leaves[0] = g.Bytes()
	w.Sign()
	innocent(t, "of another log", w.key(), must(w.tree().BrokenLeaves(bob0)))

	// A tree of one empty leaf convicts, if the leaf is shown.
	w.Leaves = [][]byte{nil}
	w.Sign()
	f = must(w.tree().BrokenLeaves(0))
	convicted(t, w.key(), f)
	f.Lines = f.Lines[:1]
	innocent(t, "not shown", w.key(), f)
}

// What this version cannot read of an event convicts nobody: a label of another
// kind, though the leaf commits to it, and an index under a VRF key that is none.
func TestEventsOfOtherKinds(t *testing.T) {
	w := newWorld()
	o := w.open(w.alice, 2)
	o.Label[0] = 2
	l := must(leaf.Parse(w.Leaves[alice2])).(*leaf.Event)
	l.Commitment = commitment.Commit(o.Opening, o.Label, o.Seq, o.Event)
	w.Leaves[alice2] = l.Bytes()
	w.Sign()
	innocent(t, "a label of kind 2", w.key(), must(w.tree().BrokenEvents(o)))

	w = newWorld()
	proof, _, _ := w.VRF(w.alice.Account(), 2)
	g := must(leaf.Parse(w.Leaves[0])).(*leaf.Genesis)
	g.VRFKey = [32]byte{1} // of small order
	w.Leaves[0] = g.Bytes()
	w.Sign()
	innocent(t, "a VRF key that is none", w.key(), must(w.tree().WrongIndex(w.open(w.alice, 2), evidence.VRF{Label: w.alice.Account().Label(), Seq: 2, Proof: proof})))
}

// No event has seq 2^32-1, whoever signed it.
func TestEventOfTheSeqThatIsNone(t *testing.T) {
	w := newWorld()
	p := w.alice.Draft(event.Confirm)
	p.Seq = 1<<32 - 1
	p.DevicesHash = event.DevicesHash(p.Log, p.Account, p.Generation, p.Primary, w.alice.At.Devices)
	w.AppendAt(w.alice.Account(), p.Seq, liar.Sign(p, w.alice.Primary, nil).Bytes())
	w.Seal()
	o := w.open(w.alice, 3)
	o.Seq = p.Seq
	convicted(t, w.key(), must(w.tree().BrokenEvents(o)))
}

// Times beyond the year 9999 are told as they are: a calendar of theirs would be
// read wrong, or be wrong.
func TestTimesBeyondTheCalendar(t *testing.T) {
	w := newWorld()
	gone := name.Index{3}
	w.SealAs(&leaf.Epoch{Sealed: true, Epoch: 4, TimeMs: 1<<64 - 1, First: size, Keys: 4, PrefixRoot: w.Tree.Root()})
	receipt := w.Signer.SignReceipt(checkpoint.Receipt{Origin: origin, Index: gone, MergeBy: 253_402_300_800_000})
	m := convicted(t, w.key(), must(w.tree().Unkept(receipt, size, must(w.Show([]name.Index{gone})))))
	const want = "log keys.example.org/log1 signed a promise to log an event by 253402300800000 ms, and a tree of 10 leaves whose epoch 4, of 18446744073709551615 ms, does not have it"
	if m.Verdict.Statement != want {
		t.Errorf("says %q, want %q", m.Verdict.Statement, want)
	}
}

// A log is accused by its own key for logs, a cosigner by one for cosigners under a
// name of its own, and each by files of kinds that there are.
func TestKeysOfOtherRoles(t *testing.T) {
	a, b := forked()
	roots := evidence.TwoRoots(a.Note, b.Note)
	text := func(b []byte) string { return must(checkpoint.Parse(b)).Text }
	with := func(line func(text string) checkpoint.Line) *evidence.File {
		f := clone(roots)
		for i, l := range f.Lines {
			text := text(l.(evidence.Note))
			f.Lines[i] = evidence.Note(checkpoint.Append([]byte(text+"\n"), line(text)))
		}
		return f
	}
	cosigned := func(c *checkpoint.Cosigner) *evidence.File {
		return with(func(text string) checkpoint.Line { return c.Cosign(text, start/1000) })
	}
	named := must(checkpoint.NewCosigner(checkpoint.MLDSA44, string(origin), liar.Seed("second")))
	innocent(t, "a log, by its cosigning key", named.Key(), cosigned(named))
	innocent(t, "the same, as a cosigner", named.Key(), cosigned(named).OfCosigner())

	// Another log's key may sign anything, by who holds it.
	seed := liar.Seed("other")
	other := must(checkpoint.NewSigner("other.example", seed)).Key()
	signed := with(func(text string) checkpoint.Line {
		return checkpoint.Line{Name: other.Name, ID: other.ID, Signature: ed25519.Sign(ed25519.NewKeyFromSeed(seed[:]), []byte(text))}
	})
	innocent(t, "a log, by another's key", other, signed)
	innocent(t, "a cosigner, by a log's key", other, signed.OfCosigner())
	convicted(t, a.witness.Key(), cosigned(a.witness).OfCosigner())

	for _, kind := range []evidence.Kind{"E8", "A E1", "W E3", "E1 "} {
		f := shown(a.key(), roots)
		f.Kind = kind
		for _, key := range []checkpoint.Key{a.key(), a.witness.Key()} {
			if _, err := f.Verify(key); err == nil {
				t.Errorf("kind %q is verified under %s", kind, key.Name)
			}
		}
	}
}

// A note shows one signature: of a line by anybody else nobody says whether it is
// true.
func TestNotesWithOtherLines(t *testing.T) {
	for _, s := range samples() {
		if s.key.Type != checkpoint.Ed25519 {
			continue
		}
		if _, err := s.file.Verify(s.key); err == nil {
			t.Errorf("%s: verified as it was received", s.name)
		}
	}
}

// A leaf or a proof that its maker cannot have is no file.
func TestMakersNeedEveryPart(t *testing.T) {
	w := newWorld()
	down := errors.New("down")
	prove := func(i []name.Index) (*prefix.Proof, error) { return w.Show(i) }
	for what, change := range map[string]func(*evidence.Tree){
		"leaf": func(t *evidence.Tree) { t.Leaf = func(uint64) ([]byte, error) { return nil, down } },
		"path": func(t *evidence.Tree) { t.Path = func(uint64) ([]leaf.Hash, error) { return nil, down } },
	} {
		tree := w.tree()
		change(tree)
		_, one := tree.At(alice1)
		_, two := tree.BrokenLeaves(alice1)
		_, three := tree.WrongMap(epoch1, epoch2, prove)
		_, four := tree.Displaced(nil, epoch1, alice0)
		for i, err := range []error{one, two, three, four} {
			if !errors.Is(err, down) {
				t.Errorf("no %s, maker %d: %v", what, i, err)
			}
		}
	}
	if _, err := w.tree().WrongMap(epoch1, epoch2, func([]name.Index) (*prefix.Proof, error) { return nil, down }); !errors.Is(err, down) {
		t.Errorf("no proof: %v", err)
	}
	// A leaf that can be had only later: its event would not be asked about.
	tree, calls := w.tree(), 0
	tree.Leaf = func(p uint64) ([]byte, error) {
		if calls++; calls == 1 {
			return nil, down
		}
		return w.Leaves[p], nil
	}
	if _, err := tree.WrongMap(epoch1, epoch2, prove); !errors.Is(err, down) {
		t.Errorf("no leaf at first: %v", err)
	}
}
