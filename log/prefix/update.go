package prefix

import (
	"fmt"
	"slices"
)

// Update makes the tree that holds the batch too; t stays what it is. Every
// node above a new leaf is hashed once, whatever the order of the batch, and
// every bucket that gets new leaves is read once.
//
// limit is the new tree's: the position of every new leaf lies in
// [limit of t, limit). An empty batch only moves the limit. The batch may
// already be in the store, or not.
//
// ErrRepeated refuses a batch that holds an index that is in the tree, or one
// twice, or one that shares 255 bits with another; ErrStore and read errors
// mean that the store cannot be trusted. The batch is not changed.
func (t *Tree) Update(leaves Leaves, batch []Leaf, limit uint64) (*Tree, error) {
	next, _, err := t.update(leaves, batch, limit)
	return next, err
}

// update also gives the number of inner nodes that were hashed.
func (t *Tree) update(leaves Leaves, batch []Leaf, limit uint64) (*Tree, int, error) {
	if limit < t.limit {
		return nil, 0, fmt.Errorf("updating the prefix tree: limit %d, want %d or more", limit, t.limit)
	}
	for i := range batch {
		// An older position would count as a leaf of the old tree.
		if p := batch[i].Position; p < t.limit || p >= limit {
			return nil, 0, fmt.Errorf("updating the prefix tree: new leaf at position %d, want %d <= position < %d", p, t.limit, limit)
		}
	}
	sorted := slices.Clone(batch)
	slices.SortFunc(sorted, func(a, b Leaf) int { return compare(&a.Index, &b.Index) })
	u := update{old: t, leaves: leaves, hasher: t.hasher()}
	root, err := u.insert(&t.root, 0, sorted)
	if err != nil {
		return nil, 0, fmt.Errorf("updating the prefix tree: %w", err)
	}
	return &Tree{root: root, count: t.count + uint64(len(batch)), limit: limit, most: t.most}, u.joins, nil
}

// update is one Update under way.
type update struct {
	old    *Tree
	leaves Leaves
	hasher
	stored, merged []Leaf // reused from bucket to bucket
}

// insert gives node n at depth with the batch in it: sorted, and all of it
// belongs below n.
func (u *update) insert(n *node, depth int, batch []Leaf) (node, error) {
	if len(batch) == 0 {
		return *n, nil
	}
	if n.kids == nil {
		return u.fill(n, depth, batch)
	}
	cut := split(batch, depth)
	left, err := u.insert(&n.kids[0], depth+1, batch[:cut])
	if err != nil {
		return node{}, err
	}
	right, err := u.insert(&n.kids[1], depth+1, batch[cut:])
	if err != nil {
		return node{}, err
	}
	u.joins++
	return inner(left, right), nil
}

// fill puts the batch into a bucket or a missing child; a bucket that outgrows
// its size becomes a subtree. Two indexes that share 255 bits always meet
// here, since no inner node lies so deep.
func (u *update) fill(n *node, depth int, batch []Leaf) (node, error) {
	prefix := &batch[0].Index
	u.stored = u.stored[:0]
	if n.count > 0 {
		var err error
		if u.stored, err = u.old.scan(u.stored, u.leaves, prefix, depth); err != nil {
			return node{}, err
		}
	}
	if err := u.merge(batch); err != nil {
		return node{}, err
	}
	g := u.subtree(u.merged, depth, u.old.limit)
	if g.was != n.hash || g.old != int(n.count) {
		return node{}, errBucket(n, prefix, depth, g.old)
	}
	return g.now, nil
}

// merge fills u.merged with the stored leaves and the batch, both sorted.
func (u *update) merge(batch []Leaf) error {
	stored := u.stored
	u.merged = u.merged[:0]
	for len(stored)+len(batch) > 0 {
		from := &batch
		if len(batch) == 0 || len(stored) > 0 && compare(&stored[0].Index, &batch[0].Index) < 0 {
			from = &stored
		}
		u.merged = append(u.merged, (*from)[0])
		*from = (*from)[1:]
		if n := len(u.merged); n > 1 {
			if err := checkPair(&u.merged[n-2].Index, &u.merged[n-1].Index); err != nil {
				return err
			}
		}
	}
	return nil
}
