package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/server"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/api/v1/musterv1connect"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
)

// batch is a Batch that does what a test says; what it does not say, it does at
// once.
type batch struct {
	events   [][]byte
	join     func(ctx context.Context)
	outcomes func(ctx context.Context) []answer.Outcome
}

func (b *batch) Join(ctx context.Context) {
	if b.join != nil {
		b.join(ctx)
	}
}

func (b *batch) Outcomes(ctx context.Context) []answer.Outcome {
	if b.outcomes != nil {
		return b.outcomes(ctx)
	}
	return make([]answer.Outcome, len(b.events))
}

// open opens a stream that is closed with the test, at the latest.
func open(t *testing.T, url string) *client.Stream {
	t.Helper()
	s, err := dial(t, url).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func sendAll(t *testing.T, s *client.Stream, chunks ...[][]byte) {
	t.Helper()
	for _, c := range chunks {
		if err := s.Send(c); err != nil {
			t.Fatal(err)
		}
	}
}

// drain receives until the stream ends.
func drain(s *client.Stream) (answered uint64, refused []client.RefusedEvent, err error) {
	for {
		a, err := s.Receive()
		if err != nil {
			return answered, refused, err
		}
		answered = a.Events
		refused = append(refused, a.Refused...)
	}
}

func bodies(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, "event %d", i)
	}
	return out
}

// Chunks arrive whole and in order, refusals come with their number in the
// stream, and the first event that could not be logged now ends it: nothing is
// said of those behind it.
func TestSubmitStream(t *testing.T) {
	f := newFake(2)
	var got [][]byte
	f.admit = func(events [][]byte) server.Batch {
		return &batch{events: events, join: func(context.Context) { got = append(got, events...) }, outcomes: func(context.Context) []answer.Outcome {
			out := make([]answer.Outcome, len(events))
			for i, e := range events {
				switch string(e) {
				case "event 3", "event 6":
					out[i].Refused = &event.Error{Rule: event.RuleTaken, Role: event.Subject, Detail: string(e), Head: []byte{7}}
				case "later":
					out[i].Err = answer.Unavailable("come again")
				}
			}
			return out
		}}
	}
	url := serve(t, f)
	all := bodies(10)
	t.Run("all", func(t *testing.T) {
		s := open(t, url)
		sendAll(t, s, all[:1], all[1:4], all[4:])
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		answered, refused, err := drain(s)
		if !errors.Is(err, io.EOF) || answered != 10 {
			t.Errorf("%d answered, then %v; want 10, then EOF", answered, err)
		}
		if !slices.EqualFunc(got, all, bytes.Equal) {
			t.Errorf("arrived: %q", got)
		}
		if len(refused) != 2 || refused[0].Index != 3 || refused[1].Index != 6 || refused[1].Why.Detail != "event 6" ||
			refused[1].Why.Rule != event.RuleTaken || refused[1].Why.Role != event.Subject || !bytes.Equal(refused[1].Why.Head, []byte{7}) {
			t.Errorf("refused: %+v", refused)
		}
	})
	t.Run("to the first that is not logged", func(t *testing.T) {
		s := open(t, url)
		sendAll(t, s, all[:2], [][]byte{all[3], []byte("later"), all[6]}, all[5:])
		answered, refused, err := drain(s)
		if answered != 3 || len(refused) != 1 || refused[0].Index != 2 {
			t.Errorf("%d answered, %+v refused; want 3 and number 2", answered, refused)
		}
		if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "come again") {
			t.Errorf("ended with %v, want unavailable, come again", err)
		}
	})
	t.Run("the backend loses one", func(t *testing.T) {
		f.with(func() {
			f.admit = func(events [][]byte) server.Batch { return server.Settled(make([]answer.Outcome, len(events)-1)) }
		})
		s := open(t, url)
		sendAll(t, s, all)
		if answered, _, err := drain(s); answered != 0 || connect.CodeOf(err) != connect.CodeInternal {
			t.Errorf("%d answered, then %v; want 0, then internal", answered, err)
		}
	})
}

// TestStreamProtocols: every protocol that can stream both ways does, HTTP/1.1
// says that it cannot.
func TestStreamProtocols(t *testing.T) {
	url := serve(t, newFake(2))
	over2 := h2(t)
	for name, option := range map[string]connect.ClientOption{
		"connect": connect.WithClientOptions(), "gRPC": connect.WithGRPC(), "gRPC-Web": connect.WithGRPCWeb(), "JSON": connect.WithProtoJSON(),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := musterv1connect.NewMusterServiceClient(over2, url, option).SubmitStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for n := uint64(1); n < 4; n++ {
				if err := s.Send(&musterv1.SubmitStreamRequest{Events: [][]byte{{1}}}); err != nil {
					t.Fatal(err)
				}
				if r, err := s.Receive(); err != nil || r.GetAnswered() != n { // before the next is sent
					t.Fatalf("%v, %v, want %d answered", r, err, n)
				}
			}
			if err := s.CloseRequest(); err != nil {
				t.Error(err)
			}
			if _, err := s.Receive(); !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v, want EOF", err)
			}
		})
	}
	t.Run("HTTP/1.1", func(t *testing.T) {
		r, err := http.Post(url+service+"SubmitStream", "application/connect+proto", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusHTTPVersionNotSupported {
			t.Errorf("status %d, want 505", r.StatusCode)
		}
	})
}

// A chunk that breaks its form is refused after those before it were answered.
func TestStreamCounts(t *testing.T) {
	url := serve(t, newFake(2))
	for _, n := range []int{0, 1001} {
		s, err := musterv1connect.NewMusterServiceClient(h2(t), url).SubmitStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, events := range []int{1, n} { // an error of Send is told by Receive
			s.Send(&musterv1.SubmitStreamRequest{Events: make([][]byte, events)})
		}
		if r, err := s.Receive(); err != nil || r.GetAnswered() != 1 {
			t.Errorf("%v, %v, want one answered", r, err)
		}
		if _, err := s.Receive(); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%d events: %v, want invalid_argument", n, err)
		}
	}
}

