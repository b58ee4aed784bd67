package device_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/device"
)

const origin = name.Origin("keys.example.org/log1")

var (
	logID = origin.LogID()
	alice = name.Identifier("+15550000001").AccountID()
	now   = time.UnixMilli(1_800_000_000_000)
	ctx   = context.Background()
)

// world is a log of one account that keeps the protocol's rules, and can be
// told to misbehave.
type world struct {
	at     *event.Account
	events []verifier.Logged
	open   []verifier.Logged // taken, not published

	hold      bool         // take events without publishing them
	down      error        // nothing gets in
	lost      error        // events get in, the answer gets lost
	refuse    *event.Error // say so whatever comes
	badWord   bool         // give receipts that do not verify
	submitted int
}

func newWorld() *world { return &world{at: event.NewAccount(logID, alice)} }

func (w *world) Submit(_ context.Context, events [][]byte, want answer.Want) ([]answer.Outcome, error) {
	w.submitted++
	if w.down != nil {
		return nil, w.down
	}
	outcomes := make([]answer.Outcome, len(events))
	for i, body := range events {
		outcomes[i] = w.take(body)
	}
	if w.lost != nil {
		return nil, w.lost
	}
	return outcomes, nil
}

func (w *world) take(body []byte) (o answer.Outcome) {
	if w.refuse != nil {
		o.Refused = w.refuse
		return o
	}
	e, err := event.Parse(body)
	if err != nil {
		o.Err = err
		return o
	}
	all := append(append([]verifier.Logged{}, w.events...), w.open...)
	if e.Seq < w.at.Next {
		l := all[e.Seq]
		if l.ID() != e.ID() {
			o.Refused = &event.Error{Rule: event.RuleTaken, Head: all[len(all)-1].Bytes()}
			return o
		}
		e = l.Event
	} else {
		if err := w.at.Apply(event.Check(e)); err != nil {
			if !errors.As(err, &o.Refused) {
				o.Err = err
			}
			return o
		}
		w.open = append(w.open, verifier.Logged{Event: e, Position: uint64(2*e.Seq + 1)})
		if !w.hold {
			w.publish()
		}
	}
	o.Seq, o.Event, o.Receipt = e.Seq, e.ID(), e.Bytes()
	if w.badWord {
		o.Receipt = []byte("no receipt")
	}
	return o
}

func (w *world) publish() {
	w.events = append(w.events, w.open...)
	w.open = nil
}

// must logs an event made by somebody else.
func (w *world) must(t testing.TB, d *device.Draft, signers ...device.Signer) *event.Event {
	t.Helper()
	sign(t, d, signers...)
	e, err := d.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if o := w.take(e.Bytes()); o.Refused != nil || o.Err != nil {
		t.Fatal(o.Refused, o.Err)
	}
	return e
}

// erase logs an operator's ERASE.
func (w *world) erase(t testing.TB) {
	t.Helper()
	p := event.Payload{Type: event.Erase, Log: logID, Account: alice, Generation: w.at.Generation, Seq: w.at.Next, Prev: w.at.Head}
	p.DevicesHash = event.DevicesHash(logID, alice, p.Generation, event.Key{}, nil)
	e := &event.Event{Payload: p}
	if o := w.take(e.Bytes()); o.Refused != nil || o.Err != nil {
		t.Fatal(o.Refused, o.Err)
	}
}

// viewer is one client's verified view of a world: it opens what is newer than
// what it accepted before.
type viewer struct {
	*world
	accepted int // events
	lookups  int
}

func (v *viewer) Lookup(_ context.Context, questions ...verifier.Question) (*verifier.Result, error) {
	v.lookups++
	found := verifier.Found{ID: questions[0].Account, Status: verifier.Unknown}
	if n := len(v.events); n > 0 {
		at := event.NewAccount(logID, alice)
		for _, e := range v.events {
			if err := at.Apply(event.Check(e.Event)); err != nil {
				return nil, err
			}
		}
		found.Status = verifier.Changed
		switch {
		case at.Primary.IsZero():
			found.Status = verifier.Erased
		case v.accepted == n:
			found.Status = verifier.Unchanged
		}
		found.Generation, found.Seq, found.Event = at.Generation, at.Next-1, at.Head
		found.Primary, found.Devices = at.Primary, at.Devices
		from := v.accepted
		if questions[0].History {
			from = 0
		}
		for i, e := range v.events {
			if e.Type == event.Erase && i > from {
				from = i
			}
		}
		found.Events = v.events[from:]
		v.accepted = n
	}
	return &verifier.Result{Checkpoint: checkpoint.Checkpoint{Origin: origin}, Accounts: []verifier.Found{found}}, nil
}

func (v *viewer) Receipt(e *event.Event, receipt []byte) (*answer.Published, error) {
	if !bytes.Equal(receipt, e.Bytes()) {
		return nil, &verifier.Failure{Check: verifier.CheckInclusion, Err: errors.New("not of these bytes")}
	}
	return &answer.Published{Seq: e.Seq}, nil
}

// memory is a Journal that does not outlive the test.
type memory struct {
	entry []byte
	fail  error
	swaps int
}

func (m *memory) Load(name.LogID, name.AccountID) ([]byte, error) { return bytes.Clone(m.entry), nil }

func (m *memory) Swap(_ name.LogID, _ name.AccountID, old, next []byte) error {
	m.swaps++
	if m.fail != nil {
		return m.fail
	}
	if !bytes.Equal(old, m.entry) {
		return verifier.ErrConflict
	}
	m.entry = bytes.Clone(next)
	return nil
}

func newAgent(w *world) *device.Agent {
	return &device.Agent{
		Account: alice, Verifier: &viewer{world: w}, Submitter: w, Journal: new(memory),
		Now: func() time.Time { return now },
	}
}

func newKey(t testing.TB, seed byte) *event.PrivateKey {
	t.Helper()
	typ := uint8(event.KeyEd25519)
	if seed%2 == 0 {
		typ = event.KeyCurve25519
	}
	k, err := event.NewPrivateKey(typ, [32]byte{1, 31: 64 + seed})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign signs for the roles that are missing, with whichever signer fits.
func sign(t testing.TB, d *device.Draft, signers ...device.Signer) {
	t.Helper()
	for _, s := range signers {
		signed := false
		for _, role := range d.Missing() {
			if d.Sign(role, s) == nil {
				signed = true
			}
		}
		if !signed {
			t.Fatalf("key %s signs nothing of a %s", s.Public(), d.Payload().Type)
		}
	}
}

func head(t testing.TB, a *device.Agent) *device.Head {
	t.Helper()
	s, err := a.Refresh(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s.Head
}

// draft is for drafting that cannot fail.
func draft(t testing.TB) func(*device.Draft, error) *device.Draft {
	return func(d *device.Draft, err error) *device.Draft {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

// family is a registered account with two companions, and its keys.
func family(t testing.TB) (w *world, phone, laptop, tablet *event.PrivateKey) {
	t.Helper()
	w = newWorld()
	phone, laptop, tablet = newKey(t, 1), newKey(t, 2), newKey(t, 3)
	a := newAgent(w)
	w.must(t, draft(t)(head(t, a).Register(phone.Public(), now)), phone)
	w.must(t, draft(t)(head(t, a).AddDevice(laptop.Public(), now)), phone, laptop)
	w.must(t, draft(t)(head(t, a).AddDevice(tablet.Public(), now)), phone, tablet)
	return w, phone, laptop, tablet
}

func rule(err error) event.Rule {
	var e *event.Error
	if errors.As(err, &e) {
		return e.Rule
	}
	return ""
}
