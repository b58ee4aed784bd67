package log

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/store"
)

// Promises (protocol sections 8.3 and 9.1). A receipt says that the event is in
// an EPOCH whose time_ms is at most merge_by, and convicts the log when an
// EPOCH of a later time lacks it. What keeps an honest log honest, whatever its
// clock, its disk and its load do, is one rule: a cut takes every promised
// event. So an EPOCH that lacks one was cut before it was promised, and
// merge_by is never before the newest cut.

// promise is what stands in an event's receipt beside its index and commitment.
type promise struct {
	durable chan struct{} // closed when the fields below are final
	mergeBy uint64        // POSIX milliseconds
	err     error         // the store did not keep it: no receipt is signed
}

// promise marks an event as promised and queues it for the store, under l.mu.
// It returns nil for one that is being sealed already: that one is answered
// as published, which says more.
//
// The events before it in its account are promised with it: if an epoch fails,
// those without a promise are refused, and it could not stay without them.
func (l *Log) promise(t *ticket) *promise {
	if !l.maySign() {
		return nil
	}
	var with []*ticket
	for _, p := range l.pending[t.after.ID] {
		if p.promise == nil {
			if p.cut {
				return nil
			}
			with = append(with, p)
		}
		if p == t {
			break
		}
	}
	for _, p := range with {
		p.promise = &promise{durable: make(chan struct{})}
	}
	l.promised = append(l.promised, with...)
	return t.promise
}

// maySign says that a promise may be signed, under l.mu: a quorum has confirmed
// where this log stands. A restored backup that promises would break its word:
// the newest copy of the store, which has to be brought back, lacks the event.
func (l *Log) maySign() bool {
	if l.stopped != nil && l.stopped != ErrStopped { // while it drains, the event is still sealed
		return false
	}
	return l.isConfirmed()
}

// isConfirmed says whether this log knows where it stands: with cosigners, a quorum
// has said so.
func (l *Log) isConfirmed() bool {
	if !l.cfg.cosigned() {
		return true
	}
	select {
	case <-l.confirmed:
		return true
	default:
		return false
	}
}

// reserve makes every promised event durable that is not yet: all that came
// while the last write was under way in one synced write.
func (l *Log) reserve() {
	l.reserving.Lock()
	defer l.reserving.Unlock()
	l.mu.Lock()
	queue := l.promised
	l.promised = nil
	// The clock may have been turned back; the times of epochs never are.
	mergeBy := max(uint64(l.now().UnixMilli()), l.cut) + uint64(l.cfg.MergeDelay.Milliseconds())
	rows := make([]store.Pending, len(queue))
	for i, t := range queue {
		t.promise.mergeBy = mergeBy
		e := t.checked.Event()
		rows[i] = store.Pending{Account: e.Account, Seq: e.Seq, Opening: t.opening, MergeBy: mergeBy, Body: t.body}
	}
	l.mu.Unlock()
	if len(queue) == 0 {
		return
	}
	// A crash from here to the answer leaves events that are logged although
	// nobody holds a receipt for them. That wrongs nobody: they were submitted.
	err := l.cfg.Store.Reserve(rows)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil { // what was queued since may build on these
		queue, l.promised = append(queue, l.promised...), nil
	}
	for _, t := range queue {
		p := t.promise
		if err != nil {
			p.err = fmt.Errorf("promising the event: %w: send it again", err)
			t.promise = nil // an event like any other
		}
		close(p.durable)
	}
}

// awaitPromise gives the receipt of a promised event once it is durable.
func (l *Log) awaitPromise(ctx context.Context, s *submission) {
	if !l.reading.TryRLock() {
		s.outcome.Err = ErrStopped
		return
	}
	defer l.reading.RUnlock()
	l.reserve()
	select {
	case <-s.promise.durable:
		l.mu.Lock()
		stopped, may := l.stopped, l.maySign()
		l.mu.Unlock()
		if s.outcome.Err = s.promise.err; s.outcome.Err == nil && !may {
			s.outcome.Err = fmt.Errorf("promising the event: the log stopped meanwhile: %w", or(stopped, ErrStopped))
		}
		if s.outcome.Err == nil {
			s.outcome.Promised = true
			s.outcome.Receipt, s.outcome.Err = l.durableAnswer(s.wait, s.promise.mergeBy)
		}
	case <-ctx.Done(): // the event stays on its way
		s.outcome.Err = gaveUp(ctx, "the event waits for the log's promise, which was not stored in time: send it again")
	}
}

