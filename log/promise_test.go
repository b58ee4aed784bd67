package log_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/verifier"
)

// promised submits with WaitDurable and reads what comes back.
func (r *rig) promised(bodies ...[]byte) []*promised {
	r.t.Helper()
	var all []*promised
	for i, o := range r.log.Submit(context.Background(), bodies, answer.Want{Wait: answer.WaitDurable}) {
		if o.Refused != nil || o.Err != nil || !o.Promised || o.Position != 0 {
			r.t.Fatalf("event %d: %+v, want a promise", i, o)
		}
		d, err := answer.ParseDurable(o.Receipt)
		if err != nil {
			r.t.Fatal(err)
		}
		p := &promised{body: bodies[i], raw: o.Receipt, Durable: d}
		if p.receipt, err = checkpoint.OpenReceipt(r.cfg.Signer.Key(), d.Note); err != nil {
			r.t.Fatal(err)
		}
		e, err := event.Parse(bodies[i])
		if err != nil {
			r.t.Fatal(err)
		}
		if c := commitment.Commit(d.Opening, e.Account.Label(), e.Seq, bodies[i]); c != p.receipt.Commitment {
			r.t.Errorf("event %d: the opening gives commitment %x, the receipt says %x", i, c, p.receipt.Commitment)
		}
		all = append(all, p)
	}
	return all
}

type promised struct {
	*answer.Durable
	body    []byte
	raw     []byte
	receipt checkpoint.Receipt
}

// kept submits the same event again and finds it logged as it was promised.
func (r *rig) kept(all ...*promised) {
	r.t.Helper()
	for _, p := range all {
		o := r.accepted(p.body)[0]
		pub, err := answer.ParsePublished(o.Receipt)
		if err != nil {
			r.t.Fatal(err)
		}
		if pub.Opening != p.Opening || pub.Seq != p.Seq || o.Position == 0 {
			r.t.Errorf("seq %d is logged with opening %x, promised was %x", p.Seq, pub.Opening, p.Opening)
		}
	}
}

// slow makes epochs wait for ever, so that promises come first.
func (r *rig) slow() {
	r.t.Helper()
	r.stop()
	r.cfg.Epoch = time.Hour
	r.open()
}

// kill takes the power away: what was not synced is gone, and nothing is drained.
func (r *rig) kill() {
	r.t.Helper()
	disk := r.disk.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
	r.stop()
	r.disk = disk
}

func TestPromisesSurviveKill(t *testing.T) {
	r := newRigOn(t, vfs.NewCrashableMem())
	alice, bob := r.phone("alice"), r.phone("bob")
	r.accepted(alice.Register())
	r.slow()
	all := r.promised(alice.Add(), alice.Add(), bob.Register())
	all = append(all, r.promised(bob.Add())...)
	// Sent again: the same bytes, also after a restart.
	again := func() {
		t.Helper()
		for i, p := range all {
			if q := r.promised(p.body)[0]; !bytes.Equal(q.raw, p.raw) {
				t.Errorf("event %d has another receipt when it is sent again", i)
			}
		}
	}
	again()
	head := r.head.note
	r.kill()
	r.head.note = head // stopping sealed what the power cut lost
	r.open()
	again()
	_, before := r.log.Position()
	r.cfg.Epoch = time.Millisecond
	r.cfg.MaxEpochEvents = 2 // and yet the next cut takes them all
	head = r.head.note
	r.kill()
	r.head.note = head
	r.open()
	r.kept(all...)
	if _, now := r.log.Position(); now != before+1 {
		t.Errorf("%d epochs, want one: the next cut takes every promised event", now-before)
	}
	result, _ := r.look(nil, history(alice), history(bob))
	r.sees(alice, result.Accounts[0])
	r.sees(bob, result.Accounts[1])
	r.stop() // logged: nothing is pending any more
	r.openStore()
	defer r.store.Close()
	for p := range r.store.Pending() {
		t.Errorf("seq %d of %v is logged and still pending", p.Seq, p.Account)
	}
}

// A batch that fails costs what was not promised. What was promised stays,
// with what it builds on, and with its opening.
func TestFailedBatchKeepsPromises(t *testing.T) {
	r := newRig(t)
	r.slow()
	alice, bob := r.phone("alice"), r.phone("bob")
	first := alice.Register()
	refused := make(chan answer.Outcome, 1)
	for _, body := range [][]byte{first, bob.Register()} {
		n := r.log.Waiting()
		go func() {
			if o := r.log.Submit(context.Background(), [][]byte{body}, answer.Want{})[0]; !bytes.Equal(body, first) {
				refused <- o
			}
		}()
		for r.log.Waiting() == n {
			time.Sleep(time.Millisecond)
		}
	}
	all := r.promised(alice.Add()) // and with it alice's first
	r.store.fail = errors.New("no space left on device")
	if err := r.stop(); err != nil { // seals: the batch fails
		t.Fatal(err)
	}
	if o := <-refused; o.Err == nil {
		t.Errorf("%+v, want an error: nobody promised it", o)
	}
	r.cfg.Epoch = time.Millisecond
	r.open()
	all = append(all, &promised{body: first, Durable: &answer.Durable{Opening: r.logged(first).Opening}})
	r.kept(all...)
	if result, _ := r.look(nil, history(bob)); result.Accounts[0].Status != verifier.Unknown {
		t.Errorf("bob's event was refused and is logged: %+v", result.Accounts[0])
	}
	result, _ := r.look(nil, history(alice))
	r.sees(alice, result.Accounts[0])

	// The log that goes on takes them with its next epoch by itself.
	r.store.fail = errors.New("no space left on device")
	p := r.promised(alice.Add())
	r.kept(p...)
}

