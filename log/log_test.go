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
	"github.com/musterlog/muster/log/event"
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

// failing is a store whose next Commit fails, having kept nothing.
type failing struct {
	store.Store
	fail error
}

func (f *failing) Commit(b *store.Batch) error {
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
	done   chan error

	mu  sync.Mutex
	now time.Time
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, disk: vfs.NewMem(), head: &memHead{}, now: time.UnixMilli(int64(start))}
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
	r.open()
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
	r.store.Close()
	r.log = nil
	return err
}

func (r *rig) submit(bodies ...[]byte) []answer.Outcome {
	return r.log.Submit(context.Background(), bodies, true)
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

// look verifies accounts as a client does that held state.
func (r *rig) look(state *verifier.State, questions ...verifier.Question) (*verifier.Result, *verifier.State) {
	r.t.Helper()
	policy, err := checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() + "\nquorum none\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := (&verifier.Verifier{Policy: policy}).Lookup(state, questions...)
	if err != nil {
		r.t.Fatal(err)
	}
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

// The whole way, with a restart after every step: what was acknowledged stays,
// and the log goes on with the same history.
func TestEventsSurviveRestarts(t *testing.T) {
	r := newRig(t)
	alice, bob := r.phone("alice"), r.phone("bob")
	var state *verifier.State
	steps := []func() []byte{
		alice.Register, alice.Add, alice.Add, bob.Register,
		func() []byte { return alice.Remove(1) }, func() []byte { return alice.LogOut(2) }, alice.Add,
		func() []byte { return alice.OperatorRemove(5) }, alice.Confirm,
		func() []byte { return alice.Reregister(true) }, alice.Add, alice.Erase,
		func() []byte { return alice.Reregister(false) }, alice.Add, bob.Add,
	}
	for i, step := range steps {
		r.accepted(step())
		var result *verifier.Result
		result, state = r.look(state, history(alice))
		r.sees(alice, result.Accounts[0])
		before := r.log.Published()
		if err := r.stop(); err != nil {
			t.Fatalf("step %d: the log stopped with %v", i, err)
		}
		r.open()
		if !bytes.Equal(before, r.log.Published()) {
			t.Errorf("step %d: a restart changed the checkpoint from\n%s to\n%s", i, before, r.log.Published())
		}
	}
	result, _ := r.look(state, history(bob), history(alice))
	r.sees(bob, result.Accounts[0])
	r.sees(alice, result.Accounts[1])
}

// Events of one account may follow each other in one call, and many accounts
// in parallel calls.
func TestSubmitMany(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	phones := make([]*liar.Phone, 20)
	for i := range phones {
		phones[i] = r.phone(fmt.Sprint("phone", i))
		bodies := [][]byte{phones[i].Register(), phones[i].Add(), phones[i].Add(), phones[i].Remove(1)}
		wg.Go(func() { r.accepted(bodies...) })
	}
	wg.Wait()
	for _, p := range phones {
		result, _ := r.look(nil, history(p))
		r.sees(p, result.Accounts[0])
	}
}

// The same event again, also with another valid signature, also after a
// restart, also many times at once, is the same event with the same receipt.
func TestSameEventAgain(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	p.KeyType = event.KeyCurve25519 // whose signatures differ each time
	body := p.Register()
	e, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	again := liar.Sign(e.Payload, p.Primary, nil).Bytes()
	if bytes.Equal(body, again) {
		t.Fatal("the second signature equals the first: this test shows nothing")
	}
	var wg sync.WaitGroup
	outcomes := make([]answer.Outcome, 50)
	for i := range outcomes {
		wg.Go(func() { outcomes[i] = r.submit([][]byte{body, again}[i%2])[0] })
	}
	wg.Wait()
	size, _ := r.log.Position()
	r.stop()
	r.open()
	outcomes = append(outcomes, r.submit(body)[0], r.submit(again)[0])
	for i, o := range outcomes {
		if o.Refused != nil || o.Err != nil || o.Position != outcomes[0].Position || !bytes.Equal(o.Receipt, outcomes[0].Receipt) {
			t.Errorf("outcome %d: %+v, want that of the first: %+v", i, o, outcomes[0])
		}
	}
	if now, _ := r.log.Position(); now != size {
		t.Errorf("the log grew from %d to %d leaves", size, now)
	}
	stored, err := r.store.Event(p.Account(), 0)
	if err != nil {
		t.Fatal(err)
	}
	logged, err := event.Parse(stored.Body)
	if err != nil {
		t.Fatal(err)
	}
	policy, _ := checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() + "\nquorum none\n"))
	if _, err := (&verifier.Verifier{Policy: policy}).Receipt(r.cfg.VRF.Public(), logged, outcomes[0].Receipt, r.cfg.Now()); err != nil {
		t.Errorf("the receipt does not verify: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	first := p.Register()
	r.accepted(first, p.Add())
	other := *p
	other.At = p.At.Clone()
	e, err := event.Parse(other.Add())
	if err != nil {
		t.Fatal(err)
	}
	resign := func(change func(*event.Payload)) []byte {
		payload := e.Payload
		change(&payload)
		return liar.Sign(payload, p.Primary, other.Companions[2]).Bytes()
	}
	for _, c := range []struct {
		name string
		body []byte
		want event.Rule
	}{
		{"too big", make([]byte, log.MaxEvent+1), event.RuleTooBig},
		{"no event", []byte("rubbish"), event.RuleStructure},
		{"trailing byte", append(bytes.Clone(e.Bytes()), 0), event.RuleStructure},
		{"reserved type", append([]byte{9}, e.Bytes()[1:]...), event.RuleNewer},
		{"another log", resign(func(p *event.Payload) { p.Log[0] ^= 1 }), event.RuleLog},
		{"six minutes ahead", resign(func(p *event.Payload) { p.TimeMs = start + 6*60*1000 }), event.RuleTimeAhead},
		{"far ahead", resign(func(p *event.Payload) { p.TimeMs = 1<<64 - 1 }), event.RuleTimeAhead},
		{"a seq to come", resign(func(p *event.Payload) { p.Seq, p.KeyIndex = 3, 3 }), event.RuleSeq},
		{"a seq that is taken", resign(func(p *event.Payload) { p.Seq, p.KeyIndex = 1, 1 }), event.RuleTaken},
		{"another predecessor", resign(func(p *event.Payload) { p.Prev[0] ^= 1 }), event.RulePrev},
		{"another generation", resign(func(p *event.Payload) { p.Generation = 1 }), event.RuleGeneration},
		{"a wrong key_index", resign(func(p *event.Payload) { p.KeyIndex = 7 }), event.RuleRow},
		{"unknown primary", liar.Sign(func() event.Payload {
			q := e.Payload
			q.Primary = other.Companions[2].Public()
			return q
		}(), other.Companions[2], other.Companions[2]).Bytes(), event.RuleUnknownPrimary},
		{"key used before", liar.Sign(func() event.Payload {
			q := e.Payload
			q.Subject = p.Companions[1].Public()
			return q
		}(), p.Primary, p.Companions[1]).Bytes(), event.RuleKeyUsed},
		{"bad signature", func() []byte { b := e.Bytes(); b[len(b)-1] ^= 1; return b }(), event.RuleSignature},
		{"another device list", resign(func(p *event.Payload) { p.DevicesHash[0] ^= 1 }), event.RuleDevicesHash},
	} {
		o := r.submit(c.body)[0]
		if o.Refused == nil || o.Refused.Rule != c.want {
			t.Errorf("%s: refused %v, error %v, want rule %s", c.name, o.Refused, o.Err, c.want)
			continue
		}
		if c.want == event.RuleTaken {
			head, err := event.Parse(o.Refused.Head)
			if err != nil || head.ID() != p.At.Head {
				t.Errorf("%s: the head that came along is not the account's newest event: %v", c.name, err)
			}
		}
	}
	// None of this left a trace, and the account goes on.
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])
	r.accepted(e.Bytes())
}

