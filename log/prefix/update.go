package prefix

import (
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/name"
)

// Update makes the tree that holds the batch too; t stays what it is. Every
// node above a new leaf is hashed once, whatever the order of the batch, and
// every bucket that gets new leaves is read at most once.
//
// limit is the new tree's: the position of every new leaf lies in
// [limit of t, limit). An empty batch only moves the limit. The batch may
// already be in the store, or not.
//
// ErrRepeated refuses a batch that holds an index that is in the tree, or one
// twice, or one that shares 255 bits with another; ErrStore and read errors
// mean that the store cannot be trusted. The batch is not changed. One that is
// sorted (see Sorted) is not copied.
func (t *Tree) Update(leaves Leaves, batch []Leaf, limit uint64) (*Tree, error) {
	next, _, _, err := t.update(leaves, batch, []uint64{limit})
	return next, err
}

// Replay is an Update an epoch, in one pass: the batch has the new leaves of
// all of them, limits the limit of each, and roots are those of the trees in
// between and of the last one, which it returns. It hashes what the Updates
// would, but reads a bucket once for all epochs and makes only the last
// tree's nodes.
//
// An error does not say which epoch it is of: Updates one by one do.
func (t *Tree) Replay(leaves Leaves, batch []Leaf, limits []uint64) (last *Tree, roots []name.PrefixRoot, err error) {
	last, roots, _, err = t.update(leaves, batch, limits)
	return last, roots, err
}

// update also gives the number of inner nodes that were hashed.
func (t *Tree) update(leaves Leaves, batch []Leaf, limits []uint64) (*Tree, []name.PrefixRoot, int, error) {
	from := t.limit
	for _, limit := range limits {
		if limit < from {
			return nil, nil, 0, fmt.Errorf("updating the prefix tree: limit %d, want %d or more", limit, from)
		}
		from = limit
	}
	for i := range batch {
		// An older position would count as a leaf of the old tree.
		if p := batch[i].Position; p < t.limit || p >= from {
			return nil, nil, 0, fmt.Errorf("updating the prefix tree: new leaf at position %d, want %d <= position < %d", p, t.limit, from)
		}
	}
	if !slices.IsSortedFunc(batch, ascending) {
		batch = Sorted(nil, batch)
	}
	next := &Tree{count: t.count + uint64(len(batch)), limit: from, memory: t.memory, held: t.held}
	u := update{old: t, next: next, leaves: leaves, limits: limits, hasher: t.hasher()}
	var err error
	if next.root, err = u.insert(&t.root, 0, batch); err != nil {
		return nil, nil, 0, fmt.Errorf("updating the prefix tree: %w", err)
	}
	return next, u.roots(), u.joins, nil
}

func ascending(a, b Leaf) int { return compare(&a.Index, &b.Index) }

// update is one Update or Replay under way.
type update struct {
	old, next *Tree
	leaves    Leaves
	limits    []uint64
	hasher
	recheck  bool      // the bucket at hand came from the store
	kept     kept      // the bucket at hand is in memory: hashes below it that the walk has not reached
	versions []version // a stack: of each subtree that the walk left and has not joined yet
	joined   []version // reused from node to node
	stored   []Leaf    // reused from bucket to bucket; so are these two:
	merged   []Leaf
	nodes    []Hash // below the bucket at hand, as a block keeps them
}

// insert gives node n at depth with the batch in it: sorted, and all of it
// belongs below n. It leaves the node's versions on the stack.
func (u *update) insert(n *node, depth int, batch []Leaf) (node, error) {
	if len(batch) == 0 {
		u.push(n.version())
		return *n, nil
	}
	if n.kids == nil {
		return u.fill(n, depth, batch)
	}
	cut, at := split(batch, depth), len(u.versions)
	left, err := u.insert(&n.kids[0], depth+1, batch[:cut])
	if err != nil {
		return node{}, err
	}
	mid := len(u.versions)
	right, err := u.insert(&n.kids[1], depth+1, batch[cut:])
	if err != nil {
		return node{}, err
	}
	u.join(at, mid, depth, span{}, span{})
	u.versions[at] = n.version()
	return node{hash: u.newest(), kids: &[2]node{left, right}}, nil
}

