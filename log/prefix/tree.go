package prefix

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/name"
)

// Leaves reads the stored leaves of a tree. A tree keeps only its top in
// memory; what lies in a bucket is read here whenever it is needed. A Tree's
// methods call it from the caller's goroutine, one call at a time.
type Leaves interface {
	// Range appends to dst, ascending by index, every stored leaf whose index
	// begins with the first depth bits of prefix (0..255). It may return leaves
	// newer than the tree, of a batch that is already stored: the tree drops
	// those whose Position is not below its limit.
	Range(dst []Leaf, prefix name.Index, depth int) ([]Leaf, error)

	// Full is the whole index and the value of a leaf, whose EVENT stands at its
	// position of the log; of its index no more than 8 bytes may be given. It is
	// needed only for a proof of absence that has to show another index's leaf.
	Full(Leaf) (name.Index, name.Value, error)
}

// ErrRepeated says that an index occurs twice, or that two share 255 bits. No
// log may ever hold such a pair: a sequencer refuses it, an auditor that finds
// it in a log stops for good (section 4).
var ErrRepeated = errors.New("index occurs twice")

// ErrStore says that the stored leaves are not the ones that the tree was made
// of: the store lost or changed some. Nothing that it holds can be proven any
// more, so the caller must not go on as if only one request had failed.
var ErrStore = errors.New("store lost or changed leaves")

// Tree is one version of the prefix tree. It never changes: Update makes a new
// version that shares all untouched nodes, and readers of an old one are never
// disturbed. It may be used by many goroutines at once. The zero Tree is empty.
type Tree struct {
	root   node
	count  uint64
	limit  uint64 // leaves at this position of the log or later are not in the tree
	memory Memory
	held   int // leaves that are in memory
}

// Memory says what a tree takes. Root and proofs do not depend on it.
type Memory struct {
	// Bucket is how many leaves an end of the tree has before it splits, 1 to
	// 255; 0 means 8. A smaller bucket takes fewer hashes and less reading for an
	// update and a proof, and more memory:
	//
	//	bucket  bytes a leaf
	//	    64     3
	//	    32     5
	//	    16    10
	//	     8    20
	Bucket int

	// Held is how many leaves stay in memory, at some 60 bytes more each, in
	// allocations without pointers. Their buckets are not read, and need not be
	// checked, until an update drops them: it keeps what it touched while there is
	// room. The indexes of a log are random, so that none is touched more often
	// than others. Of a tree that has all in memory a bucket of 64 costs an update
	// no more hashes than one of 8, and a garbage collection a seventh.
	Held int
}

// hasher is one for this tree.
func (t *Tree) hasher() hasher { return hasher{most: cmp.Or(t.memory.Bucket, defaultBucket)} }

// node is one of:
//
//	missing  the zero node
//	bucket   1..most leaves that lie in the store; hash is of the subtree they form
//	inner    more than that; hash joins the two children's
//
// So the shape depends on nothing but the leaves, whatever the batches were.
//
// A node is 56 bytes, and lies beside its sibling in one allocation of 112.
// Buckets of random indexes are filled to two thirds on average.
type node struct {
	hash  Hash
	kids  *[2]node // of an inner node
	held  *block   // of a bucket, or nil
	count uint8    // of leaves, in a bucket
}

func inner(left, right node) node {
	return node{hash: join(left.hash, right.hash), kids: &[2]node{left, right}}
}

// Root is the prefix_root of EPOCH; 32 zero bytes when the tree is empty.
func (t *Tree) Root() name.PrefixRoot { return name.PrefixRoot(t.root.hash) }

// Len is the number of leaves.
func (t *Tree) Len() uint64 { return t.count }

// checkPair accepts two neighbours in ascending order. Among sorted indexes no
// two share more bits than some neighbours do, so checking those is enough.
func checkPair(a, b *name.Index) error {
	// The errors take copies: pointers would put every leaf of Build on the heap.
	if shared(a, b) >= maxDepth {
		return fmt.Errorf("%w, or in its first 255 bits: %v and %v", ErrRepeated, *a, *b)
	}
	if compare(a, b) > 0 {
		return fmt.Errorf("%w: %v after %v, want ascending indexes", ErrStore, *b, *a)
	}
	return nil
}

// hold keeps a bucket's leaves in memory if the tree has room.
func (t *Tree) hold(leaves []Leaf, inner []Hash) *block {
	if len(leaves) == 0 || t.held+len(leaves) > t.memory.Held {
		return nil
	}
	b := newBlock(leaves, inner)
	t.held += b.len()
	return b
}

// split is the number of leaves that go left below depth.
func split(leaves []Leaf, depth int) int {
	from, to := 0, len(leaves)
	for from < to {
		if mid := int(uint(from+to) / 2); bit(&leaves[mid].Index, depth) == 0 {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from
}

// hasher hashes leaves that are at hand.
type hasher struct {
	most  int // leaves in a bucket
	joins int // inner nodes hashed so far: a benchmark holds it against theory
}

func (h *hasher) hash(left, right Hash) Hash {
	h.joins++
	return join(left, right)
}

// subtree is the hash of the subtree at depth of sorted leaves that all share
// depth bits.
func (h *hasher) subtree(leaves []Leaf, depth int) Hash {
	switch len(leaves) {
	case 0:
		return Hash{}
	case 1:
		return leaves[0].Hash
	}
	cut := split(leaves, depth)
	return h.hash(h.subtree(leaves[:cut], depth+1), h.subtree(leaves[cut:], depth+1))
}

// keep is subtree, and appends the hashes that a block keeps of it.
func (h *hasher) keep(dst []Hash, leaves []Leaf, depth int) (Hash, []Hash) {
	if len(leaves) <= apart {
		return h.subtree(leaves, depth), dst
	}
	at, cut := len(dst), split(leaves, depth)
	left, dst := h.keep(append(dst, Hash{}), leaves[:cut], depth+1)
	right, dst := h.keep(dst, leaves[cut:], depth+1)
	dst[at] = h.hash(left, right)
	return dst[at], dst
}

// scan reads the stored leaves of a bucket into dst, without those that are
// newer than the tree. It checks all that later code needs to be safe, not yet
// that they hash to what the bucket remembers.
func (t *Tree) scan(dst []Leaf, leaves Leaves, prefix *name.Index, depth int) ([]Leaf, error) {
	all, err := leaves.Range(dst[:0], *prefix, depth)
	if err != nil {
		return nil, fmt.Errorf("reading leaves: %w", err)
	}
	kept := all[:0]
	for _, l := range all {
		if l.Position >= t.limit {
			continue
		}
		if shared(prefix, &l.Index) < depth {
			return nil, fmt.Errorf("%w: %v is not below the first %d bits of %v", ErrStore, l.Index, depth, *prefix)
		}
		if n := len(kept); n > 0 && (compare(&kept[n-1].Index, &l.Index) > 0 || shared(&kept[n-1].Index, &l.Index) >= maxDepth) {
			return nil, fmt.Errorf("%w: %v after %v, want ascending indexes", ErrStore, l.Index, kept[n-1].Index)
		}
		kept = append(kept, l)
	}
	return kept, nil
}

func errBucket(n *node, prefix *name.Index, depth, found int) error {
	return fmt.Errorf("%w: %d of %d leaves below the first %d bits of %v do not give the hash that the tree remembers",
		ErrStore, found, n.count, depth, *prefix)
}
