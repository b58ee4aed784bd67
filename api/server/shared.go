package server

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"connectrpc.com/connect"
)

// turn waits until a call may use the backend.
func turn(ctx context.Context, t *turns, cost int) (leave func(), err error) {
	leave, err = t.enter(ctx, callerOf(ctx).id, cost, false)
	if err == nil {
		return leave, nil
	}
	if !errors.Is(err, errTooMuch) && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err // the caller has gone
	}
	return nil, later(connect.NewError(connect.CodeResourceExhausted, errTooMuch))
}

// later says in a refusal when to come again.
func later(refusal *connect.Error) *connect.Error {
	refusal.Meta().Set("Retry-After", strconv.Itoa(retryAfter))
	return refusal
}

// openStreams counts SubmitStreams. A stream is never refused because it sends
// too much: it waits for its turn chunk by chunk, and its client with it.
type openStreams struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by credential
}

func newOpenStreams() *openStreams { return &openStreams{of: make(map[string]int)} }

// open counts one more for a credential, empty where nobody has to show one.
func (o *openStreams) open(id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all >= maxSubmitStreams {
		return unavailable("%d streams are open, the most this log takes: come again, or use Submit", maxSubmitStreams)
	}
	if id != "" && o.of[id] >= maxStreamsEach {
		return unavailable("%d streams are open with this token, the most for one: close one, or use Submit", maxStreamsEach)
	}
	o.all++
	o.of[id]++
	return nil
}

func (o *openStreams) close(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all--
	if o.of[id]--; o.of[id] == 0 {
		delete(o.of, id)
	}
}
