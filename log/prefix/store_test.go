package prefix_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// TestSpoiledStore changes what the store gives: neither a tree nor a proof
// may come of it.
func TestSpoiledStore(t *testing.T) {
	r := random(8)
	leaves := leavesOf(randomIndexes(r, 300), 0)
	errDisk := errors.New("disk")
	for label, c := range map[string]struct {
		spoil func([]prefix.Leaf) []prefix.Leaf
		err   error
		want  error
	}{
		"nothing changed":     {func(l []prefix.Leaf) []prefix.Leaf { return l }, nil, nil},
		"a read error":        {nil, errDisk, errDisk},
		"all leaves lost":     {func([]prefix.Leaf) []prefix.Leaf { return nil }, nil, prefix.ErrStore},
		"the first leaf lost": {func(l []prefix.Leaf) []prefix.Leaf { return l[1:] }, nil, prefix.ErrStore},
		"the last leaf lost":  {func(l []prefix.Leaf) []prefix.Leaf { return l[:len(l)-1] }, nil, prefix.ErrStore},
		"a changed hash":      {func(l []prefix.Leaf) []prefix.Leaf { l[1].Hash[31] ^= 1; return l }, nil, prefix.ErrStore},
		"a hidden leaf":       {func(l []prefix.Leaf) []prefix.Leaf { l[1].Position = 1 << 40; return l }, nil, prefix.ErrStore},
		"a leaf twice":        {func(l []prefix.Leaf) []prefix.Leaf { return slices.Insert(l, 1, l[1]) }, nil, prefix.ErrStore},
		"255 bits shared": {func(l []prefix.Leaf) []prefix.Leaf {
			l[1].Index[31] &^= 1
			twin := l[1]
			twin.Index[31] |= 1
			return slices.Insert(l, 2, twin)
		}, nil, prefix.ErrStore},
		"a leaf too many": {func(l []prefix.Leaf) []prefix.Leaf {
			twin := l[1]
			twin.Index = flip(twin.Index, 200)
			l = append(l, twin)
			slices.SortFunc(l, func(a, b prefix.Leaf) int { return slices.Compare(a.Index[:], b.Index[:]) })
			return l
		}, nil, prefix.ErrStore},
		"out of order": {func(l []prefix.Leaf) []prefix.Leaf { l[0], l[1] = l[1], l[0]; return l }, nil, prefix.ErrStore},
		"a leaf twice, apart": {func(l []prefix.Leaf) []prefix.Leaf {
			l[1].Index[25] &^= 0x80 // bit 200
			twin := l[1]
			twin.Index = flip(twin.Index, 200)
			return slices.Insert(l, 2, twin, l[1])
		}, nil, prefix.ErrStore},
		"all in another prefix": {func(l []prefix.Leaf) []prefix.Leaf {
			for i := range l {
				l[i].Index = flip(l[i].Index, 0)
			}
			return l
		}, nil, prefix.ErrStore},
		"in another prefix": {func(l []prefix.Leaf) []prefix.Leaf { l[1].Index = flip(l[1].Index, 0); return l }, nil, prefix.ErrStore},
	} {
		t.Run(label, func(t *testing.T) {
			store := newMemory(leaves)
			tree := must[*prefix.Tree](t)(prefix.Build(store.all(), 300))
			store.spoil, store.err = c.spoil, c.err
			if _, err := tree.Update(store, leavesOf(randomIndexes(r, 3), 300), 400); !errors.Is(err, c.want) {
				t.Errorf("update: %v, want %v", err, c.want)
			}
			for _, i := range []name.Index{leaves[5].Index, randomIndex(r), flip(leaves[5].Index, 255)} {
				if p, err := tree.Prove(store, truth(entries(leaves), []name.Index{i})); !errors.Is(err, c.want) || p != nil && c.want != nil {
					t.Errorf("prove: %v, want %v", err, c.want)
				}
			}
		})
	}
}

func TestSpoiledValue(t *testing.T) {
	r := random(9)
	leaves := leavesOf(randomIndexes(r, 300), 0)
	store := newMemory(leaves)
	tree := must[*prefix.Tree](t)(prefix.Build(store.all(), 300))
	near := flip(leaves[5].Index, 255)
	store.badValues = true
	if _, err := tree.Prove(store, truth(entries(leaves), []name.Index{near})); !errors.Is(err, prefix.ErrStore) {
		t.Errorf("a changed value: %v", err)
	}
	store.badValues, store.badIndex = false, true
	if _, err := tree.Prove(store, truth(entries(leaves), []name.Index{near})); !errors.Is(err, prefix.ErrStore) {
		t.Errorf("a changed index: %v", err)
	}
	store.badIndex, store.valueErr = false, errors.New("disk")
	if _, err := tree.Prove(store, truth(entries(leaves), []name.Index{near})); !errors.Is(err, store.valueErr) {
		t.Errorf("an unreadable value: %v", err)
	}
	if _, err := tree.Prove(store, truth(entries(leaves), []name.Index{leaves[5].Index})); err != nil {
		t.Errorf("presence, which needs no value: %v", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	leaves := leavesOf(randomIndexes(random(10), 300), 0)
	store := newMemory(leaves)
	errDisk := errors.New("disk")
	_, err := prefix.Build(func(yield func(prefix.Leaf, error) bool) {
		for _, l := range store.leaves[:100] {
			if !yield(l, nil) {
				return
			}
		}
		yield(prefix.Leaf{}, errDisk)
	}, 300)
	if !errors.Is(err, errDisk) {
		t.Errorf("an error while reading: %v", err)
	}
	for _, at := range []int{0, 31, 32, 33, 298} {
		m := newMemory(leaves)
		m.leaves[at], m.leaves[at+1] = m.leaves[at+1], m.leaves[at]
		if _, err := prefix.Build(m.all(), 300); !errors.Is(err, prefix.ErrStore) {
			t.Errorf("leaves %d and %d swapped: %v", at, at+1, err)
		}
	}
}

// TestBuildReadsNoMore: an iterator has ended when Build returns, whether it
// was read to its end or not.
func TestBuildReadsNoMore(t *testing.T) {
	leaves := newMemory(leavesOf(randomIndexes(random(12), 20_000), 0)).leaves
	for label, c := range map[string]struct {
		change func([]prefix.Leaf)
		want   error
	}{
		"all":         {func([]prefix.Leaf) {}, nil},
		"unsorted":    {func(l []prefix.Leaf) { l[3], l[4] = l[4], l[3] }, prefix.ErrStore},
		"twice, late": {func(l []prefix.Leaf) { l[19_000] = l[18_999] }, prefix.ErrRepeated},
	} {
		mine := slices.Clone(leaves)
		c.change(mine)
		running, yielded := true, 0
		tree, err := prefix.Build(func(yield func(prefix.Leaf, error) bool) {
			defer func() { running = false }()
			for _, l := range mine {
				if yielded++; !yield(l, nil) {
					return
				}
			}
		}, 20_000)
		if !errors.Is(err, c.want) || err == nil && tree.Len() != 20_000 {
			t.Errorf("%s: %v", label, err)
		}
		if running || label == "unsorted" && yielded > 5_000 {
			t.Errorf("%s: after Build, the iterator runs: %t; it gave %d leaves", label, running, yielded)
		}
	}
}
