package log

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/store"
)

// leafStore is the part of a store that a tree reads.
type leafStore struct {
	store.Store
	leaves [][]byte
	tiles  map[[2]uint64][]byte
}

func (s *leafStore) Tile(dst []byte, level int, n uint64) ([]byte, error) {
	if data, ok := s.tiles[[2]uint64{uint64(level), n}]; ok {
		return append(dst, data...), nil
	}
	return nil, store.ErrNotFound
}

func (s *leafStore) Leaves(from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, b := range s.leaves[from:to] {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func (s *leafStore) grow(t *tree, n int) *tree {
	var hashes []leaf.Hash
	for range n {
		b := fmt.Appendf(nil, "leaf %d", len(s.leaves))
		s.leaves = append(s.leaves, b)
		hashes = append(hashes, leaf.HashOf(b))
	}
	next, full := t.appended(hashes)
	for _, tile := range full {
		s.tiles[[2]uint64{uint64(tile.Level), tile.N}] = tile.Data
	}
	return next
}

// transparency-dev/merkle's compact range is the judge of every size, of the
// grown tree and of the one that a restart loads. Old versions stay readable.
func TestTreeAgainstMerkle(t *testing.T) {
	s := &leafStore{tiles: map[[2]uint64][]byte{}}
	judge := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	rng := rand.New(rand.NewPCG(3, 4))
	grown := &tree{}
	old := map[*tree]leaf.Hash{}
	steps := []int{1, 1, 1, 253, 1, 255, 256, 257, 65536 - 1025, 1, 300}
	for range 40 {
		steps = append(steps, rng.IntN(400))
	}
	for _, n := range steps {
		from := len(s.leaves)
		grown = s.grow(grown, n)
		for _, b := range s.leaves[from:] {
			if err := judge.Append(rfc6962.DefaultHasher.HashLeaf(b), nil); err != nil {
				t.Fatal(err)
			}
		}
		root, err := judge.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := loadTree(s, grown.size)
		if err != nil {
			t.Fatal(err)
		}
		for name, tr := range map[string]*tree{"grown": grown, "loaded": loaded} {
			got, err := tr.root(s)
			if err != nil || got != leaf.Hash(root) {
				t.Fatalf("the %s tree of %d leaves has root %x, %v; want %x", name, grown.size, got, err, root)
			}
		}
		old[grown] = leaf.Hash(root)
	}
	for tr, want := range old {
		if got, err := tr.root(s); err != nil || got != want {
			t.Errorf("the old tree of %d leaves now has root %x, %v; want %x", tr.size, got, err, want)
		}
	}
}

// Every tile of every width that a tree has is served, and no other.
func TestTilesOfATree(t *testing.T) {
	s := &leafStore{tiles: map[[2]uint64][]byte{}}
	tr := s.grow(&tree{}, 70_000)
	for _, c := range []struct {
		level int
		n     uint64
		width int
		ok    bool
	}{
		{0, 0, 256, true}, {0, 0, 1, true}, {0, 272, 256, true}, {0, 273, 112, true}, {0, 273, 111, true},
		{0, 273, 113, false}, {0, 273, 256, false}, {0, 274, 1, false}, {0, 1 << 60, 1, false},
		{1, 0, 256, true}, {1, 1, 17, true}, {1, 1, 18, false}, {2, 0, 1, true}, {2, 0, 2, false},
		{3, 0, 1, false}, {7, 0, 1, false}, {8, 0, 1, false}, {63, 0, 1, false},
	} {
		hashes, err := tr.hashes(s, c.level, c.n, c.width)
		if (err == nil) != c.ok || err == nil && len(hashes) != 32*c.width {
			t.Errorf("tile %d at level %d, width %d: %d bytes, %v; want it: %v", c.n, c.level, c.width, len(hashes), err, c.ok)
		}
	}
}

// Every node is what its two children join to, whatever was read before it; a
// tile that the store cut short is an error.
func TestNodesOfATree(t *testing.T) {
	s := &leafStore{tiles: map[[2]uint64][]byte{}}
	tr := s.grow(s.grow(&tree{}, 66_000), 4_000)
	read := tr.reader(s)
	var row []leaf.Hash
	for _, b := range s.leaves {
		row = append(row, leaf.HashOf(b))
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for level := uint(0); len(row) > 0; level++ {
		for range 2000 {
			i := rng.IntN(len(row))
			if got, err := read(level, uint64(i)); err != nil || got != row[i] {
				t.Fatalf("node %d at level %d: %x, %v; want %x", i, level, got, err, row[i])
			}
		}
		if _, err := read(level, uint64(len(row))); err == nil {
			t.Errorf("a node beyond the %d at level %d", len(row), level)
		}
		for i := range len(row) / 2 {
			row[i] = leaf.Join(row[2*i], row[2*i+1])
		}
		row = row[:len(row)/2]
	}
	s.tiles[[2]uint64{0, 7}] = s.tiles[[2]uint64{0, 7}][:256*32]
	if _, err := tr.reader(s)(0, 7*256); err == nil {
		t.Error("a tile without its groups was read")
	}
}
