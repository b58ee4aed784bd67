package prefix

import (
	"encoding/binary"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"github.com/musterlog/muster/log/name"
)

// Build makes the tree of all leaves whose Position is below limit. It reads
// them once, in ascending order of index, hashes them on all cores, and holds
// some thousandths of them at a time beside the tree. The error is the
// iterator's, or ErrRepeated, or ErrStore when they do not ascend.
func Build(leaves iter.Seq2[Leaf, error], limit uint64) (*Tree, error) {
	return BuildWith(Memory{}, leaves, limit)
}

// BuildWith is Build of a tree that takes other memory.
func BuildWith(m Memory, leaves iter.Seq2[Leaf, error], limit uint64) (*Tree, error) {
	if m.Bucket < 0 || m.Bucket > 255 || m.Held < 0 {
		return nil, fmt.Errorf("building the prefix tree: buckets of %d leaves, %d in memory: want 0 to 255, 0 or more", m.Bucket, m.Held)
	}
	t := &Tree{limit: limit, memory: m}
	cores := runtime.GOMAXPROCS(0)
	b := builder{tree: t, roots: make([]node, 1<<regionBits), regions: make(chan region, cores), free: make(chan []Leaf, 2*cores+1)}
	var workers sync.WaitGroup
	for range cores {
		workers.Go(b.work)
	}
	err := b.read(leaves)
	close(b.regions)
	workers.Wait()
	if err != nil {
		return nil, fmt.Errorf("building the prefix tree: %w", err)
	}
	t.root = b.top(b.roots, 0)
	t.held = t.root.heldBelow()
	return t, nil
}

func (n *node) heldBelow() int {
	if n.kids == nil {
		return n.held.len()
	}
	return n.kids[0].heldBelow() + n.kids[1].heldBelow()
}

// builder makes the subtrees at depth regionBits beside each other.
type builder struct {
	tree    *Tree
	roots   []node      // of the subtrees; the zero node where there are no leaves
	regions chan region // read, and not built yet
	free    chan []Leaf // what regions were read into
	held    int         // leaves of the regions that stay in memory
}

// region is all leaves that share regionBits.
type region struct {
	number uint16 // those bits
	leaves []Leaf
	hold   bool // the leaves stay in memory
}

func regionOf(i *name.Index) uint16 { return binary.BigEndian.Uint16(i[:]) >> (16 - regionBits) }

func (b *builder) read(leaves iter.Seq2[Leaf, error]) error {
	var r region
	for l, err := range leaves {
		if err != nil {
			return err
		}
		if l.Position >= b.tree.limit {
			continue
		}
		if n := len(r.leaves); n > 0 {
			last := &r.leaves[n-1].Index
			if err := checkPair(last, &l.Index); err != nil {
				return err
			}
			if regionOf(last) != regionOf(&l.Index) {
				b.end(&r)
			}
		}
		r.leaves = append(r.leaves, l)
		b.tree.count++
	}
	if len(r.leaves) > 0 {
		b.end(&r)
	}
	return nil
}

// end hands a region to the workers, and begins the next one.
func (b *builder) end(r *region) {
	r.number = regionOf(&r.leaves[0].Index)
	if r.hold = b.held+len(r.leaves) <= b.tree.memory.Held; r.hold {
		b.held += len(r.leaves)
	}
	b.regions <- *r
	*r = region{}
	select {
	case r.leaves = <-b.free:
	default:
	}
}

func (b *builder) work() {
	m := maker{hasher: b.tree.hasher()}
	for r := range b.regions {
		b.roots[r.number] = m.build(r.leaves, regionBits, r.hold)
		select {
		case b.free <- r.leaves[:0]:
		default:
		}
	}
}

// maker makes nodes of leaves, for one worker.
type maker struct {
	hasher
	kept []Hash // reused from bucket to bucket
}

// build makes the subtree at depth of sorted leaves that all share depth bits.
func (m *maker) build(leaves []Leaf, depth int, hold bool) node {
	if len(leaves) > m.most {
		cut := split(leaves, depth)
		return inner(m.build(leaves[:cut], depth+1, hold), m.build(leaves[cut:], depth+1, hold))
	}
	n := node{count: uint8(len(leaves))}
	n.hash, m.kept = m.keep(m.kept[:0], leaves, depth)
	if hold && len(leaves) > 0 {
		n.held = newBlock(leaves, m.kept)
	}
	return n
}

// top joins subtrees at one depth, all those below a node at another.
func (b *builder) top(roots []node, depth int) node {
	if len(roots) == 1 {
		return roots[0]
	}
	left, right := b.top(roots[:len(roots)/2], depth+1), b.top(roots[len(roots)/2:], depth+1)
	count := int(left.count) + int(right.count)
	m := maker{hasher: b.tree.hasher()}
	if left.kids != nil || right.kids != nil || count > m.most {
		return inner(left, right)
	}
	// Too few for an inner node: a bucket, or nothing.
	if left.held.len()+right.held.len() == count && count > 0 {
		return m.build(right.held.appendTo(left.held.appendTo(nil)), depth, true)
	}
	n := node{count: uint8(count), hash: left.hash}
	switch {
	case count > 1:
		n.hash = join(left.hash, right.hash)
	case right.count == 1:
		n.hash = right.hash
	}
	return n
}
