package prefix_test

import (
	"bytes"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// What is extracted for some indexes is what the prover gives for them alone,
// in trees of every small size and a larger one.
func TestExtract(t *testing.T) {
	r := random(21)
	for _, size := range []int{0, 1, 2, 3, 5, 9, 40, 300} {
		indexes := randomIndexes(r, max(size, 1))
		if size > 2 {
			indexes[1] = flip(indexes[0], 30) // missing children below
		}
		leaves := leavesOf(indexes[:size], 0)
		store := newMemory(leaves)
		tree := must[*prefix.Tree](t)(prefix.Build(store.all(), uint64(size)))
		for range 30 {
			asked := []name.Index{flip(indexes[0], 20), randomIndex(r), flip(indexes[0], 100)}
			for i := range min(size, 6) {
				asked = append(asked, indexes[i])
			}
			r.Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
			subset := r.Perm(len(asked))[:1+r.IntN(len(asked))]
			queries := truth(entries(leaves), asked)
			var some []prefix.Query
			for _, i := range subset {
				some = append(some, queries[i])
			}
			all := must[*prefix.Proof](t)(tree.Prove(store, queries))
			want := must[*prefix.Proof](t)(tree.Prove(store, some))
			got, err := prefix.Extract(tree.Root(), queries, all, subset)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("%d leaves, results %v of %d: %x, want %x", size, subset, len(asked), got.Bytes(), want.Bytes())
			}
		}
	}
}

func TestExtractRefuses(t *testing.T) {
	root, queries, proof := example(t)
	for name, subset := range map[string][]int{"none": {}, "twice": {1, 1}, "negative": {-1}, "past the end": {len(queries)}} {
		if _, err := prefix.Extract(root, queries, proof, subset); err == nil {
			t.Errorf("%s: extracted", name)
		}
	}
	proof.Elements[3][0] ^= 1
	if _, err := prefix.Extract(root, queries, proof, []int{0}); err == nil {
		t.Error("extracted from a proof that does not hold")
	}
}
