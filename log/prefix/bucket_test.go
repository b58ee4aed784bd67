package prefix_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// TestMemory: what a tree takes of memory shows in nothing but the work.
func TestMemory(t *testing.T) {
	r := random(77)
	first, second := leavesOf(randomIndexes(r, 400), 0), leavesOf(randomIndexes(r, 300), 400)
	asked := []name.Index{first[7].Index, second[9].Index, randomIndex(r), randomIndex(r)}
	all := append(first, second...)
	queries := truth(entries(all), asked)
	want := must[*prefix.Tree](t)(prefix.Build(newMemory(all).all(), 700))
	proof := must[*prefix.Proof](t)(want.Prove(newMemory(all), queries)).Bytes()
	for _, bucket := range []int{0, 1, 2, 8, 64, 255} {
		for _, held := range []int{0, 1, 100, 399, 500, 700, 1 << 20} {
			m := prefix.Memory{Bucket: bucket, Held: held}
			store := newMemory(first)
			tree := must[*prefix.Tree](t)(prefix.BuildWith(m, store.all(), 400))
			for i := 0; i < len(second); i += 50 {
				tree = must[*prefix.Tree](t)(tree.Update(store, second[i:i+50], uint64(450+i)))
				if n := prefix.Held(tree); n > held || held > 450+i && n != 450+i {
					t.Errorf("%+v: %d leaves are in memory", m, n)
				}
				store.add(second[i : i+50])
			}
			again := must[*prefix.Tree](t)(prefix.BuildWith(m, store.all(), 700))
			p := must[*prefix.Proof](t)(tree.Prove(store, queries)).Bytes()
			if tree.Root() != want.Root() || again.Root() != want.Root() || !bytes.Equal(p, proof) {
				t.Errorf("%+v: another root or proof", m)
			}
		}
	}
	for _, m := range []prefix.Memory{{Bucket: -1}, {Bucket: 256}, {Held: -1}} {
		if _, err := prefix.BuildWith(m, newMemory(nil).all(), 0); err == nil {
			t.Errorf("%+v: built", m)
		}
	}
}

// TestHeldIsNotRead: a tree that has all its leaves in memory reads none, and
// hashes less than one that has to check what it read. Half of them in memory,
// it finds what the store lost of the other half, and a repeated index in both.
func TestHeldIsNotRead(t *testing.T) {
	r := random(78)
	indexes := randomIndexes(r, 2000)
	leaves := leavesOf(indexes, 0)
	batch := leavesOf(randomIndexes(r, 200), 2000)
	joins := make(map[int]int)
	for _, held := range []int{0, 1000, 2000} {
		store := newMemory(leaves)
		tree := must[*prefix.Tree](t)(prefix.BuildWith(prefix.Memory{Bucket: 8, Held: held}, store.all(), 2000))
		_, n, err := prefix.UpdateCounted(tree, store, batch, 2200)
		if joins[held] = n; err != nil {
			t.Fatal(err)
		}
		if held == 2000 && store.scans > 0 || held < 2000 && store.scans == 0 {
			t.Errorf("%d in memory: the store was read %d times", held, store.scans)
		}
		repeated := 0
		for i := range indexes {
			twice := []prefix.Leaf{leafAt(flip(indexes[i], 255), 2000)}
			if _, err := tree.Update(store, twice, 2001); errors.Is(err, prefix.ErrRepeated) {
				repeated++
			}
		}
		if repeated != len(indexes) {
			t.Errorf("%d in memory: of %d indexes that repeat, %d were refused", held, len(indexes), repeated)
		}
		store.spoil = func(l []prefix.Leaf) []prefix.Leaf { return l[:len(l)-1] }
		found := 0
		for i := range batch {
			switch _, err := tree.Update(store, batch[i:i+1], 2200); {
			case errors.Is(err, prefix.ErrStore):
				found++
			case err != nil:
				t.Fatal(err)
			}
		}
		if least := map[int]int{0: 190, 1000: 60, 2000: 0}[held]; found < least || held == 2000 && found > 0 {
			t.Errorf("%d in memory: %d of %d updates found the loss", held, found, len(batch))
		}
	}
	if joins[2000] >= joins[1000] || joins[1000] >= joins[0] {
		t.Errorf("hashes with so many in memory: %v", joins)
	}
}

