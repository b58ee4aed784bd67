package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/answer"
)

// stream sends what next gives over one client stream of the API, and tells
// answered how many events are published so far.
func stream(ctx context.Context, url string, next func() ([][]byte, bool), answered func(events int)) error {
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		return err
	}
	s, err := c.Stream(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	sent := make(chan error, 1)
	go func() {
		for batch, ok := next(); ok; batch, ok = next() {
			if err := s.Send(batch); err != nil {
				if errors.Is(err, io.EOF) { // Receive says why
					err = nil
				}
				sent <- err
				return
			}
		}
		sent <- s.CloseSend()
	}()
	for {
		a, err := s.Receive()
		if errors.Is(err, io.EOF) {
			return <-sent
		}
		if err != nil {
			return err
		}
		if len(a.Refused) > 0 {
			return fmt.Errorf("event %d of the stream: %w", a.Refused[0].Index, a.Refused[0].Why)
		}
		answered(int(a.Events))
	}
}

// send streams batches, and waits until all are published.
func send(ctx context.Context, url string, batches [][][]byte) error {
	return stream(ctx, url, func() (batch [][]byte, ok bool) {
		if len(batches) == 0 {
			return nil, false
		}
		batch, batches = batches[0], batches[1:]
		return batch, true
	}, func(int) {})
}

// together submits batches, many at a time, in any way.
func together(batches [][][]byte, submit func([][]byte) ([]answer.Outcome, error)) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	next := make(chan [][]byte)
	for range min(inFlight, len(batches)) {
		wg.Go(func() {
			for batch := range next {
				if err := failure(submit(batch)); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	for _, batch := range batches {
		next <- batch
	}
	close(next)
	wg.Wait()
	return failed
}

// failure is the first thing that went wrong.
func failure(outcomes []answer.Outcome, err error) error {
	for i := range outcomes {
		switch o := &outcomes[i]; {
		case o.Refused != nil:
			return o.Refused
		case o.Err != nil:
			return o.Err
		}
	}
	return err
}
