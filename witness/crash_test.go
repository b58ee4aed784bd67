package witness_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/musterlog/muster/witness"
)

// The environment of a child: this test binary, run again as a witness.
const (
	childDir  = "MUSTER_TEST_WITNESS_DIR"
	childDies = "MUSTER_TEST_WITNESS_DIES" // "stall" or "stored": where it is killed, "" never
)

// crashLog is the log of every child.
func crashLog() *testLog { return newLog("example.org/crash").grow(4, "main") }

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir, os.Getenv(childDies)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child runs a witness that reads one request from stdin, in the form
// "<length>\n<body>", and answers on stdout, again and again.
func child(dir, dies string) error {
	w, err := witness.Open(config(dir, crashLog()))
	if err != nil {
		return err
	}
	// As kill -9 does: nothing is flushed, no defer runs.
	die := func() {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	switch dies {
	case "stall":
		w.SetStall(die)
	case "stored":
		w.SetStored(die)
	}
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	for {
		var n int
		if _, err := fmt.Fscanf(in, "%d\n", &n); err != nil {
			return nil // stdin is closed
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		a := w.AddCheckpoint(context.Background(), body)
		fmt.Printf("%d %d\n%s", a.Status, len(a.Body), a.Body)
	}
}

// proc is a running child.
type proc struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err bytes.Buffer
}

// runChild runs a child until it is ready or has said why not.
func runChild(t *testing.T, dir, dies string) (*proc, error) {
	t.Helper()
	p := &proc{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), childDir+"="+dir, childDies+"="+dies)
	p.Stderr = &p.err
	var err error
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
		p.Wait()
		return nil, errors.New(p.err.String())
	}
	return p, nil
}

// ask gives the status and the body, or an error if the child died.
func (p *proc) ask(body string) (status int, answer []byte, err error) {
	if _, err := fmt.Fprintf(p.in, "%d\n%s", len(body), body); err != nil {
		return 0, nil, err
	}
	var n int
	if _, err := fmt.Fscanf(p.out, "%d %d\n", &status, &n); err != nil {
		return 0, nil, err
	}
	answer = make([]byte, n)
	_, err = io.ReadFull(p.out, answer)
	return status, answer, err
}

// TestCrash: a witness that is killed between check and record remembers
// nothing and has cosigned nothing; one that is killed between record and
// cosignature refuses the other fork after its restart, and cosigns the
// recorded one again. At first contact and later.
func TestCrash(t *testing.T) {
	for _, from := range []int64{0, 2} {
		for _, dies := range []string{"stall", "stored"} {
			t.Run(fmt.Sprintf("from %d, %s", from, dies), func(t *testing.T) {
				dir, base := t.TempDir(), crashLog()
				base.size, base.hashes = 0, nil
				base.grow(2, "main")
				a, b := base.fork().grow(3, "a"), base.fork().grow(3, "b")
				if from > 0 {
					p, err := runChild(t, dir, "")
					if err != nil {
						t.Fatal(err)
					}
					if status, body, err := p.ask(base.body(0, from)); err != nil || status != http.StatusOK {
						t.Fatal(status, string(body), err)
					}
					p.Process.Kill()
					p.Wait()
				}
				p, err := runChild(t, dir, dies)
				if err != nil {
					t.Fatal(err)
				}
				if status, body, err := p.ask(a.body(from, 5)); err == nil {
					t.Fatalf("the child lives: %d %s", status, body)
				}
				p.Wait()

				p, err = runChild(t, dir, "")
				if err != nil {
					t.Fatal(err)
				}
				want := map[string][2]int{"stall": {200, 409}, "stored": {409, 409}}[dies]
				for i, l := range []*testLog{b, a} {
					status, body, err := p.ask(l.body(from, 5))
					if err != nil || status != want[i] {
						t.Fatalf("request %d: %d %s %v, want %d", i, status, body, err, want[i])
					}
					if status == http.StatusOK {
						if _, err := verify(body, l.text(5), both...); err != nil {
							t.Error(err)
						}
					}
				}
				// Now each says what the record is.
				winner, loser := b, a
				if dies == "stored" {
					winner, loser = a, b
				}
				if status, body, err := p.ask(loser.body(5, 5)); err != nil || status != http.StatusUnprocessableEntity {
					t.Errorf("the other fork: %d %s %v, want 422", status, body, err)
				}
				if status, body, err := p.ask(winner.body(5, 5)); err != nil || status != http.StatusOK {
					t.Errorf("the recorded fork: %d %s %v, want 200", status, body, err)
				}
			})
		}
	}
}

// TestKill: a witness is killed by another process right after, or while, it
// answers one of two forks; what it answered holds afterwards.
func TestKill(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	answered := 0
	for round := range rounds {
		dir, base := t.TempDir(), crashLog()
		base.size, base.hashes = 0, nil
		a, b := base.fork().grow(3, "a"), base.fork().grow(3, "b")
		p, err := runChild(t, dir, "")
		if err != nil {
			t.Fatal(err)
		}
		killed := make(chan struct{})
		kill := func() { p.Process.Kill(); close(killed) }
		if round%2 == 0 {
			go kill() // whenever it comes
		}
		status, body, err := p.ask(a.body(0, 3))
		if round%2 == 1 {
			if err != nil {
				t.Fatal(err)
			}
			kill()
		}
		<-killed
		p.Wait()
		if p, err = runChild(t, dir, ""); err != nil {
			t.Fatal(err)
		}
		other, _, err2 := p.ask(b.body(0, 3))
		if err2 != nil {
			t.Fatal(err2)
		}
		if err == nil && status == http.StatusOK {
			answered++
			if _, err := verify(body, a.text(3), both...); err != nil {
				t.Fatal(err)
			}
			if other != http.StatusConflict {
				t.Fatalf("round %d: one fork was cosigned before the kill, and the other was answered %d after it", round, other)
			}
		}
		p.Process.Kill()
		p.Wait()
	}
	if answered < rounds/2 {
		t.Errorf("%d of %d children answered before they were killed, want half", answered, rounds)
	}
	t.Logf("%d of %d children answered before they were killed", answered, rounds)
}

// TestSecondProcess: two processes do not run on one folder, and the first
// goes on; when it is killed the folder is free.
func TestSecondProcess(t *testing.T) {
	dir, l := t.TempDir(), crashLog()
	first, err := runChild(t, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runChild(t, dir, ""); err == nil || !strings.Contains(err.Error(), "open in another process") {
		t.Fatalf("a second process: %v", err)
	}
	if status, body, err := first.ask(l.body(0, 3)); err != nil || status != http.StatusOK {
		t.Fatalf("the first process: %d %s %v", status, body, err)
	}
	first.Process.Kill()
	first.Wait()
	second, err := runChild(t, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if status, body, err := second.ask(l.body(0, 4)); err != nil || status != http.StatusConflict || string(body) != "3\n" {
		t.Errorf("the next process: %d %q %v, want 409 and 3", status, body, err)
	}
}