// TestFailedUpdateLeavesNothing: leaves of an epoch that was never kept are in
// no later tree, although another one takes their positions.
func TestFailedUpdateLeavesNothing(t *testing.T) {
	r := random(79)
	store := newMemory(leavesOf(randomIndexes(r, 500), 0))
	tree := must[*prefix.Tree](t)(prefix.BuildWith(prefix.Memory{Bucket: 8, Held: 1 << 20}, store.all(), 500))
	must[*prefix.Tree](t)(tree.Update(store, leavesOf(randomIndexes(r, 300), 500), 800)) // dropped
	batch := leavesOf(randomIndexes(r, 300), 500)
	tree = must[*prefix.Tree](t)(tree.Update(store, batch, 800))
	store.add(batch)
	if want := must[*prefix.Tree](t)(prefix.Build(store.all(), 800)); tree.Root() != want.Root() {
		t.Error("another root")
	}
}

// TestReplay: epochs in one pass give the trees of an Update each.
func TestReplay(t *testing.T) {
	for label, indexes := range sets() {
		for _, m := range []prefix.Memory{{Bucket: 1}, {Bucket: 8}, {Bucket: 8, Held: 50}, {Held: 1 << 20}, {Bucket: 64, Held: 1 << 20}, {Bucket: 255, Held: 1 << 20}} {
			t.Run(fmt.Sprintf("%s/%d/%d", label, m.Bucket, m.Held), func(t *testing.T) {
				r := random(80)
				leaves := leavesOf(indexes, 0)
				r.Shuffle(len(leaves), func(i, j int) { leaves[i].Position, leaves[j].Position = leaves[j].Position, leaves[i].Position })
				for i := range leaves { // their hashes follow from the positions
					leaves[i] = leafAt(leaves[i].Index, leaves[i].Position)
				}
				below := func(from, to uint64) (some []prefix.Leaf) {
					for _, l := range leaves {
						if from <= l.Position && l.Position < to {
							some = append(some, l)
						}
					}
					return some
				}
				n := uint64(len(leaves))
				begin := n / 3
				store := newMemory(below(0, begin))
				tree := must[*prefix.Tree](t)(prefix.BuildWith(m, store.all(), begin))
				limits := []uint64{begin} // an epoch without events
				for at := begin; at < n; limits = append(limits, at) {
					at = min(at+r.Uint64N(40), n)
				}
				last, roots, err := tree.Replay(store, below(begin, n), limits)
				if err != nil || len(roots) != len(limits) {
					t.Fatalf("%d roots of %d epochs: %v", len(roots), len(limits), err)
				}
				one, from := tree, begin
				for i, limit := range limits {
					one = must[*prefix.Tree](t)(one.Update(store, below(from, limit), limit))
					store, from = newMemory(below(0, limit)), limit
					if roots[i] != one.Root() || roots[i] != name.PrefixRoot(modelRoot(entries(below(0, limit)), 0)) {
						t.Fatalf("epoch %d of %d, up to %d: another root", i, len(limits), limit)
					}
				}
				if last.Root() != one.Root() || last.Len() != n || prefix.Held(last) > m.Held {
					t.Errorf("%d leaves, root %v, want %d and %v", last.Len(), last.Root(), n, one.Root())
				}
				checkProofs(t, last, store, entries(leaves), r)
			})
		}
	}
}

// TestSorted: as a plain sort, for random indexes and such as share all bits but
// few, or all.
func TestSorted(t *testing.T) {
	r := random(81)
	for label, indexes := range sets() {
		for _, repeat := range []bool{false, true} {
			leaves := leavesOf(indexes, 0)
			if repeat {
				leaves = append(leaves, leavesOf(indexes, uint64(len(indexes)))...)
			}
			r.Shuffle(len(leaves), func(i, j int) { leaves[i], leaves[j] = leaves[j], leaves[i] })
			before := slices.Clone(leaves)
			kept := leafAt(name.Index{255}, 7)
			got := prefix.Sorted([]prefix.Leaf{kept}, leaves)
			if !slices.Equal(leaves, before) || got[0] != kept {
				t.Errorf("%s: it changed what it was given", label)
			}
			want := slices.Clone(leaves)
			slices.SortFunc(want, func(a, b prefix.Leaf) int { return bytes.Compare(a.Index[:], b.Index[:]) })
			same := func(a, b prefix.Leaf) bool { return a.Index == b.Index }
			if !slices.EqualFunc(got[1:], want, same) {
				t.Errorf("%s: another order", label)
			}
			for i := range want { // each leaf is there, those of one index in any order
				if slices.Index(got[1:], want[i]) < 0 {
					t.Fatalf("%s: a leaf was lost", label)
				}
			}
		}
	}
}
