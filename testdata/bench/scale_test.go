package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// leaves are a prefix tree's in memory, ascending.
type leaves []prefix.Leaf

func (l leaves) Range(dst []prefix.Leaf, index name.Index, depth int) ([]prefix.Leaf, error) {
	for _, x := range l {
		if shared := commonBits(&x.Index, &index); shared >= depth {
			dst = append(dst, x)
		}
	}
	return dst, nil
}

// Full gives every leaf the value that the test gives it.
func (l leaves) Full(of prefix.Leaf) (name.Index, name.Value, error) {
	at := slices.IndexFunc(l, func(x prefix.Leaf) bool { return x.Position == of.Position })
	return l[at].Index, name.Value{}, nil
}

func commonBits(a, b *name.Index) int {
	for i := range 256 {
		if (a[i/8]^b[i/8])>>(7-i%8)&1 == 1 {
			return i
		}
	}
	return 256
}

// TestFormulas holds what docs/scale.md reckons against real proofs, where a log
// is small enough for them.
func TestFormulas(t *testing.T) {
	const n, tries = 200, 1500
	r := rand.New(rand.NewPCG(1, 2))
	index := func() (i name.Index) {
		for b := range i {
			i[b] = byte(r.Uint32())
		}
		return i
	}
	var inMap, inLog, others float64
	for range tries {
		var l leaves
		var tree prefix.Tree
		batch := make([]prefix.Leaf, n)
		for i := range batch {
			at := index()
			batch[i] = prefix.Leaf{Index: at, Hash: prefix.LeafHash(at, name.Value{}), Position: uint64(i)}
		}
		grown, err := tree.Update(l, batch, n)
		if err != nil {
			t.Fatal(err)
		}
		l = slices.SortedFunc(slices.Values(batch), func(a, b prefix.Leaf) int { return bytes.Compare(a.Index[:], b.Index[:]) })
		proof, err := grown.Prove(l, []prefix.Query{{Index: batch[0].Index, Present: true}, {Index: batch[1].Index, Present: true}, {Index: index()}, {Index: index()}})
		if err != nil {
			t.Fatal(err)
		}
		inMap += float64(len(proof.Elements)) / tries
		for _, result := range proof.Results {
			if result.Kind == prefix.NonInclusionLeaf {
				others += 1.0 / 2 / tries
			}
		}
		used := map[int]bool{n - 1: true}
		for len(used) < 3 {
			used[r.IntN(n)] = true
		}
		inLog += float64(walk(0, n, used)) / tries
	}
	for _, c := range []struct {
		what               string
		measured, reckoned float64
	}{
		{"hashes in the map", inMap, mapPath(n, 2, 2)},
		{"absences at another's leaf", others, otherLeaf(n)},
		{"hashes in the log", inLog, logPath(n, 2)},
	} {
		t.Logf("%s: %.2f, reckoned %.2f", c.what, c.measured, c.reckoned)
		if math.Abs(c.measured/c.reckoned-1) > 0.05 {
			t.Errorf("%s: %.2f, reckoned %.2f", c.what, c.measured, c.reckoned)
		}
	}
}

// walk counts the hashes of protocol section 5.4.
func walk(lo, n int, used map[int]bool) int {
	some := false
	for i := lo; i < lo+n; i++ {
		some = some || used[i]
	}
	if !some {
		return 1
	}
	if n == 1 {
		return 0
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	return walk(lo, k, used) + walk(lo+k, n-k, used)
}
