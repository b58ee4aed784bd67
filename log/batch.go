package log

import (
	"context"
	"errors"
	"sync"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/name"
)

// Batch is events of a stream on their way into the log. What needs no order
// is done by Admit, so that one batch's signatures are verified while the one
// before it joins and earlier ones wait for their epochs. Join and Outcomes
// are called once each, Join in the order of the stream.
type Batch struct {
	log      *Log
	subs     []submission
	admitted sync.WaitGroup
}

// Admit begins a submission, on all cores: form, signatures, index. Nothing
// is logged yet. It does not wait for any of this, so that no core is idle
// between two batches; whoever begins many waits in Join.
func (l *Log) Admit(events [][]byte) *Batch {
	b := &Batch{log: l, subs: make([]submission, len(events))}
	b.admitted.Go(func() { l.admitAll(b.subs, events) })
	return b
}

// Join lets the events into the open epoch, behind all that joined before.
// While too many wait already it waits for room, until ctx ends. An event that
// cannot be taken now ends it: the ones behind it may build on it, so they are
// not taken either.
func (b *Batch) Join(ctx context.Context) {
	b.admitted.Wait()
	var failed error
	for i := range b.subs {
		s := &b.subs[i]
		if failed == nil && !s.settled() {
			b.log.joinPatiently(ctx, s)
		}
		if failed == nil {
			failed = s.outcome.Err
		} else if s.outcome.Refused == nil {
			s.outcome.Err = failed
		}
	}
}

// Outcomes waits until the events are published, or ctx ends, and says what
// became of each, in order.
func (b *Batch) Outcomes(ctx context.Context) []answer.Outcome {
	return b.outcomes(ctx, false)
}

// outcomes refuses no event of an account behind one that could not be taken now:
// that it does not follow may be for that reason only, and a refusal is for good.
func (b *Batch) outcomes(ctx context.Context, receipts bool) []answer.Outcome {
	outcomes := make([]answer.Outcome, len(b.subs))
	var failed map[name.AccountID]error // made for the first of them only
	for i := range b.subs {
		s := &b.subs[i]
		b.log.await(ctx, s, receipts)
		outcomes[i] = s.outcome
		if s.event == nil {
			continue
		}
		if before := failed[s.event.Account]; before != nil && s.outcome.Refused != nil {
			outcomes[i].Refused, outcomes[i].Err = nil, before
		} else if s.outcome.Err != nil {
			if failed == nil {
				failed = make(map[name.AccountID]error)
			}
			failed[s.event.Account] = s.outcome.Err
		}
	}
	return outcomes
}

// joinPatiently is join that comes again when it is told to.
func (l *Log) joinPatiently(ctx context.Context, s *submission) {
	for {
		l.join(s, answer.WaitPublished)
		if !errors.Is(s.outcome.Err, ErrBusy) {
			return
		}
		if err := l.awaitRoom(ctx); err != nil {
			s.outcome.Err = &lateError{ErrBusy, err}
			return
		}
		s.outcome.Err = nil
	}
}

// awaitRoom blocks until fewer events wait than may: the oldest of too many is
// in the next epoch.
func (l *Log) awaitRoom(ctx context.Context) error {
	l.mu.Lock()
	if len(l.open) < l.cfg.MaxPending {
		l.mu.Unlock()
		return nil
	}
	oldest := l.open[0].done
	l.mu.Unlock()
	select {
	case <-oldest:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
