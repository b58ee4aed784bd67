package verifier

import (
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// shownMap is what an answer has proven of the map.
type shownMap struct {
	root    name.PrefixRoot
	queries []prefix.Query
	proofs  []*prefix.Proof // one for every answer.ProofCut queries
}

// absent is the proof for one index alone.
func (s *shownMap) absent(index name.Index) (*prefix.Proof, error) {
	for i, q := range s.queries {
		if q.Index == index && !q.Present {
			from := i - i%answer.ProofCut
			to := min(from+answer.ProofCut, len(s.queries))
			return prefix.Extract(s.root, s.queries[from:to], s.proofs[i/answer.ProofCut], []int{i - from})
		}
	}
	return nil, fmt.Errorf("the answer did not prove index %v absent", index)
}

// ProveInserted makes evidence of an EVENT leaf that lies in the log below this
// Result's checkpoint, under an index that the answer proved absent from the
// map (E4a, protocol section 9.3): who scans all leaves for Rungs finds it.
// tree shows the leaves of the checkpoint, and may lie.
func (r *Result) ProveInserted(log checkpoint.Key, tree *evidence.Tree, index name.Index, position uint64) (*evidence.File, error) {
	absent, err := r.shown.absent(index)
	if err != nil {
		return nil, fmt.Errorf("proving that leaf %d was inserted: %w", position, err)
	}
	f, err := tree.Dropped(position, r.Checkpoint.Size-1, absent)
	if err != nil {
		return nil, fmt.Errorf("proving that leaf %d was inserted: %w", position, err)
	}
	var m *evidence.Misbehaviour
	if err := evidence.Convict(log, f); !errors.As(err, &m) {
		return nil, err
	}
	return m.File, nil
}
