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
	versions []version // a stack: of each subtree that the walk left and has not joined yet
	joined   []version // reused from node to node
	stored   []Leaf    // reused from bucket to bucket
	merged   []Leaf    // so is this
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
	u.join(at, mid, depth, nil, nil)
	u.versions[at] = n.version()
	return node{hash: u.newest(), kids: &[2]node{left, right}}, nil
}

// fill puts the batch into a bucket or a missing child; a bucket that outgrows
// its size becomes a subtree. Two indexes that share 255 bits always meet
// here, since no inner node lies so deep.
func (u *update) fill(n *node, depth int, batch []Leaf) (node, error) {
	prefix := &batch[0].Index
	stored := n.held.all()
	if n.held == nil && n.count > 0 {
		var err error
		if u.stored, err = u.old.scan(u.stored, u.leaves, prefix, depth); err != nil {
			return node{}, err
		}
		stored = u.stored
	}
	if err := u.merge(stored, batch); err != nil {
		return node{}, err
	}
	u.next.held -= len(n.held.all())
	// Leaves that come from the store must hash to what the tree remembers;
	// those in memory did when they came.
	u.recheck = n.held == nil
	at := len(u.versions)
	grown := u.grow(u.merged, depth)
	was, recheck := &u.versions[at], u.recheck
	u.recheck = false
	if recheck && (was.hash != n.hash || was.count != int(n.count)) {
		return node{}, errBucket(n, prefix, depth, was.count)
	}
	*was = n.version()
	return grown, nil
}

// grow makes the subtree at depth of sorted leaves that all share depth bits.
func (u *update) grow(leaves []Leaf, depth int) node {
	if len(leaves) <= u.most {
		u.bucket(leaves, depth)
		return node{hash: u.newest(), count: uint8(len(leaves)), held: u.next.hold(leaves)}
	}
	cut, at := split(leaves, depth), len(u.versions)
	left := u.grow(leaves[:cut], depth+1)
	mid := len(u.versions)
	right := u.grow(leaves[cut:], depth+1)
	u.join(at, mid, depth, leaves[:cut], leaves[cut:])
	return node{hash: u.newest(), kids: &[2]node{left, right}}
}

// bucket leaves on the stack the versions of a subtree that gets no nodes.
func (u *update) bucket(leaves []Leaf, depth int) {
	switch len(leaves) {
	case 0:
		u.push(version{epoch: before})
	case 1:
		l := &leaves[0]
		if l.Position < u.old.limit {
			u.push(version{epoch: before, count: 1, hash: l.Hash})
			return
		}
		u.push(version{epoch: before})
		u.push(version{epoch: u.epoch(l.Position), count: 1, hash: l.Hash})
	default:
		cut, at := split(leaves, depth), len(u.versions)
		u.bucket(leaves[:cut], depth+1)
		mid := len(u.versions)
		u.bucket(leaves[cut:], depth+1)
		u.join(at, mid, depth, leaves[:cut], leaves[cut:])
	}
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
