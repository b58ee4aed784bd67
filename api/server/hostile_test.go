package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"runtime/pprof"
	"strings"
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

// gone waits until no stream is open on any server of this process: its
// goroutines have ended, and with them all that they held.
func gone(t *testing.T) {
	t.Helper()
	var stacks bytes.Buffer
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		stacks.Reset()
		pprof.Lookup("goroutine").WriteTo(&stacks, 2)
		if !strings.Contains(stacks.String(), "server.(*submitting)") {
			return
		}
	}
	t.Errorf("a stream is still there:\n%s", &stacks)
}

// post sends a stream's body byte by byte as a test says, and gives what comes back.
func post(t *testing.T, url string, body io.Reader) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+service+"SubmitStream", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/connect+proto")
	response, err := h2(t).Do(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(said)
}

// message is a message of a stream with the length that a test says.
func message(length uint32, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, length), data...)
}

// A message of 4 GiB is cut after what one may have.
func TestStreamHugeMessage(t *testing.T) {
	url := serve(t, newFake(2))
	body := new(endless)
	said := post(t, url, io.MultiReader(bytes.NewReader(message(1<<32-1, nil)), body))
	if !strings.Contains(said, "resource_exhausted") && !strings.Contains(said, "stream error") {
		t.Errorf("the server said %q", said)
	}
	if n := body.taken.Load(); n > 16<<20 {
		t.Errorf("the server took %d bytes", n)
	}
	gone(t)
}

// A stream of small messages may be endless: it is answered until it is old,
// and every event that was answered was answered once.
func TestStreamGetsOld(t *testing.T) {
	url := serveWith(t, newFake(2), server.Impatient(time.Minute, time.Minute, time.Minute, 300*time.Millisecond))
	f := musterv1connect.NewMusterServiceClient(h2(t), url)
	s, err := f.SubmitStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for s.Send(&musterv1.SubmitStreamRequest{Events: [][]byte{{1}}}) == nil {
		}
	}()
	for answered := uint64(0); ; answered++ {
		r, err := s.Receive()
		if err != nil {
			if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "open another") || answered == 0 {
				t.Errorf("after %d answers: %v", answered, err)
			}
			break
		}
		if r.GetAnswered() != answered+1 {
			t.Fatalf("answer %d says %d", answered, r.GetAnswered())
		}
	}
	gone(t)
}

// silent is a body that has some data, and then says nothing until it is closed.
func silent(data []byte) io.Reader {
	r, w := io.Pipe()
	go w.Write(data)
	return r
}

// Half a message, or none, and then silence: the stream ends, after what came
// before was answered.
func TestStreamSilence(t *testing.T) {
	url := serveWith(t, newFake(2), server.Impatient(100*time.Millisecond, time.Minute, time.Minute, time.Minute))
	whole := message(3, []byte{0x0a, 1, 7}) // one event, 07
	for name, data := range map[string][]byte{
		"nothing": nil, "half a header": {0, 0}, "half a message": message(3, []byte{0x0a}), "a message": whole,
		"one and a half": append(whole, message(3, []byte{0x0a})...),
	} {
		t.Run(name, func(t *testing.T) {
			said := post(t, url, silent(data))
			if !strings.Contains(said, `"unavailable"`) || !strings.Contains(said, "no events for") {
				t.Errorf("the server said %q", said)
			}
			if got, want := strings.Contains(said, "\x08\x01"), bytes.HasPrefix(data, whole); got != want { // answered: 1
				t.Errorf("the event was answered: %v, want %v: %q", got, want, said)
			}
		})
	}
	gone(t)
}

// A stream that ends within a message, and one that holds no message at all.
func TestStreamNonsense(t *testing.T) {
	url := serve(t, newFake(2))
	for name, data := range map[string][]byte{
		"half a message": message(3, []byte{0x0a}), "no protobuf": message(2, []byte{0xff, 0xff}),
		"compressed": {1, 0, 0, 0, 0}, "compressed bytes": {1, 0, 0, 0, 1, 9}, "an unknown flag": {0x40, 0, 0, 0, 1, 9},
	} {
		t.Run(name, func(t *testing.T) {
			if said := post(t, url, bytes.NewReader(data)); !strings.Contains(said, `"error"`) {
				t.Errorf("the server said %q", said)
			}
		})
	}
	gone(t)
}

// A client that never reads its answers is left behind, and what waits for it
// is let go.
func TestStreamSlowReader(t *testing.T) {
	f := newFake(2)
	f.admit = func(events [][]byte) server.Batch {
		out := make(server.Settled, len(events))
		for i := range out {
			out[i].Refused = &event.Error{Rule: event.RuleTaken, Head: make([]byte, 1000)}
		}
		return out
	}
	url := serveWith(t, f, server.Impatient(time.Minute, time.Minute, 100*time.Millisecond, time.Minute))
	s, err := musterv1connect.NewMusterServiceClient(h2(t), url).SubmitStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for err == nil { // the server ends it
		err = s.Send(&musterv1.SubmitStreamRequest{Events: make([][]byte, musterv1.MaxEvents)})
	}
	gone(t)
}

