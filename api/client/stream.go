package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"connectrpc.com/connect"

	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/log/event"
)

// Stream sends events chunk after chunk and hears what became of them while it
// does. One goroutine may call Send and CloseSend, another Receive. It speaks
// HTTP/2, without TLS too.
//
// A stream ends at the first event that could not be logged now, and with its
// connection. What was not answered may be logged or not: send it again, in a
// new stream.
type Stream struct {
	client   *Client
	calls    *connect.BidiStreamForClientSimple[musterv1.SubmitStreamRequest, musterv1.SubmitStreamResponse]
	cancel   context.CancelFunc
	idle     func()
	sent     atomic.Uint64
	answered uint64 // of Receive
}

// Answered is what a stream's server says, counted from the stream's beginning.
type Answered struct {
	Events  uint64 // so many are answered
	Refused []RefusedEvent
}

// RefusedEvent is one of the events answered since the last Answered that will
// not be logged; the others are published.
type RefusedEvent struct {
	Index uint64 // of the event, from 0 on
	Why   *event.Error
}

// Stream opens a stream; its first Send tells whether the log can be reached.
// Close it in the end.
func (c *Client) Stream(ctx context.Context) (*Stream, error) {
	over2, idle := c.http2()
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{client: c, cancel: cancel, idle: idle}
	var err error
	s.calls, err = c.service(over2).SubmitStream(ctx)
	if err != nil {
		s.Close()
		return nil, c.explain("opening a stream", err)
	}
	return s, nil
}

// http2 is the client's own HTTP client in HTTP/2, where a log without TLS
// does not get the choice, and without the time-out of a call.
func (c *Client) http2() (over2 *http.Client, idle func()) {
	own := *c.http
	own.Timeout = 0
	named := *own.Transport.(*transport)
	own.Transport = &named
	plain, ok := cmp.Or(named.next, http.DefaultTransport).(*http.Transport)
	if !ok {
		return &own, func() {} // the caller's own transport has to speak it
	}
	plain = plain.Clone()
	plain.Protocols = new(http.Protocols)
	plain.Protocols.SetHTTP2(true)
	plain.Protocols.SetUnencryptedHTTP2(true)
	named.next = plain
	return &own, plain.CloseIdleConnections
}

// Send sends 1 to 1000 encoded events as the next chunk. It blocks while the
// log has no room for more. io.EOF says that the stream ended: Receive says why.
func (s *Stream) Send(events [][]byte) error {
	if len(events) == 0 || len(events) > musterv1.MaxEvents {
		return fmt.Errorf("sending %d events: want 1 to %d in a chunk", len(events), musterv1.MaxEvents)
	}
	s.sent.Add(uint64(len(events))) // before the server can answer them
	err := s.calls.Send(&musterv1.SubmitStreamRequest{Events: events})
	if err != nil && !errors.Is(err, io.EOF) {
		return s.client.explain("sending events", err)
	}
	return err
}

// CloseSend says that no event follows: the log answers those that it has, and
// ends the stream.
func (s *Stream) CloseSend() error {
	if err := s.calls.CloseRequest(); err != nil {
		return s.client.explain("ending a stream", err)
	}
	return nil
}

// Receive waits for the next answer. io.EOF says that all events were answered
// that were sent before CloseSend.
func (s *Stream) Receive() (*Answered, error) {
	r, err := s.calls.Receive()
	if errors.Is(err, io.EOF) {
		if sent := s.sent.Load(); s.answered != sent {
			return nil, fmt.Errorf("the log at %s ended the stream after answering %d of %d events", s.client.base, s.answered, sent)
		}
		return nil, io.EOF
	}
	if err != nil {
		return nil, s.client.explain("sending events", err)
	}
	a, err := s.answer(r)
	if err != nil {
		return nil, fmt.Errorf("sending events: the log at %s: %w", s.client.base, err)
	}
	return a, nil
}

// answer takes no count on trust: whoever resumes by it would lose events.
func (s *Stream) answer(r *musterv1.SubmitStreamResponse) (*Answered, error) {
	from, to := s.answered, r.GetAnswered()
	if to <= from || to > s.sent.Load() {
		return nil, fmt.Errorf("%d events answered: want more than %d, at most %d", to, from, s.sent.Load())
	}
	a := &Answered{Events: to}
	for _, f := range r.GetRefused() {
		if f.GetIndex() < from || f.GetIndex() >= to {
			return nil, fmt.Errorf("event %d is refused: want one from %d to %d, in order", f.GetIndex(), from, to-1)
		}
		from = f.GetIndex() + 1
		why, err := refused(f.GetRefused())
		if err != nil {
			return nil, err
		}
		a.Refused = append(a.Refused, RefusedEvent{f.GetIndex(), why})
	}
	s.answered = to
	return a, nil
}

// Close ends the stream, whatever its state, and its connection.
func (s *Stream) Close() {
	s.cancel()
	if s.calls != nil {
		s.calls.CloseResponse()
	}
	s.idle()
}
