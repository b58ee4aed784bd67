package follow

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/leaf"
)

// Bundle is leaves that follow each other, at most 256.
type Bundle struct {
	First  uint64 // position of the first
	Leaves [][]byte
}

// Bundles yields the leaves from a position up to the tree's size, in the
// bundles in which the log serves them. Some are fetched ahead; none is read
// by the caller before it was authenticated. An error ends it. When the loop
// ends, nothing is running any more.
func (t *Tree) Bundles(ctx context.Context, from uint64) iter.Seq2[Bundle, error] {
	return func(yield func(Bundle, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()

		var queue []chan fetched
		for next := from / width; ; {
			for ; len(queue) < ahead && next*width < t.at.Size; next++ {
				want, err := t.expected(ctx, next)
				c := make(chan fetched, 1)
				queue = append(queue, c)
				if err != nil {
					c <- fetched{err: err}
					next = t.at.Size/width + 1 // nothing after it
					break
				}
				n := next
				running.Go(func() { c <- t.bundle(ctx, n, want) })
			}
			if len(queue) == 0 {
				return
			}
			f := <-queue[0]
			queue = queue[1:]
			if f.err != nil {
				yield(Bundle{}, f.err)
				return
			}
			if f.First < from {
				f.Leaves = f.Leaves[from-f.First:]
				f.First = from
			}
			if len(f.Leaves) > 0 && !yield(f.Bundle, nil) {
				return
			}
		}
	}
}

// Leaves yields the leaves of Bundles one by one.
func (t *Tree) Leaves(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for b, err := range t.Bundles(ctx, from) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, data := range b.Leaves {
				if !yield(data, nil) {
					return
				}
			}
		}
	}
}

// Leaf reads the one leaf at a position. Its neighbours are then at hand.
func (t *Tree) Leaf(ctx context.Context, position uint64) ([]byte, error) {
	if position >= t.at.Size {
		return nil, fmt.Errorf("leaf %d in a tree of %d leaves", position, t.at.Size)
	}
	first := position - position%width
	if t.last.Leaves == nil || t.last.First != first {
		want, err := t.expected(ctx, position/width)
		if err != nil {
			return nil, err
		}
		f := t.bundle(ctx, position/width, want)
		if f.err != nil {
			return nil, f.err
		}
		t.last = f.Bundle
	}
	return t.last.Leaves[position-first], nil
}

type fetched struct {
	Bundle
	err error
}

// vouched is what the tree says about a bundle: the hash of a full one, or
// each leaf's hash.
type vouched struct {
	full   bool
	whole  leaf.Hash
	leaves []leaf.Hash
}

func (t *Tree) expected(ctx context.Context, n uint64) (vouched, error) {
	if n >= t.at.Size/width {
		return vouched{leaves: t.edge[0]}, nil
	}
	above, err := t.hashes(ctx, 1, n/width)
	if err != nil {
		return vouched{}, err
	}
	return vouched{full: true, whole: above[n%width]}, nil
}

// bundle fetches one and authenticates it. It runs beside others, and touches
// nothing of t that changes.
func (t *Tree) bundle(ctx context.Context, n uint64, want vouched) fetched {
	w := width
	if !want.full {
		w = len(want.leaves)
	}
	var entries [][]byte
	_, err := read(ctx, w, func(ctx context.Context, w int) (data []byte, err error) {
		if data, err = t.source.Entries(ctx, n, w); err == nil {
			entries, err = tile.CutEntries(data, w)
		}
		return data, err
	})
	if err != nil {
		return fetched{err: fmt.Errorf("bundle %d: %w", n, err)}
	}
	entries = entries[:w] // of a full one that stands in for a partial one
	hashes := make([]leaf.Hash, w)
	for i := range hashes {
		hashes[i] = leaf.HashOf(entries[i])
	}
	ok := true
	if want.full {
		ok = join(hashes) == want.whole
	} else {
		for i := range hashes {
			ok = ok && hashes[i] == want.leaves[i]
		}
	}
	if !ok {
		return fetched{err: fmt.Errorf("bundle %d: %w", n, ErrForged)}
	}
	return fetched{Bundle: Bundle{First: n * width, Leaves: entries}}
}
