package verifier

import (
	"runtime"
	"slices"
	"sync"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

// checkMap is step 5: every required version's index, and what the prefix
// tree says of it. PrefixProofs cut the versions of all accounts in order.
func checkMap(p *page, key *vrf.PublicKey, a *answer.Answer) error {
	if err := checkVersions(p.steps, key); err != nil {
		return err
	}
	var queries []prefix.Query
	for i := range p.steps {
		s := &p.steps[i]
		for j := range s.said.Versions {
			ver := &s.said.Versions[j]
			q := prefix.Query{Index: s.indexes[j], Present: ver.Form != answer.Absent}
			if q.Present {
				q.Value = prefix.Value(ver.Position, ver.Commitment)
			}
			queries = append(queries, q)
		}
	}
	p.queries, p.proofs = queries, a.Proofs
	for i, part := range slices.Collect(slices.Chunk(queries, answer.ProofCut)) {
		if err := prefix.Verify(p.epoch.PrefixRoot, part, a.Proofs[i]); err != nil {
			return &Failure{Check: CheckPrefix, Err: err}
		}
	}
	return nil
}

// checkVersions demands of each account, in order, that it shows what is
// required, and then that the indexes are its own.
func checkVersions(steps []account, key *vrf.PublicKey) error {
	for i := range steps {
		if err := steps[i].checkRequired(); err != nil {
			if earlier := checkIndexes(steps[:i], key); earlier != nil {
				return earlier
			}
			return steps[i].named(err)
		}
	}
	return checkIndexes(steps, key)
}

// checkIndexes verifies all VRF proofs, the greater part of what an answer
// takes, on all cores. The failure is the first in the order of the answer,
// whoever finds it.
func checkIndexes(steps []account, key *vrf.PublicKey) error {
	var all []versionOf
	for i := range steps {
		s := &steps[i]
		s.indexes = make([]name.Index, len(s.said.Versions))
		for j := range s.said.Versions {
			all = append(all, versionOf{s, j})
		}
	}
	parts := slices.Collect(slices.Chunk(all, len(all)/runtime.GOMAXPROCS(0)+1))
	failures := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			for _, v := range part {
				if failures[i] = v.checkIndex(key); failures[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

// versionOf is one version that an answer shows of an account.
type versionOf struct {
	*account
	at int // in said.Versions
}

func (v versionOf) checkIndex(key *vrf.PublicKey) (err error) {
	ver := &v.said.Versions[v.at]
	if v.indexes[v.at], err = key.Verify(v.said.ID.Label().VRFInput(ver.Seq), &ver.Proof); err != nil {
		return v.named(&Failure{Check: CheckVRF, Err: err})
	}
	return nil
}
