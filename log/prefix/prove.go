package prefix

import (
	"fmt"
	"slices"
	"sort"
)

// Prove makes one proof for all queries: for each, in the order given, that
// the tree holds it or that it does not (section 4). It takes 1 to MaxResults
// queries, and no index twice.
//
// Leaves may hold newer leaves than t, so that an old version is proven while
// newer ones are built. ErrStore and read errors mean that the store cannot be
// trusted; no proof is made from leaves that do not hash to t's root, nor for a
// query whose answer is another one.
func (t *Tree) Prove(leaves Leaves, queries []Query) (*Proof, error) {
	if len(queries) == 0 || len(queries) > MaxResults {
		return nil, fmt.Errorf("proving %d indexes: want 1 to %d", len(queries), MaxResults)
	}
	sorted := make([]asked, len(queries))
	for i := range queries {
		sorted[i] = asked{&queries[i], i}
	}
	slices.SortFunc(sorted, func(a, b asked) int { return compare(&a.Index, &b.Index) })
	for i := range sorted[1:] {
		if sorted[i].Index == sorted[i+1].Index {
			return nil, fmt.Errorf("proving index %v: asked twice", sorted[i].Index)
		}
	}
	p := prover{tree: t, leaves: leaves, hasher: t.hasher(), proof: &Proof{Results: make([]Result, len(queries))}}
	if err := p.node(&t.root, 0, sorted); err != nil {
		return nil, fmt.Errorf("proving %d indexes: %w", len(queries), err)
	}
	return p.proof, nil
}

// asked is what to prove, and which result answers it.
type asked struct {
	*Query
	result int
}

func splitAsked(a []asked, depth int) int {
	return sort.Search(len(a), func(i int) bool { return bit(&a[i].Index, depth) == 1 })
}

// prover is one Prove under way. It walks the tree left first and gives one
// element for each subtree that nothing asked leads to: those are the fewest
// that complete the root, and they come from left to right.
type prover struct {
	tree   *Tree
	leaves Leaves
	proof  *Proof
	hasher
	kept   kept   // the bucket at hand is in memory: hashes below it that the walk has not reached
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
	p.kept, p.stored = kept{}, p.stored[:0]
	if n.held != nil {
		p.stored, p.kept = n.held.appendTo(p.stored), kept{n.held.inner, true}
	} else if n.count > 0 {
		var err error
		if p.stored, err = p.tree.scan(p.stored, p.leaves, &ask[0].Index, depth); err != nil {
			return err
		}
	}
	hash, err := p.bucket(p.stored, depth, ask)
	if err != nil {
		return err
	}
	if hash != n.hash || len(p.stored) != int(n.count) {
		return errBucket(n, &ask[0].Index, depth, len(p.stored))
	}
	return nil
}

// bucket does the same below a bucket, and hashes what it walks over.
func (p *prover) bucket(leaves []Leaf, depth int, ask []asked) (Hash, error) {
	if len(ask) == 0 {
		h := p.untouched(leaves, depth)
		p.element(h)
		return h, nil
	}
	switch len(leaves) {
	case 0:
		return Hash{}, p.missing(depth, ask)
	case 1:
		return leaves[0].Hash, p.leaf(&leaves[0], depth, ask)
	}
	p.kept.next(len(leaves)) // it is computed, from what is proven
	cut, cutAsk := split(leaves, depth), splitAsked(ask, depth)
	left, err := p.bucket(leaves[:cut], depth+1, ask[:cutAsk])
	if err != nil {
		return Hash{}, err
	}
	right, err := p.bucket(leaves[cut:], depth+1, ask[cutAsk:])
	return p.hash(left, right), err
}

// untouched is the hash of a subtree in which nothing is asked.
func (p *prover) untouched(leaves []Leaf, depth int) Hash {
	if all := p.kept.skip(leaves, depth); len(all) > 0 {
		return all[0]
	}
	return p.subtree(leaves, depth)
}

// missing answers all that is asked where no leaf is.
func (p *prover) missing(depth int, ask []asked) error {
	for _, a := range ask {
		if a.Present {
			return fmt.Errorf("%w: %v, which is to be proven, is not in the tree", ErrStore, a.Index)
		}
		p.proof.Results[a.result] = Result{Kind: NonInclusionParent, Depth: uint8(depth)}
	}
	return nil
}

// leaf answers all that is asked where l is the only leaf. Of its index no more
// may be known than its first bytes: its hash decides.
func (p *prover) leaf(l *Leaf, depth int, ask []asked) error {
	var shown *Result // for what is absent; read once
	for _, a := range ask {
		if a.Present {
			if LeafHash(a.Index, a.Value) != l.Hash {
				return fmt.Errorf("%w: where %v and its value are to be proven, the tree has another leaf", ErrStore, a.Index)
			}
			p.proof.Results[a.result] = Result{Kind: Inclusion, Depth: uint8(depth)}
			continue
		}
		if shown == nil {
			index, value, err := p.leaves.Full(*l)
			if err != nil {
				return fmt.Errorf("reading the leaf at position %d: %w", l.Position, err)
			}
			if LeafHash(index, value) != l.Hash {
				return fmt.Errorf("%w: what stands at position %d does not give its leaf's hash", ErrStore, l.Position)
			}
			shown = &Result{Kind: NonInclusionLeaf, Index: index, Value: value, Depth: uint8(depth)}
		}
		if shown.Index == a.Index {
			return fmt.Errorf("%w: %v, which is to be proven absent, is in the tree", ErrStore, a.Index)
		}
		p.proof.Results[a.result] = *shown
	}
	return nil
}

func (p *prover) element(h Hash) { p.proof.Elements = append(p.proof.Elements, h) }