func h2(t *testing.T) *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	c := &http.Client{Transport: &http.Transport{Protocols: p}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// While a chunk joins and earlier ones wait, the next one is admitted; they
// join in their order, one at a time.
func TestStreamOverlaps(t *testing.T) {
	f := newFake(2)
	admitted := make(chan string, 10)
	joining, mayJoin, publish := make(chan string, 10), make(chan struct{}), make(chan struct{})
	var inside atomic.Int32
	f.admit = func(events [][]byte) server.Batch {
		name := string(events[0])
		admitted <- name
		return &batch{events: events, join: func(context.Context) {
			if inside.Add(1) > 1 {
				t.Error("two chunks join at once")
			}
			joining <- name
			<-mayJoin
			inside.Add(-1)
		}, outcomes: func(context.Context) []answer.Outcome { <-publish; return make([]answer.Outcome, 1) }}
	}
	s := open(t, serve(t, f))
	all := bodies(3)
	sendAll(t, s, all[:1], all[1:2], all[2:])
	if got := <-joining; got != "event 0" {
		t.Errorf("%s joins first", got)
	}
	for i := range 2 { // the second, while the first joins
		if got, want := <-admitted, fmt.Sprint("event ", i); got != want {
			t.Errorf("%s is admitted, want %s", got, want)
		}
	}
	mayJoin <- struct{}{}
	mayJoin <- struct{}{}
	mayJoin <- struct{}{} // all have joined and none is published
	close(publish)
	s.CloseSend()
	if answered, _, err := drain(s); answered != 3 || !errors.Is(err, io.EOF) {
		t.Errorf("%d answered, then %v", answered, err)
	}
}

// Whoever comes at once with everything gets it all, through many chunks.
func TestStreamMany(t *testing.T) {
	f := newFake(2)
	var mu sync.Mutex
	next := 0
	f.admit = func(events [][]byte) server.Batch {
		return &batch{events: events, join: func(context.Context) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				if want := fmt.Sprint("event ", next); string(e) != want {
					t.Errorf("%s joins, want %s", e, want)
				}
				next++
			}
		}}
	}
	s := open(t, serve(t, f))
	all := bodies(20_000)
	go func() {
		for chunk := range slices.Chunk(all, 7) {
			if err := s.Send(chunk); err != nil {
				t.Error(err)
				return
			}
		}
		s.CloseSend()
	}()
	if answered, _, err := drain(s); answered != 20_000 || !errors.Is(err, io.EOF) {
		t.Errorf("%d answered, then %v", answered, err)
	}
}

// A server that stops answers what it has, and waits for no stream.
func TestStreamEndsWithTheServer(t *testing.T) {
	f := newFake(2)
	url, s := serveServer(t, f, server.New)
	idle, busy := open(t, url), open(t, url)
	sendAll(t, idle, bodies(1))
	if _, err := idle.Receive(); err != nil {
		t.Fatal(err)
	}
	waits, publish := make(chan struct{}), make(chan struct{})
	f.with(func() {
		f.admit = func(events [][]byte) server.Batch {
			return &batch{events: events, outcomes: func(context.Context) []answer.Outcome {
				close(waits)
				<-publish
				return make([]answer.Outcome, len(events))
			}}
		}
	})
	sendAll(t, busy, bodies(3))
	<-waits
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	if _, err := idle.Receive(); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("an idle stream ended with %v", err)
	}
	close(publish)
	if answered, _, err := drain(busy); answered != 3 || connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("%d answered, then %v; want 3, then unavailable", answered, err)
	}
	if err := <-down; err != nil {
		t.Errorf("shutting down: %v", err)
	}
}

// lateDeadlines is a stream's writer that is slow to take the deadline that ends it.
type lateDeadlines struct {
	http.ResponseWriter
	stopping *atomic.Bool
	late     func()
}

func (w *lateDeadlines) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *lateDeadlines) Flush()                      { w.ResponseWriter.(http.Flusher).Flush() }

func (w *lateDeadlines) SetReadDeadline(at time.Time) error {
	if w.stopping.Load() && !at.IsZero() && at.Before(time.Now()) {
		w.late()
	}
	return http.NewResponseController(w.ResponseWriter).SetReadDeadline(at)
}

// A stream that ends by itself while the server stops does not end before its
// deadline is set: net/http panics at one of a stream that is gone, where nobody
// recovers.
func TestStreamOutlivesItsDeadline(t *testing.T) {
	var stopping atomic.Bool
	returned, setting := make(chan struct{}), make(chan struct{})
	url, s := serveServer(t, newFake(1), func(cfg server.Config) (http.Handler, error) {
		h, err := server.New(cfg)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var set atomic.Bool
			h.ServeHTTP(&lateDeadlines{w, &stopping, func() {
				if set.Swap(true) {
					return // the handler's own, at its end
				}
				close(setting)
				select {
				case <-returned:
					t.Error("the handler returned before the deadline was set")
				case <-time.After(500 * time.Millisecond): // too short finds less, and fails nothing
				}
			}}, r)
			close(returned)
		}), err
	})
	stream := open(t, url)
	sendAll(t, stream, bodies(1))
	if _, err := stream.Receive(); err != nil {
		t.Fatal(err)
	}
	stopping.Store(true)
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	<-setting
	stream.CloseSend()
	drain(stream)
	if err := <-down; err != nil {
		t.Errorf("shutting down: %v", err)
	}
}
