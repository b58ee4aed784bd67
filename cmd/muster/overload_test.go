package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/statefile"
)

const overloadOrigin = name.Origin("example.org/overload")

// overload is a served log, and all that is sent to it.
type overload struct {
	*testing.T
	dir     string
	server  *process
	tokens  []credential.Token
	senders []*sender
	acked   atomic.Int64 // events of all senders
}

// sender is one credential, and what became of its events.
type sender struct {
	*overload
	client *client.Client
	calls  sync.WaitGroup

	offered atomic.Int64 // events, each time that one was sent
	acked   atomic.Int64 // events
	told    atomic.Int64 // calls that were told when to come again

	mu       sync.Mutex
	ready    [][][]byte // calls that were signed, or refused
	accepted []accepted
	failed   error // the first call or event that ended in another way
}

// accepted is an event that was acknowledged.
type accepted struct {
	body     []byte
	position uint64
}

// sign makes a call of new events, each of an account of its own.
func (s *sender) sign(events int) [][]byte {
	bodies, _, err := benchEvents(overloadOrigin.LogID(), events, 0)
	if err != nil {
		panic(err) // of the random source
	}
	return bodies
}

// offer sends so many events in one call, and does not wait for the answer.
// What was refused is sent again.
func (s *sender) offer(ctx context.Context, events int) {
	var bodies [][]byte
	s.mu.Lock()
	if n := len(s.ready); n > 0 {
		bodies, s.ready = s.ready[n-1], s.ready[:n-1]
	}
	s.mu.Unlock()
	if bodies == nil {
		bodies = s.sign(events)
	}
	s.offered.Add(int64(len(bodies)))
	s.calls.Go(func() { s.submit(ctx, bodies) })
}

func (s *sender) submit(ctx context.Context, bodies [][]byte) {
	outcomes, err := s.client.Submit(ctx, bodies, answer.Want{})
	s.mu.Lock()
	defer s.mu.Unlock()
	var answered *connect.Error
	switch {
	case errors.As(err, &answered) && answered.Code() == connect.CodeResourceExhausted && answered.Meta().Get("Retry-After") != "":
		s.told.Add(1)
		s.ready = append(s.ready, bodies)
	case err != nil && ctx.Err() == nil:
		s.failed = cmp.Or(s.failed, err)
	}
	for i, o := range outcomes {
		if o.Refused != nil || o.Err != nil {
			s.failed = cmp.Or(s.failed, fmt.Errorf("an event of a call: refused %v, error %v", o.Refused, o.Err))
			continue
		}
		s.accepted = append(s.accepted, accepted{bodies[i], o.Position})
		s.acked.Add(1)
		s.overload.acked.Add(1)
	}
}

// TestOverload: the real server, 64 credentials, real events. One of them sends
// several times what the log takes, in calls of as many events as one may have,
// whether they are answered or not; each of the others asks for its share, in
// small calls. The one is told to come again, the others get what they ask for,
// lookups and checkpoints are answered, memory stays within its limit; and after
// a kill all that was acknowledged is there. It lasts until enough was done, on a
// slow machine longer.
// MUSTER_TEST_OVERLOAD=5m is longer.
func TestOverload(t *testing.T) {
	lasts := 4 * time.Second
	if text := os.Getenv("MUSTER_TEST_OVERLOAD"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	o := newOverload(t, 64)
	greedy, others := o.senders[0], o.senders[1:]
	share := func() int64 { return o.acked.Load() / int64(len(o.senders)) }
	// More at once than the server takes in and lets wait of one credential; then
	// five times what it gets done, as fast as it gets it done.
	const most = 48
	for range most {
		greedy.ready = append(greedy.ready, greedy.sign(musterv1.MaxEvents))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(lasts, func() {
		defer cancel()
		for end := time.Now().Add(patience); time.Now().Before(end) && (greedy.told.Load() < 10 || share() < 20); {
			time.Sleep(20 * time.Millisecond)
		}
	})
	overloaded, relieve := context.WithCancel(t.Context())
	defer relieve()
	var pushing, offering sync.WaitGroup
	pushing.Go(func() {
		for ; overloaded.Err() == nil; time.Sleep(20 * time.Millisecond) {
			for greedy.offered.Load() < most*musterv1.MaxEvents+5*o.acked.Load() && overloaded.Err() == nil {
				greedy.offer(overloaded, musterv1.MaxEvents)
			}
		}
	})
	ask := func(s *sender, upTo int64) {
		const events = 4
		for s.offered.Load() < max(events, upTo) {
			s.offer(t.Context(), events)
		}
	}
	for _, s := range others {
		offering.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				ask(s, share())
			}
		})
	}
	reads := o.readAlong(ctx)
	offering.Wait()
	fair := share()
	for _, s := range others {
		ask(s, fair) // however long it was kept from asking
	}
	for _, s := range others {
		s.calls.Wait()
	}
	relieve() // the greedy one lasts until all others were answered, and then goes away
	pushing.Wait()
	greedy.calls.Wait()
	least := others[0].acked.Load()
	for i, s := range others {
		got, offered := s.acked.Load(), s.offered.Load()
		least = min(least, got)
		if got < 9*fair/10 {
			t.Errorf("sender %d got %d of %d events logged, and was told %d times to come again; want 90 %% of its share of %d at least", i+1, got, offered, s.told.Load(), fair)
		}
	}
	t.Logf("the greedy one: %d events offered, %d logged, %d calls refused; the least of the others: %d, its share was %d; %d reads",
		greedy.offered.Load(), greedy.acked.Load(), greedy.told.Load(), least, fair, reads)
	if greedy.told.Load() < 10 {
		t.Errorf("the greedy one was told %d times to come again", greedy.told.Load())
	}
	for i, s := range o.senders {
		if s.failed != nil {
			t.Errorf("sender %d: %v", i, s.failed)
		}
	}
	if reads == 0 {
		t.Error("nothing could be read")
	}
	o.memory()
	o.server.kill()
	o.server = mustServe(t, o.dir)
	o.check()
}

