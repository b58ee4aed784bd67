package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
)

// Forked ends a log: a checkpoint that its own key signed does not belong to
// its store. Signing on would make the fork public (protocol section 8.2).
type Forked struct {
	Why          string
	Note         []byte                 // the signed checkpoint that contradicts the store
	told         string                 // to everybody
	Misbehaviour *evidence.Misbehaviour // E1, if the store's own signed checkpoint has the same size; else nil
}

func (f *Forked) Error() string { return f.Why }

// Is says that a fork is an ErrReadOnly.
func (f *Forked) Is(target error) bool { return target == ErrReadOnly }

// Unwrap is the misbehaviour, if a stranger would see one.
func (f *Forked) Unwrap() error {
	if f.Misbehaviour == nil {
		return nil
	}
	return f.Misbehaviour
}

// judge looks for the proof behind a cosigner's claim to have another
// checkpoint than ours. It gives a *Forked if there is one. A bare claim
// proves nothing: anybody can name a number, and a log that believed it could
// be stopped by one bad cosigner. Then the claim is an error like another.
func (l *Log) judge(ctx context.Context, c *cosigner, claim error) error {
	raw, err := c.Checkpoint(ctx, l.cfg.Origin)
	if err != nil {
		return fmt.Errorf("%w, but does not show it: %w", claim, err)
	}
	note, err := checkpoint.Open(l.cfg.Signer.Key(), raw)
	if err != nil {
		return fmt.Errorf("%w, but what it shows is not signed by this log: %w", claim, err)
	}
	s := l.signed.Load()
	if l.left != nil && note.Checkpoint == l.left.checkpoint {
		// It was signed, and the head is a copy from before: the next question is about it.
		return errors.Join(claim, l.signLeft())
	}
	if note.Size > s.tree.size {
		return &Forked{Note: raw, told: toldBehind, Why: fmt.Sprintf("%s shows a checkpoint of size %d with this log's signature, but this store was signed up to %d only: "+
			"it is an old backup, or another server runs with this log's key. Stop the other server, or bring back the newest copy of the store; nothing is signed with this one", c, note.Size, s.tree.size)}
	}
	root, err := answer.Range(0, note.Size, s.tree.reader(l.cfg.Store))
	if err != nil {
		return fmt.Errorf("computing the root at size %d: %w", note.Size, err)
	}
	if note.Root == name.TreeRoot(root) {
		return claim // it is one of ours
	}
	f := &Forked{Note: raw, told: toldHistory, Why: fmt.Sprintf("%s shows a checkpoint of size %d with this log's signature and root %s, but this store has root %s there: "+
		"two servers ran with this log's key, or the store was changed. Nothing more is signed; keep both stores, since who sees both checkpoints holds proof of a fork", c, note.Size, note.Root, name.TreeRoot(root))}
	if note.Size == s.tree.size {
		errors.As(evidence.Convict(l.cfg.Signer.Key(), evidence.TwoRoots(raw, s.note)), &f.Misbehaviour)
	}
	return f
}
