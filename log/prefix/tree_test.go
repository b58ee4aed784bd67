package prefix_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

func TestFormulas(t *testing.T) {
	c, i, v := strings.Repeat("c1", 32), strings.Repeat("41", 32), strings.Repeat("52", 32)
	sum := func(s string) [32]byte { return sha256.Sum256(must[[]byte](t)(hex.DecodeString(s))) }
	commitment, index, value := name.Commitment(bytes.Repeat([]byte{0xc1}, 32)), name.Index(bytes.Repeat([]byte{0x41}, 32)), name.Value(bytes.Repeat([]byte{0x52}, 32))
	if got := prefix.Value(0x0102030405060708, commitment); got != name.Value(sum("04"+"0102030405060708"+c)) {
		t.Errorf("value = %v", got)
	}
	if got := prefix.LeafHash(index, value); got != prefix.Hash(sum("02"+i+v)) {
		t.Errorf("leaf = %x", got)
	}
	// 41… goes left, then right, so the root joins it with a missing sibling.
	other := name.Index{0x20}
	leaves := []prefix.Leaf{{Index: index, Hash: prefix.LeafHash(index, value)}, {Index: other, Hash: prefix.Hash{9}}}
	tree := must[*prefix.Tree](t)(new(prefix.Tree).Update(nil, leaves, 1))
	h := prefix.LeafHash(index, value)
	below := sum("03" + "09" + strings.Repeat("00", 31) + hex.EncodeToString(h[:]))
	if got := tree.Root(); got != name.PrefixRoot(sum("03"+hex.EncodeToString(below[:])+strings.Repeat("00", 32))) {
		t.Errorf("root = %v", got)
	}
}

// sets are the indexes that tests run over: random ones as VRF outputs are,
// and such as only an attacker or a broken VRF would give.
func sets() map[string][]name.Index {
	r := random(1)
	base := randomIndex(r)
	chain := []name.Index{base} // every depth has a leaf, down to the deepest
	for d := range 255 {
		chain = append(chain, flip(base, d))
	}
	var crowd, floor []name.Index
	for range 100 { // many below one long path
		i := randomIndex(r)
		copy(i[:25], base[:25])
		crowd = append(crowd, i)
	}
	for b := range 64 { // a full subtree at the bottom: bits 249 to 254
		i := base
		i[31] = i[31]&0x81 | byte(b)<<1
		floor = append(floor, i)
	}
	return map[string][]name.Index{
		"empty":             nil,
		"one":               {base},
		"two at depth 1":    {base, flip(base, 0)},
		"two at depth 255":  {base, flip(base, 254)},
		"a full bucket":     randomIndexes(r, 32),
		"one over a bucket": randomIndexes(r, 33),
		"random":            randomIndexes(r, 1500),
		"chain":             chain,
		"crowd":             append(crowd, randomIndexes(r, 50)...),
		"floor":             append(floor, randomIndexes(r, 5)...),
	}
}

