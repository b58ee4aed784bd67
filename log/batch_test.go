package log_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
)

// Batches that are admitted beside each other join in the order of the calls,
// so that an account's events may stand in several of them.
func TestBatchesJoinInOrder(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	var batches []*log.Batch
	for _, events := range [][][]byte{{p.Register()}, {p.Add(), p.Add()}, {p.Confirm()}, {p.Remove(1)}} {
		batches = append(batches, r.log.Admit(events))
	}
	for _, b := range batches {
		b.Join(t.Context())
	}
	for i, b := range batches {
		for _, o := range b.Outcomes(t.Context()) {
			if o.Err != nil || o.Refused != nil || o.Position == 0 {
				t.Errorf("batch %d: %+v", i, o)
			}
		}
	}
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])
}

// A large call waits while two others are admitted, so that these have their
// events in an epoch soon; a small one waits for none.
func TestLargeCallsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var reads atomic.Int64
		goOn := make(chan struct{})
		r.store.read = func() { reads.Add(1); <-goOn }
		cores := runtime.GOMAXPROCS(0)
		var batches []*log.Batch
		for call := range 4 {
			var events [][]byte
			for i := range 16*cores + 1 {
				events = append(events, r.phone(fmt.Sprint("account ", call, i)).Register())
			}
			batches = append(batches, r.log.Admit(events))
		}
		synctest.Wait()
		if n := reads.Load(); n != int64(2*cores) {
			t.Errorf("%d cores are at work on large calls, want those of two: %d", n, 2*cores)
		}
		var events [][]byte
		for i := range 16 * cores {
			events = append(events, r.phone(fmt.Sprint("small", i)).Register())
		}
		batches = append(batches, r.log.Admit(events))
		synctest.Wait()
		if n := reads.Load(); n != int64(3*cores) {
			t.Errorf("%d cores are at work, want %d: a small call does not wait for large ones", n, 3*cores)
		}
		close(goOn)
		for i, b := range batches {
			b.Join(t.Context())
			for _, o := range b.Outcomes(t.Context()) {
				if o.Err != nil || o.Refused != nil {
					t.Fatalf("call %d: %+v", i, o)
				}
			}
		}
	})
}

// fullRig is a log in which two events wait, the most that may, in an epoch
// whose commit begins when the test says so.
func fullRig(t *testing.T) (r *rig, commit func()) {
	r = newRig(t)
	r.stop()
	r.cfg.MaxPending, r.cfg.MaxEpochEvents = 2, 2
	r.open()
	started, goOn := make(chan struct{}), make(chan struct{})
	r.store.stall = func() {
		select {
		case started <- struct{}{}:
		default:
		}
		<-goOn
	}
	first := r.phone("first")
	r.log.Admit([][]byte{first.Register()}).Join(t.Context())
	<-started // its epoch is cut, and commits
	second := r.phone("second")
	r.log.Admit([][]byte{second.Register(), second.Confirm()}).Join(t.Context())
	return r, func() { close(goOn) }
}

// Who joins a full log waits for room; who submits is told to come again.
func TestJoinWaitsForRoom(t *testing.T) {
	r, commit := fullRig(t)
	p := r.phone("alice")
	events := [][]byte{p.Register()}
	if o := r.log.Submit(t.Context(), events, answer.Want{})[0]; !errors.Is(o.Err, log.ErrBusy) {
		t.Errorf("submitting to a full log: %+v, want ErrBusy", o)
	}
	for range 10 {
		events = append(events, p.Confirm())
	}
	b := r.log.Admit(events)
	joined := make(chan struct{})
	go func() { b.Join(context.Background()); close(joined) }()
	select {
	case <-joined:
		t.Error("joined a full log")
	case <-time.After(20 * time.Millisecond):
	}
	commit()
	<-joined
	for i, o := range b.Outcomes(t.Context()) {
		if o.Err != nil || o.Refused != nil {
			t.Errorf("event %d: %+v", i, o)
		}
	}
}

