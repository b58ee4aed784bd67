// Package followtest is the public files of a log in memory, made of any
// leaves whatever, fast enough for millions of them. Only tests import it.
package followtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// Files is a follow.Source and a server.Backend. It may be read by many
// goroutines, not while it is changed.
type Files struct {
	Note   []byte // what /checkpoint says
	Origin name.Origin
	leaves [][]byte
	levels [][]leaf.Hash // by level of tiles: each hash is of 256^level leaves
}

// New makes the files of a log with these leaves.
func New(origin name.Origin, leaves ...[]byte) *Files {
	f := &Files{Origin: origin}
	f.Append(leaves...)
	return f
}

// Append adds leaves.
func (f *Files) Append(leaves ...[]byte) {
	for _, data := range leaves {
		f.leaves = append(f.leaves, data)
		h := leaf.HashOf(data)
		for level := 0; ; level++ {
			if level == len(f.levels) {
				f.levels = append(f.levels, nil)
			}
			row := append(f.levels[level], h)
			f.levels[level] = row
			if len(row)%tile.Full != 0 {
				break
			}
			h = join(row[len(row)-tile.Full:])
		}
	}
}

func join(hashes []leaf.Hash) leaf.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return leaf.Join(join(hashes[:half]), join(hashes[half:]))
}

// Size is the number of leaves.
func (f *Files) Size() uint64 { return uint64(len(f.leaves)) }

// Leaf is a leaf's bytes.
func (f *Files) Leaf(position uint64) []byte { return f.leaves[position] }

// Root is the tree's root at a size of 1 or more.
func (f *Files) Root(size uint64) name.TreeRoot {
	root, err := answer.Range(0, size, f.Node)
	if err != nil {
		panic(err)
	}
	return name.TreeRoot(root)
}

// Node is an answer.NodeFunc.
func (f *Files) Node(level uint, index uint64) (leaf.Hash, error) {
	first := index << (level % 8)
	row := f.levels[level/8]
	if n := first + 1<<(level%8); n > uint64(len(row)) {
		return leaf.Hash{}, errors.New("no such node")
	}
	return join(row[first : first+1<<(level%8)]), nil
}

// Checkpoint is the Note.
func (f *Files) Checkpoint(context.Context) ([]byte, error) {
	if f.Note == nil {
		return nil, client.ErrNotFound
	}
	return f.Note, nil
}

// Tile is a hash tile of exactly this width.
func (f *Files) Tile(_ context.Context, level int, n uint64, width int) ([]byte, error) {
	if level >= len(f.levels) || n*tile.Full+uint64(width) > uint64(len(f.levels[level])) {
		return nil, fmt.Errorf("tile %d of level %d: %w", n, level, client.ErrNotFound)
	}
	var data []byte
	for _, h := range f.levels[level][n*tile.Full:][:width] {
		data = append(data, h[:]...)
	}
	return data, nil
}

// Entries is an entry bundle of exactly this width.
func (f *Files) Entries(_ context.Context, n uint64, width int) ([]byte, error) {
	if n*tile.Full+uint64(width) > f.Size() {
		return nil, fmt.Errorf("bundle %d: %w", n, client.ErrNotFound)
	}
	var data []byte
	for _, l := range f.leaves[n*tile.Full:][:width] {
		data = tile.AppendEntry(data, l)
	}
	return data, nil
}

// Backend serves the files through the real handlers (api/server).
func (f *Files) Backend() server.Backend { return backend{f} }

type backend struct{ *Files }

func (b backend) Checkpoint() []byte { return b.Note }

func (b backend) Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error) {
	data, err := b.Files.Tile(ctx, level, n, width)
	return data, found(err)
}

func (b backend) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	data, err := b.Files.Entries(ctx, n, width)
	return data, found(err)
}

func found(err error) error {
	if errors.Is(err, client.ErrNotFound) {
		return server.ErrNotFound
	}
	return err
}

func (b backend) Submit(context.Context, [][]byte, answer.Want) []answer.Outcome { return nil }

func (b backend) Admit([][]byte) server.Batch { return server.Settled(nil) }

func (b backend) Lookup(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("these are files only")
}

func (b backend) Info() server.Info { return server.Info{Origin: b.Origin, Size: b.Size()} }
