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
)

// tree is the log's RFC 6962 tree at one size: an immutable value. The hashes
// at level 0, 8, 16, … lie in full tiles in the store; those that fill no
// tile yet, at most 255 a level, are kept here.
type tree struct {
	size uint64
	edge [][]leaf.Hash // by tile level; edge[l] has (size >> 8l) mod 256 hashes
}

// appended is the tree with more leaves, and the tiles that became full.
func (t *tree) appended(hashes []leaf.Hash) (*tree, []store.Tile) {
	next := &tree{size: t.size + uint64(len(hashes))}
	var full []store.Tile
	for level := 0; level < len(t.edge) || len(hashes) > 0; level++ {
		var edge []leaf.Hash
		if level < len(t.edge) {
			edge = append(edge, t.edge[level]...) // never into the old tree's memory
		}
		first := (t.size >> (tileHeight * level)) / tileWidth
		edge = append(edge, hashes...)
		hashes = nil
		for ; len(edge) >= tileWidth; edge = edge[tileWidth:] {
			data := make([]byte, 0, tileWidth*32)
			for _, h := range edge[:tileWidth] {
				data = append(data, h[:]...)
			}
			full = append(full, store.Tile{Level: level, N: first, Data: data})
			first++
			hashes = append(hashes, joinAll(edge[:tileWidth]))
		}
		next.edge = append(next.edge, append([]leaf.Hash(nil), edge...))
	}
	return next, full
}

// joinAll is the root of a perfect subtree; its length is a power of two.
func joinAll(hashes []leaf.Hash) leaf.Hash {
	row := append([]leaf.Hash(nil), hashes...)
	for ; len(row) > 1; row = row[:len(row)/2] {
		for i := range len(row) / 2 {
			row[i] = leaf.Join(row[2*i], row[2*i+1])
		}
	}
	return row[0]
}

// node is an answer.NodeFunc over the tree.
func (t *tree) node(s store.Store, level uint, index uint64) (leaf.Hash, error) {
	tileLevel, within := int(level/tileHeight), level%tileHeight
	first := index << within
	hashes, err := t.hashes(s, tileLevel, first/tileWidth, 0)
	if err != nil {
		return leaf.Hash{}, err
	}
	from, n := int(first%tileWidth), 1<<within
	if from+n > len(hashes) {
		return leaf.Hash{}, fmt.Errorf("no node %d at level %d in a tree of %d leaves", index, level, t.size)
	}
	return joinAll(hashes[from : from+n]), nil
}

// reader is node bound to a store.
func (t *tree) reader(s store.Store) answer.NodeFunc {
	return func(level uint, index uint64) (leaf.Hash, error) { return t.node(s, level, index) }
}

// hashes is a tile: full from the store, or what the edge has of it. width 0
// takes what there is; any other width is served only if the tile has it.
func (t *tree) hashes(s store.Store, level int, n uint64, width int) ([]leaf.Hash, error) {
	count := uint64(0)
	if level < 8 {
		count = t.size >> (tileHeight * level)
	}
	var have []leaf.Hash
	switch {
	case n < count/tileWidth:
		data, err := s.Tile(level, n)
		if err != nil {
			return nil, fmt.Errorf("reading tile %d at level %d: %w", n, level, err)
		}
		have = make([]leaf.Hash, tileWidth)
		for i := range have {
			have[i] = leaf.Hash(data[i*32:])
		}
	case n == count/tileWidth && level < len(t.edge):
		have = t.edge[level]
	}
	if len(have) == 0 || width > len(have) {
		return nil, store.ErrNotFound
	}
	if width > 0 {
		have = have[:width]
	}
	return have, nil
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
		edge := make([]leaf.Hash, 0, count%tileWidth)
		if level == 0 {
			for b, err := range s.Leaves(count-count%tileWidth, count) {
				if err != nil {
					return nil, fmt.Errorf("reading the log's last leaves: %w", err)
				}
				edge = append(edge, leaf.HashOf(b))
			}
		} else {
			for i := count - count%tileWidth; i < count; i++ {
				below, err := t.hashes(s, level-1, i, tileWidth)
				if err != nil {
					return nil, err
				}
				edge = append(edge, joinAll(below))
			}
		}
		t.edge = append(t.edge, edge)
	}
	return t, nil
}
