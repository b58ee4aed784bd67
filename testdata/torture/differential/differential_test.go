// Package differential holds the log's tree and its proofs against two libraries
// that share nothing with each other: golang.org/x/mod/sumdb/tlog and
// transparency-dev/merkle. The prefix tree has its model in FuzzTree of
// log/prefix.
package differential

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"github.com/musterlog/muster/log/durable/durabletest"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/leaf"
)

const (
	largest   = 3000 // leaves: twelve full tiles at the lowest level, and one above
	questions = 250  // of each kind, a seed
)

// trees is one random log in all three.
type trees struct {
	t      *testing.T
	random *rand.Rand
	levels [][]leaf.Hash // muster's hashes of perfect subtrees
	stored []tlog.Hash
	leaves [][]byte
	counts map[string]int
}

func (m *trees) ReadHashes(indexes []int64) (out []tlog.Hash, _ error) {
	for _, i := range indexes {
		out = append(out, m.stored[i])
	}
	return out, nil
}

func (m *trees) node(level uint, index uint64) (leaf.Hash, error) {
	if int(level) >= len(m.levels) || index >= uint64(len(m.levels[level])) {
		return leaf.Hash{}, fmt.Errorf("no node %d at level %d", index, level)
	}
	return m.levels[level][index], nil
}

func (m *trees) draw(n int) int { return m.random.IntN(n) }

func (m *trees) same(what string, ours, theirs any) {
	m.t.Helper()
	m.counts[what]++
	if a, b := fmt.Sprintf("%x", plain(ours)), fmt.Sprintf("%x", plain(theirs)); a != b {
		m.t.Errorf("%s: %s, another library says %s", what, a, b)
	}
}

// plain undoes the types that print themselves.
func plain(v any) any {
	switch v := v.(type) {
	case tlog.Hash:
		return [32]byte(v)
	case tlog.RecordProof:
		return hashes(v)
	case tlog.TreeProof:
		return hashes(v)
	}
	return v
}

func hashes(in []tlog.Hash) (out [][32]byte) {
	for _, h := range in {
		out = append(out, h)
	}
	return out
}

func TestDifferential(t *testing.T) {
	from, to := durabletest.Seeds(t, 2)
	counts := map[string]int{}
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := grow(t, seed, counts)
			for range questions {
				m.askRoot()
				m.askPath()
				m.askConsistency()
				m.askMany()
			}
		})
	}
	total := 0
	for what, n := range counts {
		t.Logf("count %s %d", what, n)
		total += n
	}
	t.Logf("count comparisons %d", total)
}

func grow(t *testing.T, seed uint64, counts map[string]int) *trees {
	m := &trees{t: t, random: rand.New(rand.NewPCG(seed, 4)), counts: counts}
	size := 1 + m.draw(largest)
	if seed%2 == 0 {
		size = 1 + m.draw(70) // small ones have more edges
	}
	for n := range size {
		data := binary.BigEndian.AppendUint64(nil, m.random.Uint64())
		hashes, err := tlog.StoredHashes(int64(n), data, m)
		if err != nil {
			t.Fatal(err)
		}
		m.stored, m.leaves = append(m.stored, hashes...), append(m.leaves, data)
		m.add(leaf.HashOf(data))
	}
	return m
}

func (m *trees) add(h leaf.Hash) {
	for level := 0; ; level++ {
		if level == len(m.levels) {
			m.levels = append(m.levels, nil)
		}
		m.levels[level] = append(m.levels[level], h)
		n := len(m.levels[level])
		if n%2 == 1 {
			return
		}
		h = leaf.Join(m.levels[level][n-2], m.levels[level][n-1])
	}
}

func (m *trees) root(size uint64) leaf.Hash {
	root, err := answer.Range(0, size, m.node)
	if err != nil {
		m.t.Fatal(err)
	}
	return root
}

