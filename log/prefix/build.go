package prefix

import (
	"fmt"
	"iter"

	"github.com/musterlog/muster/log/name"
)

// Build makes the tree of all leaves whose Position is below limit. It reads
// them once, in ascending order of index, in a goroutine that has ended when
// Build returns, and holds some thousand of them at a time beside the tree. The
// error is the iterator's, or
// ErrRepeated, or ErrStore when they do not ascend.
func Build(leaves iter.Seq2[Leaf, error], limit uint64) (*Tree, error) {
	return BuildWith(Memory{}, leaves, limit)
}

// BuildWith is Build of a tree that takes other memory.
func BuildWith(m Memory, leaves iter.Seq2[Leaf, error], limit uint64) (*Tree, error) {
	if m.Bucket < 0 || m.Bucket > 255 || m.Held < 0 {
		return nil, fmt.Errorf("building the prefix tree: buckets of %d leaves, %d in memory: want 0 to 255, 0 or more", m.Bucket, m.Held)
	}
	s := readAhead(leaves)
	defer s.end()
	t := &Tree{limit: limit, memory: m}
	b := builder{tree: t, next: s.next, hasher: t.hasher()}
	var err error
	if t.root, err = b.node(0); err != nil {
		return nil, fmt.Errorf("building the prefix tree: %w", err)
	}
	return t, nil
}

// builder reads a stream of leaves through a window just long enough to tell a
// bucket from an inner node.
type builder struct {
	tree  *Tree // being built
	next  func() (Leaf, error, bool)
	ahead []Leaf     // the next leaves of the stream, at most one more than a bucket holds
	last  name.Index // read so far, when the tree has leaves
	hasher
}

// node builds the subtree at depth that the next leaf belongs to. The caller
// knows that there is one, but at depth 0.
func (b *builder) node(depth int) (node, error) {
	if err := b.fill(); err != nil {
		return node{}, err
	}
	n := 0
	for n < len(b.ahead) && shared(&b.ahead[0].Index, &b.ahead[n].Index) >= depth {
		n++
	}
	if n <= b.most {
		bucket := node{hash: b.subtree(b.ahead[:n], depth), count: uint8(n)}
		bucket.held = b.tree.hold(b.ahead[:n])
		b.ahead = b.ahead[:copy(b.ahead, b.ahead[n:])]
		return bucket, nil
	}
	// More than a bucket's leaves share depth bits, so they lie below here.
	prefix := b.ahead[0].Index
	var kids [2]node
	for side := range kids {
		if len(b.ahead) == 0 || shared(&prefix, &b.ahead[0].Index) < depth || int(bit(&b.ahead[0].Index, depth)) != side {
			continue // missing
		}
		var err error
		if kids[side], err = b.node(depth + 1); err != nil {
			return node{}, err
		}
		// The right child's first leaf may not have been in the window yet.
		if err := b.fill(); err != nil {
			return node{}, err
		}
	}
	return inner(kids[0], kids[1]), nil
}

func (b *builder) fill() error {
	for len(b.ahead) <= b.most {
		l, err, ok := b.next()
		if !ok {
			return nil
		}
		if err != nil {
			return err
		}
		if l.Position >= b.tree.limit {
			continue
		}
		if b.tree.count > 0 {
			if err := checkPair(&b.last, &l.Index); err != nil {
				return err
			}
		}
		b.ahead = append(b.ahead, l)
		b.last = l.Index
		b.tree.count++
	}
	return nil
}

// stream is leaves that are read by one goroutine while another hashes them.
type stream struct {
	full, free chan []Leaf
	stop       chan struct{}
	err        error  // of the reader, once full is closed
	chunk      []Leaf // what the hashing side has
	used       int    // of it
}

func readAhead(leaves iter.Seq2[Leaf, error]) *stream {
	const chunks, size = 4, 512
	s := &stream{full: make(chan []Leaf, chunks), free: make(chan []Leaf, chunks), stop: make(chan struct{})}
	for range chunks {
		s.free <- make([]Leaf, 0, size)
	}
	go s.read(leaves)
	return s
}

func (s *stream) read(leaves iter.Seq2[Leaf, error]) {
	defer close(s.full)
	chunk := <-s.free
	for l, err := range leaves {
		if err != nil {
			s.err = err
			break
		}
		if chunk = append(chunk, l); len(chunk) < cap(chunk) {
			continue
		}
		s.full <- chunk // has room for all chunks that there are
		select {
		case chunk = <-s.free:
		case <-s.stop:
			return
		}
	}
	s.full <- chunk
}

// next is the next leaf, and whether there is one or an error.
func (s *stream) next() (l Leaf, err error, ok bool) {
	for s.used == len(s.chunk) {
		if s.chunk != nil {
			s.free <- s.chunk[:0]
		}
		s.chunk, ok = <-s.full
		if s.used = 0; !ok {
			return l, s.err, s.err != nil
		}
	}
	s.used++
	return s.chunk[s.used-1], nil, true
}

// end waits for the reader.
func (s *stream) end() {
	close(s.stop)
	for range s.full {
	}
}
