package monitor

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

func question(account name.Identifier) verifier.Question {
	return verifier.Question{Account: account.AccountID()}
}

// A failure is told when it begins, each Repeat while it lasts, and when it is over.
func TestFailureIsRepeatedNotSilenced(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	m := r.open()
	r.pass(m)
	honest := r.log.Fork()
	r.log.Leaves[2] = append([]byte{}, r.log.Leaves[1]...) // another past
	r.log.Sign()
	alerts, o := r.pass(m)
	want(t, alerts, "failure:split-view critical ALARM")
	if !o.Failed || o.Alarms != 1 {
		t.Errorf("outcome %+v", o)
	}
	first := alerts[0].ID
	data, err := os.ReadFile(alerts[0].Evidence)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := evidence.Parse(data); err != nil || !errors.As(evidence.Convict(r.policy.Log, f), new(*evidence.Misbehaviour)) {
		t.Errorf("the file convicts nobody: %v", err)
	}
	if alerts, _ = r.pass(m); len(alerts) > 0 {
		t.Errorf("told again at once: %v", alerts)
	}
	m.Close()
	m = r.open()
	r.late += DefaultRepeat
	m.cfg.Verifier.MaxAge = 24 * time.Hour // or it were stale first
	alerts, _ = r.pass(m)
	want(t, alerts, "failure:split-view critical ALARM")
	if alerts[0].ID == first {
		t.Error("a repetition under the old id: receivers would drop it")
	}
	r.log = honest
	alerts, _ = r.pass(m)
	want(t, alerts, "recovered:split-view low")
	alerts, _ = r.pass(m)
	want(t, alerts)
}

// A log that fails in one way and another by turns gets one line for each.
func TestFlappingIsNotNoise(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	m := r.open()
	r.pass(m)
	lines := 0
	for i := range 20 {
		if i%2 == 0 {
			r.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		} else {
			r.serve(nil)
		}
		alerts, _ := r.pass(m)
		lines += len(alerts)
	}
	if lines != 2 {
		t.Errorf("%d lines for a failure and its end, want 2", lines)
	}
}

// An outage becomes an alarm after max age, whatever kind of outage it is, and
// though the monitor was started anew meanwhile.
func TestStalled(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	behind := r.log.Fork()
	r.logs(r.phone.Add())
	r.once()
	at := r.log.TimeMs
	r.log = behind
	r.log.TimeMs = at
	alerts, o := r.once()
	// The client asks as one who has seen more: an honest server that is behind
	// cannot answer it.
	want(t, alerts, "failure:unreachable low")
	if o.Alarms != 0 || !o.Unreachable {
		t.Errorf("outcome %+v", o)
	}
	r.late = verifier.DefaultMaxAge
	alerts, _ = r.once()
	want(t, alerts, "failure:unreachable low", "stalled:unreachable high ALARM")
	alerts, _ = r.once()
	want(t, alerts)
	r.late += DefaultRepeat
	alerts, _ = r.once()
	want(t, alerts, "failure:unreachable low", "stalled:unreachable high ALARM")
}

// Going backwards, as a server that forgets who asks.
func TestRollbackBecomesAnAlarm(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	old := r.log.Fork()
	r.logs(r.phone.Add())
	r.once()
	m := r.open()
	m.client.Source = forgetful{old.Lookup}
	alerts, o := r.pass(m)
	want(t, alerts, "failure:rollback low")
	if !o.Failed {
		t.Errorf("outcome %+v", o)
	}
	m.cfg.Verifier.MaxAge = 2 * time.Hour
	r.late = 2 * time.Hour
	old.TimeMs = uint64(r.now().UnixMilli()) - 10
	old.Epochs--
	alerts, _ = r.pass(m)
	if len(alerts) == 0 || alerts[len(alerts)-1].Kind != Stalled {
		t.Errorf("after max age: %v", alerts)
	}
}

type forgetful struct {
	lookup func(context.Context, []byte) ([]byte, error)
}

func (f forgetful) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	r.Size = 0
	for i := range r.Asks {
		r.Asks[i].Seq = 0
	}
	return f.lookup(ctx, r.Bytes())
}

// Whatever a server does, the monitor says that something is wrong, and
// neither hangs nor falls over nor moves its cursor.
func TestHostileLog(t *testing.T) {
	write := func(body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.Write([]byte(body))
		}
	}
	const proto = "application/proto"
	behaviours := map[string]http.HandlerFunc{
		"HTML":          write("<html>hello</html>", "Content-Type", "text/html"),
		"HTML as proto": write("<html>hello</html>", "Content-Type", proto),
		"empty":         write("", "Content-Type", proto),
		"garbage":       write(strings.Repeat("\xff", 4096), "Content-Type", proto),
		"JSON":          write("{}", "Content-Type", "application/json"),
		"204":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"404":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"500":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"redirect": func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, q.URL.Path, http.StatusTemporaryRedirect)
		},
		"cut":            func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"empty answer":   write("\x0a\x00", "Content-Type", proto),
		"wrong answer":   write("\x0a\x04abcd", "Content-Type", proto),
		"wrong encoding": write("\x0a\x04abcd", "Content-Type", proto, "Content-Encoding", "gzip"),
		"long length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", proto)
			w.Header().Set("Content-Length", "1000000")
			w.Write([]byte("\x0a"))
		},
		"terminal codes": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(503)
			w.Write([]byte(`{"code":"unavailable","message":"\u001b[2J` + strings.Repeat("x", 100_000) + `"}`))
		},
		"bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", proto)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 64 {
				if _, err := z.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
			z.Close()
		},
		"endless": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", proto)
			for q.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
		"hang": func(_ http.ResponseWriter, q *http.Request) {
			io.Copy(io.Discard, q.Body) // before its end a server does not notice that the client went
			<-q.Context().Done()
		},
		"a byte at a time": func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", proto)
			for q.Context().Err() == nil {
				w.Write([]byte{0x0a})
				w.(http.Flusher).Flush()
				select {
				case <-q.Context().Done():
				case <-time.After(50 * time.Millisecond):
				}
			}
		},
	}
	for what, answers := range behaviours {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			r.logs(r.phone.Register())
			r.once()
			r.logs(r.phone.Add())
			r.serve(answers)
			m := r.open()
			if what == "hang" || what == "a byte at a time" {
				m.cfg.Timeout = 300 * time.Millisecond
			}
			alerts, o := r.pass(m)
			if len(alerts) != 1 || alerts[0].Kind != Failed || !o.Failed && !o.Unreachable {
				t.Fatalf("alerts %v, outcome %+v", alerts, o)
			}
			if len(alerts[0].Message) > maxMessage+8 || strings.ContainsRune(alerts[0].Message, '\x1b') {
				t.Errorf("message %q", alerts[0].Message)
			}
			t.Log(alerts[0].Check, alerts[0].Message)
			r.serve(nil)
			alerts, _ = r.pass(m)
			if len(alerts) != 2 || alerts[0].Kind != DeviceAdded || alerts[1].Kind != Recovered {
				t.Errorf("afterwards: %v", alerts)
			}
		})
	}
}
