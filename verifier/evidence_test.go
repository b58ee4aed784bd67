package verifier_test

import (
	"errors"
	"testing"

	"github.com/musterlog/muster/log/evidence"
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
