package log

import (
	"slices"
	"testing"

	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/vrf"
)

// proofStore keeps proofs, and counts what is asked of it.
type proofStore struct {
	store.Store
	rows         map[proofGroup][]store.Proof
	reads, wrote int
}

func (s *proofStore) Proofs(id name.AccountID, group uint32) ([]store.Proof, error) {
	s.reads++
	return s.rows[proofGroup{id, group}], nil
}

func (s *proofStore) PutProofs(id name.AccountID, group uint32, all []store.Proof) error {
	s.wrote++
	s.rows[proofGroup{id, group}] = slices.Clone(all)
	return nil
}

// TestProofsAreKeptByGroup: a request reads each group once, writes it once if
// it made a proof, and what it is given is always the right one.
func TestProofsAreKeptByGroup(t *testing.T) {
	s := &proofStore{rows: make(map[proofGroup][]store.Proof)}
	key := vrf.NewPrivateKey(liar.Seed("vrf"))
	public, err := vrf.ParsePublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(Config{VRF: key, Store: s})
	a, b := name.AccountID{1}, name.AccountID{2}
	request := func(reads, wrote int, seqs ...uint32) {
		t.Helper()
		s.reads, s.wrote = 0, 0
		p := l.proofs()
		for _, id := range []name.AccountID{a, b} {
			for _, seq := range seqs {
				proof, index, err := p.of(id, seq)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := public.Verify(id.Label().VRFInput(seq), &proof); err != nil || got != index {
					t.Fatalf("seq %d of account %v: index %v, %v; its proof shows %v", seq, id, index, err, got)
				}
			}
		}
		if err := p.keep(); err != nil {
			t.Fatal(err)
		}
		if s.reads != reads || s.wrote != wrote {
			t.Errorf("seqs %v: %d reads and %d writes, want %d and %d", seqs, s.reads, s.wrote, reads, wrote)
		}
	}
	request(2, 2, 1, 0, 3)
	request(2, 0, 0, 1, 3)
	request(4, 4, 3, 2, 16, 15, 1)
	request(4, 0, 0, 1, 2, 3, 15, 16)
	request(2, 2, 1<<32-1)
	for group, all := range s.rows {
		if !slices.IsSortedFunc(all, func(a, b store.Proof) int { return int(int64(a.Seq) - int64(b.Seq)) }) {
			t.Errorf("group %v is out of order: %v", group, all)
		}
	}
}
