package device_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/device"
)

func journal(a *device.Agent) *memory { return a.Journal.(*memory) }

func taken(err error) *device.TakenError {
	var e *device.TakenError
	errors.As(err, &e)
	return e
}

// removal is a signed draft that takes away a device.
func removal(t *testing.T, a *device.Agent, keyIndex uint32, phone device.Signer) *device.Draft {
	t.Helper()
	d := draft(t)(head(t, a).RemoveDevice(keyIndex, event.Primary, now))
	sign(t, d, phone)
	return d
}

// From nothing to an account that was linked, confirmed and re-registered,
// each event in force before the next is drafted.
func TestAgentWholeLife(t *testing.T) {
	w := newWorld()
	a := newAgent(w)
	phone, laptop, second := newKey(t, 1), newKey(t, 2), newKey(t, 3)
	steps := []struct {
		name    string
		draft   func(*device.Head) (*device.Draft, error)
		signers []device.Signer
		devices int
	}{
		{"register", func(h *device.Head) (*device.Draft, error) { return h.Register(phone.Public(), now) }, []device.Signer{phone}, 0},
		{"link", func(h *device.Head) (*device.Draft, error) { return h.AddDevice(laptop.Public(), now) }, []device.Signer{laptop, phone}, 1},
		{"confirm", func(h *device.Head) (*device.Draft, error) { return h.Confirm(now) }, []device.Signer{phone}, 1},
		{"log out", func(h *device.Head) (*device.Draft, error) { return h.RemoveDevice(1, event.Subject, now) }, []device.Signer{laptop}, 0},
		{"re-register", func(h *device.Head) (*device.Draft, error) { return h.Reregister(second.Public(), true, now) }, []device.Signer{phone, second}, 0},
	}
	for i, step := range steps {
		d := draft(t)(step.draft(head(t, a)))
		sign(t, d, step.signers...)
		s, err := a.Send(ctx, d)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if s.Receipt == nil || s.Receipt.Seq != uint32(i) {
			t.Errorf("%s: no verified receipt", step.name)
		}
		if s.Settled == nil || s.Settled.Won == nil || s.Settled.Won.ID() != d.ID() || s.Pending != nil {
			t.Errorf("%s: not settled: %+v", step.name, s)
		}
		if at := s.Head.Account(); at.Next != uint32(i+1) || at.Head != d.ID() || len(at.Devices) != step.devices {
			t.Errorf("%s: the head is %+v", step.name, at)
		}
		if journal(a).entry != nil {
			t.Errorf("%s: the journal is not empty", step.name)
		}
	}
}

// Nothing leaves before the journal has it.
func TestJournalFirst(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	d := removal(t, a, 1, phone)
	journal(a).fail = errors.New("disk full")
	if _, err := a.Send(ctx, d); !errors.Is(err, journal(a).fail) {
		t.Fatalf("got %v", err)
	}
	if w.submitted != 0 {
		t.Error("the event left without being in the journal")
	}
}

func TestSendRefuses(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	half := draft(t)(head(t, a).AddDevice(newKey(t, 4).Public(), now))
	sign(t, half, phone)
	received, err := device.ParseDraft(removal(t, a, 1, phone).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	other := newAgent(w)
	other.Account[0] ^= 1

	cases := []struct {
		name  string
		agent *device.Agent
		draft *device.Draft
		says  string
	}{
		{"half signed", a, half, "still needs"},
		{"not reviewed", a, received, "review it"},
		{"another account", other, removal(t, a, 1, phone), "this agent's is"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.agent.Send(ctx, c.draft); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if w.submitted != 0 || journal(c.agent).entry != nil {
				t.Error("it was kept or sent")
			}
		})
	}
}

