package prefix_test

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// leastHashes is how many hashes an insert costs at least when b random leaves
// join n others in one batch: its own, and its share of the inner nodes above
// the new leaves. At depth d a node has l = n/2^d old and m = b/2^d new leaves
// on average (Poisson). It is hashed anew if it has at least one new leaf and
// is no leaf itself:
//
//	1 + 1/b · Σ 2^d · (1 − e^−m − m·e^−(m+l))
func leastHashes(n, b float64) float64 {
	sum := 0.0
	for d := range 64 {
		w := math.Exp2(float64(d))
		l, m := n/w, b/w
		sum += w * (-math.Expm1(-m) - m*math.Exp(-m-l))
	}
	return 1 + sum/b
}

// grown is a tree of n random leaves, its store, and a batch of b more.
func grown(t testing.TB, m prefix.Memory, n, b int) (*prefix.Tree, *sortedStore, []prefix.Leaf) {
	r := random(uint64(n))
	store := newSorted(randomIndexes(r, n))
	tree := must[*prefix.Tree](t)(prefix.BuildWith(m, store.all(), uint64(n)))
	batch := make([]prefix.Leaf, b)
	for i := range batch {
		batch[i] = prefix.Leaf{Index: randomIndex(r), Hash: prefix.Hash(randomIndex(r)), Position: uint64(n + i)}
	}
	return tree, store, batch
}

// TestHashesOfUpdate counts: beyond the least possible, an update may hash
// only what checking the buckets takes, and it reads each of them once.
func TestHashesOfUpdate(t *testing.T) {
	for _, m := range []prefix.Memory{{Bucket: 32}, {}, {Held: 1 << 20}} {
		for _, c := range []struct{ n, b int }{{1, 1000}, {20_000, 1}, {20_000, 100}, {20_000, 20_000}, {50_000, 5_000}} {
			tree, store, batch := grown(t, m, c.n, c.b)
			_, joins, err := prefix.UpdateCounted(tree, store, batch, uint64(c.n+c.b))
			if err != nil {
				t.Fatal(err)
			}
			bucket := cmp.Or(m.Bucket, 8)
			ends := make(map[int]bool) // the bucket that each new leaf falls into
			for i := range batch {
				ends[store.bucket(bucket, batch[i].Index)] = true
			}
			least := leastHashes(float64(c.n), float64(c.b)) * float64(c.b)
			// A bucket of random leaves has some 2.5 inner nodes a leaf at most:
			// chains of single children lengthen its joins.
			if most := 1.1*least + 30 + 2.5*float64(bucket*len(ends)); float64(joins+c.b) > most {
				t.Errorf("%+v, %d + %d: %d hashes, want at most %.0f", m, c.n, c.b, joins+c.b, most)
			}
			if store.scans > len(ends) || m.Held > 0 && store.scans > 0 {
				t.Errorf("%+v, %d + %d: %d buckets read, %d are touched", m, c.n, c.b, store.scans, len(ends))
			}
		}
	}
}

// TestHashesOfInsert holds an insert to the limit that we set ourselves: the
// least number of hashes and 8 more; 5 more if the leaves are in memory. How full
// buckets are repeats with each doubling of the leaves.
func TestHashesOfInsert(t *testing.T) {
	for _, n := range []int{50_000, 60_000, 70_000, 80_000, 90_000, 100_000} {
		for _, c := range []struct{ bucket, held, more int }{{8, 0, 8}, {8, n, 5}, {64, n, 5}} {
			tree, store, batch := grown(t, prefix.Memory{Bucket: c.bucket, Held: c.held}, n, n/1000)
			_, joins, err := prefix.UpdateCounted(tree, store, batch, uint64(n+len(batch)))
			if err != nil {
				t.Fatal(err)
			}
			hashes, least := 1+float64(joins)/float64(len(batch)), leastHashes(float64(n), float64(len(batch)))
			t.Logf("%d leaves, %+v: %.2f hashes an insert, %.2f more than the least possible", n, c, hashes, hashes-least)
			if hashes > least+float64(c.more) {
				t.Errorf("%d leaves, %+v: %.2f hashes an insert, want at most %.2f + %d", n, c, hashes, least, c.more)
			}
		}
	}
}

// BenchmarkUpdate prints what an insert costs, and what it must cost at least.
// MUSTER_BENCH_EVENTS=10000000 is the other size to quote; it takes 2 GB.
func BenchmarkUpdate(b *testing.B) {
	n := 1_000_000
	if s := os.Getenv("MUSTER_BENCH_EVENTS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for _, size := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("n=%d/batch=%d", n, size), func(b *testing.B) { benchUpdate(b, prefix.Memory{Bucket: 64, Held: 1 << 30}, n, size) })
	}
}

// BenchmarkUpdateMemory is the same for trees that take other memory.
func BenchmarkUpdateMemory(b *testing.B) {
	for _, m := range []prefix.Memory{{Bucket: 64}, {Bucket: 32}, {Bucket: 8}, {Bucket: 128, Held: 1 << 30}, {Bucket: 64, Held: 1 << 30}, {Bucket: 32, Held: 1 << 30}, {Bucket: 8, Held: 1 << 30}} {
		b.Run(fmt.Sprintf("bucket=%d/held=%t", m.Bucket, m.Held > 0), func(b *testing.B) { benchUpdate(b, m, 1_000_000, 10_000) })
	}
}

func benchUpdate(b *testing.B, m prefix.Memory, n, size int) {
	tree, store, batch := grown(b, m, n, size)
	joins := 0
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if _, joins, err = prefix.UpdateCounted(tree, store, batch, uint64(n+size)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1+float64(joins)/float64(size), "hashes/insert")
	b.ReportMetric(leastHashes(float64(n), float64(size)), "least/insert")
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N*size), "ns/insert")
}

func BenchmarkProveVerify(b *testing.B) {
	tree, store, _ := grown(b, prefix.Memory{}, 1_000_000, 0)
	asked := []name.Index{store.leaves[1234].Index, randomIndex(random(99))}
	queries := []prefix.Query{{Index: asked[0], Present: true, Value: valueAt(store.leaves[1234].Position)}, {Index: asked[1]}}
	proof := must[*prefix.Proof](b)(tree.Prove(store, queries))
	b.Run("prove", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tree.Prove(store, queries); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(proof.Bytes())), "bytes")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if err := prefix.Verify(tree.Root(), queries, proof); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	_, store, _ := grown(b, prefix.Memory{}, 1_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := prefix.Build(store.all(), 1_000_000); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/1e6, "ns/leaf")
}
