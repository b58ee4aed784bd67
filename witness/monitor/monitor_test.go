package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier/statefile"
)

// A device that was there for one epoch only is told of by a monitor that is
// started later.
func TestGhostDeviceIsToldLater(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	r.logs(r.phone.Add())
	r.logs(r.phone.OperatorRemove(1))
	alerts, o := r.once()
	want(t, alerts, "registered 0 high ALARM", "device-added 1 high ALARM", "device-removed 2 high ALARM")
	if o.Alarms != 3 || o.Failed || o.Unreachable {
		t.Errorf("outcome %+v", o)
	}
	for _, a := range alerts {
		if !a.Baseline {
			t.Errorf("%s was there before the watch began", a.Kind)
		}
	}
	ghost, removed := alerts[1], alerts[2]
	if key := r.phone.Companions[1].Public().String(); ghost.Key != key || removed.Key != key || *removed.KeyIndex != 1 {
		t.Errorf("key %s, then %s, want %s", ghost.Key, removed.Key, key)
	}
	if fmt.Sprint(ghost.Signers, removed.Signers) != "[primary device] [operator]" {
		t.Errorf("signers %v %v", ghost.Signers, removed.Signers)
	}
	if *ghost.Position != 4 {
		t.Errorf("position %d, want 4", *ghost.Position)
	}
	alerts, o = r.once()
	want(t, alerts)
	if o.Alarms != 0 {
		t.Errorf("nothing is new: %+v", o)
	}
}

// Everything that can happen to an account, while it is watched.
func TestEveryEventIsTold(t *testing.T) {
	r := newRig(t)
	m := r.open()
	alerts, _ := r.pass(m)
	want(t, alerts) // proven: there is no such account
	r.logs(r.phone.Register(), r.phone.Add(), r.phone.Add(), r.phone.LogOut(1), r.phone.Confirm())
	alerts, _ = r.pass(m)
	want(t, alerts, "registered 0 high ALARM", "device-added 1 high ALARM", "device-added 2 high ALARM", "device-removed 3 high ALARM", "confirmed 4 low")
	if alerts[0].Baseline {
		t.Error("the account began while it was watched")
	}
	r.logs(r.phone.Reregister(true))
	r.logs(r.phone.Reregister(false))
	alerts, _ = r.pass(m)
	want(t, alerts, "re-registered 5 critical ALARM", "re-registered 6 critical ALARM")
	if !*alerts[0].Endorsed || *alerts[1].Endorsed {
		t.Errorf("endorsed %v, then %v: want true, then false", *alerts[0].Endorsed, *alerts[1].Endorsed)
	}
	if *alerts[1].Generation != 2 || alerts[1].Key != r.phone.Primary.Public().String() {
		t.Errorf("generation %d, key %s", *alerts[1].Generation, alerts[1].Key)
	}
	r.logs(r.phone.Erase())
	alerts, _ = r.pass(m)
	want(t, alerts, "erased 7 critical ALARM")
	if alerts[0].ErasedFrom != nil {
		t.Error("nothing was hidden from this monitor")
	}
	// Two events and the ERASE that hides them, between two passes.
	r.logs(r.phone.Reregister(false), r.phone.Add(), r.phone.Erase())
	alerts, _ = r.pass(m)
	want(t, alerts, "erased 10 critical ALARM")
	if alerts[0].ErasedFrom == nil || *alerts[0].ErasedFrom != 8 {
		t.Errorf("erased from %v, want 8", alerts[0].ErasedFrom)
	}
}

