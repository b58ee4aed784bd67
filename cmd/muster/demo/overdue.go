package demo

import (
	"context"
	"errors"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// overdue takes an event, promises with a signature to log it, and does not.
func overdue(ctx context.Context, s *scene) error {
	a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add)
	if err != nil {
		return err
	}
	if err := s.knows(ctx, alice, a); err != nil {
		return err
	}
	s.log.do(func(*liar.Log) { s.log.submit = promise })
	removal, err := event.Parse(removeFirst(a.phone))
	if err != nil {
		return err
	}
	outcomes, err := a.log.Submit(ctx, [][]byte{removal.Bytes()}, answer.Want{Wait: answer.WaitDurable})
	if err != nil {
		return err
	}
	state, err := a.state()
	if err != nil {
		return err
	}
	kept, err := a.app.Verifier.Durable(state.VRFKey, removal, outcomes[0].Receipt, time.Now())
	if err != nil {
		return err
	}
	// The next epoch is past the promised time, and lacks the event.
	s.lies(func(l *liar.Log) { l.TimeMs = kept.Receipt.MergeBy })
	if err := s.publish(ctx); err != nil {
		return err
	}
	data, err := a.log.Lookup(ctx, kept.Request())
	if err != nil {
		return err
	}
	found := a.app.Verifier.Overdue(kept, data, time.Now())
	if !errors.As(found, new(*evidence.Misbehaviour)) {
		return found
	}
	return s.notice(ctx, Owner, "the app on Alice's own phone", "the promised time is over, and the log closed an epoch without the event", found)
}

// promise is a signed receipt for an event that goes nowhere.
func promise(l *liar.Log, body []byte) answer.Outcome {
	e, err := event.Parse(body)
	if err != nil {
		return answer.Outcome{Err: err}
	}
	proof, index, err := l.VRF(e.Account, e.Seq)
	if err != nil {
		return answer.Outcome{Err: err}
	}
	random := seed()
	d := &answer.Durable{Seq: e.Seq, Proof: proof, Opening: name.Opening(random[:16])}
	d.Note = l.Signer.SignReceipt(checkpoint.Receipt{
		Origin: l.Origin, Index: index, MergeBy: l.TimeMs + 1000,
		Commitment: commitment.Commit(d.Opening, e.Account.Label(), e.Seq, body),
	})
	receipt, err := d.Bytes()
	return answer.Outcome{Seq: e.Seq, Promised: true, Event: e.ID(), Receipt: receipt, Err: err}
}
