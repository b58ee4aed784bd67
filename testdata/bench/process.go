package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/musterlog/muster/api/client"
)

// process is a muster command that serves on loopback.
type process struct {
	*exec.Cmd
	url    string
	output lockedBuilder
	ended  chan struct{}
	err    error // once ended is closed
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// start starts the built command on a free address.
func (b *bench) start(args ...string) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return b.startAt(address, args...)
}

func (b *bench) startAt(address string, args ...string) (*process, error) {
	p := &process{Cmd: exec.Command(b.binary(), append(args, "--listen", address)...), url: "http://" + address, ended: make(chan struct{})}
	p.Stdout, p.Stderr = &p.output, &p.output
	if err := p.Start(); err != nil {
		return nil, err
	}
	go func() { p.err = p.Wait(); close(p.ended) }()
	return p, nil
}

// serveAt starts a log's server, and says how long it took until it answered.
func (b *bench) serveAt(address, dir string, args ...string) (*process, time.Duration, error) {
	c, err := client.New(client.Config{URL: "http://" + address})
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	p, err := b.startAt(address, append([]string{"serve", "--dir", dir}, args...)...)
	if err != nil {
		return nil, 0, err
	}
	err = p.answers(b.ctx, 10*time.Minute, func(ctx context.Context) error { _, err := c.Info(ctx); return err })
	return p, time.Since(began), err
}

// answers asks until there is an answer.
func (p *process) answers(ctx context.Context, limit time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended: %w: %s", p, p.err, p.output.String())
		case <-ctx.Done():
			return errors.Join(err, p.kill())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (p *process) listens(context.Context) error {
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		return err
	}
	return c.Close()
}

// stop ends it in good order.
func (p *process) stop() error {
	if err := p.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("%s: %w: %s", p, p.err, p.output.String())
	}
	return nil
}

// kill ends it as kill -9 does.
func (p *process) kill() error {
	err := p.Process.Signal(syscall.SIGKILL)
	<-p.ended
	return err
}

// stopAll ends what still runs.
func stopAll(all ...*process) {
	for _, p := range all {
		if p != nil {
			p.kill()
		}
	}
}

// lockedBuilder collects a process's output.
type lockedBuilder struct {
	mu sync.Mutex
	strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.String()
}
