package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/musterlog/muster/api/client"
)

// chunkWindow holds what was sent and is not answered: another stream sends it
// again.
type chunkWindow struct {
	read <-chan *eventChunk
	room chan struct{} // a place for each chunk

	mu      sync.Mutex
	waiting []*eventChunk // oldest first
	done    uint64        // events of the oldest that are answered
}

func newChunkWindow(read <-chan *eventChunk, chunks int) *chunkWindow {
	return &chunkWindow{read: read, room: make(chan struct{}, chunks)}
}

// take moves the next chunk from the input into the window, once there is room.
// It is nil when no more comes.
func (w *chunkWindow) take(ctx context.Context) *eventChunk {
	select {
	case w.room <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	select {
	case c := <-w.read: // nil when it is closed
		if c == nil {
			break
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.waiting = append(w.waiting, c)
		return c
	case <-ctx.Done():
	}
	<-w.room
	return nil
}

// some waits until there is something to send.
func (w *chunkWindow) some(ctx context.Context) bool {
	return !w.empty() || w.take(ctx) != nil
}

func (w *chunkWindow) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) == 0
}

// next is the number of the first event that is not answered. Something must
// wait.
func (w *chunkWindow) next() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting[0].first + w.done
}

// feed sends the window, and what comes behind it, until the input or the
// stream ends.
func (w *chunkWindow) feed(ctx context.Context, s *client.Stream) error {
	w.mu.Lock()
	again, done := append([]*eventChunk(nil), w.waiting...), w.done
	w.mu.Unlock()
	for _, c := range again {
		if err := s.Send(c.events[done:]); err != nil {
			return unlessEnded(err)
		}
		done = 0
	}
	for c := w.take(ctx); c != nil; c = w.take(ctx) {
		if err := s.Send(c.events); err != nil {
			return unlessEnded(err)
		}
	}
	if ctx.Err() != nil {
		return nil // the stream is over
	}
	return s.CloseSend()
}

// unlessEnded leaves it to Receive to say why a stream ended.
func unlessEnded(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// answered lets go what stands before an event. It gives the place of that event
// if a chunk ends there.
func (w *chunkWindow) answered(to uint64) (end position, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 && w.waiting[0].end.Events <= to {
		end = w.waiting[0].end
		w.waiting = w.waiting[1:]
		<-w.room
	}
	w.done = 0
	if len(w.waiting) > 0 && w.waiting[0].first < to {
		w.done = to - w.waiting[0].first
	}
	return end, end.Events == to
}

// event is one that is not let go yet.
func (w *chunkWindow) event(n uint64) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.waiting {
		if n < c.end.Events {
			return c.events[n-c.first]
		}
	}
	return nil
}