func TestDeviceLimit(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register())
	for range log.DefaultMaxDevices {
		r.accepted(p.Add())
	}
	full := *p
	full.At = p.At.Clone()
	if o := r.submit(full.Add())[0]; o.Refused == nil || o.Refused.Rule != event.RuleListFull {
		t.Errorf("one device too many: %v, %v", o.Refused, o.Err)
	}
	r.accepted(p.Remove(3))
	r.accepted(p.Add())
}

// Two phones sign for one seq: one wins, the other is told the head.
func TestRaceForOneSeq(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register())
	rivals := make([][]byte, 16)
	for i := range rivals {
		rival := *p
		rival.At, rival.TimeMs = p.At.Clone(), p.TimeMs+uint64(i)*10
		rivals[i] = rival.Confirm()
	}
	outcomes := make([]answer.Outcome, len(rivals))
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() { outcomes[i] = r.submit(rivals[i])[0] })
	}
	wg.Wait()
	won := 0
	for _, o := range outcomes {
		switch {
		case o.Refused == nil && o.Err == nil:
			won++
		case o.Refused == nil || o.Refused.Rule != event.RuleTaken || len(o.Refused.Head) == 0:
			t.Errorf("refused %v, error %v, want seq-taken with the head", o.Refused, o.Err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d rivals won, want 1", won, len(rivals))
	}
}

// A store that fails before it kept anything costs the epoch, not the log.
func TestCommitFails(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.store.fail = errors.New("no space left on device")
	body := p.Register()
	if o := r.submit(body)[0]; o.Err == nil {
		t.Fatalf("acknowledged though nothing was stored: %+v", o)
	}
	r.accepted(body, p.Add())
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])
}

