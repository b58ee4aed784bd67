package prefix_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// TestLikeInMemory: the tree keeps the first 8 bytes of an index in memory.
// Whoever makes indexes that begin alike gets the tree of the model, and pays
// with reads.
func TestLikeInMemory(t *testing.T) {
	r := random(82)
	leaves := leavesOf(randomIndexes(r, 500), 0)
	for label, depths := range map[string][]int{
		"with the 64 bits that are kept": {64, 100, 254}, "with one bit less": {63, 62, 0},
	} {
		store := newMemory(leaves)
		tree := must[*prefix.Tree](t)(prefix.BuildWith(prefix.Memory{Bucket: 64, Held: 1 << 20}, store.all(), 500))
		var batch []prefix.Leaf
		for i, depth := range depths {
			like := leafAt(flip(leaves[i].Index, depth), uint64(500+i))
			batch = append(batch, like)
		}
		next := must[*prefix.Tree](t)(tree.Update(store, batch, 600))
		if read := store.scans > 0; read != (depths[0] >= 64) {
			t.Errorf("alike %s: the store was read: %t", label, read)
		}
		if left := prefix.Held(next); (left == 503) != (depths[0] < 64) {
			t.Errorf("alike %s: %d leaves are in memory", label, left)
		}
		store.add(batch)
		in := entries(append(slices.Clone(leaves), batch...))
		if next.Root() != name.PrefixRoot(modelRoot(in, 0)) {
			t.Fatalf("alike %s: another root", label)
		}
		checkProofs(t, next, store, in, r)
		checkProofs(t, must[*prefix.Tree](t)(prefix.BuildWith(prefix.Memory{Bucket: 64, Held: 1 << 20}, store.all(), 600)), store, in, r)
		// What begins like a leaf in memory and is none of them is absent.
		asked := []name.Index{flip(leaves[9].Index, 70), leaves[9].Index, flip(leaves[9].Index, 255), flip(leaves[9].Index, 63)}
		checkProof(t, next, store, in, asked)
	}
}

// TestProveOnlyTheTruth: what is to be proven and is not so is refused, from
// memory and from the store, and the store is not to be trusted any more.
func TestProveOnlyTheTruth(t *testing.T) {
	r := random(83)
	leaves := leavesOf(randomIndexes(r, 500), 0)
	store, in := newMemory(leaves), entries(leaves)
	there, gone := leaves[3].Index, flip(leaves[3].Index, 130)
	missing := flip(leaves[3].Index, 1)
	for ; truthAt(in, missing) != prefix.NonInclusionParent; missing = randomIndex(r) {
	}
	for _, held := range []int{0, 1 << 20} {
		tree := must[*prefix.Tree](t)(prefix.BuildWith(prefix.Memory{Bucket: 64, Held: held}, store.all(), 500))
		for label, q := range map[string]prefix.Query{
			"a leaf, absent":                    {Index: there},
			"a leaf with another value":         {Index: there, Present: true, Value: valueAt(4)},
			"another leaf's value":              {Index: leaves[4].Index, Present: true, Value: valueAt(3)},
			"one that begins like a leaf":       {Index: gone, Present: true, Value: valueAt(3)},
			"one that would be at an empty end": {Index: missing, Present: true, Value: valueAt(3)},
		} {
			if p, err := tree.Prove(store, []prefix.Query{{Index: leaves[8].Index, Present: true, Value: valueAt(8)}, q}); p != nil || !errors.Is(err, prefix.ErrStore) {
				t.Errorf("%d in memory, %s: %v", held, label, err)
			}
		}
	}
}

// truthAt is the kind of the one right result for an index.
func truthAt(in []entry, i name.Index) prefix.Kind {
	return prefix.Kind(modelProof(in, []name.Index{i})[1])
}
