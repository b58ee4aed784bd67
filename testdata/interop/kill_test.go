package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/answer"
)

// How many events are acknowledged for each kill on average, and how many at least
// after each start.
const (
	perKill  = 2000
	perStart = 500
)

// TestKillUnderLoad: the real server is killed at any moment while thousands of
// events are submitted, in calls and over streams, and started again. Tessera's
// client and x/mod's judge it: what was acknowledged is in the log, once, where it
// was acknowledged, and every checkpoint that anybody saw is a beginning of the log.
// MUSTER_SEEDS=from:to has a kill for each; without it there are a few.
//
// It does not show that a power cut is survived: what was written stays in the page
// cache when a process dies.
func TestKillUnderLoad(t *testing.T) {
	from, to := uint64(0), uint64(5)
	if testing.Short() {
		to = 2
	}
	if s := os.Getenv("MUSTER_SEEDS"); s != "" {
		if _, err := fmt.Sscanf(s, "%d:%d", &from, &to); err != nil {
			t.Fatalf("MUSTER_SEEDS=%s: want from:to", s)
		}
	}
	r := newKilled(t, from)
	defer r.report()
	for r.kills < int(to-from) {
		r.start()
		r.settle()
		r.load(r.end())
		if t.Failed() {
			return
		}
	}
	r.start()
	r.settle()
	r.finish()
}

// end is how a life ends: killed, mostly.
func (r *killed) end() func() {
	switch r.rng.IntN(10) {
	case 0: // stands still, and goes on as if nothing had been: nobody took its place
		return func() {
			r.stall()
			r.server.command.Process.Signal(syscall.SIGCONT)
			time.Sleep(r.moment())
			r.kill()
		}
	case 1: // stands still, and dies
		return func() { r.stall(); r.kill() }
	case 2: // is asked to stop
		return func() {
			r.terminated++
			if err := r.server.stop(); err != nil {
				r.Error(err)
			}
		}
	}
	return r.kill
}

func (r *killed) kill() {
	r.kills++
	r.server.kill()
}

// stall stops the server's process where it is. A second one finds the folder locked.
func (r *killed) stall() {
	r.stalled++
	r.server.command.Process.Signal(syscall.SIGSTOP)
	if err := launch(r.T, r.serve()...).await(); err == nil || !strings.Contains(err.Error(), "open in another process") {
		r.Errorf("a second server on the folder of one that stands still: %v", err)
	}
	time.Sleep(r.moment())
}

// moment is a short while.
func (r *killed) moment() time.Duration { return time.Duration(r.rng.IntN(150)) * time.Millisecond }

// start runs the log again, sometimes after it was killed on the way up.
func (r *killed) start() {
	r.Helper()
	for r.rng.IntN(4) == 0 {
		s := launch(r.T, r.serve()...)
		time.Sleep(r.moment() / 4)
		select {
		case <-s.done:
			r.Fatalf("the server did not start: %v\n%s", s.err, s.said.String())
		default:
		}
		s.kill()
		r.early++
	}
	r.server = start(r.T, r.serve()...)
	r.starts++
}

// load submits until end has ended the server: at a moment of its own, or at once
// after an acknowledgement, since one that was given too early is lost then.
func (r *killed) load(end func()) {
	r.Helper()
	var all sync.WaitGroup
	var ending atomic.Bool
	enough := max(r.acknowledged.Load()+perStart, int64(r.kills+1)*perKill)
	reached := make(chan struct{})
	var once sync.Once
	took := func(events int) {
		if r.acknowledged.Add(int64(events)) >= enough {
			once.Do(func() { close(reached) })
		}
	}
	for i, w := range r.writers {
		submit := w.calls
		if i%2 == 0 {
			submit = w.stream
		}
		all.Go(func() {
			if err := submit(r.Context(), r.client(), took); !ending.Load() {
				r.Errorf("submitting before the server was ended: %v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(r.Context())
	all.Go(func() { r.watch(ctx) })
	select {
	case <-reached:
	case <-r.server.done:
		r.Errorf("the server ended by itself: %v\n%s", r.server.err, r.server.said.String())
	case <-time.After(10 * patience):
		r.Errorf("%d events are acknowledged, want %d", r.acknowledged.Load(), enough)
	}
	if r.rng.IntN(2) == 0 {
		time.Sleep(r.moment())
	}
	ending.Store(true)
	end()
	cancel()
	all.Wait()
}

// TestRollbackIsSeen: a log that is put back to where it was a moment ago, with all
// its files, is no honest one for who judges here.
func TestRollbackIsSeen(t *testing.T) {
	r := newKilled(t, 0)
	r.start()
	r.settle()
	r.load(r.kill)
	before := filepath.Join(t.TempDir(), "before")
	if out, err := exec.Command("cp", "-a", r.dir, before).CombinedOutput(); err != nil { // modes, too: keys are refused that others can read
		t.Fatalf("%v: %s", err, out)
	}
	r.start()
	r.settle()
	r.load(r.kill)
	if err := errors.Join(os.RemoveAll(r.dir), os.Rename(before, r.dir)); err != nil {
		t.Fatal(err)
	}
	r.start()
	if _, err := r.judge(); err == nil {
		t.Error("a log that forgot its newest events is judged to be the same log")
	} else {
		t.Log(err)
	}
}

// watch remembers every checkpoint that the log shows.
func (r *killed) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if signed, err := r.files().ReadCheckpoint(ctx); err == nil {
			r.remember(signed)
		}
		time.Sleep(time.Millisecond)
	}
}

// calls submits batch after batch until that fails: each event comes with a receipt.
func (w *writer) calls(ctx context.Context, c *client.Client, took func(int)) error {
	for {
		if err := w.call(ctx, c, w.make(), took); err != nil {
			return err
		}
	}
}

// call submits events in one call, and takes their receipts.
func (w *writer) call(ctx context.Context, c *client.Client, events []*sent, took func(int)) error {
	outcomes, err := c.Submit(ctx, bodies(events), answer.Want{Receipt: true})
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		if o.Err != nil {
			return o.Err
		}
		if err := w.place(events[i], &o); err != nil {
			w.r.Error(err)
		}
		if !events[i].acknowledged {
			events[i].acknowledged = true
			took(1)
		}
	}
	return nil
}

// ahead is how many chunks a stream is ahead of its answers: what is in flight when
// the log is killed has to be sent again.
const ahead = 2

// stream submits over one stream until that fails: what it acknowledges has no
// position yet, which the next life of the log is asked for.
func (w *writer) stream(ctx context.Context, c *client.Client, took func(int)) error {
	ctx, cancel := context.WithCancel(ctx)
	s, err := c.Stream(ctx)
	if err != nil {
		cancel()
		return err
	}
	flight := make(chan []*sent, ahead)
	var all sync.WaitGroup
	defer all.Wait()
	defer s.Close()
	defer cancel()
	all.Go(func() {
		for {
			events := w.make()
			select {
			case flight <- events:
			case <-ctx.Done():
				return
			}
			if s.Send(bodies(events)) != nil {
				return // Receive says why
			}
		}
	})
	var chunk []*sent
	for answered := uint64(0); ; {
		a, err := s.Receive()
		if err != nil {
			return err
		}
		if len(a.Refused) > 0 {
			return fmt.Errorf("event %d of the stream: %w", a.Refused[0].Index, a.Refused[0].Why)
		}
		took(int(a.Events - answered))
		for ; answered < a.Events; answered++ {
			if len(chunk) == 0 {
				chunk = <-flight
			}
			chunk[0].acknowledged = true
			chunk = chunk[1:]
		}
	}
}
