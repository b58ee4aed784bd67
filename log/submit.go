package log

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// ErrBusy says that too many events wait for their epoch: come again.
var ErrBusy error = answer.Unavailable("too many events are waiting: send this one again in a few seconds")

// ErrStopped says that the log does not take events any more.
var ErrStopped error = answer.Unavailable("the log is stopping: send this event again once it is back")

// errUnconfirmed says that nothing can be said of an event yet.
var errUnconfirmed error = answer.Unavailable("the log has just started, and its cosigners have not confirmed yet where it stands: send this event again in a few seconds")

// ticket is an event on its way into the log.
type ticket struct {
	checked *event.Checked
	body    []byte
	index   name.Index
	after   *store.Account // the account after it
	live    []uint32

	opening name.Opening
	cut     bool     // its epoch is being sealed; under Log.mu
	promise *promise // nil: its receipt was not asked for; under Log.mu

	prior    *ticket        // of the account's event before it, if that has no position yet
	previous uint64         // position of that event, else
	logged   *store.Account // the account after it, with its position

	done     chan struct{} // closed when it is signed at position, or err is set
	position uint64
	err      error
}

// submission is one event between its arrival and its ticket.
type submission struct {
	body    []byte
	event   *event.Event
	checked *event.Checked
	index   *name.Index // nil until it was admitted
	before  accountAt   // the account as admit read it
	outcome answer.Outcome
	wait    *ticket
	promise *promise // the ticket's, if this one waits for it
}

func (s *submission) settled() bool { return s.outcome.Refused != nil || s.outcome.Err != nil }

// Submit logs events and waits until they are published, or with WaitDurable
// until they are promised. Each gets an outcome of its own, in order; events of
// one account may follow each other in one call. The same event again, also
// with another valid signature, gets the outcome of the one that is logged.
func (l *Log) Submit(ctx context.Context, events [][]byte, want answer.Want) []answer.Outcome {
	b := l.Admit(events)
	b.admitted.Wait()
	for i := range b.subs {
		if !b.subs[i].settled() {
			l.join(&b.subs[i], want.Wait)
		}
	}
	return b.outcomes(ctx, want.Receipt)
}

