package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/log/answer"
)

// submitting is one SubmitStream. Three goroutines hand its chunks on in their
// order: receive reads and admits them, join lets them into the log, answer
// waits until they are published and tells the client. So the signatures of one
// chunk are verified while the one before it joins and earlier ones wait.
type submitting struct {
	*service
	stream *connect.BidiStream[musterv1.SubmitStreamRequest, musterv1.SubmitStreamResponse]
	pace   *pace

	began    time.Time
	stopping context.Context // once it ended, the server takes no more chunks

	admitted, joined chan *chunk
	used             atomic.Int64  // bytes that the chunks under way take
	freed            chan struct{} // signals: used went down
	ended            error         // why no chunk follows; set before admitted is closed
	answered         uint64        // events, of answer alone
}

// chunk is one message of the client on its way.
type chunk struct {
	batch  Batch
	events int
	bytes  int64
	leave  func() // its turn is over; also when the stream ends
}

// SubmitStream ends with the first chunk that cannot be answered in full: what
// it says, the client may rely on, and sends the rest again.
func (s *service) SubmitStream(ctx context.Context, stream *connect.BidiStream[musterv1.SubmitStreamRequest, musterv1.SubmitStreamResponse]) error {
	id := callerOf(ctx).id
	if err := s.streams.open(id); err != nil {
		return err
	}
	defer s.streams.close(id)
	ctx, cancel := context.WithCancel(ctx)
	r := &submitting{
		service: s, stream: stream, pace: paceOf(ctx), began: time.Now(),
		stopping: context.Background(), admitted: make(chan *chunk), joined: make(chan *chunk, maxChunks), freed: make(chan struct{}, 1),
	}
	if stopping, ok := ctx.Value(stoppingKey{}).(context.Context); ok {
		r.stopping = stopping
		// Waited for: a deadline that is set after the handler has returned meets a
		// stream that is gone, and net/http's panic would end the process.
		stopped := make(chan struct{})
		forget := context.AfterFunc(stopping, func() { defer close(stopped); r.pace.stop() })
		defer func() {
			if !forget() {
				<-stopped
			}
		}()
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer r.pace.stop() // receive may hang on a message that never ends
	defer cancel()
	running.Go(func() { defer close(r.admitted); r.ended = r.guarded(func() error { return r.receive(ctx) }) })
	running.Go(func() { defer close(r.joined); r.join(ctx) })
	return r.answer(ctx)
}

// receive takes chunks from the client for as long as there is room.
func (r *submitting) receive(ctx context.Context) error {
	for {
		if err := r.awaitRoom(ctx); err != nil {
			return err
		}
		if time.Since(r.began) > r.times.stream {
			return unavailable("this stream is %v old: open another one", r.times.stream)
		}
		r.pace.message(r.times.chunk)
		m, err := r.stream.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded) && r.stopping.Err() != nil:
			return unavailable("the server is stopping: open another stream once it is back")
		case errors.Is(err, os.ErrDeadlineExceeded):
			return unavailable("no events for %v: open another stream when there are some", r.times.chunk)
		case err != nil:
			return err
		}
		r.pace.rest()
		if err := countEvents(m.GetEvents()); err != nil {
			return err
		}
		c := &chunk{events: len(m.GetEvents())}
		for _, e := range m.GetEvents() {
			c.bytes += int64(len(e)) + eventOverhead
		}
		r.used.Add(c.bytes)
		if c.leave, err = r.events.enter(ctx, callerOf(ctx).id, c.events, true); err != nil {
			return err
		}
		if c.batch, err = r.admit(ctx, m.GetEvents()); err != nil {
			return err
		}
		if !hand(ctx, r.admitted, c) {
			return ctx.Err()
		}
	}
}

// awaitRoom blocks until there is room for the largest chunk.
func (r *submitting) awaitRoom(ctx context.Context) error {
	for r.used.Load() > maxStreamBytes-musterv1.MaxRequest-musterv1.MaxEvents*eventOverhead {
		select {
		case <-r.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// join lets admitted chunks into the log. One that cannot join says so in its
// outcomes.
func (r *submitting) join(ctx context.Context) {
	for c := range r.admitted {
		err := r.guarded(func() error {
			wait, cancel := context.WithTimeout(ctx, r.times.wait)
			defer cancel()
			c.batch.Join(wait)
			return nil
		})
		if err != nil {
			c.batch = nil
		}
		if !hand(ctx, r.joined, c) {
			return
		}
	}
}

// answer tells the client what became of each chunk.
func (r *submitting) answer(ctx context.Context) error {
	r.pace.answering(0)
	defer r.pace.answering(r.times.answer) // for the end of the stream
	for {
		select {
		case c, more := <-r.joined:
			if !more {
				return r.ended
			}
			if err := r.answerChunk(ctx, c); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *submitting) answerChunk(ctx context.Context, c *chunk) error {
	if c.batch == nil {
		return connect.NewError(connect.CodeInternal, answer.Fault)
	}
	wait, cancel := context.WithTimeout(ctx, r.times.wait)
	defer cancel()
	outcomes := c.batch.Outcomes(wait)
	c.leave()
	r.used.Add(-c.bytes)
	select {
	case r.freed <- struct{}{}:
	default:
	}
	if len(outcomes) != c.events {
		return r.fault("SubmitStream", fmt.Errorf("%d outcomes for %d events", len(outcomes), c.events))
	}
	response, failed := r.response(outcomes)
	if len(outcomes) > 0 && response.Answered > r.answered {
		r.answered = response.Answered
		r.pace.answering(r.times.answer)
		if err := r.stream.Send(response); err != nil {
			return err
		}
		r.pace.answering(0)
	}
	if failed != nil {
		return connect.NewError(connect.CodeUnavailable, r.told("SubmitStream", failed))
	}
	return nil
}

// response answers outcomes up to the first event that could not be logged
// now: what is said of those behind it may only follow from that.
func (r *submitting) response(outcomes []answer.Outcome) (*musterv1.SubmitStreamResponse, error) {
	response := &musterv1.SubmitStreamResponse{Answered: r.answered}
	for i := range outcomes {
		o := &outcomes[i]
		if o.Refused != nil {
			response.Refused = append(response.Refused, &musterv1.RefusedEvent{Index: response.Answered, Refused: refused(o.Refused)})
		} else if o.Err != nil {
			return response, o.Err
		}
		response.Answered++
	}
	return response, nil
}

// guarded lets a panic cost this stream alone.
func (r *submitting) guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = r.recovered(context.Background(), r.stream.Spec(), nil, p)
		}
	}()
	return do()
}

func hand(ctx context.Context, to chan<- *chunk, c *chunk) bool {
	select {
	case to <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

func unavailable(format string, args ...any) *connect.Error {
	return connect.NewError(connect.CodeUnavailable, fmt.Errorf(format, args...))
}