// fill puts the batch into a bucket or a missing child; a bucket that outgrows
// its size becomes a subtree. Two indexes that share 255 bits always meet
// here, since no inner node lies so deep.
func (u *update) fill(n *node, depth int, batch []Leaf) (node, error) {
	prefix := &batch[0].Index
	u.kept, u.recheck = kept{}, false
	switch {
	case n.held != nil && !n.held.like(batch):
		u.stored = n.held.appendTo(u.stored[:0])
		u.kept = kept{n.held.inner, true}
	case n.count > 0:
		var err error
		if u.stored, err = u.old.scan(u.stored, u.leaves, prefix, depth); err != nil {
			return node{}, err
		}
		// Leaves that come from the store must hash to what the tree remembers;
		// those in memory did when they came.
		u.recheck = true
	default:
		u.stored = u.stored[:0]
	}
	if err := u.merge(u.stored, batch); err != nil {
		return node{}, err
	}
	u.next.held -= n.held.len()
	at := len(u.versions)
	u.nodes = u.nodes[:0]
	grown := u.grow(span{u.merged, u.stored, batch}, depth)
	was, recheck := &u.versions[at], u.recheck
	u.recheck = false
	if recheck && (was.hash != n.hash || was.count != int(n.count)) {
		return node{}, errBucket(n, prefix, depth, was.count)
	}
	*was = n.version()
	return grown, nil
}

// span is the leaves of a subtree, each list sorted. All share depth bits.
type span struct {
	all   []Leaf // the two others
	old   []Leaf // of the old tree
	fresh []Leaf // new ones
}

func (l span) split(depth int) (left, right span) {
	old, fresh := split(l.old, depth), split(l.fresh, depth)
	return span{l.all[:old+fresh], l.old[:old], l.fresh[:fresh]}, span{l.all[old+fresh:], l.old[old:], l.fresh[fresh:]}
}

// grow makes the subtree at depth of some leaves.
func (u *update) grow(l span, depth int) node {
	if len(l.all) <= u.most {
		from := len(u.nodes)
		u.bucket(l, depth)
		return node{hash: u.newest(), count: uint8(len(l.all)), held: u.next.hold(l.all, u.nodes[from:])}
	}
	var kids [2]node
	u.pair(l, depth, func(side int, l span) { kids[side] = u.grow(l, depth+1) })
	return node{hash: u.newest(), kids: &kids}
}

// bucket leaves on the stack the versions of a subtree that gets no nodes.
func (u *update) bucket(l span, depth int) {
	switch {
	case len(l.fresh) == 0:
		u.push(version{epoch: before, count: len(l.old), hash: u.untouched(l.old, depth)})
	case len(l.all) == 1:
		u.push(version{epoch: before})
		u.push(version{epoch: u.epoch(l.fresh[0].Position), count: 1, hash: l.fresh[0].Hash})
	default:
		u.pair(l, depth, func(_ int, l span) { u.bucket(l, depth+1) })
	}
}

// pair joins the two sides of a subtree that below walks through.
func (u *update) pair(l span, depth int, below func(side int, l span)) {
	was, known := u.kept.next(len(l.old))
	place := len(u.nodes)
	if len(l.all) > apart {
		u.nodes = append(u.nodes, Hash{})
	}
	left, right := l.split(depth)
	at := len(u.versions)
	below(0, left)
	mid := len(u.versions)
	below(1, right)
	u.join(at, mid, depth, left, right)
	if known {
		u.versions[at].hash, u.versions[at].open = was, false
	}
	if len(l.all) > apart {
		u.nodes[place] = u.newest()
	}
}

// untouched is the hash of a subtree that gets no leaves.
func (u *update) untouched(old []Leaf, depth int) (h Hash) {
	if all := u.kept.skip(old, depth); len(all) > 0 {
		u.nodes = append(u.nodes, all...)
		return all[0]
	}
	h, u.nodes = u.keep(u.nodes, old, depth)
	return h
}

// merge fills u.merged with the stored leaves and the batch, both sorted.
func (u *update) merge(stored, batch []Leaf) error {
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
