package log_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// counted is a store that counts what a lookup costs it.
type counted struct {
	store.Store
	reads, writes atomic.Int64
}

func (c *counted) EventAt(position uint64) (*store.Event, error) {
	c.reads.Add(1)
	return c.Store.EventAt(position)
}

func (c *counted) PutProofs(id name.AccountID, group uint32, all []store.Proof) error {
	c.writes.Add(1)
	return c.Store.PutProofs(id, group, all)
}

// While the cosigners are away, events that nobody can see yet pile up behind an
// account: a lookup finds the newest published one all the same, in few reads,
// and ends when who asked is gone.
func TestLookupBehindManyUnpublishedEvents(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.openStore()
	c := &counted{Store: r.store.Store}
	r.store.Store = c
	l, err := log.Open(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.run(l)
	p, unseen := r.phone("alice"), r.phone("bob")
	r.accepted(p.Register(), p.Add(), p.Confirm())
	for _, w := range ws {
		w.set(func(w *witness) { w.down = true })
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := l.Events()
	bodies := [][]byte{unseen.Register()}
	for range 250 { // phones let a second pass each time, and the log takes 300 from the future
		bodies = append(bodies, p.Confirm(), unseen.Confirm())
	}
	submitted := make(chan struct{})
	go func() {
		defer close(submitted)
		l.Submit(ctx, bodies, answer.Want{})
	}()
	defer func() { cancel(); <-submitted }()
	for deadline := time.Now().Add(time.Minute); l.Events() < before+uint64(len(bodies)); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events are signed, want %d more than %d", l.Events(), len(bodies), before)
		}
	}
	for what, q := range map[string]struct {
		id   name.AccountID
		want int // seq
	}{"with three published": {p.Account(), 2}, "with none published": {unseen.Account(), -1}} {
		request := (&answer.Request{Asks: []answer.Ask{{Account: q.id, Kind: answer.First, Most: 1}}}).Bytes()
		c.reads.Store(0)
		if _, err := l.Lookup(t.Context(), request); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if n := c.reads.Load(); n > 100 {
			t.Errorf("%s: %d events were read", what, n)
		}
		gone, stop := context.WithCancel(t.Context())
		stop()
		if _, err := l.Lookup(gone, request); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, and nobody waits: %v", what, err)
		}
	}
}

// A log that must not sign writes nothing at all, also no proofs for later.
func TestReadOnlyKeepsNoProofs(t *testing.T) {
	for _, halted := range []bool{false, true} {
		r := newRig(t)
		p := r.phone("alice")
		r.log.Submit(t.Context(), [][]byte{p.Register()}, answer.Want{}) // no receipt, so no proof was kept
		r.stop()
		if !halted {
			r.head.note = nil
		}
		r.openStore()
		c := &counted{Store: r.store.Store}
		r.store.Store = c
		l, err := log.Open(r.cfg)
		if !halted {
			l, err = log.OpenToRead(r.cfg, err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.run(l); halted {
			l.Halt(errors.New("somebody found it damaged"))
		}
		result, _ := r.look(nil, history(p))
		r.sees(p, result.Accounts[0])
		if n := c.writes.Load(); n > 0 {
			t.Errorf("halted %v: it wrote %d times", halted, n)
		}
		r.stop()
	}
}
