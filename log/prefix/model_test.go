package prefix_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// The model: the tree of section 4 written down once more, by filtering lists
// and without a thought of speed. It shares no code with the package.

type entry struct {
	index name.Index
	value name.Value
}

func modelBit(i name.Index, depth int) int { return int(i[depth/8]>>(7-depth%8)) & 1 }

func hash(parts ...[]byte) (h [32]byte) { return sha256.Sum256(slices.Concat(parts...)) }

func modelSide(in []entry, depth, side int) (out []entry) {
	for _, e := range in {
		if modelBit(e.index, depth) == side {
			out = append(out, e)
		}
	}
	return out
}

func modelRoot(in []entry, depth int) [32]byte {
	switch len(in) {
	case 0:
		return [32]byte{}
	case 1:
		return hash([]byte{2}, in[0].index[:], in[0].value[:])
	}
	left, right := modelRoot(modelSide(in, depth, 0), depth+1), modelRoot(modelSide(in, depth, 1), depth+1)
	return hash([]byte{3}, left[:], right[:])
}

// modelProof is the bytes of the one right proof.
func modelProof(in []entry, asked []name.Index) []byte {
	results := make(map[name.Index][]byte)
	var elements [][32]byte
	var walk func(in []entry, asked []name.Index, depth int)
	walk = func(in []entry, asked []name.Index, depth int) {
		switch {
		case len(asked) == 0:
			elements = append(elements, modelRoot(in, depth))
		case len(in) == 0:
			for _, i := range asked {
				results[i] = []byte{3, byte(depth)}
			}
		case len(in) == 1:
			for _, i := range asked {
				if i == in[0].index {
					results[i] = []byte{1, byte(depth)}
				} else {
					results[i] = slices.Concat([]byte{2}, in[0].index[:], in[0].value[:], []byte{byte(depth)})
				}
			}
		default:
			for side := range 2 {
				var below []name.Index
				for _, i := range asked {
					if modelBit(i, depth) == side {
						below = append(below, i)
					}
				}
				walk(modelSide(in, depth, side), below, depth+1)
			}
		}
	}
	walk(in, asked, 0)
	out := []byte{byte(len(asked))}
	for _, i := range asked {
		out = append(out, results[i]...)
	}
	out = binary.BigEndian.AppendUint16(out, uint16(len(elements)))
	for _, e := range elements {
		out = append(out, e[:]...)
	}
	return out
}

// memory is a store in memory: sorted leaves.
type memory struct {
	leaves []prefix.Leaf
	scans  int

	// What the store gives may be spoiled, to see what the tree makes of it.
	spoil     func([]prefix.Leaf) []prefix.Leaf
	err       error
	valueErr  error
	badValues bool
	badIndex  bool
}

func newMemory(leaves []prefix.Leaf) *memory {
	m := new(memory)
	m.add(leaves)
	return m
}

func (m *memory) add(leaves []prefix.Leaf) {
	m.leaves = append(m.leaves, leaves...)
	slices.SortFunc(m.leaves, func(a, b prefix.Leaf) int { return slices.Compare(a.Index[:], b.Index[:]) })
}

func (m *memory) Range(dst []prefix.Leaf, p name.Index, depth int) ([]prefix.Leaf, error) {
	m.scans++
	low := p
	for d := depth; d < 256; d++ {
		low[d/8] &^= 1 << (7 - d%8)
	}
	from, _ := slices.BinarySearchFunc(m.leaves, low, func(l prefix.Leaf, i name.Index) int { return slices.Compare(l.Index[:], i[:]) })
	var found []prefix.Leaf
	for _, l := range m.leaves[from:] {
		same := true
		for d := range depth {
			same = same && modelBit(l.Index, d) == modelBit(p, d)
		}
		if !same {
			break
		}
		found = append(found, l)
	}
	if m.spoil != nil {
		found = m.spoil(found)
	}
	return append(dst, found...), m.err
}

func (m *memory) Full(l prefix.Leaf) (name.Index, name.Value, error) {
	at := slices.IndexFunc(m.leaves, func(x prefix.Leaf) bool { return x.Position == l.Position })
	if at < 0 {
		return name.Index{}, name.Value{}, errors.New("no such leaf")
	}
	v := valueAt(l.Position)
	if m.badValues {
		v[0] ^= 1
	}
	if i := m.leaves[at].Index; m.badIndex {
		return flip(i, 255), v, m.valueErr
	}
	return m.leaves[at].Index, v, m.valueErr
}

func (m *memory) all() iter.Seq2[prefix.Leaf, error] {
	return func(yield func(prefix.Leaf, error) bool) {
		for _, l := range m.leaves {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// valueAt is the value of every test leaf at a position.
func valueAt(position uint64) name.Value {
	return prefix.Value(position, name.Commitment{1, 2, 3})
}

func leafAt(i name.Index, position uint64) prefix.Leaf {
	return prefix.Leaf{Index: i, Hash: prefix.LeafHash(i, valueAt(position)), Position: position}
}

// leavesOf puts the indexes at positions from on, in the order given.
func leavesOf(indexes []name.Index, from uint64) (out []prefix.Leaf) {
	for i, index := range indexes {
		out = append(out, leafAt(index, from+uint64(i)))
	}
	return out
}

func entries(leaves []prefix.Leaf) (out []entry) {
	for _, l := range leaves {
		out = append(out, entry{l.Index, valueAt(l.Position)})
	}
	return out
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func randomIndex(r *rand.Rand) (i name.Index) {
	for b := range i {
		i[b] = byte(r.Uint32())
	}
	return i
}

func randomIndexes(r *rand.Rand, n int) (out []name.Index) {
	for range n {
		out = append(out, randomIndex(r))
	}
	return out
}

func flip(i name.Index, depth int) name.Index {
	i[depth/8] ^= 1 << (7 - depth%8)
	return i
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
