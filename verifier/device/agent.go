package device

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// Submitter takes signed events to the log; it is not trusted.
type Submitter interface {
	// Submit returns an outcome for each event, in order, or an error when
	// nothing can be said of any. The same bytes may be submitted again.
	Submit(ctx context.Context, events [][]byte, want answer.Want) ([]answer.Outcome, error)
}

// Agent sees one account's events into the log, and knows what became of
// them. It is for one goroutine at a time; several processes may share a
// journal, of which one at a time gets its way.
type Agent struct {
	Account   name.AccountID
	Verifier  Verifier
	Submitter Submitter
	Journal   Journal
	Now       func() time.Time
}

// Standing is where the account stands, verified.
type Standing struct {
	Head    *Head
	Result  *verifier.Result // of the lookup, with one account
	Pending *Pending         // may still be logged: Resend, Replace or Cancel; else nil
	Settled *Settled         // what became of a pending event, told once; else nil

	Receipt *answer.Published // of the event just sent, verified; nil where none was given
}

// Found is the account as the lookup found it.
func (s *Standing) Found() *verifier.Found { return &s.Result.Accounts[0] }

// Settled tells who won a seq that this signer had signed for.
type Settled struct {
	Pending *Pending     // what this signer had signed for the seq
	Holder  name.EventID // what holds it; zero if that was erased since, so that nobody can tell
	Won     *Draft       // of Pending, if it holds the seq; nil: somebody else's event does
}

// Refresh looks the account up and settles the journal: a pending event whose
// seq is held, by itself or by another event, leaves it.
func (a *Agent) Refresh(ctx context.Context) (*Standing, error) {
	result, err := a.lookup(ctx, false)
	if err != nil {
		return nil, err
	}
	s := &Standing{Result: result}
	if s.Head, err = From(result.Checkpoint.Origin.LogID(), s.Found()); err != nil {
		return nil, err
	}
	log := s.Head.at.Log
	entry, pending, err := a.load(log)
	if err != nil || pending == nil {
		return s, err
	}
	if pending.Seq() >= s.Head.at.Next {
		s.Pending = pending
		return s, nil
	}
	holder, _, err := a.holder(ctx, s.Found(), pending.Seq())
	if err != nil {
		return nil, err
	}
	// Until this line the entry is there, and a crash settles it once more: the
	// lookup's state may be stored by then, so holder reads the history too.
	if err := a.Journal.Swap(log, a.Account, entry, nil); err != nil {
		return nil, fmt.Errorf("clearing the journal: %w", err)
	}
	s.Settled = &Settled{Pending: pending, Holder: holder, Won: pending.find(holder)}
	return s, nil
}

func (a *Agent) lookup(ctx context.Context, history bool) (*verifier.Result, error) {
	result, err := a.Verifier.Lookup(ctx, verifier.Question{Account: a.Account, History: history})
	if err != nil {
		return nil, fmt.Errorf("looking the account up: %w", err)
	}
	if len(result.Accounts) != 1 || result.Accounts[0].ID != a.Account {
		return nil, fmt.Errorf("looking the account up: the result is of another account than %s", a.Account)
	}
	return result, nil
}

func (a *Agent) load(log name.LogID) ([]byte, *Pending, error) {
	entry, err := a.Journal.Load(log, a.Account)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the journal: %w", err)
	}
	if entry == nil {
		return nil, nil, nil
	}
	pending, err := ParsePending(entry, log, a.Account)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the journal: %w", err)
	}
	return entry, pending, nil
}

// holder is the verified event at a seq that found has reached, whole where an
// answer opened it; the zero id where it was erased.
func (a *Agent) holder(ctx context.Context, found *verifier.Found, seq uint32) (name.EventID, *event.Event, error) {
	if id, e := heldBy(found, seq); id != (name.EventID{}) {
		return id, e, nil
	}
	result, err := a.lookup(ctx, true)
	if err != nil {
		return name.EventID{}, nil, err
	}
	id, e := heldBy(&result.Accounts[0], seq)
	return id, e, nil
}

func heldBy(found *verifier.Found, seq uint32) (name.EventID, *event.Event) {
	for _, l := range found.Events {
		if l.Seq == seq {
			return l.ID(), l.Event
		}
	}
	if found.Status != verifier.Unknown && found.Seq == seq {
		return found.Event, nil
	}
	return name.EventID{}, nil
}

// Keep puts a draft that this device has signed into the journal before it is
// handed, half signed, to another device, which may complete and send it.
func (a *Agent) Keep(d *Draft) error { return a.keep(d, false) }

// Send logs an event that all have signed. It returns once a verified lookup
// shows the event in force. An error that wraps ErrPending says that the event
// may still be logged; a published *TakenError, that it never will be.
func (a *Agent) Send(ctx context.Context, d *Draft) (*Standing, error) {
	return a.send(ctx, d, false)
}

// Replace is Send for a seq at which another event of this signer is pending:
// at most one of them can be logged. If that is not d, it returns *TakenError.
func (a *Agent) Replace(ctx context.Context, d *Draft) (*Standing, error) {
	return a.send(ctx, d, true)
}

