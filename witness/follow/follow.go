// Package follow reads the leaves of a log in order, as auditors and monitors
// do: from entry bundles and hash tiles alone (C2SP tlog-tiles), and none
// before it is known to lie in the tree of one signed checkpoint.
//
//	checkpoint's root
//	   ↑ recomputed from the right edge: what fills no tile yet, at most 255 hashes a level
//	full tile of level 2, 1       one hash of the level above, or of the edge, is its hash
//	   ↑
//	full bundle of 256 leaves     one hash of a level 1 tile
//	partial bundle                the edge of level 0, hash by hash
//
// So full bundles need no tile of level 0: an EVENT costs 67 bytes and an
// eighth of one. No inclusion proof is taken from the log, whose shape would
// not bind the size: every hash here is computed from below.
package follow

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// Source is where a log's public files come from: a *client.Client. Nothing
// that it returns is believed. It bounds what it reads by the width asked for,
// and says client.ErrNotFound for a file that is not there.
type Source interface {
	Checkpoint(ctx context.Context) ([]byte, error)
	Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error)
	Entries(ctx context.Context, n uint64, width int) ([]byte, error)
}

var _ Source = (*client.Client)(nil)

// ErrForged says that a file is not the one that lies under the checkpoint.
// That convicts nobody, since whoever stands between could have changed it: it
// is an alarm, and a later try may find the right one.
var ErrForged = errors.New("the log serves what its checkpoint does not contain")

const (
	height = 8 // levels of the tree that a tile spans
	width  = tile.Full
)

// Tree is the log's tree under one checkpoint. One goroutine at a time uses it.
type Tree struct {
	source Source
	at     checkpoint.Checkpoint
	edge   [][]leaf.Hash // by level of tiles: the last (size >> 8·level) mod 256 hashes
	tiles  map[place][]leaf.Hash
	last   Bundle // the one that Leaf read last
}

type place struct {
	level int
	n     uint64
}

// Open reads the right edge of the checkpoint's tree, and recomputes the root
// from it. Whether the log signed the checkpoint is the caller's to know.
func Open(ctx context.Context, source Source, at checkpoint.Checkpoint) (*Tree, error) {
	if source == nil {
		return nil, errors.New("the log's public files are not at hand")
	}
	t := &Tree{source: source, at: at, tiles: make(map[place][]leaf.Hash)}
	if at.Size == 0 || at.Size >= leaf.MaxCount {
		return nil, fmt.Errorf("reading a tree of %d leaves: want 1 to 2^63-1", at.Size)
	}
	for level := 0; at.Size>>(height*level) > 0; level++ {
		var edge []leaf.Hash
		if w := int(at.Size >> (height * level) % width); w > 0 {
			var err error
			if edge, err = t.fetch(ctx, level, at.Size>>(height*level)/width, w); err != nil {
				return nil, err
			}
		}
		t.edge = append(t.edge, edge)
	}
	root, err := t.RootAt(ctx, at.Size)
	if err != nil {
		return nil, err
	}
	if root != at.Root {
		return nil, fmt.Errorf("reading the tree of %d leaves: %w: its last tiles give another root", at.Size, ErrForged)
	}
	return t, nil
}

// Checkpoint is the one that the tree lies under.
func (t *Tree) Checkpoint() checkpoint.Checkpoint { return t.at }

// RootAt is the root that this tree had at an earlier size, 1 up to its own.
func (t *Tree) RootAt(ctx context.Context, size uint64) (name.TreeRoot, error) {
	if size == 0 || size > t.at.Size {
		return name.TreeRoot{}, fmt.Errorf("root at size %d of a tree of %d leaves", size, t.at.Size)
	}
	root, err := answer.Range(0, size, t.node(ctx))
	return name.TreeRoot(root), err
}

// Path is the audit path of the leaf at a position, leaf to root (RFC 6962
// section 2.1.1).
func (t *Tree) Path(ctx context.Context, position uint64) ([]leaf.Hash, error) {
	if position >= t.at.Size {
		return nil, fmt.Errorf("path of leaf %d in a tree of %d leaves", position, t.at.Size)
	}
	return answer.Path(position, t.at.Size, t.node(ctx))
}

// Consistency is the proof from the root that this tree had at an earlier
// size (RFC 6962 section 2.1.2).
func (t *Tree) Consistency(ctx context.Context, from uint64) ([]leaf.Hash, error) {
	if from == 0 || from > t.at.Size {
		return nil, fmt.Errorf("consistency from size %d to a tree of %d leaves", from, t.at.Size)
	}
	return answer.Consistency(from, t.at.Size, t.node(ctx))
}

