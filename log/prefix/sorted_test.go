package prefix_test

import (
	"bytes"
	"iter"
	"slices"
	"sort"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// sortedStore is a fast store of leaves that stay as they are.
type sortedStore struct {
	leaves  []prefix.Leaf
	indexes []name.Index // by position
	scans   int
}

func newSorted(indexes []name.Index) *sortedStore {
	s := &sortedStore{leaves: leavesOf(indexes, 0), indexes: indexes}
	slices.SortFunc(s.leaves, func(a, b prefix.Leaf) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	return s
}

func (s *sortedStore) between(p name.Index, depth int) (from, to int) {
	low, high := p, p
	for d := depth; d < 256; d++ {
		low[d/8] &^= 1 << (7 - d%8)
		high[d/8] |= 1 << (7 - d%8)
	}
	from = sort.Search(len(s.leaves), func(i int) bool { return bytes.Compare(s.leaves[i].Index[:], low[:]) >= 0 })
	to = sort.Search(len(s.leaves), func(i int) bool { return bytes.Compare(s.leaves[i].Index[:], high[:]) > 0 })
	return from, to
}

func (s *sortedStore) Range(dst []prefix.Leaf, p name.Index, depth int) ([]prefix.Leaf, error) {
	s.scans++
	from, to := s.between(p, depth)
	return append(dst, s.leaves[from:to]...), nil
}

func (s *sortedStore) Full(l prefix.Leaf) (name.Index, name.Value, error) {
	return s.indexes[l.Position], valueAt(l.Position), nil
}

func (s *sortedStore) all() iter.Seq2[prefix.Leaf, error] {
	return func(yield func(prefix.Leaf, error) bool) {
		for _, l := range s.leaves {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// bucket names the bucket, by its first leaf, that an index falls into: the
// shortest prefix of the index that at most so many leaves share. −1: none.
func (s *sortedStore) bucket(most int, i name.Index) int {
	for depth := 0; ; depth++ {
		if from, to := s.between(i, depth); to == from {
			return -1
		} else if to-from <= most {
			return from
		}
	}
}
