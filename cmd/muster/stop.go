package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// A log that is told to stop ends within 5 seconds (docs/operating.md), whatever
// its cosigners, clients and disk do.
const (
	// drainTime bounds how long a stopping server waits for answers on their way.
	drainTime = 4 * time.Second

	// stopTime is when a log that was told to stop ends with what is not done. All
	// that was acknowledged is on the disk by then, as at any other moment.
	stopTime = drainTime + 500*time.Millisecond
)

// expiring is closed stopTime after ctx ended.
func expiring(ctx context.Context) <-chan struct{} {
	expired := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(stopTime, func() { close(expired) }) })
	return expired
}

// runLog runs sequencer and server until ctx ends or the log cannot go on.
// The server stops last, so that events sealed on the way out are acknowledged.
// What the one takes of drainTime, the other lacks.
func (g *globals) runLog(ctx context.Context, expired <-chan struct{}, run func(context.Context) error, s *http.Server, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sequenced := make(chan error, 1)
	go func() { sequenced <- run(ctx); cancel() }()
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()

	var serveErr, runErr error
	select {
	case <-ctx.Done():
	case serveErr = <-served:
		cancel()
	}
	drain, stop := context.WithTimeout(context.Background(), drainTime)
	defer stop()
	select {
	case runErr = <-sequenced:
	case <-expired: // a full epoch is on its way to a slow disk, and others wait
		s.Close()
		g.say("stopped before all events that wait were logged: who sent them got no answer, and sends them again; every acknowledged event is stored")
		return nil
	}
	if err := s.Shutdown(drain); err != nil {
		s.Close()
	}
	if errors.Is(serveErr, http.ErrServerClosed) {
		serveErr = nil
	}
	if err := errors.Join(runErr, serveErr); err != nil {
		return fmt.Errorf("the log stopped: %w", err)
	}
	g.say("stopped; every acknowledged event is stored")
	return nil
}

// within closes a store once those are done who read it. If that takes too long,
// as a backup, a compaction or a hanging disk may, the process ends without it,
// which the store outlives. One that has expired is left alone: the log may write.
func within(expired <-chan struct{}, release func() error) {
	select {
	case <-expired:
		return
	default:
	}
	released := make(chan struct{})
	go func() { defer close(released); release() }()
	select {
	case <-released:
	case <-expired:
	}
}
