package prefix

import (
	"math"
	"sort"

	"github.com/musterlog/muster/log/name"
)

// version is a subtree as it is from some epoch of a Replay on. A subtree has
// a version `before`, of the old tree, and one for each epoch that brings it
// leaves.
type version struct {
	hash  Hash
	epoch int  // which one of the update's limits
	count int  // leaves; many for an inner node of the old tree, however many
	open  bool // nobody has needed the hash yet: it is not computed
}

const (
	before = -1
	many   = math.MaxInt32
)

// version is the node's as it is.
func (n *node) version() version {
	v := version{hash: n.hash, epoch: before, count: int(n.count)}
	if n.kids != nil {
		v.count = many
	}
	return v
}

func (u *update) push(v version) { u.versions = append(u.versions, v) }

// newest is the hash of the subtree that the walk left last.
func (u *update) newest() Hash { return u.versions[len(u.versions)-1].hash }

// epoch is the one that a new leaf came with.
func (u *update) epoch(position uint64) int {
	return sort.Search(len(u.limits), func(i int) bool { return position < u.limits[i] })
}

// join replaces the versions of two children, on the stack from at and from
// mid on, by those of their parent at depth. So each is hashed once, and what
// the tree was before comes along: that tells at hardly any cost whether the
// store still holds what the tree was made of. Where nobody has to ask, it is
// left open, and computed from the child's leaves if it turns out to be needed.
func (u *update) join(at, mid, depth int, ofLeft, ofRight span) {
	left, right := u.versions[at:mid], u.versions[mid:]
	a, b := left[0], right[0]
	left, right = left[1:], right[1:]
	was := version{epoch: before, count: min(a.count+b.count, many), open: true}
	if was.count < 2 || u.recheck || len(left)+len(right) == 0 {
		was = u.both(&a, &b)
	}
	u.joined = append(u.joined[:0], was)
	for len(left)+len(right) > 0 {
		var epoch int
		switch {
		case len(right) == 0 || len(left) > 0 && left[0].epoch < right[0].epoch:
			epoch, a, left = left[0].epoch, left[0], left[1:]
			u.close(&b, ofRight.old, depth+1)
		case len(left) == 0 || right[0].epoch < left[0].epoch:
			epoch, b, right = right[0].epoch, right[0], right[1:]
			u.close(&a, ofLeft.old, depth+1)
		default:
			epoch, a, left = left[0].epoch, left[0], left[1:]
			b, right = right[0], right[1:]
		}
		v := u.both(&a, &b)
		v.epoch = epoch
		u.joined = append(u.joined, v)
	}
	u.versions = append(u.versions[:at], u.joined...)
}

// both is the parent of two subtrees. A single leaf stands as high as it can.
func (u *update) both(a, b *version) version {
	v := version{epoch: before, count: min(a.count+b.count, many)}
	switch {
	case v.count > 1:
		v.hash = u.hasher.hash(a.hash, b.hash)
	case a.count == 1:
		v.hash = a.hash
	default:
		v.hash = b.hash
	}
	return v
}

// close computes an open version.
func (u *update) close(v *version, old []Leaf, depth int) {
	if v.open {
		v.hash, v.open = u.subtree(old, depth), false
	}
}

// roots are the root's versions, one an epoch.
func (u *update) roots() []name.PrefixRoot {
	roots := make([]name.PrefixRoot, len(u.limits))
	v := u.versions
	for i := range roots {
		for len(v) > 1 && v[1].epoch <= i {
			v = v[1:]
		}
		roots[i] = name.PrefixRoot(v[0].hash)
	}
	return roots
}