// Resend sends the pending event that is wanted, the same bytes again, unless
// its seq turns out to be settled. nil: it is in force.
func (a *Agent) Resend(ctx context.Context) (*Standing, error) {
	s, err := a.Refresh(ctx)
	if err != nil {
		return nil, err
	}
	if s.Settled != nil {
		return s, s.Settled.outcome()
	}
	if s.Pending == nil {
		return s, errNothing
	}
	d := s.Pending.Wanted()
	if err := d.Review(s.Head, a.Now()); err != nil {
		return s, fmt.Errorf("%w: it does not fit the account any more: %w", ErrPending, err)
	}
	return a.Send(ctx, d)
}

// Cancel takes a pending event back by logging a CONFIRM in its place, signed
// by the primary in force. nil: the CONFIRM is in force, and what was pending
// can never be. A *TakenError tells who was faster. What registers an account,
// or revives an erased one, cannot be cancelled, only replaced.
func (a *Agent) Cancel(ctx context.Context, primary Signer) (*Standing, error) {
	s, err := a.Refresh(ctx)
	if err != nil {
		return nil, err
	}
	if s.Settled != nil {
		return s, s.Settled.outcome()
	}
	if s.Pending == nil {
		return s, errNothing
	}
	d, err := s.Head.Confirm(a.Now())
	if err != nil {
		return s, fmt.Errorf("%w, and no CONFIRM can be in its place: %w", ErrPending, err)
	}
	if err := d.Sign(event.Primary, primary); err != nil {
		return s, fmt.Errorf("%w: %w", ErrPending, err)
	}
	return a.Replace(ctx, d)
}

var errNothing = errors.New("nothing is pending")

// outcome is how it ended for the event that the signer wanted.
func (s *Settled) outcome() error {
	if s.Won != nil && s.Won == s.Pending.Wanted() {
		return nil
	}
	return &TakenError{Seq: s.Pending.Seq(), Published: true, Holder: s.Holder, Ours: s.Won}
}

// keep makes d durable as what the signer wants at its seq.
func (a *Agent) keep(d *Draft, replace bool) error {
	if d.base == nil {
		return errReview
	}
	if d.payload.Account != a.Account {
		return fmt.Errorf("the draft is of account %s, this agent's is %s", d.payload.Account, a.Account)
	}
	entry, pending, err := a.load(d.payload.Log)
	if err != nil {
		return err
	}
	if pending != nil && !replace && pending.find(d.ID()) == nil {
		return fmt.Errorf("seq %d: %w", pending.Seq(), ErrPending)
	}
	next, err := pending.with(d)
	if err != nil {
		return err
	}
	if err := a.Journal.Swap(d.payload.Log, a.Account, entry, next.Bytes()); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

func (a *Agent) send(ctx context.Context, d *Draft, replace bool) (*Standing, error) {
	e, err := d.Complete()
	if err != nil {
		return nil, err
	}
	// A crash before this line has sent nothing. A crash after it finds the
	// event in the journal, whether it was sent or not.
	if err := a.keep(d, replace); err != nil {
		return nil, err
	}
	outcomes, err := a.Submitter.Submit(ctx, [][]byte{e.Bytes()}, answer.Want{Receipt: true})
	if err == nil && len(outcomes) != 1 {
		err = fmt.Errorf("%d outcomes for one event", len(outcomes))
	}
	if err == nil {
		err = outcomes[0].Err
	}
	if err != nil {
		return nil, fmt.Errorf("sending %s: %w (%w)", e.Type, err, ErrPending)
	}
	// A refusal is only what the server says: it could log the event later, so
	// the entry stays. That a seq is taken can be verified, and is.
	refused := outcomes[0].Refused
	if refused != nil && refused.Rule != event.RuleTaken {
		return nil, fmt.Errorf("the log refuses %s: %w (%w)", e.Type, refused, ErrPending)
	}
	return a.settle(ctx, e, &outcomes[0])
}

// settle believes nothing of the outcome but what a lookup shows.
func (a *Agent) settle(ctx context.Context, e *event.Event, o *answer.Outcome) (*Standing, error) {
	s, err := a.Refresh(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s was sent: %w (%w)", e.Type, err, ErrPending)
	}
	if s.Head.at.Next <= e.Seq {
		if o.Refused == nil {
			return s, fmt.Errorf("the log says that it took %s and does not show it yet: %w", e.Type, ErrPending)
		}
		taken := &TakenError{Seq: e.Seq}
		taken.Head, _ = event.Parse(o.Refused.Head)
		return s, taken
	}
	holder, logged, err := a.holder(ctx, s.Found(), e.Seq)
	if err != nil {
		return s, err
	}
	if holder != e.ID() {
		taken := &TakenError{Seq: e.Seq, Published: true, Holder: holder}
		if s.Settled != nil {
			taken.Ours = s.Settled.Won
		}
		return s, taken
	}
	if o.Refused != nil {
		return s, nil // "taken", by this very event
	}
	// A receipt commits to the signatures that were logged. They may be others
	// than ours if another device completed the same event first.
	if logged == nil {
		logged = e
	}
	if s.Receipt, err = a.Verifier.Receipt(logged, o.Receipt); err != nil {
		return s, fmt.Errorf("%s is in force, but the log's receipt for it is wrong: %w", e.Type, err)
	}
	return s, nil
}