// admitAll does what needs no order, on all cores: form, signatures, index.
func (l *Log) admitAll(subs []submission, events [][]byte) {
	for i, body := range events {
		subs[i].body = body
	}
	// The cores end together: each takes as many chunks as the others.
	cores := runtime.GOMAXPROCS(0)
	turns := (len(subs) + cores*admitChunk - 1) / (cores * admitChunk)
	chunk := max(1, (len(subs)+cores*turns-1)/(cores*max(1, turns)))
	if len(subs) <= chunk {
		l.admit(subs)
		return
	}
	// Large calls take turns. If all of many advanced side by side, all would be
	// done late and at once, and nothing to do would be left while they wait for
	// their epoch. Who has no more than one turn's work does not wait for them.
	if turns > 1 {
		l.admitting <- struct{}{}
		defer func() { <-l.admitting }()
	}
	var wg sync.WaitGroup
	var taken atomic.Int64
	for range min(cores, (len(subs)+chunk-1)/chunk) {
		wg.Go(func() {
			for {
				to := int(taken.Add(int64(chunk)))
				if to-chunk >= len(subs) {
					return
				}
				l.admit(subs[to-chunk : min(to, len(subs))])
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
}

// admit judges some events on one core. Each is judged by itself; together
// they are cheaper. Close waits for them, and for no more of their call.
func (l *Log) admit(subs []submission) {
	if !l.reading.TryRLock() {
		for i := range subs {
			subs[i].outcome.Err = ErrStopped
		}
		return
	}
	defer l.reading.RUnlock()
	var parsed []*submission
	var events []*event.Event
	var admitted [][]event.Key
	var last *submission
	for i := range subs {
		s := &subs[i]
		if !l.read(s, last) {
			continue
		}
		last = s
		parsed, events, admitted = append(parsed, s), append(events, s.event), append(admitted, s.before.Keys())
	}
	for i, checked := range event.CheckAll(events, admitted) {
		parsed[i].checked = checked
	}
	l.evaluate(parsed...)
}

// read parses an event and reads its account; false if that settles it. Events
// of one account that follow each other need one read.
func (l *Log) read(s, last *submission) bool {
	if len(s.body) > MaxEvent {
		s.refuse(&event.Error{Rule: event.RuleTooBig, Detail: fmt.Sprintf("event of %d bytes: want at most %d", len(s.body), MaxEvent)})
		return false
	}
	e, err := event.Parse(s.body)
	if err != nil {
		s.refuse(err)
		return false
	}
	s.event = e
	s.outcome.Seq, s.outcome.Event = e.Seq, e.ID()
	if e.Log != l.id {
		s.refuse(&event.Error{Rule: event.RuleLog, Detail: fmt.Sprintf("the event is signed for log %s, this is %s (%s)", e.Log, l.id, l.cfg.Origin)})
		return false
	}
	// A clock behind the newest epoch is wrong itself: that is told when the epoch is
	// cut, and nobody is told for good that his own is.
	ours := max(l.now().UnixMilli(), int64(l.signed.Load().epoch.TimeMs))
	if ahead := int64(e.TimeMs) - ours; e.TimeMs > 1<<62 || ahead > maxAhead.Milliseconds() {
		l.refuse(s, &event.Error{Rule: event.RuleTimeAhead, Detail: fmt.Sprintf("the signer's clock is %d ms ahead of the log's: set it and sign again", ahead)})
		return false
	}
	// What is read here may be outdated by the time the event joins. It only
	// spares work: keys that are in force were admitted.
	if last != nil && last.event.Account == e.Account {
		s.before = last.before
		return true
	}
	s.before, s.outcome.Err = l.account(e.Account)
	return s.outcome.Err == nil
}

// evaluate finds the index of each.
func (l *Log) evaluate(subs ...*submission) {
	inputs := make([][]byte, len(subs))
	for i, s := range subs {
		inputs[i] = s.event.Account.Label().VRFInput(s.event.Seq)
	}
	for i, index := range l.cfg.VRF.EvaluateAll(inputs) {
		subs[i].index = &index
	}
}

// join applies the account rules, in the order in which events arrive, and
// lets the event into the open epoch.
func (l *Log) join(s *submission, wait answer.Wait) {
	if !l.reading.TryRLock() {
		s.outcome.Err = ErrStopped
		return
	}
	defer l.reading.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		if wait == answer.WaitDurable && s.wait != nil {
			s.promise = l.promise(s.wait)
		}
	}()
	at, err := l.accountLocked(s.event.Account, s.before)
	if err != nil {
		s.outcome.Err = err
		return
	}
	if s.event.Seq < at.Next {
		l.rejoin(s, at)
		return
	}
	if len(l.open) >= l.cfg.MaxPending {
		s.outcome.Err = ErrBusy
		return
	}
	if l.stopped != nil {
		s.outcome.Err = l.stopped
		return
	}
	after := *at
	after.Account = at.Fork()
	if err := l.apply(&after, s); err != nil {
		l.refuse(s, err)
		return
	}
	s.wait = newTicket(s, &after)
	l.enter(s.wait)
}

// apply is the protocol's rules and this server's own.
func (l *Log) apply(at *store.Account, s *submission) error {
	e := s.event
	if e.Seq == at.Next && e.Type == event.AddDevice {
		if len(at.Devices) >= l.cfg.MaxDevices {
			return &event.Error{Rule: event.RuleListFull, Detail: fmt.Sprintf("the account has %d devices, the most this log takes: remove one first", len(at.Devices))}
		}
	}
	if len(at.Introduced) >= MaxIntroduced && (e.Type == event.AddDevice || e.Type == event.Reregister) {
		return &event.Error{Rule: event.RuleListFull, Detail: fmt.Sprintf("the account has used %d keys, the most this log remembers", len(at.Introduced))}
	}
	return follow(at, s.checked)
}

// rejoin answers for a seq that is taken: by this very event, perhaps with
// another valid signature, or by another one.
func (l *Log) rejoin(s *submission, at *store.Account) {
	if err := s.checked.Err(); err != nil {
		s.refuse(err)
		return
	}
	for _, t := range l.pending[s.event.Account] {
		if t.checked.ID() == s.checked.ID() {
			s.wait = t
			return
		}
	}
	logged, err := l.event(s.event.Account, s.event.Seq, *s.index)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.outcome.Err = err
		return
	}
	if err == nil && len(logged.Body) > 0 {
		if e, err := event.Parse(logged.Body); err == nil && e.ID() == s.checked.ID() {
			s.outcome.Position = logged.Position
			return
		}
	}
	head, err := l.headBody(s.event.Account, at)
	if err != nil {
		s.outcome.Err = err
		return
	}
	l.refuse(s, &event.Error{
		Rule:   event.RuleTaken,
		Detail: fmt.Sprintf("seq %d is taken, the account's newest is seq %d: verify it, then sign the next one", s.event.Seq, at.Next-1),
		Head:   head,
	})
}

// headBody is the account's newest event, pending or logged.
func (l *Log) headBody(id name.AccountID, at *store.Account) ([]byte, error) {
	if p := l.pending[id]; len(p) > 0 {
		return p[len(p)-1].body, nil
	}
	e, err := l.cfg.Store.EventAt(at.Position)
	if err != nil {
		return nil, err
	}
	return e.Body, nil
}

// await blocks until the event is published. A caller that goes away
// takes nothing back: the event stays on its way.
func (l *Log) await(ctx context.Context, s *submission, receipts bool) {
	if s.promise != nil {
		l.awaitPromise(ctx, s)
		return
	}
	if t := s.wait; t != nil {
		select {
		case <-t.done:
			s.outcome.Position, s.outcome.Err = t.position, t.err
		case <-ctx.Done():
			s.outcome.Err = gaveUp(ctx, "the event waits for its epoch, which the log has not published in time: send it again")
		}
	}
	if !s.settled() {
		s.outcome.Err = l.awaitPublished(ctx, s.outcome.Position)
	}
	if receipts && !s.settled() {
		s.outcome.Receipt, s.outcome.Err = l.receipt(s.event.Account, s.event.Seq)
	}
}

// gaveUp is for a caller that waits no longer.
func gaveUp(ctx context.Context, words string) error {
	return &lateError{answer.Unavailable(words), ctx.Err()}
}

// lateError has words for a person at the other end; that a context ended, and how,
// is for the programs on the way.
type lateError struct{ words, cause error }

func (e *lateError) Error() string   { return e.words.Error() }
func (e *lateError) Unwrap() []error { return []error{e.words, e.cause} }

// refuse is for good, so it takes a log that knows where it stands and what time it
// is: an old backup lacks what the event builds on, or has another one in its place.
func (l *Log) refuse(s *submission, err error) {
	switch why := l.ReadOnly(); {
	case why != nil:
		s.outcome.Err = forCallers(why)
	case !l.isConfirmed():
		s.outcome.Err = errUnconfirmed
	default:
		s.refuse(err)
	}
}

func (s *submission) refuse(err error) {
	if !errors.As(err, &s.outcome.Refused) {
		s.outcome.Err = err
	}
}

// accountAt is an account as it was when Log.recent was at a turn.
type accountAt struct {
	*store.Account
	turns, failed uint64 // of Log.recent, and Log.failed
}

// account is the newest state of an account, pending events included; the
// zero one before its first.
func (l *Log) account(id name.AccountID) (accountAt, error) {
	l.mu.Lock()
	at := accountAt{l.known(id), l.recent.turns, l.failed}
	l.mu.Unlock()
	if at.Account != nil {
		return at, nil
	}
	var err error
	at.Account, err = l.committed(id)
	return at, err
}

// known is the newest state of an account if it is in memory, else nil. Under
// l.mu.
func (l *Log) known(id name.AccountID) *store.Account {
	if p := l.pending[id]; len(p) > 0 {
		return p[len(p)-1].after
	}
	return l.recent.of(id)
}

// accountLocked is account under l.mu, and therefore exact: a pending event
// leaves l.pending for l.recent, and only once the store has it. So what was read
// before stands, and the lock is not held for a read, unless l.recent has
// forgotten something since, or an epoch failed, whose events went nowhere.
func (l *Log) accountLocked(id name.AccountID, before accountAt) (*store.Account, error) {
	if at := l.known(id); at != nil {
		return at, nil
	}
	if before.Account != nil && l.recent.turns-before.turns < 2 && before.failed == l.failed {
		return before.Account, nil
	}
	return l.committed(id)
}

func (l *Log) committed(id name.AccountID) (*store.Account, error) {
	at, err := l.cfg.Store.Account(id)
	if errors.Is(err, store.ErrNotFound) {
		return &store.Account{Account: *event.NewAccount(l.id, id), Erase: store.None}, nil
	}
	return at, err
}
