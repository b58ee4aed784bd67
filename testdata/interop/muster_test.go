// Package interop judges muster by software that others wrote: it runs the
// real command beside github.com/transparency-dev/tessera as it is. It is a
// module of its own, so that what it needs stays out of the project's go.mod.
package interop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// builtMuster is the real command, built once from this tree.
var builtMuster string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "muster-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	builtMuster = filepath.Join(dir, "muster")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", builtMuster, "./cmd/muster")
	build.Dir = "../.." // the project's module, with the versions that it is released with
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building muster: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience is how long a test waits before it gives up: far more than any of
// them needs, so that only what hangs is told apart.
const patience = 60 * time.Second

// ready is the line with which a muster server says that it can answer.
var ready = regexp.MustCompile(`^muster: .* on (http://[0-9.:]+)$`)

// server is a running `muster serve`.
type server struct {
	url     string // once it can answer
	command *exec.Cmd
	ready   chan string // gets the url
	done    chan struct{}
	err     error // how it ended
	said    bytes.Buffer
}

// start runs a muster server on a port of its own, and returns once it can
// answer. It is gone when the test ends.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	s := launch(t, args...)
	if err := s.await(); err != nil {
		t.Fatal(err)
	}
	return s
}

// launch starts a server and does not wait for it.
func launch(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{command: exec.Command(builtMuster, append(args, "--listen", "127.0.0.1:0")...), ready: make(chan string, 1), done: make(chan struct{})}
	stderr, err := s.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&s.said, lines.Text())
			if m := ready.FindStringSubmatch(lines.Text()); m != nil {
				s.ready <- m[1]
			}
		}
		s.err = s.command.Wait()
	}()
	return s
}

// await returns once the server says that it can answer.
func (s *server) await() error {
	select {
	case s.url = <-s.ready:
		return nil
	case <-s.done:
		return fmt.Errorf("%s did not start: %v\n%s", s.command, s.err, s.said.String())
	case <-time.After(patience):
		return fmt.Errorf("%s does not say that it serves", s.command)
	}
}

// kill ends the server at once: it can do nothing about it.
func (s *server) kill() {
	s.command.Process.Kill()
	<-s.done
}

// stop asks the server to end, and is nil if it says that all went well.
func (s *server) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.done:
	case <-time.After(patience):
		return errors.New("the server does not stop")
	}
	if s.err != nil {
		return fmt.Errorf("the server stopped with %w:\n%s", s.err, s.said.String())
	}
	return nil
}

// read is a small text file, such as a verifier key.
func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// until polls, for what cannot be waited on.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
