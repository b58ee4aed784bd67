package log

import (
	"bytes"
	"fmt"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/store"
)

const (
	tileHeight = 8 // levels a tile spans, by C2SP tlog-tiles
	tileWidth  = 1 << tileHeight
	groupWidth = 16 // hashes of a tile that are kept joined

	hashBytes = len(leaf.Hash{})
	tileBytes = tileWidth * hashBytes
	fullBytes = tileBytes + tileBytes/groupWidth // with its groups
)

// tile is a hash tile, full or not. Each full group of 16 hashes is kept joined
// too: so the path of one leaf through a tile costs at most 22 hashes, not 247.
type tile struct {
	hashes []byte // of 32 bytes each
	groups []byte
}

func newTile(hashes []byte) tile {
	t := tile{hashes: hashes}
	for group := groupWidth * hashBytes; len(hashes) >= group; hashes = hashes[group:] {
		h := joinAll(hashes[:group])
		t.groups = append(t.groups, h[:]...)
	}
	return t
}

// bytes is what the store keeps of a full tile: its hashes, then its groups.
func (t tile) bytes() []byte {
	return append(append(make([]byte, 0, fullBytes), t.hashes...), t.groups...)
}

func parseTile(data []byte) (tile, error) {
	if len(data) != fullBytes {
		return tile{}, fmt.Errorf("tile of %d bytes, want %d", len(data), fullBytes)
	}
	return tile{data[:tileBytes], data[tileBytes:]}, nil
}

// joined is the root of the n hashes from one on; n is a power of two, and
// divides from.
func (t tile) joined(from, n int) (h leaf.Hash, ok bool) {
	if from+n > len(t.hashes)/hashBytes {
		return h, false
	}
	row := t.hashes
	if n >= groupWidth {
		row, from, n = t.groups, from/groupWidth, n/groupWidth
	}
	return joinAll(row[from*hashBytes : (from+n)*hashBytes]), true
}

// joinAll is the root of a perfect subtree; the number of its hashes is a
// power of two.
func joinAll(hashes []byte) leaf.Hash {
	if len(hashes) == hashBytes {
		return leaf.Hash(hashes)
	}
	half := len(hashes) / 2
	return leaf.Join(joinAll(hashes[:half]), joinAll(hashes[half:]))
}

// tree is the log's RFC 6962 tree at one size: an immutable value. The hashes
// at level 0, 8, 16, … lie in full tiles in the store; those that fill no
// tile yet, at most 255 a level, are kept here.
type tree struct {
	size uint64
	edge []tile // by tile level; edge[l] has (size >> 8l) mod 256 hashes
}

// appended is the tree with more leaves, and the tiles that became full.
func (t *tree) appended(hashes []leaf.Hash) (*tree, []store.Tile) {
	next := &tree{size: t.size + uint64(len(hashes))}
	var full []store.Tile
	for level := 0; level < len(t.edge) || len(hashes) > 0; level++ {
		var row []byte
		if level < len(t.edge) {
			row = append(row, t.edge[level].hashes...) // never into the old tree's memory
		}
		for i := range hashes {
			row = append(row, hashes[i][:]...)
		}
		n := (t.size >> (tileHeight * level)) / tileWidth
		hashes = nil
		for ; len(row) >= tileBytes; row = row[tileBytes:] {
			tile := newTile(row[:tileBytes])
			full = append(full, store.Tile{Level: level, N: n, Data: tile.bytes()})
			n++
			hashes = append(hashes, joinAll(tile.groups))
		}
		next.edge = append(next.edge, newTile(bytes.Clone(row)))
	}
	return next, full
}

// tile is a full one from the store, read into *buffer, or what the edge has of it.
func (t *tree) tile(s store.Store, buffer *[]byte, level int, n uint64) (_ tile, err error) {
	count := uint64(0)
	if level < 8 {
		count = t.size >> (tileHeight * level)
	}
	switch {
	case n < count/tileWidth:
		if *buffer, err = s.Tile((*buffer)[:0], level, n); err != nil {
			return tile{}, fmt.Errorf("reading tile %d at level %d: %w", n, level, err)
		}
		return parseTile(*buffer)
	case n == count/tileWidth && level < len(t.edge):
		return t.edge[level], nil
	}
	return tile{}, store.ErrNotFound
}

// hashes are the first width ones of a tile, of 32 bytes each, if it has them.
func (t *tree) hashes(s store.Store, level int, n uint64, width int) ([]byte, error) {
	tile, err := t.tile(s, new([]byte), level, n)
	if err != nil {
		return nil, err
	}
	if width < 1 || width*hashBytes > len(tile.hashes) {
		return nil, store.ErrNotFound
	}
	return tile.hashes[:width*hashBytes], nil
}

// nodes reads a tree's nodes. Of each level it keeps the tile that it read
// last: a proof's nodes are asked for from left to right, so each tile is read
// once.
type nodes struct {
	*tree
	store store.Store
	last  []read // by tile level
}

type read struct {
	tile
	n      uint64
	buffer []byte
}

// reader is an answer.NodeFunc over the tree, for one goroutine.
func (t *tree) reader(s store.Store) answer.NodeFunc { return (&nodes{tree: t, store: s}).node }

func (r *nodes) node(level uint, index uint64) (leaf.Hash, error) {
	tileLevel, within := int(level/tileHeight), level%tileHeight
	first := index << within
	tile, err := r.tileAt(tileLevel, first/tileWidth)
	if err != nil {
		return leaf.Hash{}, err
	}
	h, ok := tile.joined(int(first%tileWidth), 1<<within)
	if !ok {
		return leaf.Hash{}, fmt.Errorf("no node %d at level %d in a tree of %d leaves", index, level, r.size)
	}
	return h, nil
}

func (r *nodes) tileAt(level int, n uint64) (t tile, err error) {
	for len(r.last) <= level {
		r.last = append(r.last, read{})
	}
	last := &r.last[level]
	if last.hashes == nil || last.n != n {
		last.hashes = nil // the buffer is about to change
		if last.tile, err = r.tile(r.store, &last.buffer, level, n); err != nil {
			return tile{}, err
		}
		last.n = n
	}
	return last.tile, nil
}

func (t *tree) root(s store.Store) (leaf.Hash, error) {
	return answer.Range(0, t.size, t.reader(s))
}

// leafAt reads and parses one leaf of a store.
func leafAt(s store.Store, position uint64) (data []byte, l leaf.Leaf, err error) {
	for b, err := range s.Leaves(position, position+1) {
		if err != nil {
			return nil, nil, err
		}
		data = bytes.Clone(b)
	}
	l, err = leaf.Parse(data)
	return data, l, err
}

// loadTree rebuilds the edges from the store: level 0 from the leaves beyond
// the last full tile, each higher level from the full tiles below it.
func loadTree(s store.Store, size uint64) (*tree, error) {
	t := &tree{size: size}
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		count := size >> (tileHeight * level)
		var edge []byte
		if level == 0 {
			for b, err := range s.Leaves(count-count%tileWidth, count) {
				if err != nil {
					return nil, fmt.Errorf("reading the log's last leaves: %w", err)
				}
				h := leaf.HashOf(b)
				edge = append(edge, h[:]...)
			}
		} else {
			for i := count - count%tileWidth; i < count; i++ {
				below, err := t.hashes(s, level-1, i, tileWidth)
				if err != nil {
					return nil, err
				}
				h := joinAll(below)
				edge = append(edge, h[:]...)
			}
		}
		t.edge = append(t.edge, newTile(edge))
	}
	return t, nil
}
