package follow

import (
	"context"
	"errors"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/verifier"
)

// Investigate makes evidence of a failed check: the file that the Failure
// carries, or one with what is missing read from the log's public files, which
// a liar may refuse; a source of nil has none. Two roots of one size need none.
// An error says why there is no evidence; most failures convict nobody, since a
// proof that merely fails may be anybody's mistake.
func Investigate(ctx context.Context, source Source, log checkpoint.Key, f *verifier.Failure) (*evidence.File, error) {
	switch {
	case f.Evidence != nil:
		return f.Evidence, nil
	case len(f.Notes) == 0:
		return nil, errors.New("a failed check alone convicts nobody")
	}
	shown := f.Notes[len(f.Notes)-1]
	if len(f.Notes) == 2 {
		larger, err := largest(f.Notes)
		if err != nil {
			return nil, err
		}
		file, err := verifier.ProveFork(log, f.Notes[0], f.Notes[1], lazy(ctx, source, larger))
		if err == nil || !errors.Is(err, verifier.ErrNoFork) || f.Leaves == nil {
			return file, err
		}
	}
	note, err := checkpoint.Parse(shown)
	if err != nil {
		return nil, err
	}
	tree, err := Open(ctx, source, note.Checkpoint)
	if err != nil {
		return nil, err
	}
	if f.Events != nil {
		return verifier.ProveEvents(log, Evidence(ctx, tree, shown), f.Events)
	}
	file, err := Evidence(ctx, tree, shown).BrokenLeaves(f.Leaves...)
	if err != nil {
		return nil, err
	}
	if err := evidence.Convict(log, file); !errors.As(err, new(*evidence.Misbehaviour)) {
		return nil, err
	}
	return file, nil
}

// lazy opens a tree when its first hash is asked for.
func lazy(ctx context.Context, source Source, at checkpoint.Checkpoint) answer.NodeFunc {
	var tree *Tree
	return func(level uint, index uint64) (h leaf.Hash, err error) {
		if tree == nil {
			if tree, err = Open(ctx, source, at); err != nil {
				return h, err
			}
		}
		return tree.Node(ctx)(level, index)
	}
}

func largest(notes [][]byte) (c checkpoint.Checkpoint, err error) {
	for _, data := range notes {
		note, err := checkpoint.Parse(data)
		if err != nil {
			return c, err
		}
		if note.Size >= c.Size {
			c = note.Checkpoint
		}
	}
	return c, nil
}
