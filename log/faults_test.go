package log_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/verifier"
)

// A store that fails before it kept anything costs the epoch, not the log. Its
// words are for the operator.
func TestCommitFails(t *testing.T) {
	r := makeRig(t)
	var logged bytes.Buffer
	r.cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	r.open()
	p := r.phone("alice")
	r.store.fail = errors.New("writing /var/lib/log/000004.log: no space left on device")
	body := p.Register()
	if o := r.submit(body)[0]; o.Err == nil || !errors.Is(o.Err, answer.Fault) || strings.Contains(o.Err.Error(), "/var") {
		t.Fatalf("acknowledged though nothing was stored, or too much was told: %+v", o)
	}
	if said := logged.String(); strings.Count(said, "/var/lib/log/000004.log") != 1 {
		t.Errorf("the log says %q, want the cause once", said)
	}
	r.accepted(body, p.Add())
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])
}

// An event whose account moved between its reading and its turn is judged by
// what the account is then: another one took its seq, and was logged or failed.
// If the log remembers all that changed meanwhile, the store is not asked again.
func TestAccountMovesOn(t *testing.T) {
	for _, c := range []struct {
		what  string
		most  int // recent accounts
		after int // others that change after it
		stays bool
		fails bool
		reads int64
	}{
		{what: "logged", most: 1000, after: 3, reads: 1}, {what: "logged and never kept", after: 3, reads: 2},
		{what: "logged and kept", most: 4, after: 2, reads: 1}, {what: "logged and forgotten", most: 4, after: 3, reads: 2},
		{what: "failed", fails: true, most: 1000, after: 3, reads: 2}, {what: "failed and never kept", fails: true, after: 3, reads: 2},
		{what: "stays where it is", stays: true, most: 1000, after: 3, reads: 1},
		{what: "stays, and one turn is over", stays: true, most: 4, after: 2, reads: 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := newRig(t)
			p := r.phone("alice")
			r.accepted(p.Register())
			r.log.KeepRecent(c.most)
			r.accepted(r.phone("bob").Register())
			fork := *p
			fork.At = p.At.Clone()
			fork.NewKey() // so that both sign different events
			first, second := p.Add(), fork.Add()
			others := [][]byte{r.phone("carol").Register(), r.phone("dave").Register(), r.phone("erin").Register()}[:c.after]

			read, goOn := make(chan struct{}), make(chan struct{})
			var all, reads atomic.Int64
			r.store.read = func() {
				if all.Add(1) == 1 {
					close(read)
					<-goOn
				}
				reads.Add(1)
			}
			outcome := make(chan answer.Outcome)
			go func() { outcome <- r.submit(second)[0] }()
			<-read
			switch {
			case c.stays:
			case c.fails:
				r.store.fail = errors.New("no space left on device")
				if o := r.submit(first)[0]; o.Err == nil {
					t.Fatal("acknowledged though nothing was stored")
				}
			default:
				r.accepted(first)
			}
			r.accepted(others...)
			reads.Store(0)
			close(goOn)
			switch o := <-outcome; {
			case (c.fails || c.stays) && (o.Err != nil || o.Refused != nil):
				t.Errorf("where no event took the seq: %v, %v", o.Refused, o.Err)
			case !c.fails && !c.stays && (o.Refused == nil || o.Refused.Rule != event.RuleTaken):
				t.Errorf("the seq of a logged event: %v, %v, want %s", o.Refused, o.Err, event.RuleTaken)
			}
			if n := reads.Load(); n != c.reads {
				t.Errorf("the account was read %d times, want %d", n, c.reads)
			}
			r.accepted(r.phone("eve").Register()) // the log lives
		})
	}
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

// An event that could not be taken now lets none behind it be refused that builds
// on it: who sends it again sends both.
func TestNoRefusalForAFault(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	bodies := [][]byte{p.Register(), p.Add()}
	other := r.phone("bob").Register()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that the first event is read first
	r.store.account = errors.New("input/output error")
	out := r.submit(bodies[0], bodies[1], other, bodies[1][:40])
	if out[0].Err == nil || out[1].Err == nil || out[1].Refused != nil {
		t.Errorf("%+v, want that both are sent again", out[:2])
	}
	if out[2].Err != nil || out[2].Refused != nil || out[3].Refused == nil {
		t.Errorf("%+v, want that the others have an outcome of their own", out[2:])
	}
	r.accepted(bodies...)
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

// A log that starts with a clock that is years ahead signs nothing, since its
// cosigners' times do not fit: one such epoch, and clients refuse all after it.
func TestClockYearsAhead(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.cfg.CosignTimeout = 20 * time.Millisecond
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register())
	r.stop()
	right := r.now
	for _, w := range ws {
		w.set(func(w *witness) { w.now = func() time.Time { return right } })
	}
	r.now, r.cfg.Heartbeat = right.AddDate(10, 0, 0), time.Millisecond
	head := bytes.Clone(r.head.note)
	r.open()
	body := p.Add()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if o := r.log.Submit(ctx, [][]byte{body}, answer.Want{})[0]; o.Err == nil {
		t.Errorf("acknowledged ten years ahead: %+v", o)
	}
	r.stop()
	if !bytes.Equal(head, r.head.note) {
		t.Error("something was signed ten years ahead")
	}
	r.now, r.cfg.Heartbeat = right, time.Hour
	r.open()
	r.accepted(body)
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
