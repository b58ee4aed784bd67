package answer

import (
	"errors"
	"fmt"
	"math/bits"

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
	var out []leaf.Hash
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
	for i := range used {
		if used[i].Position >= size || i > 0 && used[i-1].Position >= used[i].Position {
			return leaf.Hash{}, fmt.Errorf("%w: positions outside of the tree or used twice", errNodes)
		}
	}
	if len(used) == 0 {
		return leaf.Hash{}, fmt.Errorf("%w: no leaf is used", errNodes)
	}
	var walk func(lo, n uint64, used []Used) (leaf.Hash, error)
	walk = func(lo, n uint64, used []Used) (leaf.Hash, error) {
		if len(used) == 0 {
			if len(nodes) == 0 {
				return leaf.Hash{}, fmt.Errorf("%w: too few", errNodes)
			}
			h := nodes[0]
			nodes = nodes[1:]
			return h, nil
		}
		if n == 1 {
			return used[0].Hash, nil
		}
		k := split(n)
		cut := 0
		for cut < len(used) && used[cut].Position < lo+k {
			cut++
		}
		left, err := walk(lo, k, used[:cut])
		if err != nil {
			return leaf.Hash{}, err
		}
		right, err := walk(lo+k, n-k, used[cut:])
		return leaf.Join(left, right), err
	}
	root, err := walk(0, size, used)
	if err == nil && len(nodes) > 0 {
		err = fmt.Errorf("%w: %d too many", errNodes, len(nodes))
	}
	return root, err
}
