package verifier_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier"
)

// convicts judges a file as a stranger would who holds the log's key alone,
// and gives what was shown.
func convicts(t *testing.T, w *world, f *evidence.File) *evidence.Verdict {
	t.Helper()
	var m *evidence.Misbehaviour
	if err := evidence.Convict(w.log.Signer.Key(), f); !errors.As(err, &m) {
		t.Fatal(err)
	}
	read, err := evidence.Parse(m.File.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := read.Verify(w.log.Signer.Key())
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

// A split view that a client meets is evidence at equal sizes; at others the
// client keeps both notes, which are evidence with the larger one's tree.
func TestFailuresCarryEvidence(t *testing.T) {
	for further := range 3 {
		w := newWorld(t)
		w.plays("alice.")
		fork := w.log.Fork()
		w.plays("alice+")
		_, seen := w.mustLook(nil, first("bob"))
		fork.Append(w.phone("eve").Account(), w.phone("eve").Register())
		for range further {
			fork.Seal()
		}
		fork.Seal()
		_, _, err := w.look(fork, seen, first("bob"))
		var f *verifier.Failure
		if !errors.As(err, &f) || len(f.Notes) != 2 {
			t.Fatalf("%d epochs more: %v", further, err)
		}
		if (f.Evidence != nil) != (further == 0) {
			t.Errorf("%d epochs more: evidence %v", further, f.Evidence)
		}
		file := f.Evidence
		if file == nil {
			if file, err = verifier.ProveFork(w.policy().Log, f.Notes[0], f.Notes[1], fork.Node); err != nil {
				t.Fatal(err)
			}
		}
		convicts(t, w, file)
	}
}

// A rollback may be a server that is behind: the client keeps both notes and
// accuses nobody.
func TestRollbackIsNoEvidence(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	old := w.log.Fork()
	w.plays("alice+")
	_, seen := w.mustLook(nil, first("bob"))
	_, _, err := w.look(forgetful(old), seen, first("bob"))
	var f *verifier.Failure
	if !errors.As(err, &f) || f.Check != verifier.CheckRollback || f.Evidence != nil || len(f.Notes) != 2 {
		t.Fatalf("%+v", err)
	}
	if _, err := verifier.ProveFork(w.policy().Log, f.Notes[0], f.Notes[1], w.log.Node); !errors.Is(err, verifier.ErrNoFork) {
		t.Errorf("a server that is behind: %v", err)
	}
}

// Where a failure names leaves, a stranger who is shown them is convinced.
func TestFailuresNameBrokenLeaves(t *testing.T) {
	seal := func(w *world) *leaf.Epoch {
		return &leaf.Epoch{Epoch: w.log.Epochs, TimeMs: w.log.TimeMs, First: w.log.First, Keys: w.log.Keys, PrefixRoot: w.log.Tree.Root()}
	}
	for _, c := range []struct {
		name  string
		check verifier.Check
		tell  func(w *world) victim
	}{
		{"a leaf after SEAL", verifier.CheckSealed, func(w *world) victim {
			e := seal(w)
			e.Sealed = true
			w.log.SealAs(e)
			_, seen := w.mustLook(nil, first("alice"))
			w.plays("alice+")
			return victim{source: w.log, state: seen, asks: first("alice")}
		}},
		{"an EPOCH of another number", verifier.CheckEpoch, func(w *world) victim {
			e := seal(w)
			e.Epoch += 3
			w.log.SealAs(e)
			return victim{source: w.log, asks: first("alice")}
		}},
		{"an event that took another's place in the map", verifier.CheckHistory, func(w *world) victim {
			w.plays("alice+")
			alice := w.phone("alice").Account()
			_, seen := w.mustLook(nil, first("alice"))
			w.log.Records[alice] = w.log.Records[alice][:1]
			other := *w.phone("alice")
			other.At = other.At.Clone()
			e := event.Payload{Type: event.Confirm, Log: other.At.Log, Account: alice, Seq: 1, TimeMs: start, Primary: other.At.Primary}
			w.log.Append(alice, liar.Sign(e, other.Primary, nil).Bytes())
			w.log.Seal()
			return victim{source: w.log, state: seen, asks: first("alice")}
		}},
	} {
		w := newWorld(t)
		w.plays("alice.")
		v := c.tell(w)
		_, _, err := w.look(v.source, v.state, v.asks)
		var f *verifier.Failure
		if !errors.As(err, &f) || f.Check != c.check || len(f.Leaves) == 0 || len(f.Notes) == 0 {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		file, err := w.tree(f.Notes[len(f.Notes)-1]).BrokenLeaves(f.Leaves...)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", c.name, convicts(t, w, file).Statement)
	}
}

// A man in the middle can make a client fail, and never an honest log guilty:
// what is named is looked for in the tree that the log signed.
func TestForgedAnswersConvictNobody(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	_, seen := w.mustLook(nil, first("alice"))
	w.plays("alice+")
	for _, s := range []struct {
		state *verifier.State
		twist func(*answer.Answer)
	}{
		{nil, func(a *answer.Answer) { a.Epoch = bytes.Clone(a.Epoch); a.Epoch[8]++ }},
		{seen, func(a *answer.Answer) { a.Consistency[0][0]++ }},
		{seen, func(a *answer.Answer) { a.Note = seen.Note }},
	} {
		_, _, err := w.look(twisted{log: w.log, twist: s.twist}, s.state, first("alice"))
		var f *verifier.Failure
		if !errors.As(err, &f) || f.Evidence != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(f.Notes) == 2 {
			if _, err := verifier.ProveFork(w.log.Signer.Key(), f.Notes[0], f.Notes[1], w.log.Node); !errors.Is(err, verifier.ErrNoFork) {
				t.Errorf("%v: %v", f, err)
			}
		}
		if f.Leaves == nil {
			continue
		}
		file, err := w.tree(f.Notes[len(f.Notes)-1]).BrokenLeaves(f.Leaves...)
		if err != nil {
			t.Fatal(err)
		}
		if err := evidence.Convict(w.log.Signer.Key(), file); errors.As(err, new(*evidence.Misbehaviour)) {
			t.Errorf("an honest log is convicted: %v", err)
		}
	}
}

// tree is the log's leaves as whoever reads its tiles sees them.
func (w *world) tree(note []byte) *evidence.Tree {
	return &evidence.Tree{
		Note: note,
		Leaf: func(p uint64) ([]byte, error) { return w.log.Leaves[p], nil },
		Path: func(p uint64) ([]leaf.Hash, error) { return answer.Path(p, uint64(len(w.log.Leaves)), w.log.Node) },
	}
}
