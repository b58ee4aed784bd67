package demo

import (
	"context"
	"fmt"
	"sync"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// keeping is a Source that keeps its last answer: what failed a check is kept
// for inspection (protocol section 6.4).
type keeping struct {
	verifier.Source
	mu   sync.Mutex
	last []byte
}

func (k *keeping) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	data, err := k.Source.Lookup(ctx, request)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = data
	return data, err
}

func (k *keeping) answer() (*answer.Answer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return answer.Parse(k.last)
}

// accuse looks for what convicts the log in an answer that broke the account
// rules; nil if there is nothing. The answer itself is not signed; that its
// events lie in the log, the log's own public files show.
func accuse(ctx context.Context, log checkpoint.Key, a *answer.Answer, files follow.Source) *evidence.File {
	tree, err := treeOf(ctx, a.Note, files)
	if err != nil {
		return nil
	}
	for i := range a.Accounts {
		opened := openings(&a.Accounts[i])
		for n := range opened {
			if f, err := verifier.ProveEvents(log, tree, opened[:n+1]); err == nil {
				return f
			}
		}
	}
	return nil
}

func openings(a *answer.Account) (opened []evidence.Open) {
	for _, v := range a.Versions {
		if v.Form == answer.Opened {
			opened = append(opened, evidence.Open{Position: v.Position, Label: a.ID.Label(), Seq: v.Seq, Opening: v.Opening, Event: v.Event})
		}
	}
	return opened
}

// treeOf is the tree of a note, from the log's public files.
func treeOf(ctx context.Context, note []byte, files follow.Source) (*evidence.Tree, error) {
	parsed, err := checkpoint.Parse(note)
	if err != nil {
		return nil, err
	}
	t, err := follow.Open(ctx, files, parsed.Checkpoint)
	if err != nil {
		return nil, fmt.Errorf("reading the tree of what was answered: %w", err)
	}
	return follow.Evidence(ctx, t, note), nil
}
