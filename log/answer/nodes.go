package answer

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/musterlog/muster/log/leaf"
)

// NodeFunc gives the hash of the perfect subtree of 2^level leaves that
// begins at position index·2^level.
type NodeFunc func(level uint, index uint64) (leaf.Hash, error)

// Used is a leaf whose inclusion a walk proves.
type Used struct {
	Position uint64
	Hash     leaf.Hash
}

var errNodes = errors.New("inclusion nodes do not fit")

// split is RFC 6962's k: the largest power of two smaller than n, for n > 1.
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }

// Nodes is the prover's walk (section 5): from the root, left first, one hash
// for every subtree that holds no used position. positions ascend strictly
// and lie below size.
func Nodes(size uint64, positions []uint64, node NodeFunc) ([]leaf.Hash, error) {
	out := make([]leaf.Hash, 0, len(positions)*bits.Len64(size)) // at most
	var walk func(lo, n uint64, used []uint64) error
	walk = func(lo, n uint64, used []uint64) error {
		if len(used) == 0 {
			h, err := Range(lo, n, node)
			out = append(out, h)
			return err
		}
		if n == 1 {
			return nil
		}
		k := split(n)
		cut := 0
		for cut < len(used) && used[cut] < lo+k {
			cut++
		}
		if err := walk(lo, k, used[:cut]); err != nil {
			return err
		}
		return walk(lo+k, n-k, used[cut:])
	}
	if len(positions) == 0 || positions[len(positions)-1] >= size {
		return nil, fmt.Errorf("%w: position outside of a tree of %d leaves", errNodes, size)
	}
	return out, walk(0, size, positions)
}

// Range is the RFC 6962 hash of the n leaves from lo on, where that is a
// subtree of a tree's walk: perfect, or on its right edge.
func Range(lo, n uint64, node NodeFunc) (leaf.Hash, error) {
	if n&(n-1) == 0 {
		level := uint(bits.TrailingZeros64(n))
		return node(level, lo>>level)
	}
	k := split(n)
	left, err := Range(lo, k, node)
	if err != nil {
		return leaf.Hash{}, err
	}
	right, err := Range(lo+k, n-k, node)
	return leaf.Join(left, right), err
}

// Root is the verifier's walk over the same tree: it computes the root from
// the used leaves and the nodes between them. Every node is used exactly once.
func Root(size uint64, used []Used, nodes []leaf.Hash) (leaf.Hash, error) {
	w, err := newWalk(size, used, nodes)
	if err != nil {
		return leaf.Hash{}, err
	}
	root, err := w.root(0, size, used)
	return root, w.end(err)
}

// ExtractPath makes of a walk that proves many leaves the RFC 6962 section
// 2.1.1 audit path of one of them, leaf to root. The caller has compared the
// walk's Root with a signed one.
func ExtractPath(size uint64, used []Used, nodes []leaf.Hash, position uint64) ([]leaf.Hash, error) {
	w, err := newWalk(size, used, nodes)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(used, func(u Used) bool { return u.Position == position }) {
		return nil, fmt.Errorf("%w: leaf %d is not used", errNodes, position)
	}
	path, err := w.path(0, size, used, position)
	return path, w.end(err)
}

// walk is the verifier's; it uses up the nodes from left to right.
type walk struct{ nodes []leaf.Hash }

func newWalk(size uint64, used []Used, nodes []leaf.Hash) (*walk, error) {
	for i := range used {
		if used[i].Position >= size || i > 0 && used[i-1].Position >= used[i].Position {
			return nil, fmt.Errorf("%w: positions outside of the tree or used twice", errNodes)
		}
	}
	if len(used) == 0 {
		return nil, fmt.Errorf("%w: no leaf is used", errNodes)
	}
	return &walk{nodes}, nil
}

func (w *walk) end(err error) error {
	if err == nil && len(w.nodes) > 0 {
		err = fmt.Errorf("%w: %d too many", errNodes, len(w.nodes))
	}
	return err
}

// root is the hash of the n leaves from lo on, all that is used lies there.
func (w *walk) root(lo, n uint64, used []Used) (leaf.Hash, error) {
	if len(used) == 0 {
		if len(w.nodes) == 0 {
			return leaf.Hash{}, fmt.Errorf("%w: too few", errNodes)
		}
		h := w.nodes[0]
		w.nodes = w.nodes[1:]
		return h, nil
	}
	if n == 1 {
		return used[0].Hash, nil
	}
	k, cut := halves(lo, n, used)
	left, err := w.root(lo, k, used[:cut])
	if err != nil {
		return leaf.Hash{}, err
	}
	right, err := w.root(lo+k, n-k, used[cut:])
	return leaf.Join(left, right), err
}

// path is root's walk where a used leaf lies below: the other side's hash at
// every step.
func (w *walk) path(lo, n uint64, used []Used, position uint64) (path []leaf.Hash, err error) {
	if n == 1 {
		return nil, nil
	}
	k, cut := halves(lo, n, used)
	var other leaf.Hash
	if position < lo+k {
		if path, err = w.path(lo, k, used[:cut], position); err == nil {
			other, err = w.root(lo+k, n-k, used[cut:])
		}
	} else if other, err = w.root(lo, k, used[:cut]); err == nil {
		path, err = w.path(lo+k, n-k, used[cut:], position)
	}
	return append(path, other), err
}

// halves is where a subtree of n leaves from lo on is split, and how many of
// the used ones lie left.
func halves(lo, n uint64, used []Used) (k uint64, cut int) {
	k = split(n)
	for cut < len(used) && used[cut].Position < lo+k {
		cut++
	}
	return k, cut
}