func (m *trees) askRoot() {
	size := 1 + m.draw(len(m.leaves))
	want, err := tlog.TreeHash(int64(size), m)
	if err != nil {
		m.t.Fatal(err)
	}
	m.same("roots, tlog", m.root(uint64(size)), want)
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for _, l := range m.leaves[:size] {
		if err := r.Append(rfc6962.DefaultHasher.HashLeaf(l), nil); err != nil {
			m.t.Fatal(err)
		}
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.same("roots, merkle", m.root(uint64(size)), root)
}

func (m *trees) askPath() {
	size := 1 + m.draw(len(m.leaves))
	at := m.draw(size)
	path, err := answer.Path(uint64(at), uint64(size), m.node)
	if err != nil {
		m.t.Fatal(err)
	}
	want, err := tlog.ProveRecord(int64(size), int64(at), m)
	if err != nil {
		m.t.Fatal(err)
	}
	m.same("inclusion proofs, tlog", path, want)
	root, h := m.root(uint64(size)), leaf.HashOf(m.leaves[at])
	judge := func(path []leaf.Hash, n, i uint64) (bool, bool) {
		one := tlog.CheckRecord(theirs(path), int64(n), tlog.Hash(root), int64(i), tlog.Hash(h)) == nil
		other := proof.VerifyInclusion(rfc6962.DefaultHasher, i, n, h[:], raw(path), root[:]) == nil
		return one, other
	}
	one, other := judge(path, uint64(size), uint64(at))
	m.same("inclusion proofs, merkle", other, true)
	m.same("inclusion verdicts", one, true)
	// ExtractPath over a single used leaf reads the same proof in another order.
	used := []answer.Used{{Position: uint64(at), Hash: h}}
	nodes, err := answer.Nodes(uint64(size), []uint64{uint64(at)}, m.node)
	if err != nil {
		m.t.Fatal(err)
	}
	extracted, err := answer.ExtractPath(uint64(size), used, nodes, uint64(at))
	if err != nil {
		m.t.Error(err)
	}
	m.same("extracted paths", extracted, want)
	// What the others refuse, the walk must refuse too.
	if len(nodes) > 0 {
		bad := slices.Clone(nodes)
		bad[m.draw(len(bad))][m.draw(32)] ^= 1 << m.draw(8)
		got, err := answer.Root(uint64(size), used, bad)
		m.same("changed walks", err == nil && got == root, false)
		changed := slices.Clone(path)
		changed[m.draw(len(changed))][m.draw(32)] ^= 1 << m.draw(8)
		one, other := judge(changed, uint64(size), uint64(at))
		m.same("changed inclusion proofs", one, other)
	}
}

func (m *trees) askConsistency() {
	to := 1 + m.draw(len(m.leaves))
	from := 1 + m.draw(to)
	path, err := answer.Consistency(uint64(from), uint64(to), m.node)
	if err != nil {
		m.t.Fatal(err)
	}
	want, err := tlog.ProveTree(int64(to), int64(from), m)
	if err != nil {
		m.t.Fatal(err)
	}
	m.same("consistency proofs, tlog", path, want)
	a, b := m.root(uint64(from)), m.root(uint64(to))
	ok := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(from), uint64(to), raw(path), a[:], b[:]) == nil
	m.same("consistency proofs, merkle", ok, true)
}

// askMany proves several leaves by one walk, and each by its path out of it.
func (m *trees) askMany() {
	size := 1 + m.draw(len(m.leaves))
	var positions []uint64
	for range 1 + m.draw(12) {
		positions = append(positions, uint64(m.draw(size)))
	}
	slices.Sort(positions)
	positions = slices.Compact(positions)
	var used []answer.Used
	for _, p := range positions {
		used = append(used, answer.Used{Position: p, Hash: leaf.HashOf(m.leaves[p])})
	}
	nodes, err := answer.Nodes(uint64(size), positions, m.node)
	if err != nil {
		m.t.Fatal(err)
	}
	root, err := answer.Root(uint64(size), used, nodes)
	if err != nil {
		m.t.Fatal(err)
	}
	want, err := tlog.TreeHash(int64(size), m)
	if err != nil {
		m.t.Fatal(err)
	}
	m.same("roots of walks, tlog", root, want)
	for _, p := range positions {
		path, err := answer.ExtractPath(uint64(size), used, nodes, p)
		if err != nil {
			m.t.Fatal(err)
		}
		record, err := tlog.ProveRecord(int64(size), int64(p), m)
		if err != nil {
			m.t.Fatal(err)
		}
		m.same("paths out of walks, tlog", path, record)
	}
	i := m.draw(len(used))
	used[i].Hash = sha256.Sum256(used[i].Hash[:])
	got, err := answer.Root(uint64(size), used, nodes)
	m.same("walks over another leaf", err == nil && got == root, false)
}

func theirs(path []leaf.Hash) (out tlog.RecordProof) {
	for _, h := range path {
		out = append(out, tlog.Hash(h))
	}
	return out
}

func raw(path []leaf.Hash) (out [][]byte) {
	for _, h := range path {
		out = append(out, h[:])
	}
	return out
}
