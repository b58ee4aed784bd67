package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
)

// signedPair takes the two notes with which E1 and E2 begin.
func (r *reader) signedPair() (a, b *checkpoint.Note, err error) {
	if a, err = r.signed(); err != nil {
		return nil, nil, err
	}
	b, err = r.signed()
	return a, b, err
}

// judgeRoots is E1: note, note.
func judgeRoots(r *reader) (f finding, err error) {
	a, b, err := r.signedPair()
	if err != nil {
		return f, err
	}
	if a.Size != b.Size || a.Root == b.Root {
		return f, fmt.Errorf("sizes %d and %d: want one size and two roots", a.Size, b.Size)
	}
	return finding{
		fmt.Sprintf("two different trees of %s", leaves(a.Size)),
		fmt.Sprintf("two checkpoints of one size with the roots %s and %s. There is one tree of a size.", a.Root, b.Root),
	}, nil
}

// judgeFork is E2: note, note, root, consistency. The proof must hold for R':
// a proof from a size that is a power of two begins with the root that the
// verifier brings, so to bring the signed one and to expect failure would
// convict any log.
func judgeFork(r *reader) (f finding, err error) {
	a, b, err := r.signedPair()
	if err != nil {
		return f, err
	}
	root, err := take[Root](r)
	if err != nil {
		return f, err
	}
	hashes, err := take[Consistency](r)
	if err != nil {
		return f, err
	}
	if a.Size == 0 || a.Size >= b.Size {
		return f, fmt.Errorf("sizes %d and %d: want 0 < first < second", a.Size, b.Size)
	}
	if name.TreeRoot(root) == a.Root {
		return f, errors.New("the second tree extends the first")
	}
	if err := checkExtends(a.Size, root, b, hashes); err != nil {
		return f, err
	}
	return finding{
		fmt.Sprintf("a tree of %s that does not extend its tree of %s", leaves(b.Size), leaves(a.Size)),
		fmt.Sprintf("a checkpoint of size %d with root %s, and one of size %d. A valid proof shows that the larger tree began, at size %d, with another root: %s.",
			a.Size, a.Root, b.Size, a.Size, name.TreeRoot(root)),
	}, nil
}

func checkExtends(size uint64, root Root, b *checkpoint.Note, hashes Consistency) error {
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, size, b.Size, raw(hashes), root[:], b.Root[:]); err != nil {
		return fmt.Errorf("the consistency proof from size %d to %d does not hold", size, b.Size)
	}
	return nil
}

// judgeReplaced is E3: note, leaf, note, leaf. It reads no leaf, so it needs no
// GENESIS.
func judgeReplaced(r *reader) (f finding, err error) {
	a, err := r.signed()
	if err != nil {
		return f, err
	}
	first, err := r.included()
	if err != nil {
		return f, err
	}
	b, err := r.signed()
	if err != nil {
		return f, err
	}
	second, err := r.included()
	if err != nil {
		return f, err
	}
	if first.Position != second.Position || bytes.Equal(first.Bytes, second.Bytes) {
		return f, errors.New("want two different leaves at one position")
	}
	return finding{
		fmt.Sprintf("two different leaves at position %d", first.Position),
		fmt.Sprintf("a checkpoint of size %d, whose tree has the one leaf there, and one of size %d, whose tree has the other; valid inclusion proofs show both.", a.Size, b.Size),
	}, nil
}

func leaves(n uint64) string {
	if n == 1 {
		return "1 leaf"
	}
	return fmt.Sprintf("%d leaves", n)
}
