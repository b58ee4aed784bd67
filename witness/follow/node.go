package follow

import (
	"context"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
)

// Node gives the tree's hashes, each authenticated, as provers take them.
func (t *Tree) Node(ctx context.Context) answer.NodeFunc { return t.node(ctx) }

// Evidence gives the tree's leaves as the makers of evidence take them. note
// is the tree's checkpoint, signed.
func Evidence(ctx context.Context, t *Tree, note []byte) *evidence.Tree {
	return &evidence.Tree{
		Note: note,
		Leaf: func(position uint64) ([]byte, error) { return t.Leaf(ctx, position) },
		Path: func(position uint64) ([]leaf.Hash, error) { return t.Path(ctx, position) },
	}
}