// What the owner expects is told and is no alarm; anything beside it is.
func TestApprovals(t *testing.T) {
	r := newRig(t)
	register, one, two := r.phone.Register(), r.phone.Add(), r.phone.Add()
	remove := r.phone.Remove(1)
	eventID := r.phone.At.Head.String()
	r.logs(register, one, two, remove, r.phone.Reregister(false))
	var err error
	r.approved, err = ParseApprovals("# what alice did\n\n" +
		"add " + r.phone.Companions[1].Public().String() + "\n" +
		"remove " + r.phone.Companions[2].Public().String() + "\n" + // expected, and did not happen
		eventID + "\n" + r.phone.Primary.Public().String() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	alerts, o := r.once()
	want(t, alerts, "registered 0 high ALARM", "device-added 1 high", "device-added 2 high ALARM", "device-removed 3 high", "re-registered 4 critical")
	if o.Alarms != 2 {
		t.Errorf("%d alarms, want 2", o.Alarms)
	}
	for _, bad := range []string{"add", "add x", "add " + eventID, "erase " + r.phone.Primary.Public().String(), "00", "add " + strings.Repeat("ff", 33), eventID + " " + eventID + " x"} {
		if _, err := ParseApprovals(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// died stands for kill -9: nothing after it runs.
type died struct{ at string }

// killer dies at one call of one kind, and counts them.
type killer struct {
	at   string
	left int
}

func (k *killer) step(at string) {
	if k.at != at {
		return
	}
	if k.left--; k.left == 0 {
		panic(died{at})
	}
}

type dyingWriter struct {
	k *killer
	w io.Writer
}

func (d dyingWriter) Write(b []byte) (int, error) {
	d.k.step("before print")
	n, err := d.w.Write(b)
	d.k.step("after print")
	return n, err
}

type dyingHook struct {
	k    *killer
	took *[]string
}

func (d dyingHook) Post(_ context.Context, id string, _ []byte) error {
	d.k.step("before post")
	*d.took = append(*d.took, id)
	d.k.step("after post")
	return nil
}

// Killed anywhere between fetch, alert and cursor: each event is printed and
// posted at least once, in order, and in the end the queue is empty.
func TestKilledAnywhere(t *testing.T) {
	points := []string{"before journal", "after journal", "before print", "after print", "before post", "after post"}
	for _, at := range points {
		for nth := 1; nth <= 8; nth++ {
			t.Run(fmt.Sprint(at, nth), func(t *testing.T) {
				r := newRig(t)
				r.logs(r.phone.Register(), r.phone.Add())
				k := &killer{at: at, left: nth}
				var took []string
				var printed bytes.Buffer
				run := func() (dead bool) {
					cfg := r.config()
					cfg.Out, cfg.Hook = dyingWriter{k, &printed}, dyingHook{k, &took}
					m, err := New(cfg)
					if err != nil {
						t.Fatal(err)
					}
					defer m.Close()
					m.replace = func(path string, data []byte) error {
						k.step("before journal")
						err := durable.Replace(path, data)
						k.step("after journal")
						return err
					}
					defer func() {
						if p := recover(); p != nil {
							if dead = p == (died{at}); !dead {
								panic(p)
							}
						}
					}()
					if _, err := m.Pass(context.Background()); err != nil {
						t.Fatal(err)
					}
					return false
				}
				deaths := 0
				for range 3 {
					if run() {
						deaths++
					}
				}
				r.logs(r.phone.Remove(1), r.phone.Reregister(false))
				for range 3 {
					if run() {
						deaths++
					}
				}
				if deaths > 1 {
					t.Fatalf("died %d times", deaths)
				}
				alerts := parse(t, printed.Bytes())
				once := alerts[:0:0]
				seen := map[string]bool{}
				for _, a := range alerts {
					if !seen[a.ID] {
						once = append(once, a)
					}
					seen[a.ID] = true
				}
				want(t, once, "registered 0 high ALARM", "device-added 1 high ALARM", "device-removed 2 high ALARM", "re-registered 3 critical ALARM")
				var posted []string
				for _, id := range took {
					if seen[id] {
						posted = append(posted, id)
					}
					seen[id] = false
				}
				if len(posted) != 4 || posted[0] != once[0].ID || posted[3] != once[3].ID {
					t.Errorf("posted %v", posted)
				}
			})
		}
	}
}

// A client's state that is newer than the last alert hides nothing: another
// command on the same folder may have been told of the re-registration.
func TestStateAheadOfTheCursor(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	r.once()
	r.logs(r.phone.Reregister(false))
	m := r.open()
	if _, err := m.client.Lookup(context.Background(), question(alice)); err != nil {
		t.Fatal(err)
	}
	alerts, _ := r.pass(m)
	want(t, alerts, "re-registered 1 critical ALARM")
}

// The journal remembers what a lost client state does not.
func TestJournalHoldsTheLogToWhatWasTold(t *testing.T) {
	r := newRig(t)
	fork := r.log.Fork()
	r.logs(r.phone.Register(), r.phone.Add())
	r.once()

	r.state = t.TempDir() + "/fresh"
	r.log = fork
	r.log.Seal()
	alerts, _ := r.once() // the account is gone
	want(t, alerts, "failure:history critical ALARM")

	other := liar.NewPhone(origin, alice, start+5)
	r.logs(other.Register(), other.Add())
	r.dir, r.state = again(t, r.dir), t.TempDir()+"/fresh"
	alerts, _ = r.once() // it has another past
	want(t, alerts, "failure:history critical ALARM")
}

// again is a copy of a monitor's folder without the troubles told.
func again(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "journal.json"))
	if err != nil {
		t.Fatal(err)
	}
	start := bytes.Index(data, []byte(`"troubles":{`))
	end := bytes.Index(data[start:], []byte("}}")) + start
	data = append(append(bytes.Clone(data[:start]), `"troubles":{`...), data[end+1:]...)
	fresh := t.TempDir()
	if err := os.WriteFile(filepath.Join(fresh, "journal.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return fresh
}

// An account that the log does not know may be a name that was mistyped: a
// monitor says so once, and watches it.
func TestUnknownAccount(t *testing.T) {
	r := newRig(t)
	r.logs()
	for range 2 {
		m := r.open()
		r.said.Reset()
		for range 2 {
			alerts, o := r.pass(m)
			want(t, alerts)
			if o.Failed || o.Unreachable {
				t.Errorf("outcome %+v", o)
			}
		}
		if said := r.said.String(); strings.Count(said, "knows no such account") != 1 || !strings.Contains(said, "account=alice") {
			t.Errorf("said %q, want one line about alice", said)
		}
		m.Close()
	}
	r.said.Reset()
	r.logs(r.phone.Register())
	alerts, _ := r.once()
	want(t, alerts, "registered 0 high ALARM")
	if said := r.said.String(); said != "" {
		t.Errorf("said %q of an account that is there", said)
	}
}

// A log that floods an account with events fills the queue no further than it
// may; the rest is told later, and failures still get in.
func TestFlood(t *testing.T) {
	r := newRig(t)
	var events [][]byte
	events = append(events, r.phone.Register())
	for len(events) < maxQueue {
		events = append(events, r.phone.Confirm())
	}
	r.logs(events...)
	working := false
	took := 0
	r.hook = hookFunc(func() error {
		if !working {
			return errors.New("no")
		}
		took++
		return nil
	})
	m := r.open()
	alerts, o := r.pass(m)
	if len(alerts) != maxQueue-reserve || o.Waiting != maxQueue-reserve {
		t.Fatalf("%d printed, %d wait", len(alerts), o.Waiting)
	}
	r.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	alerts, _ = r.pass(m)
	want(t, alerts, "failure:unreachable low")
	r.serve(nil)
	working = true
	r.late += time.Second
	for range 3 {
		r.pass(m)
	}
	if took != maxQueue+2 { // the failure and its end
		t.Errorf("the hook took %d alerts, want %d", took, maxQueue+2)
	}
}

func TestFolder(t *testing.T) {
	r := newRig(t)
	m := r.open()
	if _, err := New(r.config()); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("two monitors in one folder: %v", err)
	}
	r.pass(m)
	m.Close()
	path := filepath.Join(r.dir, "journal.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "{}", string(good[:len(good)-2]), string(good) + "x",
		strings.Replace(string(good), `"version":1`, `"version":2`, 1),
		strings.Replace(string(good), `"begun"`, `"gone"`, 1),
		strings.Replace(string(good), string(origin), "keys.example.org/log2", 1),
		`{"version":1,"origin":"` + string(origin) + `","accounts":{"alice":null},"queue":[]}`,
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := New(r.config()); err == nil {
			m.Close()
			t.Errorf("journal %q is taken", bad)
		}
	}
	if _, err := statefile.Open(r.state); err != nil {
		t.Fatal(err)
	}
}
