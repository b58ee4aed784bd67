package answer_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/leaf"
)

// testTree is an RFC 6962 tree with every node computed from the leaves.
type testTree []leaf.Hash

func newTree(size int) testTree {
	t := make(testTree, size)
	for i := range t {
		t[i] = leaf.HashOf(fmt.Appendf(nil, "leaf %d", i))
	}
	return t
}

func (t testTree) node(level uint, index uint64) (leaf.Hash, error) {
	if level == 0 {
		return t[index], nil
	}
	left, _ := t.node(level-1, 2*index)
	right, _ := t.node(level-1, 2*index+1)
	return leaf.Join(left, right), nil
}

func (t testTree) root() leaf.Hash {
	h, _ := answer.Range(0, uint64(len(t)), t.node)
	return h
}

func (t testTree) used(positions []uint64) []answer.Used {
	used := make([]answer.Used, len(positions))
	for i, p := range positions {
		used[i] = answer.Used{Position: p, Hash: t[p]}
	}
	return used
}

// Every subset of positions of every small tree proves the root, with no more
// nodes than single inclusion proofs together have.
func TestNodesProveEverySubset(t *testing.T) {
	for size := 1; size <= 11; size++ {
		tree := newTree(size)
		for set := 1; set < 1<<size; set++ {
			var positions []uint64
			for i := range size {
				if set>>i&1 == 1 {
					positions = append(positions, uint64(i))
				}
			}
			nodes, err := answer.Nodes(uint64(size), positions, tree.node)
			if err != nil {
				t.Fatal(err)
			}
			root, err := answer.Root(uint64(size), tree.used(positions), nodes)
			if err != nil || root != tree.root() {
				t.Fatalf("size %d, positions %v: root %x, %v; want %x", size, positions, root, err, tree.root())
			}
		}
	}
}

// The path extracted for each used leaf is the one that RFC 6962 gives it.
func TestExtractPath(t *testing.T) {
	for size := 1; size <= 11; size++ {
		tree := newTree(size)
		for set := 1; set < 1<<size; set++ {
			var positions []uint64
			for i := range size {
				if set>>i&1 == 1 {
					positions = append(positions, uint64(i))
				}
			}
			nodes, err := answer.Nodes(uint64(size), positions, tree.node)
			if err != nil {
				t.Fatal(err)
			}
			for p := range uint64(size) {
				got, err := answer.ExtractPath(uint64(size), tree.used(positions), nodes, p)
				if !slices.Contains(positions, p) {
					if err == nil {
						t.Fatalf("size %d, used %v: a path of leaf %d", size, positions, p)
					}
					continue
				}
				want, _ := answer.Path(p, uint64(size), tree.node)
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("size %d, used %v, leaf %d: %v, %v; want %v", size, positions, p, got, err, want)
				}
			}
			if _, err := answer.ExtractPath(uint64(size), tree.used(positions), append(nodes, leaf.Hash{}), positions[0]); err == nil {
				t.Fatalf("size %d, used %v: a node too many", size, positions)
			}
			if len(nodes) > 0 {
				if _, err := answer.ExtractPath(uint64(size), tree.used(positions), nodes[1:], positions[0]); err == nil {
					t.Fatalf("size %d, used %v: a node too few", size, positions)
				}
			}
		}
	}
}

func TestRootRefuses(t *testing.T) {
	tree := newTree(13)
	positions := []uint64{0, 5, 12}
	nodes, err := answer.Nodes(13, positions, tree.node)
	if err != nil {
		t.Fatal(err)
	}
	used := tree.used(positions)
	refused := func(name string, size uint64, used []answer.Used, nodes []leaf.Hash) {
		t.Helper()
		if root, err := answer.Root(size, used, nodes); err == nil && root == tree.root() {
			t.Errorf("%s: accepted", name)
		}
	}
	for i := range nodes {
		refused(fmt.Sprintf("node %d dropped", i), 13, used, slices.Delete(slices.Clone(nodes), i, i+1))
		refused(fmt.Sprintf("node %d doubled", i), 13, used, slices.Insert(slices.Clone(nodes), i, nodes[i]))
		changed := slices.Clone(nodes)
		changed[i][31] ^= 1
		refused(fmt.Sprintf("node %d changed", i), 13, used, changed)
	}
	refused("a node too many", 13, used, append(slices.Clone(nodes), leaf.Hash{}))
	refused("no leaf", 13, nil, []leaf.Hash{tree.root()})
	refused("a position beyond the tree", 13, append(slices.Clone(used), answer.Used{Position: 13}), nodes)
	refused("a position twice", 13, []answer.Used{used[0], used[0], used[1], used[2]}, nodes)
	refused("positions out of order", 13, []answer.Used{used[1], used[0], used[2]}, nodes)
	refused("another position", 13, []answer.Used{used[0], {Position: 6, Hash: used[1].Hash}, used[2]}, nodes)
}

// Huge sizes must neither overflow nor loop: the walk is as deep as the tree.
func TestRootOfHugeTree(t *testing.T) {
	const size = 1<<63 - 1
	used := []answer.Used{{Position: size - 1}}
	if _, err := answer.Root(size, used, nil); err == nil {
		t.Error("a huge tree without nodes was accepted")
	}
	if _, err := answer.Root(size, used, make([]leaf.Hash, 62)); err != nil {
		t.Error(err)
	}
}

// transparency-dev/merkle judges what the prover makes.
func TestPathsAgainstMerkle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for size := uint64(1); size <= 70; size++ {
		tree := newTree(int(size))
		root := tree.root()
		p := rng.Uint64N(size)
		path, err := answer.Path(p, size, tree.node)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p, size, tree[p][:], raw(path), root[:]); err != nil {
			t.Errorf("inclusion of %d in %d: %v", p, size, err)
		}
		for from := uint64(1); from <= size; from++ {
			old := newTree(int(from)).root()
			c, err := answer.Consistency(from, size, tree.node)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, from, size, raw(c), old[:], root[:]); err != nil {
				t.Errorf("consistency of %d and %d: %v", from, size, err)
			}
		}
	}
}

func raw(hashes []leaf.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

// Whichever hash the prover cannot get, it says so; nor does it prove leaves that
// are not there.
func TestNodesThatCannotBeHad(t *testing.T) {
	tree := newTree(13)
	positions := []uint64{0, 5, 12}
	down := errors.New("down")
	nodes, err := answer.Nodes(13, positions, tree.node)
	if err != nil {
		t.Fatal(err)
	}
	for at := range nodes { // each is one call here
		calls := 0
		if _, err := answer.Nodes(13, positions, func(level uint, index uint64) (leaf.Hash, error) {
			if calls++; calls == at+1 {
				return leaf.Hash{}, down
			}
			return tree.node(level, index)
		}); !errors.Is(err, down) {
			t.Errorf("node %d of %d: %v", at, len(nodes), err)
		}
	}
	for what, positions := range map[string][]uint64{"none": nil, "one beyond the tree": {0, 13}} {
		if nodes, err := answer.Nodes(13, positions, tree.node); err == nil {
			t.Errorf("positions, %s: %d nodes", what, len(nodes))
		}
	}
	used := tree.used(positions)
	if path, err := answer.ExtractPath(13, []answer.Used{used[0], used[0], used[1], used[2]}, nodes, 5); err == nil {
		t.Errorf("a position twice: a path of %d hashes", len(path))
	}
}
