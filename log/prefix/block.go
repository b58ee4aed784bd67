package prefix

import (
	"encoding/binary"
	"slices"
	"sort"
)

// block is a bucket's leaves in memory: sorted, all of the tree, and they hash
// to what the bucket remembers. It never changes, and has no pointers that a
// garbage collection would have to follow.
//
// Of an index it keeps what told these leaves apart. Nothing is decided by
// that alone: an index that begins like a leaf's is the leaf's only if their
// hashes agree (Prove), and an update that brings one reads the bucket from the
// store. So indexes that somebody made to look alike cost time, and nothing else.
type block struct {
	leaves []short
	inner  []Hash // of the inner nodes above more than `apart` leaves, each before those below it, left first
}

// short is a leaf in 48 bytes.
type short struct {
	first    uint64 // 8 bytes of the index
	position uint64
	hash     Hash
}

// apart is up to how many leaves a subtree is hashed anew rather than kept: with 4,
// what is kept takes 12 bytes a leaf, and an update 4 hashes. With 3 it is 15 and 3.
const apart = 4

func first(l *Leaf) uint64 { return binary.BigEndian.Uint64(l.Index[:]) }

// newBlock is nil for leaves that begin alike.
func newBlock(leaves []Leaf, inner []Hash) *block {
	b := &block{leaves: make([]short, len(leaves)), inner: slices.Clone(inner)}
	for i := range leaves {
		l := &leaves[i]
		b.leaves[i] = short{first(l), l.Position, l.Hash}
		if i > 0 && b.leaves[i-1].first == b.leaves[i].first {
			return nil
		}
	}
	return b
}

func (b *block) len() int {
	if b == nil {
		return 0
	}
	return len(b.leaves)
}

// appendTo appends the leaves, with zeros for what is not known of an index: it
// leads them the same way through the block.
func (b *block) appendTo(dst []Leaf) []Leaf {
	if b == nil {
		return dst
	}
	for i := range b.leaves {
		s := &b.leaves[i]
		l := Leaf{Hash: s.hash, Position: s.position}
		binary.BigEndian.PutUint64(l.Index[:], s.first)
		dst = append(dst, l)
	}
	return dst
}

// like says whether one of the leaves begins as one of the batch's.
func (b *block) like(batch []Leaf) bool {
	return slices.ContainsFunc(batch, func(l Leaf) bool {
		f := first(&l)
		i := sort.Search(len(b.leaves), func(i int) bool { return b.leaves[i].first >= f })
		return i < len(b.leaves) && b.leaves[i].first == f
	})
}

// kept walks through a block's inner hashes in their order. The zero one has none.
type kept struct {
	inner []Hash
	have  bool
}

// next takes the hash of the subtree that the walk enters.
func (k *kept) next(leaves int) (h Hash, ok bool) {
	if !k.have || leaves <= apart {
		return h, false
	}
	h, k.inner = k.inner[0], k.inner[1:]
	return h, true
}

// skip takes all hashes of a subtree that the walk does not enter, its own
// first; none if the block keeps none of it.
func (k *kept) skip(leaves []Leaf, depth int) []Hash {
	if !k.have {
		return nil
	}
	n := innerNodes(leaves, depth)
	all := k.inner[:n]
	k.inner = k.inner[n:]
	return all
}

// innerNodes is how many hashes a block keeps of a subtree.
func innerNodes(leaves []Leaf, depth int) int {
	if len(leaves) <= apart {
		return 0
	}
	cut := split(leaves, depth)
	return 1 + innerNodes(leaves[:cut], depth+1) + innerNodes(leaves[cut:], depth+1)
}
