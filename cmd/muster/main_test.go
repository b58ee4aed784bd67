package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// builtMuster is the real command, built once for all tests here. With
// MUSTER_TEST_RACE=1 it looks for data races while it runs (needs cgo), and
// ends with status 66 where it found one.
var builtMuster string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "muster-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	builtMuster = filepath.Join(dir, "muster")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", builtMuster)
	if os.Getenv("MUSTER_TEST_RACE") != "" {
		build.Args = append(build.Args, "-race")
		build.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building muster: %v\n%s", err, out)
		return 1
	}
	// What the environment of whoever runs the tests says is not for them.
	for _, v := range []string{"MUSTER_LOG", "MUSTER_POLICY", "MUSTER_STATE", "MUSTER_TOKEN", "XDG_STATE_HOME"} {
		os.Unsetenv(v)
	}
	return m.Run()
}

// patience is how long a test waits for a server before it gives up: far more
// than any of them needs, so that only one that hangs is told apart.
const patience = 60 * time.Second

// process is a running `muster serve`, or another command that serves.
type process struct {
	url     string // once it can answer
	command *exec.Cmd
	ready   chan string // gets the url

	done chan struct{} // closed when it has ended
	err  error         // how it ended

	mu   sync.Mutex
	said bytes.Buffer // its stderr so far
}

var serving = regexp.MustCompile(`^muster: (?:serving|witness|auditor) \S+ on (https?://\S+)$`)

// serve starts a server on a port of its own, and returns once it says that
// it can answer.
func serve(dir string, args ...string) (*process, error) {
	p, err := start(dir, args...)
	if err != nil {
		return nil, err
	}
	return p, p.await()
}

// await returns once the server says that it can answer.
func (p *process) await() error {
	select {
	case p.url = <-p.ready:
		return nil
	case <-p.done:
		return fmt.Errorf("the server did not start: %w\n%s", cmp.Or(p.err, errors.New("it ended")), p.stderr())
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("the server does not say that it serves:\n%s", p.stderr())
	}
}

// start starts a server and does not wait for it.
func start(dir string, args ...string) (*process, error) {
	return startMuster(append([]string{"serve", "--dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
}

func startMuster(args ...string) (*process, error) {
	p := &process{done: make(chan struct{}), ready: make(chan string, 1)}
	p.command = exec.Command(builtMuster, args...)
	stderr, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go p.listen(stderr)
	return p, nil
}

// listen reads what the server says until it has ended.
func (p *process) listen(stderr io.Reader) {
	defer close(p.done)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		p.mu.Lock()
		fmt.Fprintln(&p.said, lines.Text())
		p.mu.Unlock()
		if m := serving.FindStringSubmatch(lines.Text()); m != nil {
			p.ready <- m[1]
		}
	}
	p.err = p.command.Wait()
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// kill ends the server as a power cut ends its process: nothing is flushed.
func (p *process) kill() {
	p.command.Process.Kill()
	<-p.done
}

// stop asks the server to end, and is nil if it says that all went well.
func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("the server does not stop:\n%s", p.stderr())
	}
	if p.err != nil {
		return fmt.Errorf("the server stopped with %w:\n%s", p.err, p.stderr())
	}
	for line := range strings.Lines(p.stderr()) {
		if !strings.HasPrefix(line, "muster: ") {
			return fmt.Errorf("the server said without its name: %s", line)
		}
	}
	return nil
}

// mustServe is serve for Go tests; the server is gone when the test ends.
func mustServe(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p, err := serve(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// said is what one command said, and its exit code.
type said struct {
	code     int
	out, err string
}

// muster runs a command within this process, as the builtMuster would.
func muster(t *testing.T, args ...string) said {
	t.Helper()
	var out, err strings.Builder
	code := run(t.Context(), args, &terminal{in: strings.NewReader(""), out: &out, err: &err})
	return said{code, out.String(), err.String()}
}

// mustMuster is a command that has to succeed.
func mustMuster(t *testing.T, args ...string) said {
	t.Helper()
	s := muster(t, args...)
	if s.code != exitOK {
		t.Fatalf("muster %s: exit code %d\n%s%s", strings.Join(args, " "), s.code, s.out, s.err)
	}
	return s
}

// until polls, for what cannot be waited on.
func until(t *testing.T, what string, f func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !f(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
