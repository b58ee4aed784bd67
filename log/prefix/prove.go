package prefix

import (
	"fmt"
	"slices"
	"sort"

	"github.com/musterlog/muster/log/name"
)

// Prove makes one proof for all indexes: for each, in the order given, that
// the tree holds it or that it does not (section 4). It takes 1 to MaxResults
// indexes, none twice.
//
// Leaves may hold newer leaves than t, so that an old version is proven while
// newer ones are built. ErrStore and read errors mean that the store cannot be
// trusted; no proof is made from leaves that do not hash to t's root.
func (t *Tree) Prove(leaves Leaves, indexes []name.Index) (*Proof, error) {
	if len(indexes) == 0 || len(indexes) > MaxResults {
		return nil, fmt.Errorf("proving %d indexes: want 1 to %d", len(indexes), MaxResults)
	}
	sorted := make([]asked, len(indexes))
	for i, index := range indexes {
		sorted[i] = asked{index, i}
	}
	slices.SortFunc(sorted, func(a, b asked) int { return compare(&a.index, &b.index) })
	for i := range sorted[1:] {
		if sorted[i].index == sorted[i+1].index {
			return nil, fmt.Errorf("proving index %v: asked twice", sorted[i].index)
		}
	}
	p := prover{tree: t, leaves: leaves, hasher: t.hasher(), proof: &Proof{Results: make([]Result, len(indexes))}}
	if err := p.node(&t.root, 0, sorted); err != nil {
		return nil, fmt.Errorf("proving %d indexes: %w", len(indexes), err)
	}
	return p.proof, nil
}

// asked is an index to prove, and which result answers it.
type asked struct {
	index  name.Index
	result int
}

func splitAsked(a []asked, depth int) int {
	return sort.Search(len(a), func(i int) bool { return bit(&a[i].index, depth) == 1 })
}

// prover is one Prove under way. It walks the tree left first and gives one
// element for each subtree that nothing asked leads to: those are the fewest
// that complete the root, and they come from left to right.
type prover struct {
	tree   *Tree
	leaves Leaves
	proof  *Proof
	hasher
	stored []Leaf // reused from bucket to bucket
}

// node proves what is asked below n: sorted, and all of it belongs there.
func (p *prover) node(n *node, depth int, ask []asked) error {
	if len(ask) == 0 {
		p.element(n.hash)
		return nil
	}
	if n.kids != nil {
		cut := splitAsked(ask, depth)
		if err := p.node(&n.kids[0], depth+1, ask[:cut]); err != nil {
			return err
		}
		return p.node(&n.kids[1], depth+1, ask[cut:])
	}
	stored := n.held.all()
	if n.held == nil && n.count > 0 {
		var err error
		if p.stored, err = p.tree.scan(p.stored, p.leaves, &ask[0].index, depth); err != nil {
			return err
		}
		stored = p.stored
	}
	hash, err := p.bucket(stored, depth, ask)
	if err != nil {
		return err
	}
	if hash != n.hash || len(stored) != int(n.count) {
		return errBucket(n, &ask[0].index, depth, len(stored))
	}
	return nil
}

// bucket does the same below a bucket, and hashes what it walks over.
func (p *prover) bucket(leaves []Leaf, depth int, ask []asked) (Hash, error) {
	if len(ask) == 0 {
		h := p.subtree(leaves, depth)
		p.element(h)
		return h, nil
	}
	if len(leaves) == 0 {
		for _, a := range ask {
			p.proof.Results[a.result] = Result{Kind: NonInclusionParent, Depth: uint8(depth)}
		}
		return Hash{}, nil
	}
	if len(leaves) == 1 {
		return leaves[0].Hash, p.leaf(leaves[0], depth, ask)
	}
	cut, cutAsk := split(leaves, depth), splitAsked(ask, depth)
	left, err := p.bucket(leaves[:cut], depth+1, ask[:cutAsk])
	if err != nil {
		return Hash{}, err
	}
	right, err := p.bucket(leaves[cut:], depth+1, ask[cutAsk:])
	return p.hash(left, right), err
}

// leaf answers all that is asked where l is the only leaf.
func (p *prover) leaf(l Leaf, depth int, ask []asked) error {
	var shown *Result // for what is absent; read once
	for _, a := range ask {
		if a.index == l.Index {
			p.proof.Results[a.result] = Result{Kind: Inclusion, Depth: uint8(depth)}
			continue
		}
		if shown == nil {
			v, err := p.leaves.Value(l)
			if err != nil {
				return fmt.Errorf("reading the value of %v: %w", l.Index, err)
			}
			if LeafHash(l.Index, v) != l.Hash {
				return fmt.Errorf("%w: the value of %v does not give its leaf hash", ErrStore, l.Index)
			}
			shown = &Result{Kind: NonInclusionLeaf, Index: l.Index, Value: v, Depth: uint8(depth)}
		}
		p.proof.Results[a.result] = *shown
	}
	return nil
}

func (p *prover) element(h Hash) { p.proof.Elements = append(p.proof.Elements, h) }
