package witness_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/witness"
)

func (r *rig) state(file string) string { return filepath.Join(r.cfg.Dir, "state", file) }

// refuses closes the witness and looks why it does not open again.
func (r *rig) refuses(want error, text string) {
	r.Helper()
	r.Close()
	w, err := witness.Open(r.cfg)
	if err == nil {
		w.Close()
		r.Fatal("the witness opened")
	}
	if want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		r.Errorf("error %v, want %v with %q", err, want, text)
	}
}

// TestWipedState: without its state, or that of one log, a witness does not
// run, and a fork is not cosigned.
func TestWipedState(t *testing.T) {
	l, other := newLog("example.org/any").grow(9, "main"), newLog("example.org/other").grow(9, "main")
	for name, wipe := range map[string]func(r *rig) error{
		"the folder":                     func(r *rig) error { return os.RemoveAll(r.cfg.Dir) },
		"the state folder":               func(r *rig) error { return os.RemoveAll(r.state("")) },
		"the list":                       func(r *rig) error { return os.Remove(r.state("origins")) },
		"a log's file":                   func(r *rig) error { return os.Remove(r.state(witness.HashOf(l.origin))) },
		"a file of a log never cosigned": func(r *rig) error { return os.Remove(r.state(witness.HashOf(other.origin))) },
		"a file of a log that is not cosigned any more": func(r *rig) error {
			r.cfg.Logs = r.cfg.Logs[1:]
			return os.Remove(r.state(witness.HashOf(l.origin)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, l, other)
			r.cfg.Init = false
			r.want(http.StatusOK, l.body(0, 5))
			if err := wipe(r); err != nil {
				t.Fatal(err)
			}
			r.refuses(witness.ErrNoState, "missing")
			if _, err := os.Stat(r.state("LOCK")); name == "the folder" && err == nil {
				t.Error("a witness that refuses makes a folder")
			}
		})
	}
}

// TestInitKeepsState: --init over a state that is there changes nothing.
func TestInitKeepsState(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	r.want(http.StatusOK, l.body(0, 5))
	shown := r.Newest(l.origin)
	for range 2 {
		r.Close()
		r.open()
		if !bytes.Equal(r.Newest(l.origin), shown) {
			t.Fatal("another checkpoint is shown")
		}
	}
	// Also over one that lost its list only.
	if err := os.Remove(r.state("origins")); err != nil {
		t.Fatal(err)
	}
	r.Close()
	r.open()
	r.want(http.StatusConflict, l.body(0, 9))
}

// TestNewLog: a log that is added later is a first contact; one that is taken
// out and comes back is not.
func TestNewLog(t *testing.T) {
	l, other := newLog("example.org/any").grow(9, "main"), newLog("example.org/other").grow(9, "main")
	r := newRig(t, l)
	r.want(http.StatusNotFound, other.body(0, 5))
	r.want(http.StatusOK, l.body(0, 5))
	r.cfg.Logs = config("", other).Logs
	r.restart()
	r.want(http.StatusOK, other.body(0, 5))
	r.want(http.StatusNotFound, l.body(5, 9))
	r.cfg.Logs = config("", other, l).Logs
	r.restart()
	r.want(http.StatusConflict, l.body(0, 9))
	r.want(http.StatusOK, l.body(5, 9))
}

// TestBegunHalfway: a crash while a log is added leaves its file and not its
// line in the list.
func TestBegunHalfway(t *testing.T) {
	l, other := newLog("example.org/any").grow(9, "main"), newLog("example.org/other").grow(9, "main")
	r := newRig(t, l, other)
	if err := os.WriteFile(r.state("origins"), []byte(l.origin+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.want(http.StatusOK, other.body(0, 5))
	list, err := os.ReadFile(r.state("origins"))
	if err != nil || string(list) != l.origin+"\n"+other.origin+"\n" {
		t.Errorf("%v, list %q", err, list)
	}
}

// TestDamagedState: whatever bit of a log's file changes, the witness does not
// run: it would cosign again what the file says.
func TestDamagedState(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	r.want(http.StatusOK, l.body(0, 5))
	path := r.state(witness.HashOf(l.origin))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r.refuses(nil, "damaged")
	}
	r.cfg.Init = false
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		put(bad)
	}
	for _, n := range []int{0, 1, len(good) / 2, len(good) - 1} {
		put(good[:n])
	}
	put(append(bytes.Clone(good), '\n'))

	// The whole file of another log.
	other := newRig(t, newLog("example.org/other"))
	data, err := os.ReadFile(other.state(witness.HashOf("example.org/other")))
	if err != nil {
		t.Fatal(err)
	}
	put(data)

	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.want(http.StatusOK, l.body(5, 9))
}

