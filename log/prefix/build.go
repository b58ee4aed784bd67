package prefix

import (
	"encoding/binary"
	"fmt"
	"iter"
	"runtime"
	"slices"
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
	t.root = b.top(b.roots)
	return t, nil
}

// builder makes the subtrees at depth regionBits beside each other.
type builder struct {
	tree    *Tree
	roots   []node      // of the subtrees; the zero node where there are no leaves
	regions chan region // read, and not built yet
	free    chan []Leaf // what regions were read into
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
	if r.hold = b.tree.held+len(r.leaves) <= b.tree.memory.Held; r.hold {
		b.tree.held += len(r.leaves)
	}
	b.regions <- *r
	*r = region{}
	select {
	case r.leaves = <-b.free:
	default:
	}
}

func (b *builder) work() {
	h := b.tree.hasher()
	for r := range b.regions {
		b.roots[r.number] = h.build(r.leaves, regionBits, r.hold)
		select {
		case b.free <- r.leaves[:0]:
		default:
		}
	}
}

// build makes the subtree at depth of sorted leaves that all share depth bits.
func (h *hasher) build(leaves []Leaf, depth int, hold bool) node {
	if len(leaves) > h.most {
		cut := split(leaves, depth)
		return inner(h.build(leaves[:cut], depth+1, hold), h.build(leaves[cut:], depth+1, hold))
	}
	n := node{hash: h.subtree(leaves, depth), count: uint8(len(leaves))}
	if hold && len(leaves) > 0 {
		n.held = &held{slices.Clone(leaves)}
	}
	return n
}

// top joins subtrees of one depth, all those below a node.
func (b *builder) top(roots []node) node {
	if len(roots) == 1 {
		return roots[0]
	}
	left, right := b.top(roots[:len(roots)/2]), b.top(roots[len(roots)/2:])
	count := int(left.count) + int(right.count)
	if left.kids != nil || right.kids != nil || count > b.tree.hasher().most {
		return inner(left, right)
	}
	// Too few for an inner node: a bucket, or nothing.
	n := node{count: uint8(count), hash: left.hash}
	switch {
	case count > 1:
		n.hash = join(left.hash, right.hash)
	case right.count == 1:
		n.hash = right.hash
	}
	if all := slices.Concat(left.held.all(), right.held.all()); len(all) == count && count > 0 {
		n.held = &held{all}
	} else {
		b.tree.held -= len(all) // of some leaves nothing is held
	}
	return n
}
