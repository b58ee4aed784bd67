package prefix_test

import (
	"testing"

	"github.com/musterlog/muster/log/prefix"
)

// TestFind: a tree finds the leaves that it has in memory, and an index that
// begins like one of them; nothing else.
func TestFind(t *testing.T) {
	r := random(84)
	leaves := leavesOf(randomIndexes(r, 900), 0)
	for _, held := range []int{0, 500, 1 << 20} {
		store := newMemory(leaves[:700])
		tree := must[*prefix.Tree](t)(prefix.BuildWith(prefix.Memory{Bucket: 16, Held: held}, store.all(), 700))
		tree = must[*prefix.Tree](t)(tree.Update(store, leaves[700:800], 800))
		found := 0
		for i, l := range leaves {
			position, ok := tree.Find(l.Index)
			if ok && (position != l.Position || i >= 800) {
				t.Fatalf("%d in memory: leaf %d of 800 was found at position %d", held, i, position)
			}
			if like, also := tree.Find(flip(l.Index, 64)); like != position || also != ok {
				t.Fatalf("%d in memory: one that begins like leaf %d: %d, %t; want %d, %t", held, i, like, also, position, ok)
			}
			if _, ok := tree.Find(flip(l.Index, 63)); ok {
				t.Fatalf("%d in memory: one that begins otherwise than leaf %d was found", held, i)
			}
			if ok {
				found++
			}
		}
		if found != prefix.Held(tree) {
			t.Errorf("%d leaves were found, %d are in memory", found, prefix.Held(tree))
		}
	}
}