func newOverload(t *testing.T, senders int) *overload {
	t.Helper()
	o := &overload{T: t, dir: filepath.Join(t.TempDir(), "log")}
	mustMuster(t, "init", "--dir", o.dir, "--origin", string(overloadOrigin))
	for range senders {
		token, _, err := credential.Add(logDir(o.dir).credentials(), credential.Write, "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		o.tokens = append(o.tokens, token)
	}
	o.server = mustServe(t, o.dir, "--epoch", "100ms")
	for _, token := range o.tokens {
		o.senders = append(o.senders, &sender{overload: o, client: o.client(token)})
	}
	return o
}

func (o *overload) client(token credential.Token) *client.Client {
	o.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	o.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Config{URL: o.server.url, HTTP: &http.Client{Transport: transport}, Token: token})
	if err != nil {
		o.Fatal(err)
	}
	return c
}

// reader is a client that verifies what it reads.
func (o *overload) reader() *verifier.Client {
	o.Helper()
	text, err := os.ReadFile(filepath.Join(o.dir, "policy"))
	if err != nil {
		o.Fatal(err)
	}
	policy, err := checkpoint.ParsePolicy(text)
	if err != nil {
		o.Fatal(err)
	}
	states, err := statefile.Open(filepath.Join(o.TempDir(), "state"))
	if err != nil {
		o.Fatal(err)
	}
	return &verifier.Client{Verifier: &verifier.Verifier{Policy: policy}, Store: states, Source: o.client(o.tokens[1]), Now: time.Now}
}

// readAlong looks an account up and reads the checkpoint until ctx ends, and
// counts how often both were answered.
func (o *overload) readAlong(ctx context.Context) (reads int) {
	o.Helper()
	r, c := o.reader(), o.client(o.tokens[1])
	id := name.Identifier("nobody").AccountID()
	for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if _, err := c.Checkpoint(ctx); err != nil && ctx.Err() == nil {
			o.Errorf("reading the checkpoint: %v", err)
			return reads
		}
		if _, err := r.Lookup(ctx, verifier.Question{Account: id}); err != nil && ctx.Err() == nil {
			o.Errorf("looking up: %v", err)
			return reads
		}
		reads++
	}
	return reads
}

// memory holds what the server had resident at its most against its limit.
func (o *overload) memory() {
	o.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.server.command.Process.Pid))
	if err != nil {
		o.Logf("its memory is not known: %v", err)
		return
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	kb, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
	if err != nil {
		o.Fatal(err)
	}
	const limit = 960 // MiB: what log.LimitMemory gives so small a log, and the program itself
	o.Logf("the server had %d MiB at its most, its limit is %d MiB", kb>>10, limit)
	if kb>>10 > limit {
		o.Errorf("the server had %d MiB, its limit is %d MiB", kb>>10, limit)
	}
}

// check finds each acknowledged event where it was acknowledged: an EVENT leaf of
// its own for each, and some of every sender's verified.
func (o *overload) check() {
	o.Helper()
	vkey, err := os.ReadFile(filepath.Join(o.dir, "log.vkey"))
	if err != nil {
		o.Fatal(err)
	}
	j := newJudge(o.T, string(vkey))
	signed, err := get(o.server.url + "/checkpoint")
	if err != nil {
		o.Fatal(err)
	}
	leaves := j.read(j.remember(signed), &tileReader{url: o.server.url, cache: map[string][]byte{}})
	if err := j.checkpoints.Verdict(leaves); err != nil {
		o.Fatal(err)
	}
	taken := map[uint64]bool{}
	var some []accepted
	for i, s := range o.senders {
		for n, a := range s.accepted {
			if _, ok := leaves.Commitment(int64(a.position)); !ok || taken[a.position] {
				o.Fatalf("sender %d: an event was acknowledged at position %d, where it is not", i, a.position)
			}
			taken[a.position] = true
			if n%(1+len(s.accepted)/10) == 0 {
				some = append(some, a)
			}
		}
	}
	o.verify(some)
}

func (o *overload) verify(some []accepted) {
	o.Helper()
	r := o.reader()
	for from := 0; from < len(some); from += answer.MaxAccounts {
		part := some[from:min(from+answer.MaxAccounts, len(some))]
		var questions []verifier.Question
		var ids []name.EventID
		for _, a := range part {
			e, err := event.Parse(a.body)
			if err != nil {
				o.Fatal(err)
			}
			questions, ids = append(questions, verifier.Question{Account: e.Account, History: true}), append(ids, e.ID())
		}
		result, err := r.Lookup(o.Context(), questions...)
		if err != nil {
			o.Fatal(err)
		}
		for i, found := range result.Accounts {
			if len(found.Events) != 1 || found.Events[0].ID() != ids[i] || found.Events[0].Position != part[i].position {
				o.Fatalf("event %s was acknowledged at position %d, the account has %v", ids[i], part[i].position, found.Events)
			}
		}
	}
	o.Logf("%d of %d acknowledged events verified one by one", len(some), o.acked.Load())
}