// An event that finds no room in time takes those behind it along: they may
// build on it, and would be refused for good.
func TestJoinGivesUp(t *testing.T) {
	r, commit := fullRig(t)
	p, other := r.phone("alice"), r.phone("bob")
	b := r.log.Admit([][]byte{{1, 2, 3}, p.Register(), p.Add(), {4, 5, 6}, other.Register()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.Join(ctx)
	commit()
	outcomes := b.Outcomes(t.Context())
	for _, i := range []int{0, 3} {
		if outcomes[i].Refused == nil {
			t.Errorf("event %d breaks its form and was not refused: %+v", i, outcomes[i])
		}
	}
	for _, i := range []int{1, 2, 4} {
		if o := outcomes[i]; !errors.Is(o.Err, log.ErrBusy) || !errors.Is(o.Err, context.Canceled) {
			t.Errorf("event %d: %+v, want ErrBusy, canceled", i, o)
		} else if o.Err.Error() != log.ErrBusy.Error() {
			t.Errorf("event %d: whoever sent it is told %q, want the words of ErrBusy", i, o.Err)
		}
	}
}

// A log that has stopped is closed while the signatures of a call that nobody waits
// for are checked: Close waits for those that are being checked, turns the others
// away, and afterwards nobody reads the store, which is closed and would panic.
func TestCloseDuringAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		p := r.phone("alice")
		register := p.Register()
		r.accepted(register)
		request := r.lookup(nil, history(p)).Request()
		var reads atomic.Int64
		goOn := make(chan struct{})
		release := sync.OnceFunc(func() { close(goOn) })
		defer release()
		r.store.read = func() { reads.Add(1); <-goOn }
		cores := runtime.GOMAXPROCS(0)
		var events [][]byte
		for i := range 64 * cores {
			events = append(events, r.phone(fmt.Sprint("account ", i)).Register())
		}
		b := r.log.Admit(events)
		synctest.Wait()
		if n := reads.Load(); n != int64(cores) {
			t.Fatalf("%d cores read accounts, want %d", n, cores)
		}
		r.cancel()
		if err := <-r.done; err != nil {
			t.Fatal(err)
		}
		r.done <- nil // for stop
		closed := make(chan struct{})
		go func() { r.log.Close(); close(closed) }()
		for { // until Close waits
			_, err := r.log.Tile(0, 0, 1)
			select {
			case <-closed:
				t.Fatal("closed while accounts are being read")
			default:
			}
			if errors.Is(err, log.ErrStopped) {
				break
			}
			runtime.Gosched()
		}
		release()
		<-closed
		r.store.Close() // who reads it now panics
		if n := reads.Load(); n != int64(16*cores) {
			t.Errorf("%d accounts were read, want %d: those of one turn on each core", n, 16*cores)
		}

		b.Join(t.Context())
		for i, o := range b.Outcomes(t.Context()) {
			if !errors.Is(o.Err, log.ErrStopped) || o.Refused != nil {
				t.Fatalf("event %d: %+v, want ErrStopped", i, o)
			}
		}
		for _, want := range []answer.Want{{Receipt: true}, {Wait: answer.WaitDurable, Receipt: true}} {
			if o := r.log.Submit(t.Context(), [][]byte{register}, want)[0]; !errors.Is(o.Err, log.ErrStopped) {
				t.Errorf("submitting after Close: %+v, want ErrStopped", o)
			}
		}
		if _, err := r.log.Lookup(t.Context(), request); !errors.Is(err, answer.ErrBehind) {
			t.Errorf("looking up after Close: %v, want ErrBehind", err)
		}
		if _, err := r.log.Tile(0, 0, 1); !errors.Is(err, log.ErrStopped) {
			t.Errorf("a tile after Close: %v, want ErrStopped", err)
		}
		if _, err := r.log.Entries(0, 1); !errors.Is(err, log.ErrStopped) {
			t.Errorf("entries after Close: %v, want ErrStopped", err)
		}
		r.log = nil // nothing is left to stop
	})
}
