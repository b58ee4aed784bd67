package demo

import (
	"context"
	"fmt"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// scans has the owner's monitor read every leaf of the log for the indexes that
// the answer to it proved absent: only versions of her account can lie there.
func (s *scene) scans(ctx context.Context, whom *person) error {
	who, err := s.person("monitor")
	if err != nil {
		return err
	}
	r, err := who.look(ctx, whom)
	if err != nil {
		return err
	}
	tree, err := follow.Open(ctx, who.log, r.Checkpoint)
	if err != nil {
		return err
	}
	rungs := r.Accounts[0].Rungs
	place, position, err := inserted(ctx, tree, rungs)
	if err != nil || place < 0 {
		return err
	}
	said := fmt.Sprintf("ALARM: the leaf at position %d can only be version %d of %s's account, and the map that is shown to her lacks it", position, rungs[place].Seq, called(whom.id))
	f, err := r.ProveInserted(s.policy.Log, follow.Evidence(ctx, tree, r.Note), rungs[place].Index, position)
	if err != nil {
		return err
	}
	found := evidence.Convict(s.policy.Log, f)
	return s.notice(ctx, Monitor, fmt.Sprintf("%s's monitor, which scans every leaf", called(whom.id)), said, found, nil)
}

// inserted is the leaf at a rung that was proven absent; place -1: there is none.
func inserted(ctx context.Context, tree *follow.Tree, rungs []verifier.Rung) (place int, position uint64, err error) {
	absent := make(map[name.Index]int)
	for i, r := range rungs {
		if !r.Present {
			absent[r.Index] = i
		}
	}
	for bundle, err := range tree.Bundles(ctx, 0) {
		if err != nil {
			return -1, 0, err
		}
		for i, data := range bundle.Leaves {
			parsed, err := leaf.Parse(data)
			if err != nil {
				return -1, 0, err
			}
			if e, ok := parsed.(*leaf.Event); ok {
				if place, ok := absent[e.Index]; ok {
					return place, bundle.First + uint64(i), nil
				}
			}
		}
	}
	return -1, 0, nil
}
