package verifier

import (
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// Why ProveFork makes no file.
var (
	// ErrNoFork: both checkpoints are of one history. The log did no wrong.
	ErrNoFork = errors.New("the later checkpoint extends the earlier one")
	// ErrTree: the tree hashes are not those of the larger checkpoint, or could
	// not be had. That convicts nobody: ask again, and publish both notes.
	ErrTree = errors.New("the tree hashes do not give the checkpoint's root")
)

// ProveFork makes evidence of two signed checkpoints of one log that cannot
// both be honest: E1 for one size, else E2 (protocol section 9.3). A failed
// consistency proof would show nothing, since anyone can make one; node gives
// the hashes of the larger checkpoint's tree, from which follows what that
// tree had at the smaller size, with a proof that holds. node may lie, and is
// not asked for equal sizes. The notes in the file are as they were given, so
// that evidence.Convict can make of it the file against the log and, by
// OfCosigner, those against who cosigned both. Errors are ErrNoFork, ErrTree,
// or say which note is not the log's.
func ProveFork(log checkpoint.Key, one, other []byte, node answer.NodeFunc) (*evidence.File, error) {
	file, err := proveFork(log, one, other, node)
	if err != nil {
		return nil, fmt.Errorf("comparing two checkpoints: %w", err)
	}
	return file, nil
}

func proveFork(log checkpoint.Key, one, other []byte, node answer.NodeFunc) (*evidence.File, error) {
	first, err := checkpoint.Open(log, one)
	if err != nil {
		return nil, err
	}
	second, err := checkpoint.Open(log, other)
	if err != nil {
		return nil, err
	}
	if first.Size > second.Size {
		first, second = second, first
	}
	switch {
	case first.Size == second.Size && first.Root == second.Root:
		return nil, ErrNoFork
	case first.Size == second.Size:
		return convict(log, evidence.TwoRoots(first.Bytes(), second.Bytes()))
	case first.Size == 0: // any tree extends nothing
		return nil, ErrNoFork
	}
	root, path, err := rootAt(second.Checkpoint, first.Size, node)
	if err != nil {
		return nil, err
	}
	if root == first.Root {
		return nil, ErrNoFork
	}
	return convict(log, evidence.Fork(first.Bytes(), second.Bytes(), root, path))
}

// convict hands out a file only if a stranger would be convinced by it.
func convict(log checkpoint.Key, f *evidence.File) (*evidence.File, error) {
	if err := evidence.Convict(log, f); !errors.As(err, new(*evidence.Misbehaviour)) {
		return nil, err
	}
	return f, nil
}

// rootAt is the root of the first size leaves of a checkpoint's tree, and the
// consistency proof from there, which holds whatever node said.
func rootAt(c checkpoint.Checkpoint, size uint64, node answer.NodeFunc) (root name.TreeRoot, path []leaf.Hash, err error) {
	if node == nil || size == 0 || size >= c.Size {
		return root, nil, fmt.Errorf("%w: none at size %d of %d", ErrTree, size, c.Size)
	}
	h, err := answer.Range(0, size, node)
	if err != nil {
		return root, nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	if path, err = answer.Consistency(size, c.Size, node); err != nil {
		return root, nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, size, c.Size, raw(path), h[:], c.Root[:]); err != nil {
		return root, nil, fmt.Errorf("%w: %w", ErrTree, err)
	}
	return name.TreeRoot(h), path, nil
}
