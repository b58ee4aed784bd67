package verifier

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Question is what a client wants to know of one account.
type Question struct {
	Account name.AccountID
	History bool // every event since the newest ERASE, not only the devices now
}

// Lookup is one question to a log, carried over as many pages as its answer
// needs: Request, Answer, Request, … until Request returns nil. It is a value
// without clock or network, for one goroutine.
type Lookup struct {
	v      *Verifier
	base   *State // what the client holds
	work   *State // what the pages so far lead to; nil before any
	asks   []progress
	last   *page
	pages  int
	events int // opened so far
}

// progress is one account's way through the pages.
//
// Who asks for a history and holds a state first catches up from there, as a
// returning client: only so the log must speak of the very event that this
// client holds. Then the history is read beside what that showed.
type progress struct {
	Question
	memory   *memory
	caughtUp bool // with the log, from the state
	reading  bool // the history, from its start
	done     bool
	found    Found
}

// Lookup begins a question. state is what the client holds of the log, at
// least of these accounts; nil on first contact. It is not changed.
func (v *Verifier) Lookup(state *State, questions ...Question) (*Lookup, error) {
	if len(questions) == 0 || len(questions) > answer.MaxAccounts {
		return nil, fmt.Errorf("asking about %d accounts: want 1 to %d", len(questions), answer.MaxAccounts)
	}
	if state != nil {
		if _, err := checkpoint.Parse(state.Note); err != nil {
			return nil, fmt.Errorf("%w: %w", errState, err)
		}
	}
	l := &Lookup{v: v, base: state, work: state}
	seen := make(map[name.AccountID]bool, len(questions))
	for _, q := range questions {
		if seen[q.Account] {
			return nil, fmt.Errorf("asking twice about account %s", q.Account)
		}
		seen[q.Account] = true
		l.asks = append(l.asks, progress{Question: q, memory: newMemory(state.Account(q.Account)), found: Found{ID: q.Account}})
	}
	return l, nil
}

// Request is the next request's canonical bytes; nil when nothing is left to
// ask. Every page asks for every account again, so that the whole result
// holds under its last checkpoint.
func (l *Lookup) Request() []byte {
	if l.done() {
		return nil
	}
	return l.request().Bytes()
}

func (l *Lookup) request() *answer.Request {
	r := &answer.Request{GenesisKnown: l.work != nil}
	if l.last != nil {
		r.Size = l.last.note.Size
	} else if l.work != nil {
		note, err := checkpoint.Parse(l.work.Note)
		if err != nil {
			panic(err) // Lookup parsed it
		}
		r.Size = note.Size
	}
	for i := range l.asks {
		p := &l.asks[i]
		ask := answer.Ask{Account: p.Account, Kind: answer.First, Most: MostOpened}
		known := l.work.Account(p.Account)
		switch {
		case p.History && !p.reading && (known == nil || p.caughtUp):
			ask.Kind = answer.History
		case known != nil:
			ask.Kind, ask.Seq = answer.Returning, known.Seq
		}
		r.Asks = append(r.Asks, ask)
	}
	return r
}

func (l *Lookup) done() bool {
	for i := range l.asks { // one at least, and none is done before an answer came
		if !l.asks[i].done {
			return false
		}
	}
	return true
}

var errPages = errors.New("the answer has no end")

// Answer takes the answer to the last Request. An error, a *Failure as a
// rule, ends the lookup: nothing of it may be used, and the client's state
// stays as it was.
func (l *Lookup) Answer(data []byte, now time.Time) error {
	if l.pages++; l.pages > maxPages {
		return fmt.Errorf("%w after %d pages", errPages, maxPages)
	}
	memories := make([]*memory, len(l.asks))
	for i := range l.asks {
		memories[i] = l.asks[i].memory
	}
	page, err := l.v.verify(l.work, memories, l.request(), data, now)
	if err != nil {
		return err
	}
	for i := range page.steps {
		l.events += len(page.steps[i].events)
	}
	if l.events > maxEvents {
		return fmt.Errorf("%w: over %d events: ask about fewer accounts at once", errPages, maxEvents)
	}
	l.last, l.work = page, page.state
	for i := range l.asks {
		l.asks[i].take(&page.steps[i])
	}
	return nil
}

func (p *progress) take(s *account) {
	p.memory.take(s)
	end := s.said.To == s.said.Events
	if p.History && !p.reading && s.ask.Kind == answer.Returning {
		if p.caughtUp = end; end {
			p.memory.introduced = nil // the history begins another replay
		}
		return
	}
	p.reading = p.reading || s.ask.Kind == answer.History && s.n() >= 0
	p.done = end
	f := &p.found
	if s.restart {
		f.Events = nil // an ERASE came while the history was being read
	}
	f.Events = append(f.Events, s.events...)
	for _, e := range s.events {
		if e.Type == event.Erase {
			seq := e.Seq
			f.ErasedBefore = &seq
		}
	}
}

// Result is what may be believed once Request returned nil, and the state to
// store before anybody acts on it.
func (l *Lookup) Result() (*Result, *State, error) {
	if !l.done() {
		return nil, nil, errors.New("the lookup is not finished: Request has more to ask")
	}
	r := &Result{
		Checkpoint: l.last.note.Checkpoint,
		Note:       l.last.raw,
		Epoch:      l.last.epoch.Epoch,
		Time:       time.UnixMilli(int64(l.last.epoch.TimeMs)).UTC(),
		Cosigners:  l.last.verdict.Cosigners,
		Trust:      l.last.verdict.Trust,
		Sealed:     l.last.epoch.Sealed,
		Successor:  l.last.epoch.Successor,
		shown:      shownMap{l.last.epoch.PrefixRoot, l.last.queries, l.last.proofs},
	}
	for i := range l.asks {
		found := l.asks[i].judge(l.base, l.work)
		found.Rungs = l.last.steps[i].rungs()
		r.Accounts = append(r.Accounts, found)
	}
	return r, l.work, nil
}

// judge says what the new state means to a client that held the old one.
func (p *progress) judge(base, work *State) Found {
	f := p.found
	before, after := base.Account(p.Account), work.Account(p.Account)
	if after == nil {
		f.Status = Unknown
		return f
	}
	f.Generation, f.Seq, f.Event = after.Generation, after.Seq, after.Event
	f.Primary, f.Devices = after.Primary, slices.Clone(after.Devices)
	switch {
	case after.Primary.IsZero():
		f.Status = Erased
	case before == nil:
		f.Status = New
	case after.Generation > before.Generation:
		f.Status = Reregistered
		f.Endorsed = endorsed(f.Events, before)
	case after.Seq > before.Seq:
		f.Status = Changed
	default:
		f.Status = Unchanged
	}
	return f
}

// endorsed is true only if every re-registration since the state is endorsed
// by the key before it: a chain from the primary that the client knew. An
// ERASE in between breaks the chain, for the next REREGISTER has no subject.
func endorsed(events []Logged, before *Account) *bool {
	all, next := !before.Primary.IsZero(), before.Seq+1
	for _, e := range events {
		if e.Seq <= before.Seq {
			continue
		}
		if e.Seq != next || e.Type == event.Reregister && e.Subject.IsZero() {
			all = false
		}
		next = e.Seq + 1
	}
	return &all
}