func (r *rig) logged(body []byte) *answer.Published {
	r.t.Helper()
	p, err := answer.ParsePublished(r.accepted(body)[0].Receipt)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// No receipt without a durable row; the event is one like any other then.
func TestReserveFails(t *testing.T) {
	r := newRig(t)
	r.slow()
	p := r.phone("alice")
	body := p.Register()
	r.store.reserve = errors.New("input/output error")
	if o := r.log.Submit(context.Background(), [][]byte{body}, answer.Want{Wait: answer.WaitDurable})[0]; o.Err == nil || o.Receipt != nil {
		t.Fatalf("%+v, want an error and no receipt", o)
	}
	all := r.promised(body)
	r.stop()
	r.cfg.Epoch = time.Millisecond
	r.open()
	r.kept(all...)
}

// An event that is being sealed without a promise is answered as published,
// and so is one that builds on it.
func TestPromiseWhileSealing(t *testing.T) {
	r := newRig(t)
	sealing, goOn := make(chan struct{}, 1), make(chan struct{})
	var once sync.Once
	r.store.stall = func() { once.Do(func() { sealing <- struct{}{}; <-goOn }) }
	p := r.phone("alice")
	first, second := p.Register(), p.Add()
	out := make(chan answer.Outcome, 2)
	submit := func(body []byte, want answer.Want) {
		out <- r.log.Submit(context.Background(), [][]byte{body}, want)[0]
	}
	go submit(first, answer.Want{})
	<-sealing
	go submit(first, answer.Want{Wait: answer.WaitDurable})
	go submit(second, answer.Want{Wait: answer.WaitDurable})
	for r.log.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(goOn)
	for range 3 {
		if o := <-out; o.Err != nil || o.Promised || o.Position == 0 {
			t.Errorf("%+v, want a position", o)
		}
	}
}

// merge_by is never before the newest cut, wherever the clock is; and whatever
// epoch comes after it, the event is in it.
func TestMergeBy(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register())
	r.mu.Lock()
	r.now = r.now.Add(-30 * time.Second)
	r.mu.Unlock()
	p.TimeMs -= 60_000
	r.cfg.MergeDelay = 7 * time.Second
	r.slow()
	got := r.promised(p.Add())[0].receipt
	if want := start + 7001; got.MergeBy != want || got.Origin != origin {
		t.Errorf("merge_by %d of %s, want %d: the newest epoch's time and the delay", got.MergeBy, got.Origin, want)
	}
	r.mu.Lock()
	r.now = r.now.Add(time.Minute)
	r.mu.Unlock()
	if got, want := r.promised(p.Add())[0].receipt.MergeBy, start+37_000; got != want {
		t.Errorf("merge_by %d, want %d: the clock and the delay", got, want)
	}
}

// Many promises at once, over many epochs, some of which fail: each is logged
// as promised.
func TestPromisesUnderLoad(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.cfg.MaxEpochEvents = 5
	r.open()
	var wg sync.WaitGroup
	phones := make([]*liar.Phone, 16)
	for i := range phones {
		phones[i] = r.phone(fmt.Sprint("phone", i))
		bodies := [][]byte{phones[i].Register(), phones[i].Add(), phones[i].Add(), phones[i].Remove(1)}
		wg.Go(func() {
			for _, body := range bodies {
				o := r.log.Submit(context.Background(), [][]byte{body}, answer.Want{Wait: answer.WaitDurable})[0]
				if o.Err != nil || o.Refused != nil {
					t.Errorf("refused %v, error %v", o.Refused, o.Err)
				}
			}
		})
	}
	wg.Wait()
	for _, p := range phones {
		r.accepted(p.Confirm())
		result, _ := r.look(nil, history(p))
		r.sees(p, result.Accounts[0])
	}
}

// A promised event that its account does not take is a store that cannot be
// trusted: the log does not open.
func TestOpenRefusesForeignPromise(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register())
	p.Add()
	skipped := p.Add() // seq 2, where seq 1 is next
	r.stop()
	r.openStore()
	defer r.store.Close()
	if err := r.store.Reserve([]store.Pending{{Account: p.Account(), Seq: 2, MergeBy: start, Body: skipped}}); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Open(r.cfg); err == nil {
		t.Error("opened with a promised event that does not follow")
	}
}

// What an honest log promised never convicts it: after a power cut, with its
// clock past merge_by when it is back, the next epoch has the event.
func TestHonestPromiseIsKept(t *testing.T) {
	r := newRigOn(t, vfs.NewCrashableMem())
	p := r.phone("alice")
	r.accepted(p.Register())
	r.slow()
	body := p.Add()
	sent := r.promised(body)[0]
	e, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	v := &verifier.Verifier{Policy: policy}
	promise, err := v.Durable(r.cfg.VRF.Public(), e, sent.raw, r.cfg.Now())
	if err != nil {
		t.Fatal(err)
	}
	head := r.head.note
	r.kill()
	r.head.note = head
	r.mu.Lock()
	r.now = r.now.Add(time.Hour)
	r.mu.Unlock()
	r.cfg.Epoch = time.Millisecond
	r.open()
	r.kept(sent)
	data, err := r.log.Lookup(context.Background(), promise.Request())
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Overdue(promise, data, r.cfg.Now()); err != nil {
		t.Errorf("logged by the first epoch after the outage: %v", err)
	}
}
