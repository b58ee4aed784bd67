package prefix_test

import (
	"bytes"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// TestBuckets: how many leaves a bucket holds shows in nothing but the work.
func TestBuckets(t *testing.T) {
	r := random(77)
	first, second := leavesOf(randomIndexes(r, 400), 0), leavesOf(randomIndexes(r, 300), 400)
	asked := []name.Index{first[7].Index, second[9].Index, randomIndex(r), randomIndex(r)}
	var root name.PrefixRoot
	var proof []byte
	for _, most := range []int{32, 1, 2, 8, 255} {
		store := newMemory(first)
		tree := must[*prefix.Tree](t)(prefix.BuildWith(most, store.all(), 400))
		tree = must[*prefix.Tree](t)(tree.Update(store, second, 700))
		store.add(second)
		again := must[*prefix.Tree](t)(prefix.BuildWith(most, store.all(), 700))
		p := must[*prefix.Proof](t)(tree.Prove(store, asked)).Bytes()
		if most == 32 {
			root, proof = tree.Root(), p
		}
		if tree.Root() != root || again.Root() != root || !bytes.Equal(p, proof) {
			t.Errorf("buckets of %d give another root or proof", most)
		}
	}
	for _, most := range []int{-1, 0, 256} {
		if _, err := prefix.BuildWith(most, newMemory(nil).all(), 0); err == nil {
			t.Errorf("buckets of %d were built", most)
		}
	}
}
