package server_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/api/v1/musterv1connect"
	"github.com/musterlog/muster/log/answer"
)

// slow is a log that takes so many events a second, one behind the other, and
// no more, and remembers each.
type slow struct {
	*fake
	capacity int

	mu        sync.Mutex
	busyUntil time.Time
	logged    map[uint64]bool
}

func (s *slow) Submit(ctx context.Context, events [][]byte, _ answer.Want) []answer.Outcome {
	s.mu.Lock()
	if now := time.Now(); s.busyUntil.Before(now) {
		s.busyUntil = now
	}
	s.busyUntil = s.busyUntil.Add(time.Duration(len(events)) * time.Second / time.Duration(s.capacity))
	wait := time.Until(s.busyUntil)
	s.mu.Unlock()
	time.Sleep(wait)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		s.logged[binary.BigEndian.Uint64(e[1:])] = true
	}
	return make([]answer.Outcome, len(events))
}

// sender is one credential, and what became of its calls.
type sender struct {
	service musterv1connect.MusterServiceClient
	token   credential.Token

	offered, acknowledged atomic.Int64 // events
	told, other           atomic.Int64 // calls: told when to come again; failed in another way
	mu                    sync.Mutex
	events                []uint64
}

var eventNumber atomic.Uint64

func (s *sender) submit(ctx context.Context, events int) {
	request := new(musterv1.SubmitRequest)
	var numbers []uint64
	for range events {
		n := eventNumber.Add(1)
		numbers = append(numbers, n)
		request.Events = append(request.Events, append(binary.BigEndian.AppendUint64([]byte{1}, n), make([]byte, 300)...))
	}
	s.offered.Add(int64(events))
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+s.token.Reveal())
	_, err := s.service.Submit(ctx, request)
	var answered *connect.Error
	switch {
	case err == nil:
		s.acknowledged.Add(int64(events))
		s.mu.Lock()
		s.events = append(s.events, numbers...)
		s.mu.Unlock()
	case connect.CodeOf(err) == connect.CodeResourceExhausted && errors.As(err, &answered) && answered.Meta().Get("Retry-After") == "1":
		s.told.Add(1)
	case ctx.Err() == nil:
		s.other.Add(1)
	}
}

// offer sends at a rate, whatever the log does.
func (s *sender) offer(ctx context.Context, events int, rate float64, calls *sync.WaitGroup) {
	tick := time.NewTicker(time.Duration(float64(events) / rate * float64(time.Second)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			calls.Go(func() { s.submit(context.WithoutCancel(ctx), events) })
		}
	}
}

// Open-loop load at ten times what the log takes, over real connections, from
// 64 credentials of which one sends nine tenths. It is told to come again; the
// others get nine tenths of their share at least, readers do not notice, memory
// stays, and what was acknowledged is logged. MUSTER_TEST_OVERLOAD=5m is longer.
func TestOverload(t *testing.T) {
	lasts := 4 * time.Second
	if text := os.Getenv("MUSTER_TEST_OVERLOAD"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	const capacity = 1000
	log := &slow{fake: newFake(300), capacity: capacity, logged: map[uint64]bool{}}
	senders, url := sendersOf(t, log, capacity)

	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var offering, calls sync.WaitGroup
	began := time.Now()
	offering.Go(func() { senders[0].offer(ctx, 50, 9*capacity, &calls) })
	for _, s := range senders[1:] {
		offering.Go(func() { s.offer(ctx, 2, capacity/63., &calls) })
	}
	reads, most := readAlong(t, ctx, url)
	offering.Wait()
	fair := float64(capacity) * time.Since(began).Seconds() / 64
	calls.Wait()

	least := int64(1 << 62)
	for i, s := range senders {
		if got := s.acknowledged.Load(); i > 0 {
			least = min(least, got)
			// A machine that is too slow to offer a share cannot see one.
			if want := 0.9 * min(fair, float64(s.offered.Load())); float64(got) < want {
				t.Errorf("sender %d got %d events logged, want 90 %% of its share at least, %.0f", i, got, want)
			}
		}
		if n := s.other.Load(); n > 0 {
			t.Errorf("sender %d: %d calls failed in another way", i, n)
		}
		for _, n := range s.events {
			if !log.logged[n] {
				t.Fatalf("sender %d: event %d was acknowledged and is not logged", i, n)
			}
		}
	}
	slices.Sort(reads)
	t.Logf("the greedy sender: %d events, %d refusals; the least of the others: %d, fair is %.0f; %d reads, p99 %v; memory %d MB",
		senders[0].acknowledged.Load(), senders[0].told.Load(), least, fair, len(reads), reads[len(reads)*99/100], most>>20)
	if senders[0].told.Load() < 10 {
		t.Errorf("the greedy sender was told to come again %d times", senders[0].told.Load())
	}
	if p99 := reads[len(reads)*99/100]; lasts > 10*time.Second && p99 > 50*time.Millisecond {
		t.Errorf("reads took %v, want 50 ms at most of 99 in 100", p99)
	}
	if most > 512<<20 {
		t.Errorf("%d MB in use", most>>20)
	}
}

// sendersOf serves a log and makes 64 senders with a credential each.
func sendersOf(t *testing.T, log server.Backend, capacity int) (senders []*sender, url string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	for range 64 {
		token, _, err := credential.Add(path, credential.Write, "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		senders = append(senders, &sender{token: token})
	}
	set, err := credential.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	url = serveWith(t, newFake(2), func(cfg server.Config) (http.Handler, error) {
		cfg.Backend, cfg.Credentials = log, set
		return server.Small(capacity)(cfg)
	})
	for _, s := range senders {
		s.service = musterv1connect.NewMusterServiceClient(h2(t), url)
	}
	return senders, url
}

// readAlong reads the public files until ctx ends, and watches memory.
func readAlong(t *testing.T, ctx context.Context, url string) (took []time.Duration, most uint64) {
	t.Helper()
	c := dial(t, url)
	for ctx.Err() == nil {
		began := time.Now()
		_, err := c.Tile(ctx, 0, 0, 256)
		if err != nil && ctx.Err() == nil {
			t.Errorf("reading: %v", err)
		}
		took = append(took, time.Since(began))
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		time.Sleep(5 * time.Millisecond)
	}
	return took, most
}
