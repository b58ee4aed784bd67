package verifier

import (
	"errors"
	"slices"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// account is what one answer says of one account, on its way to acceptance.
type account struct {
	ask     answer.Ask
	said    *answer.Account
	indexes []name.Index // of said.Versions

	known  *Account // where this client stands, for a returning question; else nil
	memory *memory  // what it must hold the answer against

	at      *event.Account // replayed; nil if nothing was opened
	after   *Account       // accepted with this answer; nil: nothing to remember
	events  []Logged       // opened
	judged  int            // how many opened events the rules have seen, the one that broke them included
	restart bool           // opens with an ERASE that hides events after k
}

// memory is what a lookup knows of an account beside where it stands: from
// the client's state, and from the pages before. Nothing that was proven once
// may be taken back, on the next page no more than on the next day.
type memory struct {
	held       *Account         // from the client's state; nil: nothing
	newest     int64            // the largest n proven; -1: none
	values     map[uint32]place // of every version seen present
	introduced [][32]byte       // keys used by the events opened so far, in the pages of one replay
}

// place is what the map holds for a version, and where its EVENT leaf is.
type place struct {
	value    name.Value
	position uint64
}

func newMemory(held *Account) *memory {
	m := &memory{held: held, newest: -1, values: make(map[uint32]place)}
	if held != nil {
		m.newest, m.values[held.Seq] = int64(held.Seq), place{held.Value, held.Position}
	}
	return m
}

// take remembers an accepted answer.
func (m *memory) take(s *account) {
	m.newest = s.n()
	for i := range s.said.Versions {
		if ver := &s.said.Versions[i]; ver.Form != answer.Absent {
			m.values[ver.Seq] = place{prefix.Value(ver.Position, ver.Commitment), ver.Position}
		}
	}
	if s.at != nil {
		m.introduced = s.at.Introduced
	}
}

func (s *account) named(err error) error {
	var f *Failure
	if errors.As(err, &f) && f.Account == nil {
		f.Account = &s.said.ID
	}
	return err
}

// n is the newest seq that the answer claims; -1: unknown.
func (s *account) n() int64 { return int64(s.said.Events) - 1 }

// matchAsks holds the answer's accounts against the question: the same, in
// the same order, each opening what its kind asks for.
func matchAsks(req *answer.Request, a *answer.Answer, state *State, memories []*memory) ([]account, error) {
	if len(a.Accounts) != len(req.Asks) {
		return nil, fail(CheckAsked, "%d accounts, asked for %d", len(a.Accounts), len(req.Asks))
	}
	steps := make([]account, len(req.Asks))
	opened := 0
	for i, ask := range req.Asks {
		s := &steps[i]
		*s = account{ask: ask, said: &a.Accounts[i], memory: memories[i]}
		if s.said.ID != ask.Account {
			return nil, fail(CheckAsked, "account %s where %s was asked for", s.said.ID, ask.Account)
		}
		if ask.Kind == answer.Returning {
			s.known = state.Account(ask.Account)
		}
		if err := s.checkSpan(); err != nil {
			return nil, s.named(err)
		}
		opened += int(s.said.To - s.said.From) // at most Most each, which checkSpan checked
	}
	if opened > answer.MaxOpenedTotal {
		return nil, fail(CheckAsked, "%d events opened, at most %d come in one answer", opened, answer.MaxOpenedTotal)
	}
	return steps, nil
}

// checkSpan is section 5's "from and to", as far as no event need be read.
func (s *account) checkSpan() error {
	n, from, to := s.n(), int64(s.said.From), int64(s.said.To)
	if to-from > int64(s.ask.Most) {
		return fail(CheckAsked, "opens %d events, asked for at most %d", to-from, s.ask.Most)
	}
	if len(s.said.Devices) > 0 && s.ask.Kind != answer.First {
		return fail(CheckAsked, "a device list that was not asked for")
	}
	if n < s.memory.newest {
		return fail(CheckHistory, "newest seq %d, this client was shown %d", n, s.memory.newest)
	}
	if s.ask.Kind != answer.Returning {
		if n < 0 {
			if from != 0 || to != 0 || len(s.said.Devices) > 0 {
				return fail(CheckRequired, "an unknown account with events or devices")
			}
			return nil
		}
		if from == to {
			return fail(CheckRequired, "no event is opened")
		}
		return nil
	}
	k := int64(s.ask.Seq)
	switch {
	case n == k && (from != k+1 || to != k+1):
		return fail(CheckRequired, "opens %d to %d where nothing is new", from, to)
	case n > k && (from <= k || from == to):
		return fail(CheckRequired, "opens %d to %d, newer than %d is asked for", from, to, k)
	}
	return nil
}

// checkRequired demands the versions of Required, no other, each in the form
// that the rule gives it: the heart of section 5.
func (s *account) checkRequired() error {
	k := int64(-1)
	if s.ask.Kind == answer.Returning {
		k = int64(s.ask.Seq)
	}
	set := prefix.Required(s.n(), k, int64(s.said.From), int64(s.said.To)-1)
	if len(s.said.Versions) != len(set.Present)+len(set.Absent) {
		return fail(CheckRequired, "%d versions, want %d present and %d absent", len(s.said.Versions), len(set.Present), len(set.Absent))
	}
	for i, ver := range s.said.Versions {
		seq, want := uint32(0), answer.Absent
		if i < len(set.Present) {
			seq, want = set.Present[i], answer.Closed
			if seq >= s.said.From && seq < s.said.To {
				want = answer.Opened
			}
		} else {
			seq = set.Absent[i-len(set.Present)]
		}
		if ver.Seq != seq || ver.Form != want {
			return fail(CheckRequired, "seq %d in form %d, want seq %d in form %d", ver.Seq, ver.Form, seq, want)
		}
	}
	return nil
}

// replay is steps 7 and 8: opens the events, applies the account rules, and
// holds the outcome against what the client remembers.
func (s *account) replay(log name.LogID) error {
	if err := s.open(); err != nil {
		return err
	}
	s.after = s.known
	if len(s.events) > 0 {
		replayed, err := s.apply(log)
		if err != nil {
			return err
		}
		s.at, s.after = replayed, s.accepted(replayed)
	}
	return s.remembers()
}

// remembers is step 8: nothing that this client was shown is taken back.
func (s *account) remembers() error {
	if s.restart {
		// What lay between is gone with the ERASE, but not back in time.
		for _, seen := range []*Account{s.known, s.memory.held} {
			if seen != nil && seen.Seq < s.said.From && s.events[0].Generation < seen.Generation {
				return fail(CheckHistory, "generation %d, this client has accepted %d", s.events[0].Generation, seen.Generation)
			}
		}
	}
	for i := range s.said.Versions {
		ver := &s.said.Versions[i]
		if ver.Form == answer.Absent {
			continue
		}
		if was, ok := s.memory.values[ver.Seq]; ok && was.value != prefix.Value(ver.Position, ver.Commitment) {
			f := fail(CheckHistory, "seq %d is not the event that this client was shown", ver.Seq)
			// Both leaves are in this tree, and have one index.
			f.Leaves = []uint64{min(was.position, ver.Position), max(was.position, ver.Position)}
			return f
		}
	}
	return nil
}

// accepted is what is remembered after the last opened event.
func (s *account) accepted(at *event.Account) *Account {
	last := &s.said.Versions[s.find(s.said.To-1)]
	return &Account{
		ID:         at.ID,
		Seq:        at.Next - 1,
		Event:      at.Head,
		Value:      prefix.Value(last.Position, last.Commitment),
		Position:   last.Position,
		Generation: at.Generation,
		Primary:    at.Primary,
		Devices:    at.Devices,
	}
}

func (s *account) find(seq uint32) int {
	for i := range s.said.Versions {
		if s.said.Versions[i].Seq == seq {
			return i
		}
	}
	panic("verifier: a required version was checked to be here")
}

// open checks every opening before it reads any event: bytes that nothing
// commits to are not worth a look.
func (s *account) open() error {
	var opened []int
	for i := range s.said.Versions {
		ver := &s.said.Versions[i]
		if ver.Form != answer.Opened {
			continue
		}
		if err := commitment.Verify(ver.Commitment, ver.Opening, s.said.ID.Label(), ver.Seq, ver.Event); err != nil {
			return &Failure{Check: CheckOpening, Err: err}
		}
		opened = append(opened, i)
	}
	for _, i := range opened {
		ver := &s.said.Versions[i]
		e, err := event.Parse(ver.Event)
		if err != nil {
			s.judged = len(s.events) + 1
			return rule(err)
		}
		s.events = append(s.events, Logged{Event: e, Position: ver.Position, Index: s.indexes[i]})
	}
	return nil
}

// apply replays the opened events from where the client stands.
func (s *account) apply(log name.LogID) (*event.Account, error) {
	s.judged = 1
	at, rest, err := s.start(log)
	if err != nil {
		return nil, err
	}
	for _, l := range rest {
		s.judged++
		// An anchor further on would be where this answer had to begin, and
		// everything before it would be none of this client's business.
		if l.Type == event.Erase || s.ask.Kind == answer.First && l.IsAnchor() {
			return nil, fail(CheckRequired, "seq %d is an anchor after the first opened event", l.Seq)
		}
		if err := at.Apply(event.Check(l.Event, at.Keys()...)); err != nil {
			return nil, rule(err)
		}
	}
	return at, nil
}

// start applies the first opened event, by its kind of answer, and returns
// the others.
func (s *account) start(log name.LogID) (*event.Account, []Logged, error) {
	first, rest := s.events[0].Event, s.events[1:]
	var at *event.Account
	switch {
	case s.ask.Kind == answer.First:
		if !first.IsAnchor() {
			return nil, nil, fail(CheckRequired, "seq %d, the first that is opened, is no anchor", s.said.From)
		}
		return s.anchor(log, first, rest)
	case s.ask.Kind == answer.Returning && s.said.From == s.ask.Seq+1:
		at = s.known.replayed(log)
		if s.memory.introduced != nil { // by earlier pages, which know more
			at.Introduced = slices.Clone(s.memory.introduced)
		}
	case s.ask.Kind == answer.History && s.said.From == 0:
		at = event.NewAccount(log, s.said.ID)
	default:
		if first.Type != event.Erase {
			return nil, nil, fail(CheckRequired, "opens from seq %d, which is no ERASE", s.said.From)
		}
		s.restart = true
		return s.anchor(log, first, rest)
	}
	if err := at.Apply(event.Check(first, at.Keys()...)); err != nil {
		return nil, nil, rule(err)
	}
	return at, rest, nil
}

func (s *account) anchor(log name.LogID, first *event.Event, rest []Logged) (*event.Account, []Logged, error) {
	if first.Seq != s.said.From {
		return nil, nil, fail(CheckRules, "an event of seq %d opened at seq %d", first.Seq, s.said.From)
	}
	at, err := event.Anchor(log, s.said.ID, event.Check(first), s.said.Devices)
	if err != nil {
		return nil, nil, rule(err)
	}
	return at, rest, nil
}

// replayed is the account rules' view of what was accepted. The keys used
// before are known only as far as they are in force (section 3).
func (a *Account) replayed(log name.LogID) *event.Account {
	at := &event.Account{
		Log: log, ID: a.ID, Next: a.Seq + 1, Generation: a.Generation,
		Head: a.Event, Primary: a.Primary, Devices: a.Devices,
	}
	for _, key := range at.Keys() {
		if u, err := key.Coordinate(); err == nil {
			at.Introduced = append(at.Introduced, u)
		}
	}
	return at
}

func rule(err error) error {
	var e *event.Error
	if errors.As(err, &e) && e.Rule == event.RuleNewer {
		return &Failure{Check: CheckNewer, Err: err}
	}
	return &Failure{Check: CheckRules, Err: err}
}