// TestTree holds roots and proofs against the model, whatever way the tree
// was made.
func TestTree(t *testing.T) {
	for label, indexes := range sets() {
		t.Run(label, func(t *testing.T) {
			r := random(2)
			n := uint64(len(indexes))
			leaves := leavesOf(indexes, 0)
			in := entries(leaves)
			want := name.PrefixRoot(modelRoot(in, 0))
			store := newMemory(leaves)
			built := must[*prefix.Tree](t)(prefix.Build(store.all(), n))
			if built.Root() != want || built.Len() != n {
				t.Fatalf("built: root %v of %d leaves, want %v of %d", built.Root(), built.Len(), want, n)
			}
			checkProofs(t, built, store, in, r)
			for _, most := range []int{1, 7, 40, 5000} {
				tree, store := new(prefix.Tree), newMemory(nil)
				for done := 0; done < len(leaves); {
					k := min(1+r.IntN(most), len(leaves)-done)
					batch := slices.Clone(leaves[done : done+k])
					r.Shuffle(k, func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
					before := slices.Clone(batch)
					done += k
					tree = must[*prefix.Tree](t)(tree.Update(store, batch, uint64(done)))
					if !slices.Equal(batch, before) {
						t.Fatal("update changed its batch")
					}
					store.add(batch)
				}
				if tree.Root() != want || tree.Len() != n {
					t.Fatalf("batches up to %d: root %v of %d leaves, want %v of %d", most, tree.Root(), tree.Len(), want, n)
				}
				checkProofs(t, tree, store, in, r)
			}
		})
	}
}

// checkProofs proves present and absent indexes, far from the leaves and near
// them, alone and together.
func checkProofs(t *testing.T, tree *prefix.Tree, store *memory, in []entry, r interface{ IntN(int) int }) {
	t.Helper()
	asked := randomIndexes(random(3), 20)
	for range min(40, len(in)) {
		i := in[r.IntN(len(in))].index
		asked = append(asked, i, flip(i, r.IntN(256)), flip(i, r.IntN(20)), flip(i, 255))
	}
	slices.SortFunc(asked, func(a, b name.Index) int { return slices.Compare(a[:], b[:]) })
	asked = slices.Compact(asked)
	random(4).Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
	checkProof(t, tree, store, in, asked)
	for i := range min(30, len(asked)) {
		checkProof(t, tree, store, in, asked[i:i+1])
	}
}

func checkProof(t *testing.T, tree *prefix.Tree, store *memory, in []entry, asked []name.Index) {
	t.Helper()
	proof := must[*prefix.Proof](t)(tree.Prove(store, truth(in, asked)))
	if want := modelProof(in, asked); !bytes.Equal(proof.Bytes(), want) {
		t.Fatalf("proof of %d indexes\n got %x\nwant %x", len(asked), proof.Bytes(), want)
	}
	if err := prefix.Verify(tree.Root(), truth(in, asked), proof); err != nil {
		t.Fatalf("a right proof: %v", err)
	}
}

// truth is the queries that a tree of these entries answers.
func truth(in []entry, asked []name.Index) []prefix.Query {
	values := make(map[name.Index]name.Value)
	for _, e := range in {
		values[e.index] = e.value
	}
	queries := make([]prefix.Query, len(asked))
	for i, index := range asked {
		v, ok := values[index]
		queries[i] = prefix.Query{Index: index, Present: ok, Value: v}
	}
	return queries
}

// TestVersions proves from every old version while the store holds all leaves.
func TestVersions(t *testing.T) {
	r := random(5)
	leaves := leavesOf(randomIndexes(r, 600), 1)
	store := newMemory(leaves)
	versions := map[uint64]*prefix.Tree{1: new(prefix.Tree)}
	tree := versions[1]
	for at := uint64(1); at < 601; at += 50 {
		tree = must[*prefix.Tree](t)(tree.Update(store, leaves[at-1:at+49], at+50))
		versions[at+50] = tree
	}
	for limit, tree := range versions {
		in := entries(leaves[:limit-1])
		if tree.Root() != name.PrefixRoot(modelRoot(in, 0)) {
			t.Fatalf("version below %d: wrong root", limit)
		}
		checkProofs(t, tree, store, in, r)
		if len(in) < len(leaves) {
			checkProof(t, tree, store, in, []name.Index{leaves[limit-1].Index}) // absent still
		}
		rebuilt := must[*prefix.Tree](t)(prefix.Build(store.all(), limit))
		if rebuilt.Root() != tree.Root() || rebuilt.Len() != tree.Len() {
			t.Fatalf("version below %d: not what Build gives", limit)
		}
	}
	empty := must[*prefix.Tree](t)(tree.Update(store, nil, 700))
	if empty.Root() != tree.Root() || empty.Len() != tree.Len() {
		t.Error("an empty batch changed the tree")
	}
	late := leafAt(randomIndex(r), 650)
	if _, err := empty.Update(store, []prefix.Leaf{late}, 800); err == nil {
		t.Error("an empty batch did not move the limit")
	}
}

func TestRepeatedIndex(t *testing.T) {
	r := random(6)
	indexes := randomIndexes(r, 200)
	leaves := leavesOf(indexes, 0)
	store := newMemory(leaves)
	tree := must[*prefix.Tree](t)(prefix.Build(store.all(), 200))
	fresh := randomIndex(r)
	for label, c := range map[string]struct {
		batch    []name.Index
		repeated bool
	}{
		"in the tree":                   {[]name.Index{fresh, indexes[7]}, true},
		"255 bits shared with the tree": {[]name.Index{flip(indexes[7], 255)}, true},
		"254 bits shared with the tree": {[]name.Index{flip(indexes[7], 254)}, false},
		"twice in the batch":            {[]name.Index{fresh, indexes[7], fresh}, true},
		"255 bits shared in the batch":  {[]name.Index{flip(fresh, 255), randomIndex(r), fresh}, true},
		"254 bits shared in the batch":  {[]name.Index{flip(fresh, 254), randomIndex(r), fresh}, false},
		"three in the last two bits":    {[]name.Index{flip(fresh, 254), fresh, flip(flip(fresh, 254), 255)}, true},
	} {
		t.Run(label, func(t *testing.T) {
			if label != "in the tree" && label != "twice in the batch" {
				// Build sees the same, in ascending order.
				all := newMemory(append(slices.Clone(leaves), leavesOf(c.batch, 200)...))
				if _, err := prefix.Build(all.all(), 300); errors.Is(err, prefix.ErrRepeated) != c.repeated {
					t.Errorf("build: %v", err)
				}
			}
			next, err := tree.Update(store, leavesOf(c.batch, 200), 300)
			if errors.Is(err, prefix.ErrRepeated) != c.repeated || (err == nil) == c.repeated {
				t.Fatalf("update: %v", err)
			}
			if !c.repeated {
				in := entries(append(slices.Clone(leaves), leavesOf(c.batch, 200)...))
				if next.Root() != name.PrefixRoot(modelRoot(in, 0)) {
					t.Error("wrong root")
				}
			}
		})
	}
	if _, err := prefix.Build(newMemory(append(leaves, leafAt(indexes[3], 200))).all(), 300); !errors.Is(err, prefix.ErrRepeated) {
		t.Errorf("build of a repeated index: %v", err)
	}
}

func TestUpdateLimits(t *testing.T) {
	tree := must[*prefix.Tree](t)(new(prefix.Tree).Update(nil, nil, 10))
	i := name.Index{1}
	for label, c := range map[string]struct {
		position, limit uint64
		good            bool
	}{
		"first position":   {10, 20, true},
		"last position":    {19, 20, true},
		"an old position":  {9, 20, false},
		"beyond the limit": {20, 20, false},
		"limit goes back":  {8, 9, false},
	} {
		_, err := tree.Update(newMemory(nil), []prefix.Leaf{leafAt(i, c.position)}, c.limit)
		if (err == nil) != c.good || errors.Is(err, prefix.ErrStore) { // the caller's fault, not the store's
			t.Errorf("%s: %v", label, err)
		}
	}
	if _, err := tree.Update(newMemory(nil), nil, 9); err == nil {
		t.Error("an empty batch took the limit back")
	}
}

func TestProveRefuses(t *testing.T) {
	r := random(7)
	i := randomIndex(r)
	for label, asked := range map[string][]name.Index{
		"nothing": nil, "one twice": {i, randomIndex(r), i}, "256": randomIndexes(r, 256),
	} {
		if _, err := new(prefix.Tree).Prove(nil, truth(nil, asked)); err == nil {
			t.Errorf("%s asked: proven", label)
		}
	}
	if _, err := new(prefix.Tree).Prove(nil, truth(nil, randomIndexes(r, 255))); err != nil {
		t.Errorf("255 asked: %v", err)
	}
}
