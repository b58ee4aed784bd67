package prefix_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

func FuzzReadProof(f *testing.F) {
	_, _, proof := example(f)
	f.Add(proof.Bytes())
	f.Add([]byte{1, 3, 0, 0, 0})
	f.Add([]byte{0, 0, 0})
	f.Add(append(slices.Concat([]byte{2, 1, 9, 2}, make([]byte, 64), []byte{255, 0, 1}), make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := cryptobyte.String(in)
		p, err := prefix.ReadProof(&s)
		if err != nil {
			return
		}
		if used := in[:len(in)-len(s)]; !bytes.Equal(p.Bytes(), used) {
			t.Errorf("read %x, writes %x", used, p.Bytes())
		}
	})
}

// index makes two fuzzed bytes an index that shares many bits with others: a
// random one by the low bits of a, cut off and turned at a bit given by b.
func index(a, b byte) name.Index {
	return flip(randomIndex(random(uint64(a%16))), int(b))
}

// FuzzTree plays batches against the model, in a tree that takes the memory
// which the first byte says. Then three bytes are an operation: insert an index
// into the batch, or (first byte 240 and up) close the batch.
func FuzzTree(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 240, 0, 0, 0, 1, 1, 0, 2, 255})
	f.Add([]byte{1, 0, 3, 254, 0, 3, 255, 255, 0, 0})
	long := []byte{5}
	for i := range 120 { // more than a bucket, in two batches, along one path
		long = append(long, 0, byte(i%3), byte(i))
		if i == 50 {
			long = append(long, 250, 0, 0)
		}
	}
	for m := range byte(8) {
		f.Add(append([]byte{m}, long[1:]...))
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 1 || len(ops) > 900 {
			return
		}
		m := prefix.Memory{Bucket: []int{1, 8, 64, 255}[ops[0]%4], Held: int(ops[0]/4) % 2 * (int(ops[0]) + 20)}
		tree, store := must[*prefix.Tree](t)(prefix.BuildWith(m, newMemory(nil).all(), 0)), newMemory(nil)
		ops = ops[1:]
		var all, batch []prefix.Leaf
		seal := func() {
			repeated := false
			for i, l := range batch {
				for _, o := range slices.Concat(all, batch[:i]) {
					repeated = repeated || l.Index == o.Index || l.Index == flip(o.Index, 255)
				}
			}
			next, err := tree.Update(store, batch, uint64(len(all)+len(batch)))
			if repeated != errors.Is(err, prefix.ErrRepeated) || repeated != (err != nil) {
				t.Fatalf("update of %d: %v, want repeated %t", len(batch), err, repeated)
			}
			if err == nil {
				tree, all = next, append(all, batch...)
				store.add(batch)
			}
			batch = nil
		}
		for ; len(ops) >= 3; ops = ops[3:] {
			if ops[0] >= 240 {
				seal()
				continue
			}
			batch = append(batch, leafAt(index(ops[1], ops[2]), uint64(len(all)+len(batch))))
		}
		seal()
		in := entries(all)
		if tree.Root() != name.PrefixRoot(modelRoot(in, 0)) || tree.Len() != uint64(len(all)) {
			t.Fatalf("root %v of %d leaves", tree.Root(), tree.Len())
		}
		built := must[*prefix.Tree](t)(prefix.BuildWith(m, store.all(), uint64(len(all))))
		if built.Root() != tree.Root() {
			t.Fatal("Build gives another root")
		}
		asked := []name.Index{index(0, 7), index(1, 250), index(2, 100), index(3, 255)}
		for i := 0; i < len(all) && i < 20; i++ {
			asked = append(asked, all[i].Index, flip(all[i].Index, 10*i))
		}
		slices.SortFunc(asked, func(a, b name.Index) int { return slices.Compare(a[:], b[:]) })
		checkProof(t, built, store, in, slices.Compact(asked))
		checkProof(t, tree, store, in, slices.Compact(asked))
	})
}

// FuzzVerify changes proofs, and what is claimed by them. Whatever Verify
// accepts under the tree's root must be true.
func FuzzVerify(f *testing.F) {
	r := random(12)
	base := randomIndex(r)
	indexes := append(randomIndexes(r, 40), base, flip(base, 3), flip(base, 90), flip(base, 254))
	leaves := leavesOf(indexes, 0)
	store, in := newMemory(leaves), entries(leaves)
	tree := must[*prefix.Tree](f)(prefix.Build(store.all(), uint64(len(leaves))))
	asked := []name.Index{base, flip(base, 255), flip(base, 254), flip(base, 50), flip(base, 1), indexes[0], indexes[1], randomIndex(r)}
	for n := 1; n <= len(asked); n++ {
		f.Add(must[*prefix.Proof](f)(tree.Prove(store, truth(in, asked[:n]))).Bytes(), uint16(0))
		f.Add(must[*prefix.Proof](f)(tree.Prove(store, truth(in, asked[:n]))).Bytes(), uint16(1)<<n)
	}
	f.Fuzz(func(t *testing.T, encoded []byte, lies uint16) {
		p, err := read(encoded)
		if err != nil || len(p.Results) > len(asked) {
			return
		}
		right := truth(in, asked[:len(p.Results)])
		claims := slices.Clone(right)
		for i := range claims {
			if lies>>i&1 == 1 {
				claims[i].Present = !claims[i].Present
			}
			if lies>>(i+8)&1 == 1 {
				claims[i].Value = valueAt(uint64(i))
			}
		}
		if prefix.Verify(tree.Root(), claims, p) != nil {
			return
		}
		for i := range claims {
			if claims[i].Present != right[i].Present || right[i].Present && claims[i].Value != right[i].Value {
				t.Fatalf("accepted a lie about index %d: %+v, want %+v", i, claims[i], right[i])
			}
		}
		// There is only one right proof for a set of queries.
		if want := modelProof(in, asked[:len(claims)]); !bytes.Equal(encoded, want) {
			t.Fatalf("accepted a second proof\n got %x\nwant %x", encoded, want)
		}
	})
}
