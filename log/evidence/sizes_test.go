package evidence_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// history is a tree of n leaves, of which those from fork on are another
// history's, with a signed checkpoint of every size. The nodes of all its trees
// are at hand, since the tests below ask for a million of them.
type history struct {
	nodes map[[2]uint64]leaf.Hash
	notes [][]byte // by size
	roots []name.TreeRoot
	log   *liar.Log
}

func newHistory(n, fork uint64) *history {
	h := &history{nodes: map[[2]uint64]leaf.Hash{}, notes: [][]byte{nil}, roots: []name.TreeRoot{{}}, log: liar.New(origin, start)}
	for i := range n {
		body := fmt.Sprint(i)
		if i >= fork {
			body += " forked"
		}
		h.log.Leaves = append(h.log.Leaves[:i:i], []byte(body))
		h.nodes[[2]uint64{0, i}] = leaf.HashOf([]byte(body))
		for level, k := uint64(1), i; k%2 == 1; level, k = level+1, k/2 {
			h.nodes[[2]uint64{level, k / 2}] = leaf.Join(h.nodes[[2]uint64{level - 1, k - 1}], h.nodes[[2]uint64{level - 1, k}])
		}
		root := name.TreeRoot(must(answer.Range(0, i+1, h.node)))
		h.roots = append(h.roots, root)
		h.log.SignAs(checkpoint.Checkpoint{Origin: origin, Size: i + 1, Root: root})
		h.notes = append(h.notes, h.log.Note)
	}
	return h
}

func (h *history) node(level uint, index uint64) (leaf.Hash, error) {
	return h.nodes[[2]uint64{uint64(level), index}], nil
}

func (h *history) consistency(from, to uint64) []leaf.Hash {
	return must(answer.Consistency(from, to, h.node))
}

func (h *history) leaf(p, n uint64) evidence.Leaf {
	return evidence.Leaf{Position: p, Bytes: h.log.Leaves[p], Path: must(answer.Path(p, n, h.node))}
}

func guilty(key checkpoint.Key, f *evidence.File) bool {
	return errors.As(evidence.Convict(key, f), new(*evidence.Misbehaviour))
}

// E2 convicts exactly those who forked, for all sizes up to 64, powers of two
// among them. Of an honest pair no other root passes for the first one's.
func TestForksOfAllSizes(t *testing.T) {
	const most = 64
	honest := newHistory(most, most)
	key := honest.log.Signer.Key()
	forks, pairs := map[uint64]*history{}, 0
	for n1 := uint64(1); n1 < most; n1++ {
		for n2 := n1 + 1; n2 <= most; n2++ {
			for _, at := range []uint64{0, n1 - 1, n1, n2 - 1} {
				if forks[at] == nil {
					forks[at] = newHistory(most, at)
				}
				other := forks[at]
				f := evidence.Fork(honest.notes[n1], other.notes[n2], other.roots[n1], other.consistency(n1, n2))
				if got, want := guilty(key, f), at < n1; got != want {
					t.Fatalf("%d to %d, forked at %d: convicts: %v", n1, n2, at, got)
				}
				pairs++
			}
			p := honest.consistency(n1, n2)
			for _, root := range []name.TreeRoot{honest.roots[n1], honest.roots[n2], honest.roots[1], {1}} {
				if guilty(key, evidence.Fork(honest.notes[n1], honest.notes[n2], root, p)) {
					t.Fatalf("%d to %d: an honest log is convicted with root %s", n1, n2, root)
				}
				pairs++
			}
		}
	}
	t.Logf("%d files", pairs)
}

// A proof of other sizes than those that are signed has often the same shape.
// Since the sizes are the notes', it convicts no honest log.
func TestProofsOfOtherSizes(t *testing.T) {
	const most = 12
	h := newHistory(most, most)
	key := h.log.Signer.Key()
	tried, shapes := 0, 0
	for n1 := uint64(1); n1 < most; n1++ {
		for n2 := n1 + 1; n2 <= most; n2++ {
			for m1 := uint64(1); m1 < most; m1++ {
				for m2 := m1 + 1; m2 <= most; m2++ {
					p := h.consistency(m1, m2)
					if len(p) == len(h.consistency(n1, n2)) {
						shapes++
					}
					tried++
					if guilty(key, evidence.Fork(h.notes[n1], h.notes[n2], h.roots[m1], p)) {
						t.Fatalf("signed sizes %d and %d, proof from %d to %d: an honest log is convicted", n1, n2, m1, m2)
					}
				}
			}
		}
	}
	for n := uint64(1); n <= most; n++ {
		for p := range n {
			for m := uint64(1); m <= most; m++ {
				for q := range m {
					claimed := h.leaf(q, m)
					claimed.Position = p
					tried++
					if guilty(key, evidence.Replaced(h.notes[most], h.leaf(p, most), h.notes[n], claimed)) {
						t.Fatalf("leaf %d of %d, claimed to be leaf %d of %d: an honest log is convicted", q, m, p, n)
					}
				}
			}
		}
	}
	t.Logf("%d with a consistency proof of the right length", shapes)
	t.Logf("count refused %d", tried)
}

// An honest witness has seen no leaf, only proofs, and a lying log can claim any
// size for any root. Whatever it got the witness to cosign one after the other,
// no direct proof contradicts the chain: so W E2 never convicts that witness.
func TestLyingSizesConvictNoWitness(t *testing.T) {
	const most = 9
	h, other := newHistory(most, most), newHistory(most, 3)
	type claim struct {
		size uint64
		root name.TreeRoot
	}
	var claims []claim
	var proofs [][]leaf.Hash
	var roots []name.TreeRoot
	for n := uint64(1); n <= most; n++ {
		roots = append(roots, h.roots[n], other.roots[n])
		for m := n + 1; m <= most; m++ {
			proofs = append(proofs, h.consistency(n, m), other.consistency(n, m))
		}
	}
	for n := uint64(1); n <= most; n++ {
		for _, r := range roots {
			claims = append(claims, claim{n, r})
		}
	}
	valid := func(from uint64, root name.TreeRoot, to claim, p []leaf.Hash) bool {
		raw := make([][]byte, len(p))
		for i := range p {
			raw[i] = p[i][:]
		}
		return proof.VerifyConsistency(rfc6962.DefaultHasher, from, to.size, raw, root[:], to.root[:]) == nil
	}
	// roots that a proof shows before each claim, at each size
	shown := map[claim]map[uint64]map[name.TreeRoot]bool{}
	for _, c := range claims {
		shown[c] = map[uint64]map[name.TreeRoot]bool{}
		for from := uint64(1); from < c.size; from++ {
			shown[c][from] = map[name.TreeRoot]bool{}
			for _, p := range proofs {
				for _, r := range roots {
					if valid(from, r, c, p) {
						shown[c][from][r] = true
					}
				}
			}
		}
	}
	chains := 0
	for _, c := range claims {
		for mid := uint64(1); mid < c.size; mid++ {
			for r := range shown[c][mid] {
				for from, firsts := range shown[claim{mid, r}] {
					for first := range firsts {
						chains++
						for direct := range shown[c][from] {
							if direct != first {
								t.Errorf("the witness cosigned %d, %d, %d one after the other, and a direct proof contradicts the first", from, mid, c.size)
							}
						}
					}
				}
			}
		}
	}
	if chains == 0 {
		t.Error("no chain was built")
	}
	t.Logf("%d claims, %d chains", len(claims), chains)
}