// However the sending ends, an event that may still be logged stays pending,
// blocks the next, and the same bytes are sent again.
func TestPendingThenResend(t *testing.T) {
	fault := errors.New("no network")
	cases := []struct {
		name  string
		fault func(*world)
		mend  func(*world)
		// before is whether the event is in force before it is sent again
		before bool
	}{
		{"not sent", func(w *world) { w.down = fault }, func(w *world) { w.down = nil }, false},
		{"answer lost", func(w *world) { w.lost = fault }, func(w *world) { w.lost = nil }, true},
		{"taken and not shown", func(w *world) { w.hold = true }, func(w *world) { w.hold = false; w.publish() }, true},
		{"refused", func(w *world) { w.refuse = &event.Error{Rule: event.RuleForbidden} }, func(w *world) { w.refuse = nil }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, phone, _, _ := family(t)
			a := newAgent(w)
			d := removal(t, a, 1, phone)
			c.fault(w)
			if _, err := a.Send(ctx, d); !errors.Is(err, device.ErrPending) {
				t.Fatalf("got %v", err)
			}
			if !c.before {
				s, err := a.Refresh(ctx)
				if err != nil || s.Pending == nil || s.Pending.Wanted().ID() != d.ID() {
					t.Fatalf("not pending: %+v, %v", s, err)
				}
				another := removal(t, a, 2, phone)
				if _, err := a.Send(ctx, another); !errors.Is(err, device.ErrPending) {
					t.Fatalf("another event was sent beside it: %v", err)
				}
			}
			c.mend(w)
			sent := w.submitted
			s, err := a.Resend(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if at := s.Head.Account(); at.Head != d.ID() || s.Settled == nil || s.Settled.Won == nil {
				t.Errorf("not in force: %+v", s)
			}
			if again := w.submitted > sent; again == c.before {
				t.Errorf("sent again: %t", again)
			}
			if journal(a).entry != nil {
				t.Error("the journal is not empty")
			}
			if _, err := a.Resend(ctx); err == nil {
				t.Error("sent something after it was settled")
			}
		})
	}
}

// After a crash all that is left is the journal: another process takes over.
func TestResendAfterCrash(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	w.down = errors.New("power cut")
	d := removal(t, a, 1, phone)
	_, _ = a.Send(ctx, d)
	w.down = nil

	next := newAgent(w)
	next.Journal = a.Journal
	if s, err := next.Resend(ctx); err != nil || s.Head.Account().Head != d.ID() {
		t.Fatalf("%+v, %v", s, err)
	}
}

// A crash between storing the verified state and clearing the journal: the
// event is not opened again, nor the newest, and is still found in the history.
func TestSettleFromHistory(t *testing.T) {
	for _, later := range []int{0, 1} {
		w, phone, _, _ := family(t)
		a := newAgent(w)
		d := removal(t, a, 1, phone)
		w.lost = errors.New("gone")
		_, _ = a.Send(ctx, d)
		w.lost = nil
		other := newAgent(w)
		for range later {
			w.must(t, draft(t)(head(t, other).Confirm(now)), phone)
		}
		a.Verifier.(*viewer).accepted = len(w.events)
		s, err := a.Refresh(ctx)
		if err != nil || s.Settled == nil || s.Settled.Won == nil || s.Settled.Holder != d.ID() {
			t.Errorf("%d later: %+v, %v", later, s, err)
		}
	}
}

// Of what was erased nobody can tell who won.
func TestSettleAfterErase(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	w.down = errors.New("no network")
	_, _ = a.Send(ctx, removal(t, a, 1, phone))
	w.down = nil
	w.must(t, draft(t)(head(t, newAgent(w)).Confirm(now)), phone)
	w.erase(t)
	_, err := a.Resend(ctx)
	if e := taken(err); e == nil || !e.Published || e.Ours != nil || e.Holder != (name.EventID{}) {
		t.Errorf("got %v", err)
	}
	if journal(a).entry != nil {
		t.Error("the journal is not empty")
	}
}

