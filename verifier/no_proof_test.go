package verifier_test

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier"
)

var errDown = errors.New("down")

// forked is a log that signed two trees: one is the world's, the other smaller and
// no beginning of it.
func (w *world) forked() *liar.Log {
	w.plays("alice.")
	fork := w.log.Fork()
	w.plays("alice+")
	fork.Seal()
	return fork
}

// Whichever hash of the tree cannot be had, there is no evidence, and the caller
// hears what was missing.
func TestForkNeedsEveryHash(t *testing.T) {
	w := newWorld(t)
	fork := w.forked()
	calls := 0
	failing := func(at int) func(uint, uint64) (leaf.Hash, error) {
		calls = 0
		return func(level uint, index uint64) (leaf.Hash, error) {
			if calls++; calls == at {
				return leaf.Hash{}, errDown
			}
			return w.log.Node(level, index)
		}
	}
	key := w.log.Signer.Key()
	if _, err := verifier.ProveFork(key, fork.Note, w.log.Note, failing(0)); err != nil {
		t.Fatal(err)
	}
	all := calls
	for at := 1; at <= all; at++ {
		if _, err := verifier.ProveFork(key, fork.Note, w.log.Note, failing(at)); !errors.Is(err, verifier.ErrTree) || !errors.Is(err, errDown) {
			t.Errorf("hash %d of %d: %v", at, all, err)
		}
	}
	if all < 4 {
		t.Errorf("%d hashes were asked for: this test shows little", all)
	}
}

// A log's key signs for its own origin alone, and what another kind of key signs
// convicts no log.
func TestForkIsOfOneLog(t *testing.T) {
	w := newWorld(t)
	fork := w.forked()
	fork.Seal() // as many leaves as the world's
	key := w.log.Signer.Key()
	note, err := checkpoint.Parse(w.log.Note)
	if err != nil {
		t.Fatal(err)
	}
	// The same tree, said of another log and signed by this one's key.
	c := note.Checkpoint
	c.Origin = "other.example/log"
	seed := liar.Seed("log", string(origin))
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(seed[:]), []byte(c.Text()))
	other := checkpoint.Append([]byte(c.Text()+"\n"), checkpoint.Line{Name: key.Name, ID: key.ID, Signature: signature})
	if _, err := verifier.ProveFork(key, w.log.Note, other, nil); err == nil || errors.Is(err, verifier.ErrNoFork) {
		t.Errorf("a checkpoint of another origin: %v", err)
	}

	cosigner, err := checkpoint.NewCosigner(checkpoint.Cosignature, string(origin), liar.Seed("cosigner"))
	if err != nil {
		t.Fatal(err)
	}
	cosigned := func(l *liar.Log) []byte {
		n, err := checkpoint.Parse(l.Note)
		if err != nil {
			t.Fatal(err)
		}
		return checkpoint.Append(l.Note, cosigner.Cosign(n.Text, 1))
	}
	one, two := cosigned(w.log), cosigned(fork)
	if f, err := verifier.ProveFork(key, one, two, nil); err != nil || f.Kind != evidence.E1 {
		t.Fatalf("two trees of one size: %v", err)
	}
	if f, err := verifier.ProveFork(cosigner.Key(), one, two, nil); err == nil {
		t.Errorf("a cosigner's key makes a file of kind %s, which convicts nobody", f.Kind)
	}
}

// A tag is not always read from bytes. Of a tree of no leaves any tree is an
// extension, whatever hashes it has.
func TestTagOfNoTree(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	receiver := w.side(w.log, nil, first("alice"))
	tag := receiver.tag(t)
	tag.Size, tag.Root = 0, verifier.Prefix{1}
	anything := func(uint, uint64) (leaf.Hash, error) { return leaf.Hash{1}, nil }
	if h, err := w.verifier().Compare(receiver.state, w.phone("alice").Account(), tag, verifier.Facts{Node: anything}); !errors.Is(err, verifier.ErrTree) {
		t.Errorf("%+v, %v", h, err)
	}
}

// What a tree does not show is no evidence, and the caller hears why.
func TestEvidenceOfATreeThatIsNotShown(t *testing.T) {
	w := newWorld(t)
	w.plays("bob.")
	w.log.Append(w.phone("alice").Account(), []byte("no event"))
	w.log.Seal()
	_, _, err := w.look(w.log, nil, history("alice"))
	var f *verifier.Failure
	if !errors.As(err, &f) || len(f.Events) != 1 {
		t.Fatalf("%+v", err)
	}
	key, tree := w.log.Signer.Key(), w.tree(w.log.Note)
	tree.Leaf = func(uint64) ([]byte, error) { return nil, errDown }
	if _, err := verifier.ProveEvents(key, tree, f.Events); !errors.Is(err, errDown) {
		t.Errorf("of events: %v", err)
	}
	r, _ := w.mustLook(nil, first("bob"))
	for _, rung := range r.Accounts[0].Rungs {
		if rung.Present {
			continue
		}
		if _, err := r.ProveInserted(key, tree, rung.Index, 2); !errors.Is(err, errDown) {
			t.Errorf("of an inserted leaf: %v", err)
		}
	}
}