// A client that leaves in the middle: the backend learns that nobody waits.
func TestStreamClientLeaves(t *testing.T) {
	f := newFake(2)
	for name, in := range map[string]func(b *batch, wait func(context.Context)){
		"joining": func(b *batch, wait func(context.Context)) { b.join = wait },
		"publishing": func(b *batch, wait func(context.Context)) {
			b.outcomes = func(ctx context.Context) []answer.Outcome { wait(ctx); return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			began, ended := make(chan bool, 10), make(chan error, 10)
			f.with(func() {
				f.admit = func(events [][]byte) server.Batch {
					b := &batch{events: events}
					in(b, func(ctx context.Context) {
						_, ends := ctx.Deadline()
						began <- ends
						<-ctx.Done()
						ended <- ctx.Err()
					})
					return b
				}
			})
			s := open(t, serve(t, f))
			sendAll(t, s, bodies(3), bodies(3), bodies(3))
			if !<-began {
				t.Error("the backend got no deadline")
			}
			s.Close()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the backend got %v, want canceled", err)
			}
			gone(t)
		})
	}
}

// A panic costs its own stream, wherever it happens.
func TestStreamPanic(t *testing.T) {
	f := newFake(2)
	url := serve(t, f)
	for name, admit := range map[string]func([][]byte) server.Batch{
		"admit": func([][]byte) server.Batch { panic("a secret in a panic") },
		"join": func(e [][]byte) server.Batch {
			return &batch{events: e, join: func(context.Context) { panic("a secret in a panic") }}
		},
		"outcomes": func(e [][]byte) server.Batch {
			return &batch{events: e, outcomes: func(context.Context) []answer.Outcome { panic("a secret in a panic") }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.with(func() { f.admit = admit })
			s := open(t, url)
			sendAll(t, s, bodies(1))
			answered, _, err := drain(s)
			if answered != 0 || connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "secret") {
				t.Errorf("%d answered, then %v; want internal without its cause", answered, err)
			}
			gone(t)
		})
	}
	if _, err := dial(t, url).Info(t.Context()); err != nil {
		t.Errorf("after the panics: %v", err)
	}
}

// A log that publishes nothing makes the client wait: the server holds a
// bounded number of bytes, and goes on when it can.
func TestStreamBackpressure(t *testing.T) {
	f := newFake(2)
	var held, most atomic.Int64
	publish := make(chan struct{})
	f.admit = func(events [][]byte) server.Batch {
		size := int64(0)
		for _, e := range events {
			size += int64(len(e)) + server.EventOverhead
		}
		now := held.Add(size)
		most.Store(max(most.Load(), now))
		return &batch{events: events, outcomes: func(context.Context) []answer.Outcome {
			<-publish
			held.Add(-size)
			return make([]answer.Outcome, len(events))
		}}
	}
	s := open(t, serve(t, f))
	const chunks = 50
	sent := make(chan error, 1)
	var count atomic.Int64
	go func() {
		chunk := make([][]byte, musterv1.MaxEvents)
		for i := range chunk {
			chunk[i] = make([]byte, 1000)
		}
		for range chunks {
			if err := s.Send(chunk); err != nil {
				sent <- err
				return
			}
			count.Add(1)
		}
		sent <- s.CloseSend()
	}()
	for at := int64(-1); at != count.Load(); time.Sleep(200 * time.Millisecond) {
		at = count.Load()
	}
	if n := count.Load(); n == chunks {
		t.Errorf("all %d chunks were taken by a log that publishes nothing", n)
	}
	close(publish)
	if answered, _, err := drain(s); answered != chunks*musterv1.MaxEvents || !errors.Is(err, io.EOF) {
		t.Errorf("%d answered, then %v", answered, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if most.Load() > server.MaxStreamBytes {
		t.Errorf("%d bytes were held, want at most %d", most.Load(), server.MaxStreamBytes)
	}
}

// Streams are few; one that ends makes room for another.
func TestStreamsAreCounted(t *testing.T) {
	url := serve(t, newFake(2))
	var all []*client.Stream
	for range server.MaxSubmitStreams {
		s := open(t, url)
		sendAll(t, s, bodies(1))
		if _, err := s.Receive(); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	s := open(t, url)
	s.Send(bodies(1))
	if _, _, err := drain(s); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "streams are open") {
		t.Errorf("one stream more: %v", err)
	}
	all[0].Close()
	for {
		s := open(t, url)
		s.Send(bodies(1))
		if _, err := s.Receive(); err == nil {
			break
		}
		s.Close()
		if t.Context().Err() != nil {
			t.Fatal("no room after a stream ended")
		}
	}
}