func TestCancel(t *testing.T) {
	fault := errors.New("no network")
	t.Run("in time", func(t *testing.T) {
		w, phone, _, _ := family(t)
		a := newAgent(w)
		d := removal(t, a, 1, phone)
		w.down = fault
		_, _ = a.Send(ctx, d)
		w.down = nil
		s, err := a.Cancel(ctx, phone)
		if err != nil {
			t.Fatal(err)
		}
		if s.Settled.Won.Payload().Type != event.Confirm || len(s.Settled.Pending.Drafts) != 2 {
			t.Errorf("settled: %+v", s.Settled)
		}
		// What was cancelled can never be logged, whoever kept it.
		e, err := d.Complete()
		if err != nil {
			t.Fatal(err)
		}
		if o := w.take(e.Bytes()); o.Refused == nil {
			t.Error("the cancelled event was logged")
		}
		if got := s.Head.Account(); len(got.Devices) != 2 {
			t.Errorf("devices: %v", got.Devices)
		}
	})
	t.Run("too late", func(t *testing.T) {
		w, phone, _, _ := family(t)
		a := newAgent(w)
		d := removal(t, a, 1, phone)
		w.hold = true
		_, _ = a.Send(ctx, d)
		_, err := a.Cancel(ctx, phone)
		if e := taken(err); e == nil || e.Published || e.Head == nil || e.Head.ID() != d.ID() {
			t.Fatalf("got %v", err)
		}
		w.hold = false
		w.publish()
		s, err := a.Resend(ctx)
		if e := taken(err); e == nil || !e.Published || e.Ours == nil || e.Ours.ID() != d.ID() {
			t.Fatalf("got %v", err)
		}
		if s.Head.Account().Head != d.ID() || journal(a).entry != nil {
			t.Error("the first event is not in force, or still in the journal")
		}
	})
	t.Run("a crash between the two", func(t *testing.T) {
		w, phone, _, _ := family(t)
		a := newAgent(w)
		w.down = fault
		_, _ = a.Send(ctx, removal(t, a, 1, phone))
		if _, err := a.Cancel(ctx, phone); !errors.Is(err, device.ErrPending) {
			t.Fatalf("got %v", err)
		}
		w.down = nil
		// What is sent again is what was wanted last.
		s, err := a.Resend(ctx)
		if err != nil || s.Settled.Won.Payload().Type != event.Confirm {
			t.Errorf("%+v, %v", s, err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		w, phone, _, _ := family(t)
		if _, err := newAgent(w).Cancel(ctx, phone); err == nil || w.submitted != 0 {
			t.Error("cancelled nothing")
		}
	})
	t.Run("a registration", func(t *testing.T) {
		w := newWorld()
		a := newAgent(w)
		phone, second := newKey(t, 1), newKey(t, 2)
		d := draft(t)(head(t, a).Register(phone.Public(), now))
		sign(t, d, phone)
		w.down = fault
		_, _ = a.Send(ctx, d)
		w.down = nil
		s, err := a.Cancel(ctx, phone)
		if !errors.Is(err, device.ErrPending) || s.Pending == nil {
			t.Fatalf("got %v", err)
		}
		instead := draft(t)(s.Head.Register(second.Public(), now))
		sign(t, instead, second)
		if s, err = a.Replace(ctx, instead); err != nil || s.Head.Account().Primary != second.Public() {
			t.Errorf("replacing it: %v", err)
		}
	})
	t.Run("by another key", func(t *testing.T) {
		w, phone, laptop, _ := family(t)
		a := newAgent(w)
		w.down = fault
		_, _ = a.Send(ctx, removal(t, a, 1, phone))
		kept := bytes.Clone(journal(a).entry)
		w.down = nil
		if _, err := a.Cancel(ctx, laptop); !errors.Is(err, device.ErrPending) {
			t.Errorf("got %v", err)
		}
		if !bytes.Equal(kept, journal(a).entry) {
			t.Error("the journal changed")
		}
	})
}

// Two phones of one owner, each with a journal of its own, sign for one seq.
// One wins; the other is told, and signs again on what the first did.
func TestTwoPhonesRace(t *testing.T) {
	w, phone, laptop, _ := family(t)
	one, two := newAgent(w), newAgent(w)
	first := removal(t, one, 1, phone)
	second := draft(t)(head(t, two).RemoveDevice(1, event.Subject, now.Add(time.Second))) // the laptop logs itself out
	sign(t, second, laptop)

	if _, err := one.Send(ctx, first); err != nil {
		t.Fatal(err)
	}
	s, err := two.Send(ctx, second)
	e := taken(err)
	if e == nil || !e.Published || e.Holder != first.ID() || e.Ours != nil {
		t.Fatalf("got %v", err)
	}
	if journal(two).entry != nil {
		t.Error("what can never be logged is still in the journal")
	}
	if _, err := s.Head.RemoveDevice(1, event.Subject, now); err == nil {
		t.Error("the loser does not see what the winner did")
	}
	again := draft(t)(s.Head.RemoveDevice(2, event.Primary, now))
	sign(t, again, phone)
	if s, err = two.Send(ctx, again); err != nil || len(s.Head.Account().Devices) != 0 {
		t.Errorf("signing again: %v", err)
	}
}

// Two processes share a journal: the one that comes second writes nothing.
func TestJournalRace(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	d := removal(t, a, 1, phone)
	a.Journal = &overtaken{memory: journal(a)}
	if _, err := a.Send(ctx, d); !errors.Is(err, verifier.ErrConflict) || w.submitted != 0 {
		t.Errorf("got %v, %d sent", err, w.submitted)
	}
}

// overtaken is a journal into which somebody else writes between Load and Swap.
type overtaken struct{ *memory }

func (o *overtaken) Swap(log name.LogID, account name.AccountID, old, next []byte) error {
	o.entry = []byte("somebody else's")
	return o.memory.Swap(log, account, old, next)
}

// The lookup shows the event in force, and the receipt is a lie: an error that
// says so, with nothing left pending.
func TestWrongReceipt(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	w.badWord = true
	d := removal(t, a, 1, phone)
	s, err := a.Send(ctx, d)
	if verifier.FailedCheck(err) != verifier.CheckInclusion || errors.Is(err, device.ErrPending) {
		t.Fatalf("got %v", err)
	}
	if s.Head.Account().Head != d.ID() || s.Receipt != nil || journal(a).entry != nil {
		t.Errorf("got %+v", s)
	}
}

// The same event, completed by another device with another XEdDSA signature:
// the receipt is for the signatures that were logged.
func TestSameEventSignedTwice(t *testing.T) {
	w := newWorld()
	a := newAgent(w)
	phone := newKey(t, 2) // Curve25519
	one := draft(t)(head(t, a).Register(phone.Public(), now))
	two := draft(t)(head(t, a).Register(phone.Public(), now))
	sign(t, one, phone)
	sign(t, two, phone)
	if bytes.Equal(one.Bytes(), two.Bytes()) || one.ID() != two.ID() {
		t.Fatal("XEdDSA signed alike twice: this test shows nothing")
	}
	w.must(t, one)
	if s, err := a.Send(ctx, two); err != nil || s.Receipt == nil || journal(a).entry != nil {
		t.Errorf("%+v, %v", s, err)
	}
}

// A phone that hands out its half keeps it: the other device may send it at
// any time, and it can be cancelled.
func TestKeepHalfSigned(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	desktop := newKey(t, 4)
	d := draft(t)(head(t, a).AddDevice(desktop.Public(), now))
	sign(t, d, phone)
	if err := a.Keep(d); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Resend(ctx); err == nil || w.submitted != 0 {
		t.Error("half an event was sent")
	}
	if _, err := a.Send(ctx, removal(t, a, 1, phone)); !errors.Is(err, device.ErrPending) {
		t.Errorf("another event was signed beside it: %v", err)
	}
	t.Run("sent by the other", func(t *testing.T) {
		b := newAgent(w)
		got, err := device.ParseDraftText(d.Text())
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Review(head(t, b), now); err != nil {
			t.Fatal(err)
		}
		sign(t, got, desktop)
		if _, err := b.Send(ctx, got); err != nil {
			t.Fatal(err)
		}
		if s, err := a.Refresh(ctx); err != nil || s.Settled == nil || s.Settled.Won == nil || journal(a).entry != nil {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestParsePendingRefuses(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	w.down = errors.New("no network")
	_, _ = a.Send(ctx, removal(t, a, 1, phone))
	_, _ = a.Replace(ctx, removal(t, a, 2, phone))
	good := journal(a).entry
	p, err := device.ParsePending(good, logID, alice)
	if err != nil || len(p.Drafts) != 2 || !bytes.Equal(p.Bytes(), good) {
		t.Fatalf("%+v, %v", p, err)
	}
	first := 1 + 2 + len(p.Drafts[0].Bytes())
	after, err := head(t, a).After(must(p.Drafts[0], head(t, a)))
	if err != nil {
		t.Fatal(err)
	}
	later := &device.Pending{Drafts: []*device.Draft{p.Drafts[0], draft(t)(after.Confirm(now))}}
	var other name.AccountID
	cases := []struct {
		name    string
		body    []byte
		account name.AccountID
	}{
		{"empty", nil, alice},
		{"no event", []byte{1}, alice},
		{"another version", append([]byte{2}, good[1:]...), alice},
		{"cut short", good[:len(good)-1], alice},
		{"an event twice", append(bytes.Clone(good[:first]), good[1:first]...), alice},
		{"two seqs", later.Bytes(), alice},
		{"another account", good, other},
		{"too many", append([]byte{1}, bytes.Repeat(good[1:first], 17)...), alice},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := device.ParsePending(c.body, logID, c.account); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := device.ParsePending(good, name.LogID{}, alice); err == nil {
		t.Error("accepted for another log")
	}
	journal(a).entry = []byte{9}
	if _, err := a.Refresh(ctx); err == nil {
		t.Error("a damaged journal was taken for an empty one")
	}
}

// must completes a draft read from a journal.
func must(d *device.Draft, h *device.Head) *event.Event {
	if err := d.Review(h, now); err != nil {
		panic(err)
	}
	e, err := d.Complete()
	if err != nil {
		panic(err)
	}
	return e
}

func FuzzParsePending(f *testing.F) {
	w, phone, _, _ := family(f)
	h := head(f, newAgent(w))
	one, two := draft(f)(h.RemoveDevice(1, event.Primary, now)), draft(f)(h.Confirm(now))
	f.Add((&device.Pending{Drafts: []*device.Draft{two}}).Bytes())
	sign(f, one, phone)
	sign(f, two, phone)
	f.Add((&device.Pending{Drafts: []*device.Draft{one}}).Bytes())
	f.Add((&device.Pending{Drafts: []*device.Draft{one, two}}).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := device.ParsePending(data, logID, alice)
		if err == nil && !bytes.Equal(p.Bytes(), data) {
			t.Error("another encoding was accepted")
		}
	})
}

// What is for another seq waits until the pending one is settled, and nobody
// piles up replacements without end.
func TestReplaceLimits(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	w.down = errors.New("no network")
	first := removal(t, a, 1, phone)
	_, _ = a.Send(ctx, first)
	h := head(t, a)
	after, err := h.After(must(first, h))
	if err != nil {
		t.Fatal(err)
	}
	next := draft(t)(after.Confirm(now))
	sign(t, next, phone)
	sent := w.submitted
	if _, err := a.Replace(ctx, next); !errors.Is(err, device.ErrPending) || w.submitted != sent {
		t.Errorf("another seq: %v", err)
	}
	many := &device.Pending{Drafts: []*device.Draft{first}}
	for i := range 16 {
		d := draft(t)(h.Confirm(now.Add(time.Duration(i) * time.Second)))
		sign(t, d, phone)
		sent = w.submitted
		_, err = a.Replace(ctx, d)
		many.Drafts = append(many.Drafts, d)
	}
	if !errors.Is(err, device.ErrPending) || w.submitted != sent {
		t.Errorf("the 17th was sent: %v", err)
	}
	if p, err := device.ParsePending(journal(a).entry, logID, alice); err != nil || len(p.Drafts) != 16 {
		t.Errorf("the journal: %v", err)
	}
	if _, err := device.ParsePending(many.Bytes(), logID, alice); err == nil {
		t.Error("an entry with 17 events was accepted")
	}
}

func TestKeepRefuses(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	received, err := device.ParseDraft(removal(t, a, 1, phone).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Keep(received); err == nil || journal(a).entry != nil {
		t.Error("kept what was not reviewed")
	}
}

// elsewhere answers about another account than the one asked about.
type elsewhere struct{ *viewer }

func (e elsewhere) Lookup(_ context.Context, q ...verifier.Question) (*verifier.Result, error) {
	q[0].Account[0] ^= 1
	return e.viewer.Lookup(ctx, q...)
}

// silent has no outcome for what it is sent.
type silent struct{ *world }

func (silent) Submit(context.Context, [][]byte, answer.Want) ([]answer.Outcome, error) {
	return nil, nil
}

func TestStrangeAnswers(t *testing.T) {
	w, phone, _, _ := family(t)
	a := newAgent(w)
	d := removal(t, a, 1, phone)
	a.Submitter = silent{w}
	if _, err := a.Send(ctx, d); !errors.Is(err, device.ErrPending) {
		t.Errorf("no outcome: %v", err)
	}
	a.Verifier = elsewhere{a.Verifier.(*viewer)}
	if _, err := a.Refresh(ctx); err == nil {
		t.Error("another account's result was taken for this one's")
	}
}
