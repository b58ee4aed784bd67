package log_test

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/verifier"
)

const (
	origin = name.Origin("keys.example.org/log1")
	start  = uint64(1_790_000_000_000)
)

// memHead is a SignedHead in memory that can fail.
type memHead struct {
	note []byte
	fail error // of the next Store
	kept bool  // and whether that Store kept the note all the same
}

func (h *memHead) Load() ([]byte, error) { return h.note, nil }

func (h *memHead) Store(note []byte) error {
	if h.fail != nil {
		if h.kept {
			h.note = note
		}
		return h.fail
	}
	h.note = note
	return nil
}

// failing is a store whose next Commit or Reserve, or read of an account, fails,
// having kept nothing.
type failing struct {
	store.Store
	fail    error
	reserve error
	account error  // of the next read of an account
	stall   func() // called before each Commit
	read    func() // called after each read of an account
}

func (f *failing) Account(id name.AccountID) (*store.Account, error) {
	if err := f.account; err != nil {
		f.account = nil
		return nil, err
	}
	a, err := f.Store.Account(id)
	if f.read != nil {
		f.read()
	}
	return a, err
}

func (f *failing) Reserve(events []store.Pending) error {
	if err := f.reserve; err != nil {
		f.reserve = nil
		return err
	}
	return f.Store.Reserve(events)
}

func (f *failing) Commit(b *store.Batch) error {
	if f.stall != nil {
		f.stall()
	}
	if err := f.fail; err != nil {
		f.fail = nil
		return err
	}
	return f.Store.Commit(b)
}

// rig is a log on an in-memory disk that can be stopped and opened again.
type rig struct {
	t      *testing.T
	disk   vfs.FS
	head   *memHead
	cfg    log.Config
	store  *failing
	log    *log.Log
	cancel context.CancelFunc

	servers []*httptest.Server // of its cosigners
	done    chan error

	mu  sync.Mutex
	now time.Time
}

// event is an event in the store, by way of those that follow it.
func (r *rig) event(id name.AccountID, seq uint32) (*store.Event, error) {
	a, err := r.store.Account(id)
	if err != nil {
		return nil, err
	}
	for e, err := range store.Chain(r.store.EventAt, a) {
		if err != nil || e.Seq == seq {
			return e, err
		}
	}
	return nil, store.ErrNotFound
}

// chained holds each event against the one that it says came before it, and
// each account against its newest: whatever a test did to the log.
func (r *rig) chained() {
	r.t.Helper()
	newest := make(map[name.AccountID]*store.Event)
	for e, err := range r.store.Events(0, math.MaxUint64) {
		if err != nil {
			return // a store that a test has broken
		}
		var want store.Event
		if before := newest[e.Account]; before != nil {
			want = *before
		} else {
			want.Seq-- // of seq 0
		}
		if e.Seq != want.Seq+1 || e.Previous != want.Position {
			r.t.Errorf("seq %d of account %v at position %d: the event before is said to be at %d, it is seq %d at %d", e.Seq, e.Account, e.Position, e.Previous, want.Seq, want.Position)
		}
		newest[e.Account] = e
	}
	for id, e := range newest {
		if a, err := r.store.Account(id); err == nil && (a.Position != e.Position || a.Next != e.Seq+1) {
			r.t.Errorf("account %v: %d events, the newest at %d; it is seq %d at %d", id, a.Next, a.Position, e.Seq, e.Position)
		}
	}
}

func newRig(t *testing.T) *rig { return newRigOn(t, vfs.NewMem()) }

func newRigOn(t *testing.T, disk vfs.FS) *rig {
	r := makeRigOn(t, disk)
	r.open()
	return r
}

// makeRig is a rig whose log was made and not opened yet.
func makeRig(t *testing.T) *rig { return makeRigOn(t, vfs.NewMem()) }

func makeRigOn(t *testing.T, disk vfs.FS) *rig {
	r := &rig{t: t, disk: disk, head: &memHead{}, now: time.UnixMilli(int64(start))}
	signer, err := checkpoint.NewSigner(string(origin), liar.Seed("log"))
	if err != nil {
		t.Fatal(err)
	}
	r.cfg = log.Config{
		Origin: origin, Signer: signer, VRF: vrf.NewPrivateKey(liar.Seed("vrf")), Head: r.head,
		Epoch: time.Millisecond, Heartbeat: time.Hour,
		Now: func() time.Time {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.now
		},
	}
	s, err := pebble.Create(pebble.Config{Dir: "store", FS: r.disk})
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.Store = s
	if err := log.Create(r.cfg); err != nil {
		t.Fatal(err)
	}
	s.Close()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) openStore() {
	r.t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: r.disk})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = &failing{Store: s}
	r.cfg.Store = r.store
}

func (r *rig) open() {
	r.t.Helper()
	r.openStore()
	l, err := log.Open(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.run(l)
}

func (r *rig) run(l *log.Log) {
	ctx, cancel := context.WithCancel(context.Background())
	r.log, r.cancel, r.done = l, cancel, make(chan error, 1)
	go func() { r.done <- l.Run(ctx) }()
}

// stop ends the log and its store, and gives what Run returned.
func (r *rig) stop() error {
	if r.log == nil {
		return nil
	}
	r.cancel()
	err := <-r.done
	r.chained()
	r.store.Close()
	r.log = nil
	return err
}

func (r *rig) submit(bodies ...[]byte) []answer.Outcome {
	return r.log.Submit(context.Background(), bodies, answer.Want{Receipt: true})
}

func (r *rig) accepted(bodies ...[]byte) []answer.Outcome {
	r.t.Helper()
	out := r.submit(bodies...)
	for i, o := range out {
		if o.Refused != nil || o.Err != nil {
			r.t.Fatalf("event %d: refused %v, error %v", i, o.Refused, o.Err)
		}
	}
	return out
}

func (r *rig) phone(id string) *liar.Phone {
	return liar.NewPhone(origin, name.Identifier(id), start)
}

// lookup begins one.
func (r *rig) lookup(state *verifier.State, questions ...verifier.Question) *verifier.Lookup {
	r.t.Helper()
	policy, err := checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() + "\nquorum none\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := (&verifier.Verifier{Policy: policy}).Lookup(state, questions...)
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// look verifies accounts as a client does that held state.
func (r *rig) look(state *verifier.State, questions ...verifier.Question) (*verifier.Result, *verifier.State) {
	r.t.Helper()
	l := r.lookup(state, questions...)
	for request := l.Request(); request != nil; request = l.Request() {
		data, err := r.log.Lookup(context.Background(), request)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := l.Answer(data, r.cfg.Now()); err != nil {
			r.t.Fatal(err)
		}
	}
	result, next, err := l.Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return result, next
}

func history(p *liar.Phone) verifier.Question {
	return verifier.Question{Account: p.Account(), History: true}
}

func (r *rig) sees(p *liar.Phone, f verifier.Found) {
	r.t.Helper()
	if f.Seq != p.At.Next-1 || f.Event != p.At.Head || f.Primary != p.At.Primary || fmt.Sprint(f.Devices) != fmt.Sprint(p.At.Devices) {
		r.t.Errorf("the log shows %+v, the phone is at %+v", f, p.At)
	}
}