// TestShownAgain: after a restart the same cosignatures are shown, byte for
// byte, and no new ones were made.
func TestShownAgain(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	a := r.want(http.StatusOK, l.body(0, 5))
	if want := l.note(5) + string(a.Body); string(r.Newest(l.origin)) != want {
		t.Errorf("shown:\n%s\nwant:\n%s", r.Newest(l.origin), want)
	}
	r.now = start.Add(1e12)
	shown := r.Newest(l.origin)
	r.restart()
	if !bytes.Equal(r.Newest(l.origin), shown) {
		t.Errorf("after a restart:\n%s\nwant:\n%s", r.Newest(l.origin), shown)
	}
}

// TestFailedWrite: what cannot be recorded is not cosigned, not shown, and not
// remembered either: another checkpoint may come in its place.
func TestFailedWrite(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	fork := newLog(l.origin).grow(3, "main").grow(6, "fork")
	r := newRig(t, l)
	// What stands in the way of the temporary file fails the write even where
	// the tests may do everything.
	temp := r.state(witness.HashOf(l.origin)) + ".new"
	block := func() {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(temp, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	unblock := func() {
		t.Helper()
		if err := os.RemoveAll(temp); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(body string) {
		t.Helper()
		if a := r.want(http.StatusInternalServerError, body); strings.Contains(string(a.Body), "—") {
			t.Errorf("answer %q of a failed write has a signature", a.Body)
		}
	}

	block()
	fails(l.body(0, 5))
	if r.Newest(l.origin) != nil {
		t.Error("what was not recorded is shown")
	}
	if !strings.Contains(r.said.String(), "cannot be recorded") {
		t.Errorf("the operator is not told: %s", r.said.String())
	}
	r.want(http.StatusConflict, l.body(5, 9)) // recorded: 0
	unblock()
	first := r.want(http.StatusOK, l.body(0, 3))
	shown := r.Newest(l.origin)
	block()
	fails(l.body(3, 9))
	// Within the second it is what was said already, and costs no write.
	if again := r.want(http.StatusOK, l.body(3, 3)); !bytes.Equal(again.Body, first.Body) {
		t.Errorf("the same second gives %q, then %q", first.Body, again.Body)
	}
	r.now = r.now.Add(time.Second)
	fails(l.body(3, 3)) // a refresh is recorded, too: its time
	if !bytes.Equal(r.Newest(l.origin), shown) {
		t.Error("what was not recorded is shown")
	}
	unblock()
	// That the log's branch was refused a moment ago binds nobody.
	r.times(r.want(http.StatusOK, fork.body(3, 9)), fork.text(9), both...)
	r.restart()
	r.want(http.StatusUnprocessableEntity, l.body(9, 9))
}

// TestOneWitness: a second witness on the folder is refused, in this process
// and (TestSecondProcess) in another.
func TestOneWitness(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	for _, init := range []bool{true, false} {
		cfg := r.cfg
		cfg.Init = init
		if w, err := witness.Open(cfg); !errors.Is(err, durable.ErrLocked) {
			if err == nil {
				w.Close()
			}
			t.Errorf("a second witness: %v, want ErrLocked", err)
		}
	}
	r.want(http.StatusOK, l.body(0, 5))
	r.restart()
	r.want(http.StatusOK, l.body(5, 9))
}

// TestConfig: what cannot be meant is refused before anything is written.
func TestConfig(t *testing.T) {
	l := newLog("example.org/any")
	for name, change := range map[string]func(c *witness.Config){
		"no folder":    func(c *witness.Config) { c.Dir = "" },
		"no log":       func(c *witness.Config) { c.Logs = nil },
		"no cosigner":  func(c *witness.Config) { c.Cosigners = nil },
		"ML-DSA alone": func(c *witness.Config) { c.Cosigners = c.Cosigners[1:] },
		"a log twice":  func(c *witness.Config) { c.Logs = append(c.Logs, c.Logs[0]) },
		"a witness's key for a log's": func(c *witness.Config) {
			c.Logs[0].Key = cosigner(checkpoint.Cosignature).Key()
		},
	} {
		dir := filepath.Join(t.TempDir(), "dir")
		cfg := config(dir, l)
		if change(&cfg); cfg.Dir != "" {
			cfg.Dir = dir
		}
		if w, err := witness.Open(cfg); err == nil {
			w.Close()
			t.Errorf("%s: the witness opened", name)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder was made", name)
		}
	}
}

// TestClockSetBack: the time stated never goes back, and the operator is told
// why clients refuse it.
func TestClockSetBack(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	r.now = start.Add(time.Hour)
	r.want(http.StatusOK, l.body(0, 3))
	r.now = start.Add(time.Hour - time.Minute) // clients forgive as much
	r.want(http.StatusOK, l.body(3, 4))
	if strings.Contains(r.said.String(), "CLOCK") {
		t.Errorf("said %s", r.said.String())
	}
	r.now = start
	for _, at := range r.times(r.want(http.StatusOK, l.body(4, 5)), l.text(5), both...) {
		if want := start.Add(time.Hour).Unix(); int64(at) != want {
			t.Errorf("time %d, want %d", at, want)
		}
	}
	if strings.Count(r.said.String(), "CLOCK") != 1 {
		t.Errorf("said %q, want one line about the clock", r.said.String())
	}
}