// node is an answer.NodeFunc over authenticated tiles.
func (t *Tree) node(ctx context.Context) answer.NodeFunc {
	return func(level uint, index uint64) (leaf.Hash, error) {
		within := level % height
		first := index << within
		hashes, err := t.hashes(ctx, int(level/height), first/width)
		if err != nil {
			return leaf.Hash{}, err
		}
		from, n := int(first%width), 1<<within
		if from+n > len(hashes) {
			return leaf.Hash{}, fmt.Errorf("no node %d at level %d in a tree of %d leaves", index, level, t.at.Size)
		}
		return join(hashes[from : from+n]), nil
	}
}

// hashes is a tile: the edge's, or a full one that the level above vouches for.
func (t *Tree) hashes(ctx context.Context, level int, n uint64) ([]leaf.Hash, error) {
	if level >= len(t.edge) {
		return nil, fmt.Errorf("no tile of level %d in a tree of %d leaves", level, t.at.Size)
	}
	switch full := t.at.Size >> (height * level) / width; {
	case n == full:
		return t.edge[level], nil
	case n > full:
		return nil, fmt.Errorf("no tile %d of level %d in a tree of %d leaves", n, level, t.at.Size)
	}
	if have, ok := t.tiles[place{level, n}]; ok {
		return have, nil
	}
	above, err := t.hashes(ctx, level+1, n/width)
	if err != nil {
		return nil, err
	}
	have, err := t.fetch(ctx, level, n, width)
	if err != nil {
		return nil, err
	}
	if join(have) != above[n%width] {
		return nil, fmt.Errorf("tile %d of level %d: %w", n, level, ErrForged)
	}
	if len(t.tiles) >= maxTiles {
		for p := range t.tiles { // any one: what is needed again is fetched again
			delete(t.tiles, p)
			break
		}
	}
	t.tiles[place{level, n}] = have
	return have, nil
}

// fetch reads a tile that nothing vouches for yet.
func (t *Tree) fetch(ctx context.Context, level int, n uint64, w int) ([]leaf.Hash, error) {
	data, err := read(ctx, w, func(ctx context.Context, w int) ([]byte, error) {
		data, err := t.source.Tile(ctx, level, n, w)
		if err == nil && len(data) != w*tile.HashSize {
			err = fmt.Errorf("tile %d of level %d has %d bytes: want %d hashes", n, level, len(data), w)
		}
		return data, err
	})
	if err != nil {
		return nil, err
	}
	hashes := make([]leaf.Hash, w)
	for i := range hashes {
		hashes[i] = leaf.Hash(data[i*tile.HashSize:])
	}
	return hashes, nil
}

// read gets a file of some width. A log may drop a partial one once the full
// one is there, which begins with it (C2SP tlog-tiles).
func read(ctx context.Context, w int, get func(context.Context, int) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTime)
	defer cancel()
	data, err := get(ctx, w)
	if w < width && errors.Is(err, client.ErrNotFound) {
		return get(ctx, width)
	}
	return data, err
}

// join is the root of a perfect subtree; it overwrites nothing. The number of
// hashes is a power of two.
func join(hashes []leaf.Hash) leaf.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	row := make([]leaf.Hash, len(hashes)/2)
	for i := range row {
		row[i] = leaf.Join(hashes[2*i], hashes[2*i+1])
	}
	for ; len(row) > 1; row = row[:len(row)/2] {
		for i := range len(row) / 2 {
			row[i] = leaf.Join(row[2*i], row[2*i+1])
		}
	}
	return row[0]
}

// Leaf is one leaf with its place.
type Leaf struct {
	Position uint64
	Bytes    []byte // shared with the leaf's bundle
}

// Leaves yields the leaves from a position up to the checkpoint's size, each
// after it was authenticated. An error ends it: ErrForged, or that a file could
// not be read.
func Leaves(ctx context.Context, source Source, at checkpoint.Checkpoint, from uint64) iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) {
		t, err := Open(ctx, source, at)
		if err != nil {
			yield(Leaf{}, err)
			return
		}
		for b, err := range t.Bundles(ctx, from) {
			if err != nil {
				yield(Leaf{}, err)
				return
			}
			for i, data := range b.Leaves {
				if !yield(Leaf{b.First + uint64(i), data}, nil) {
					return
				}
			}
		}
	}
}
