package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/musterlog/muster/api/client"
	musterv1 "github.com/musterlog/muster/api/v1"
)

// benchTick is how often events that are due are sent, with a rate: fine enough
// for the shortest epochs.
const benchTick = 2 * time.Millisecond

// benchLoad sends events over one stream and times them.
type benchLoad struct {
	events [][]byte
	rate   float64       // events a second; 0: as fast as the log takes them
	limit  time.Duration // from then on none is sent; 0: until all are

	mu  sync.Mutex
	due []time.Time // when each event that was sent should have been
}

// benchFigures is what came of a load.
type benchFigures struct {
	sent, refused int
	took          time.Duration   // from the first event to the last answer
	latencies     []time.Duration // of each answered event, ascending: from when it was due to its answer
}

// run sends the load and hears the answers. Figures come with an error, too:
// what was answered before it.
func (l *benchLoad) run(ctx context.Context, c *client.Client) (*benchFigures, error) {
	s, err := c.Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	began := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- l.send(ctx, s, began) }()
	f, err := l.hear(s)
	f.took = time.Since(began)
	s.Close()
	if failed := <-sent; err == nil {
		err = failed
	}
	f.sent = len(l.due)
	slices.Sort(f.latencies)
	return f, err
}

func (l *benchLoad) send(ctx context.Context, s *client.Stream, began time.Time) error {
	for from := 0; from < len(l.events); {
		now := time.Now()
		if l.limit > 0 && now.Sub(began) > l.limit {
			break
		}
		to := min(from+musterv1.MaxEvents, l.dueBy(now.Sub(began)))
		if to <= from {
			select {
			case <-time.After(benchTick):
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		l.mu.Lock()
		for i := from; i < to; i++ {
			at := now
			if l.rate > 0 { // who waits for a slow log is late, not the log on time
				at = began.Add(time.Duration(float64(i) / l.rate * float64(time.Second)))
			}
			l.due = append(l.due, at)
		}
		l.mu.Unlock()
		if err := s.Send(l.events[from:to]); err != nil {
			return unlessEnded(err)
		}
		from = to
	}
	return s.CloseSend()
}

// dueBy is how many events should have been sent after a time.
func (l *benchLoad) dueBy(after time.Duration) int {
	if l.rate == 0 {
		return len(l.events)
	}
	return min(len(l.events), 1+int(after.Seconds()*l.rate))
}

func (l *benchLoad) hear(s *client.Stream) (*benchFigures, error) {
	f := new(benchFigures)
	for {
		a, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return f, err
		}
		now := time.Now()
		l.mu.Lock()
		for _, due := range l.due[len(f.latencies):a.Events] {
			f.latencies = append(f.latencies, now.Sub(due))
		}
		l.mu.Unlock()
		f.refused += len(a.Refused)
		if len(a.Refused) > 0 { // figures of refusals say nothing
			return f, fmt.Errorf("event %d is refused: %w", a.Refused[0].Index, a.Refused[0].Why)
		}
	}
}

// quantile is the latency that a share of the events had at most.
func (f *benchFigures) quantile(share float64) time.Duration {
	if len(f.latencies) == 0 {
		return 0
	}
	return f.latencies[min(int(share*float64(len(f.latencies))), len(f.latencies)-1)]
}
