package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterlog/muster/api/server"
)

// pipes is a listener whose connections the test holds the other ends of.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.connections:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "test"} }

// TestStopTime: a log that is told to stop ends in time and well, whatever takes
// how long: its cosigners, its disk, a client that begins a request and no more.
func TestStopTime(t *testing.T) {
	forever := time.Duration(1<<62 - 1)
	for name, c := range map[string]struct {
		run    time.Duration // the log's own end
		client bool          // one is in the middle of a request
		took   time.Duration
		says   string
	}{
		"nobody is there":          {0, false, 0, "stopped; every acknowledged event is stored"},
		"cosigners":                {3 * time.Second, false, 3 * time.Second, "stopped; every acknowledged event is stored"},
		"a client":                 {0, true, drainTime, "stopped; every acknowledged event is stored"},
		"cosigners and a client":   {3 * time.Second, true, drainTime, "stopped; every acknowledged event is stored"},
		"a disk that hangs":        {forever, false, stopTime, "stopped before all events that wait were logged"},
		"that, and a client there": {forever, true, stopTime, "stopped before all events that wait were logged"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
				entered, hangs := make(chan struct{}), make(chan struct{})
				defer close(hangs)
				handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-hangs })
				ctx, stop := context.WithCancel(t.Context())
				run := func(ctx context.Context) error {
					<-ctx.Done()
					select {
					case <-time.After(c.run):
					case <-hangs:
					}
					return nil
				}
				var out strings.Builder
				g := &globals{terminal: &terminal{out: &out, err: &out}}
				ended := make(chan error, 1)
				go func() { ended <- g.runLog(ctx, expiring(ctx), run, server.Server(handler), listener) }()
				if c.client {
					ours, theirs := net.Pipe()
					defer ours.Close()
					listener.connections <- theirs
					if _, err := ours.Write([]byte("GET / HTTP/1.1\r\nHost: log\r\n\r\n")); err != nil {
						t.Fatal(err)
					}
					<-entered
				}
				synctest.Wait()
				began := time.Now()
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				// Shutdown looks for idle connections now and then.
				if took := time.Since(began); took < c.took || took > c.took+100*time.Millisecond {
					t.Errorf("ended after %v, want %v", took, c.took)
				}
				if !strings.Contains(out.String(), c.says) {
					t.Errorf("it said %q, want %q", &out, c.says)
				}
			})
		})
	}
}

// A store that cannot be closed in time is left to the end of the process, and one
// that the log may still write is not touched.
func TestStoreIsClosedInTime(t *testing.T) {
	expired, hangs := make(chan struct{}), make(chan struct{})
	defer close(hangs)
	within(expired, func() error { close(expired); <-hangs; return nil })
	within(expired, func() error { t.Error("closed after the time"); return nil })
	closed := false
	within(make(chan struct{}), func() error { closed = true; return nil })
	if !closed {
		t.Error("did not wait for the store to be closed")
	}
}