// durableAnswer is the canonical answer.Durable of a promised event: the same
// bytes whenever it is asked for, also after a restart.
func (l *Log) durableAnswer(t *ticket, mergeBy uint64) ([]byte, error) {
	e := t.checked.Event()
	proof, index, err := l.proof(e.Account, e.Seq)
	if err != nil {
		return nil, err
	}
	note := l.cfg.Signer.SignReceipt(checkpoint.Receipt{
		Origin: l.cfg.Origin, Index: index, MergeBy: mergeBy,
		Commitment: commitment.Commit(t.opening, e.Account.Label(), e.Seq, t.body),
	})
	return (&answer.Durable{Seq: e.Seq, Proof: proof, Opening: t.opening, Note: note}).Bytes()
}

// restore takes what an earlier process promised into the open epoch, before
// any cut. What does not fit the account is a store that cannot be trusted.
func (l *Log) restore() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = l.seq.state.TimeMs
	durable := make(chan struct{})
	close(durable)
	for p, err := range l.cfg.Store.Pending() {
		if err != nil {
			return fmt.Errorf("reading the promised events: %w", err)
		}
		t, err := l.restored(p)
		if err != nil {
			return fmt.Errorf("seq %d of account %s, which was promised: %w", p.Seq, p.Account, err)
		}
		t.opening, t.promise = p.Opening, &promise{durable: durable, mergeBy: p.MergeBy}
		l.enter(t)
	}
	return nil
}

// restored makes the ticket of a promised event anew. This server's own limits
// were kept when it was promised, and may have changed since.
func (l *Log) restored(p *store.Pending) (*ticket, error) {
	e, err := event.Parse(p.Body)
	if err != nil {
		return nil, err
	}
	if e.Account != p.Account || e.Seq != p.Seq {
		return nil, errors.New("the store holds another event for it")
	}
	at, err := l.accountLocked(p.Account, accountAt{})
	if err != nil {
		return nil, err
	}
	s := &submission{body: p.Body, event: e, checked: event.Check(e, at.Keys()...)}
	after := *at
	after.Account = at.Fork()
	if err := follow(&after, s.checked); err != nil {
		return nil, err
	}
	l.evaluate(s)
	return newTicket(s, &after), nil
}

func newTicket(s *submission, after *store.Account) *ticket {
	t := &ticket{checked: s.checked, body: s.body, index: *s.index, after: after, previous: after.Position, live: keyIndexes(after.Devices), done: make(chan struct{})}
	rand.Read(t.opening[:]) // never fails; never drawn again, whatever becomes of its epoch
	return t
}

// keyIndexes is a device list as a stored event keeps it; nil for none.
func keyIndexes(devices []event.Device) (live []uint32) {
	live = slices.Grow(live, len(devices))
	for i := range devices {
		live = append(live, devices[i].KeyIndex)
	}
	return live
}

// enter lets an event into the open epoch, under l.mu.
func (l *Log) enter(t *ticket) {
	if len(l.open) == 0 {
		l.since = time.Now()
	}
	l.open = append(l.open, t)
	before := l.pending[t.after.ID]
	if len(before) > 0 {
		t.prior = before[len(before)-1]
	}
	l.pending[t.after.ID] = append(before, t)
	l.wake(len(l.open) >= l.cfg.MaxEpochEvents)
}

// wake is called under l.mu when an event joined.
func (l *Log) wake(full bool) {
	signal(l.opened)
	if full {
		signal(l.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// cutOpen takes the next epoch's events from the open one and fixes its time,
// under l.mu: at most MaxEpochEvents, oldest first, but every promised one with
// all that came before it. An errBatch is about the clock.
func (l *Log) cutOpen() (batch []*ticket, timeMs uint64, err error) {
	n := min(len(l.open), l.cfg.MaxEpochEvents)
	for i := len(l.open); i > n; i-- {
		if l.open[i-1].promise != nil {
			n = i
		}
	}
	batch, l.open, l.since = l.open[:n:n], l.open[n:], time.Now()
	for _, t := range batch {
		t.cut = true
	}
	timeMs, err = l.epochTime()
	l.cut = max(l.cut, timeMs)
	return batch, timeMs, err
}

// failBatch refuses a batch of which nothing was kept, and all that joined
// after it and may build on it, but for promised events: those go into the
// next epoch, oldest first. A log that stops leaves them to Open.
func (l *Log) failBatch(batch []*ticket, err error) {
	err = forCallers(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append(batch, l.open...)
	l.open = nil
	clear(l.pending)
	l.failed++
	for _, t := range all {
		t.cut = false
		if t.promise != nil && l.stopped == nil {
			l.enter(t) // tried again after another epoch's time
			continue
		}
		t.err = fmt.Errorf("%w: send the event again", err)
		close(t.done)
	}
}

// follow applies the protocol's rules, and notes what answers need to know.
func follow(at *store.Account, c *event.Checked) error {
	if err := at.Apply(c); err != nil {
		return err
	}
	if e := c.Event(); e.IsAnchor() {
		at.Anchor = e.Seq
	}
	if e := c.Event(); e.Type == event.Erase {
		at.Erase = e.Seq
	}
	return nil
}