// A signed head that cannot be written ends the log: what it signed may be out.
func TestSignedHeadFails(t *testing.T) {
	for _, kept := range []bool{false, true} {
		r := newRig(t)
		p := r.phone("alice")
		r.head.fail, r.head.kept = errors.New("input/output error"), kept
		body := p.Register()
		if o := r.submit(body)[0]; o.Err == nil {
			t.Fatalf("kept %v: acknowledged though the head was not written: %+v", kept, o)
		}
		if err := <-r.done; err == nil {
			t.Errorf("kept %v: the log goes on", kept)
		}
		if o := r.submit(p.Add())[0]; o.Err == nil {
			t.Errorf("kept %v: an event was taken by a log that ended", kept)
		}
		r.done <- nil
		r.stop()
		r.head.fail = nil
		r.open() // signs what the crash left unsigned
		if o := r.accepted(body)[0]; o.Position != 2 {
			t.Errorf("kept %v: the event is at position %d, want 2", kept, o.Position)
		}
		result, _ := r.look(nil, verifier.Question{Account: p.Account()})
		if f := result.Accounts[0]; f.Seq != 0 {
			t.Errorf("kept %v: seq %d, want 0", kept, f.Seq)
		}
	}
}

// What must never be opened: each would sign a second history.
func TestOpenRefuses(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	empty := r.head.note
	r.accepted(p.Register())
	older := r.head.note
	r.accepted(p.Add())
	r.accepted(p.Add())
	newest := r.head.note
	r.stop()
	signer, _ := checkpoint.NewSigner(string(origin), liar.Seed("another log key"))
	foreign, _ := checkpoint.NewSigner("other.example/log", liar.Seed("log"))
	parsed, _ := checkpoint.Parse(newest)
	sign := func(size uint64, root name.TreeRoot) []byte {
		return r.cfg.Signer.Sign(checkpoint.Checkpoint{Origin: origin, Size: size, Root: root})
	}
	for _, c := range []struct {
		name   string
		change func(cfg *log.Config, head *memHead)
	}{
		{"a store behind the signed head", func(_ *log.Config, h *memHead) { h.note = sign(parsed.Size+2, parsed.Root) }},
		{"a store of another history", func(_ *log.Config, h *memHead) { h.note = sign(parsed.Size, name.TreeRoot{1}) }},
		{"a lost signed head", func(_ *log.Config, h *memHead) { h.note = nil }},
		{"an old signed head", func(_ *log.Config, h *memHead) { h.note = older }},
		{"the first signed head", func(_ *log.Config, h *memHead) { h.note = empty }},
		{"a damaged signed head", func(_ *log.Config, h *memHead) { h.note = h.note[:20] }},
		{"another log key", func(cfg *log.Config, _ *memHead) { cfg.Signer = signer }},
		{"another log's head", func(_ *log.Config, h *memHead) {
			h.note = foreign.Sign(checkpoint.Checkpoint{Origin: "other.example/log", Size: parsed.Size, Root: parsed.Root})
		}},
		{"another VRF key", func(cfg *log.Config, _ *memHead) { cfg.VRF = vrf.NewPrivateKey(liar.Seed("another")) }},
		{"another origin", func(cfg *log.Config, _ *memHead) { cfg.Origin, cfg.Signer = "other.example/log", foreign }},
	} {
		r.openStore()
		cfg, head := r.cfg, &memHead{note: newest}
		cfg.Head = head
		c.change(&cfg, head)
		before := head.note
		if _, err := log.Open(cfg); err == nil {
			t.Errorf("%s: opened", c.name)
		}
		if !bytes.Equal(before, head.note) {
			t.Errorf("%s: something was signed", c.name)
		}
		r.store.Close()
	}
	r.head.note = newest
	r.open()
}

