package answer_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/leaf"
)

// referenceTree is the RFC 6962 tree of transparency-dev/merkle's reference
// leaves, the ones that Certificate Transparency has tested with since 2013.
func referenceTree(size int) testTree {
	t := make(testTree, size)
	for i, input := range testonly.LeafInputs()[:size] {
		t[i] = leaf.HashOf(input)
	}
	return t
}

func TestReferenceHashes(t *testing.T) {
	for size := 1; size <= len(testonly.LeafInputs()); size++ {
		if got, want := referenceTree(size).root(), leaf.Hash(testonly.RootHashes()[size]); got != want {
			t.Errorf("root of %d leaves %x, want %x", size, got, want)
		}
	}
	whole := referenceTree(len(testonly.LeafInputs()))
	for level, row := range testonly.NodeHashes() {
		for index, want := range row {
			if got, _ := whole.node(uint(level), uint64(index)); got != leaf.Hash(want) {
				t.Errorf("node %d at level %d: %x, want %x", index, level, got, want)
			}
		}
	}
}

// change is one way to spoil a proof, named as merkle's own probes name them.
type change struct {
	name string
	do   func([]leaf.Hash) []leaf.Hash
}

func changes(proof []leaf.Hash, root leaf.Hash) []change {
	all := []change{
		{"trailing garbage", func(p []leaf.Hash) []leaf.Hash { return append(p, leaf.Hash{}) }},
		{"trailing root", func(p []leaf.Hash) []leaf.Hash { return append(p, root) }},
		{"preceding garbage", func(p []leaf.Hash) []leaf.Hash { return slices.Insert(p, 0, leaf.Hash{}) }},
		{"preceding root", func(p []leaf.Hash) []leaf.Hash { return slices.Insert(p, 0, root) }},
	}
	for i := range proof {
		all = append(all,
			change{fmt.Sprintf("modified proof[%d]", i), func(p []leaf.Hash) []leaf.Hash { p[i][0] ^= 1 << 4; return p }},
			change{fmt.Sprintf("preceding proof[%d]", i), func(p []leaf.Hash) []leaf.Hash { return slices.Insert(p, 0, p[i]) }},
			change{fmt.Sprintf("removed proof[%d]", i), func(p []leaf.Hash) []leaf.Hash { return slices.Delete(p, i, i+1) }})
	}
	if len(proof) > 0 {
		all = append(all,
			change{"empty proof", func([]leaf.Hash) []leaf.Hash { return nil }},
			change{"truncated proof", func(p []leaf.Hash) []leaf.Hash { return p[:len(p)-1] }})
	}
	return all
}

// Good inclusion proofs pass both the library and our walk; each spoiled one,
// each other position, size, leaf and root fails both.
func TestReferenceInclusion(t *testing.T) {
	good, bad := 0, 0
	for size := uint64(1); size <= 8; size++ {
		tree := referenceTree(int(size))
		root := tree.root()
		for at := range size {
			path, err := answer.Path(at, size, tree.node)
			if err != nil {
				t.Fatal(err)
			}
			nodes, err := answer.Nodes(size, []uint64{at}, tree.node)
			if err != nil {
				t.Fatal(err)
			}
			try := func(name string, want bool, at, size uint64, hash leaf.Hash, path, nodes []leaf.Hash, root leaf.Hash) {
				if want {
					good++
				} else {
					bad++
				}
				err := proof.VerifyInclusion(rfc6962.DefaultHasher, at, size, hash[:], raw(path), root[:])
				if (err == nil) != want {
					t.Errorf("%d of %d, %s: merkle says %v", at, size, name, err)
				}
				got, err := answer.Root(size, []answer.Used{{Position: at, Hash: hash}}, nodes)
				if (err == nil && got == root) != want {
					t.Errorf("%d of %d, %s: our walk gives %x, %v", at, size, name, got, err)
				}
			}
			try("happy path", true, at, size, tree[at], path, nodes, root)
			try("wrong leaf", false, at, size, leaf.Hash{1}, path, nodes, root)
			try("wrong root", false, at, size, tree[at], path, nodes, leaf.Hash{1})
			try("index beyond the tree", false, at+size, size, tree[at], path, nodes, root)
			try("index huge", false, at+1<<62, size, tree[at], path, nodes, root)
			if size > 1 {
				try("index ^ 1", false, at^1, size, tree[at], path, nodes, root)
				try("size doubled", false, at, 2*size, tree[at], path, nodes, root)
			}
			for _, c := range changes(path, root) {
				try(c.name, false, at, size, tree[at], c.do(slices.Clone(path)), c.do(slices.Clone(nodes)), root)
			}
		}
	}
	t.Logf("%d good proofs accepted", good)
	t.Logf("count refused %d", bad)
}

func TestReferenceConsistency(t *testing.T) {
	good, bad := 0, 0
	for to := uint64(2); to <= 8; to++ {
		tree := referenceTree(int(to))
		root := tree.root()
		for from := uint64(1); from < to; from++ {
			old := referenceTree(int(from)).root()
			path, err := answer.Consistency(from, to, tree.node)
			if err != nil {
				t.Fatal(err)
			}
			try := func(name string, want bool, from, to uint64, path []leaf.Hash, old, root leaf.Hash) {
				if want {
					good++
				} else {
					bad++
				}
				err := proof.VerifyConsistency(rfc6962.DefaultHasher, from, to, raw(path), old[:], root[:])
				if (err == nil) != want {
					t.Errorf("%d to %d, %s: %v", from, to, name, err)
				}
			}
			try("happy path", true, from, to, path, old, root)
			try("wrong root1", false, from, to, path, leaf.Hash{1}, root)
			try("wrong root2", false, from, to, path, old, leaf.Hash{1})
			try("swapped roots", false, from, to, path, root, old)
			try("sizes swapped", false, to, from, path, old, root)
			for _, c := range changes(path, root) {
				try(c.name, false, from, to, c.do(slices.Clone(path)), old, root)
			}
		}
	}
	t.Logf("%d good proofs accepted", good)
	t.Logf("count refused %d", bad)
}
