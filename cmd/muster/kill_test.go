package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/statefile"
)

const killOrigin = name.Origin("example.org/kill")

// killRig is a log that is killed again and again, those who write to it, and
// those who judge.
type killRig struct {
	*testing.T
	dir    string
	rng    *rand.Rand
	judge  *judge
	reader *verifier.Client // keeps its state over all crashes
	owners []*owner
	server *process
}

func newKillRig(t *testing.T, owners int) *killRig {
	seed := number(t, "MUSTER_TEST_SEED", uint64(time.Now().UnixNano()))
	t.Logf("MUSTER_TEST_SEED=%d makes the same events and pauses again", seed)
	r := &killRig{T: t, dir: filepath.Join(t.TempDir(), "log"), rng: rand.New(rand.NewPCG(seed, 0))}
	mustMuster(t, "init", "--dir", r.dir, "--origin", string(killOrigin))
	vkey, err := os.ReadFile(filepath.Join(r.dir, "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	r.judge = newJudge(t, string(vkey))
	text, err := os.ReadFile(filepath.Join(r.dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := checkpoint.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	states, err := statefile.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	r.reader = &verifier.Client{Verifier: &verifier.Verifier{Policy: policy}, Store: states, Now: time.Now}
	for i := range owners {
		id := name.Identifier(fmt.Sprintf("owner-%d", i))
		r.owners = append(r.owners, &owner{
			phone: liar.NewPhone(killOrigin, id, 1767225600000),
			rng:   rand.New(rand.NewPCG(seed, uint64(1+i))),
		})
	}
	return r
}

// number is one from the environment.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// restart runs the log again, sometimes after crashes on the way up.
func (r *killRig) restart(args ...string) {
	r.Helper()
	for r.rng.IntN(3) == 0 {
		p, err := start(r.dir, args...)
		if err != nil {
			r.Fatal(err)
		}
		select {
		case <-p.done:
			r.Fatalf("the server did not start: %v\n%s", p.err, p.stderr())
		case <-time.After(time.Duration(r.rng.IntN(40)) * time.Millisecond):
			p.kill()
		}
	}
	r.server = mustServe(r.T, r.dir, args...)
	r.reader.Source = r.client()
}

func (r *killRig) client() *client.Client {
	r.Helper()
	c, err := client.New(client.Config{URL: r.server.url})
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// load writes and reads until end has ended the server.
func (r *killRig) load(end func()) {
	r.Helper()
	const each = 3 // owners of one writer
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var all sync.WaitGroup
	acks := make(chan struct{}) // heard by whoever listens
	for i := 0; i < len(r.owners); i += each {
		mine := r.owners[i:min(i+each, len(r.owners))]
		c := r.client()
		all.Go(func() {
			for n := 0; ; n++ {
				o := mine[n%len(mine)]
				for range 1 + o.rng.IntN(4) {
					o.make()
				}
				if !o.submit(r.T, c) {
					return
				}
				select {
				case acks <- struct{}{}:
				default:
				}
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil {
			if signed, err := get(r.server.url + "/checkpoint"); err == nil {
				r.judge.remember(signed)
			}
			time.Sleep(time.Millisecond)
		}
	})
	all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			result, err := r.reader.Lookup(ctx, verifier.Question{Account: r.owners[n%len(r.owners)].phone.Account()})
			if err == nil {
				r.judge.remember(result.Note)
			} else if errors.As(err, new(*verifier.Failure)) {
				r.Errorf("reading under load: %v", err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	time.Sleep(time.Duration(20+r.rng.IntN(500)) * time.Millisecond)
	if r.rng.IntN(2) == 0 {
		// At once after an acknowledgement: one that was given too early is lost.
		select {
		case <-acks:
		case <-time.After(patience):
			r.Error("no event is acknowledged")
		}
	}
	end()
	cancel()
	all.Wait()
}

// check holds the restarted log against all that was ever acknowledged.
func (r *killRig) check() {
	r.Helper()
	var questions []verifier.Question
	for _, o := range r.owners {
		questions = append(questions, verifier.Question{Account: o.phone.Account(), History: true})
	}
	result, err := r.reader.Lookup(r.Context(), questions...)
	if err != nil {
		r.Fatalf("reading after a restart: %v", err)
	}
	logged := 0
	for i, o := range r.owners {
		o.held(r.T, result.Accounts[i].Events)
		logged += len(result.Accounts[i].Events)
	}
	if public := r.judge.verdict(r.server.url); public != logged {
		r.Fatalf("the log has %d EVENT leaves, the accounts have %d events", public, logged)
	}
}

// again submits what was not acknowledged, which may be logged or not: it gets
// the seq it was signed for.
func (r *killRig) again() {
	r.Helper()
	c := r.client()
	for _, o := range r.owners {
		if !o.submit(r.T, c) || len(o.open()) > 0 {
			r.Fatalf("%s: submitting again failed", o.phone.Identifier)
		}
	}
}

// epochs are flags: long epochs hold more events, and with short ones hardly a
// moment is left in which no epoch is being sealed.
func epochs(rng *rand.Rand) []string {
	return []string{"--heartbeat", "100ms", "--epoch", []string{"1ms", "1ms", "20ms"}[rng.IntN(3)]}
}

// TestKill: the real server is killed at any moment under load, again and
// again, and judged from outside each time. MUSTER_TEST_KILLS says how often: a moment
// that matters may last microseconds, and ten kills find it by luck. It does not
// show that a power cut is survived: what was written stays in the page cache
// when a process dies.
func TestKill(t *testing.T) {
	rounds := uint64(10)
	if testing.Short() {
		rounds = 3
	}
	rounds = number(t, "MUSTER_TEST_KILLS", rounds)
	r := newKillRig(t, 12)
	unanswered, survived := 0, 0
	for range rounds {
		r.restart(epochs(r.rng)...)
		r.check()
		for _, o := range r.owners {
			for _, e := range o.open() {
				unanswered++
				if e.placed {
					survived++
				}
			}
		}
		r.again()
		r.load(r.server.kill)
		if t.Failed() {
			return
		}
	}
	// The last time it is asked to stop.
	r.restart(epochs(r.rng)...)
	r.check()
	r.again()
	r.load(func() {
		if err := r.server.stop(); err != nil {
			t.Error(err)
		}
	})
	r.restart(epochs(r.rng)...)
	r.check()
	r.again()
	r.check()
	acked := 0
	for _, o := range r.owners {
		acked += len(o.events)
	}
	if acked == 0 {
		t.Error("nothing was ever acknowledged")
	}
	for what, n := range map[string]int{
		"kills": int(rounds), "acknowledged events": acked, "checkpoints seen": r.judge.checkpoints.Len(),
		"events without an answer before a kill": unanswered, "of which were logged": survived,
	} {
		t.Logf("count %s %d", what, n)
	}
}

// TestStopAcknowledges: SIGTERM finds an event that waits for its epoch, which
// is hours away. It is sealed and acknowledged before the server ends, with
// exit code 0.
func TestStopAcknowledges(t *testing.T) {
	r := newKillRig(t, 1)
	r.server = mustServe(t, r.dir, "--epoch", "3h", "--heartbeat", "3h")
	c := r.client()
	o := r.owners[0]
	o.make()
	acknowledged := make(chan bool, 1)
	go func() { acknowledged <- o.submit(t, c) }()

	// A CONFIRM that is badly signed never gets in, and why tells whether the
	// account is known by now: the event has joined the epoch.
	body := o.phone.Confirm()
	body[len(body)-1] ^= 1
	until(t, "the event waits for its epoch", func(ctx context.Context) bool {
		outcomes, err := c.Submit(ctx, [][]byte{body}, answer.Want{})
		if err != nil || outcomes[0].Refused == nil {
			t.Fatalf("submitting a badly signed event: %v, %v", outcomes, err)
		}
		return outcomes[0].Refused.Rule == event.RuleSignature
	})
	if err := r.server.stop(); err != nil {
		t.Fatal(err)
	}
	if !<-acknowledged {
		t.Fatal("the event that waited was not acknowledged")
	}
	r.restart()
	r.check()
}