// The clock may go back a little; epochs' times rise all the same.
func TestClock(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register())
	back := func(d time.Duration) {
		r.mu.Lock()
		r.now = r.now.Add(d)
		r.mu.Unlock()
	}
	back(-30 * time.Second)
	p.TimeMs -= 60_000
	r.accepted(p.Add())
	back(-time.Hour)
	p.TimeMs -= 3_600_000
	body := p.Confirm()
	if o := r.submit(body)[0]; o.Err == nil {
		t.Errorf("an epoch was sealed an hour ahead of the clock: %+v", o)
	}
	back(time.Hour + time.Minute)
	r.accepted(body)
}

// ERASE deletes what came before it with the next epoch, also when the log
// was stopped in between.
func TestEraseDeletes(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := newRig(t)
		p, q := r.phone("alice"), r.phone("bob")
		r.accepted(p.Register(), p.Add(), q.Register())
		r.accepted(p.Erase())
		if restart {
			r.stop()
			r.open()
		}
		r.accepted(q.Add())
		for seq := range uint32(2) {
			e, err := r.store.Event(p.Account(), seq)
			if err != nil || len(e.Body) > 0 || e.Opening != (name.Opening{}) {
				t.Errorf("restart %v: seq %d after ERASE: %+v, %v", restart, seq, e, err)
			}
		}
		if e, err := r.store.Event(q.Account(), 0); err != nil || len(e.Body) == 0 {
			t.Errorf("restart %v: another account's event: %+v, %v", restart, e, err)
		}
		result, _ := r.look(nil, history(p), history(q))
		if f := result.Accounts[0]; f.Status != verifier.Erased || f.ErasedBefore == nil || *f.ErasedBefore != 2 {
			t.Errorf("restart %v: %+v", restart, f)
		}
	}
}

// An idle log goes on publishing, so that its checkpoint stays fresh.
func TestHeartbeat(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.cfg.Heartbeat = time.Millisecond
	r.open()
	for epoch := uint64(0); epoch < 5; _, epoch = r.log.Position() {
		time.Sleep(time.Millisecond)
	}
}

// A small epoch limit cuts epochs by size, and nothing is lost on the way.
func TestEpochsAreCutBySize(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.cfg.MaxEpochEvents = 3
	r.open()
	p := r.phone("alice")
	bodies := [][]byte{p.Register()}
	for range 10 {
		bodies = append(bodies, p.Confirm())
	}
	r.accepted(bodies...)
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])
	if _, epoch := r.log.Position(); epoch < 4 {
		t.Errorf("11 events in %d epochs of at most 3", epoch)
	}
}

// Stopping seals what waits: a submitter is answered, not left.
func TestStopDrains(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.cfg.Epoch = time.Hour
	r.open()
	p := r.phone("alice")
	body := p.Register()
	out := make(chan answer.Outcome, 1)
	joined := make(chan struct{})
	go func() {
		close(joined)
		out <- r.log.Submit(context.Background(), [][]byte{body}, false)[0]
	}()
	<-joined
	l := r.log
	for l.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if o := <-out; o.Err != nil || o.Refused != nil || o.Position == 0 {
		t.Errorf("a waiting event when the log stopped: %+v", o)
	}
}

func TestCreateRefuses(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.openStore()
	defer r.store.Close()
	if err := log.Create(r.cfg); err == nil {
		t.Error("a log was made where one is")
	}
	s, err := pebble.Create(pebble.Config{Dir: "fresh", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cfg := r.cfg
	cfg.Store = s
	if err := log.Create(cfg); err == nil {
		t.Error("a log was made anew though its signed head exists")
	}
}
