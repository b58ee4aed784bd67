package monitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/statefile"
)

const (
	origin = name.Origin("keys.example.org/log1")
	start  = uint64(1_790_000_000_000)
	alice  = name.Identifier("alice")
)

// rig is a log that lies when told to, served over real HTTP, and a monitor's
// folders, which outlive each monitor.
type rig struct {
	t     *testing.T
	log   *liar.Log
	phone *liar.Phone
	url   string

	mu    sync.Mutex
	front http.HandlerFunc // answers before the log does; nil: the log

	dir, state string
	out, said  bytes.Buffer
	late       time.Duration // how much later than the log's newest epoch it is
	approved   *Approvals
	hook       Hook
	accounts   []name.Identifier
	scan       bool
	promised   []Promised
	policy     *checkpoint.Policy
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, log: liar.New(origin, start), dir: t.TempDir(), state: t.TempDir() + "/state", accounts: []name.Identifier{alice}}
	r.phone = liar.NewPhone(origin, alice, start)
	h, err := server.New(server.Config{Backend: backend{r}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		front := r.front
		r.mu.Unlock()
		if front != nil {
			io.Copy(io.Discard, q.Body) // else the server does not notice a client that goes
			front(w, q)
			return
		}
		h.ServeHTTP(w, q)
	}))
	t.Cleanup(s.Close)
	r.url = s.URL
	r.policy, err = checkpoint.ParsePolicy([]byte("log " + r.log.Signer.Key().String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// logs appends the phone's events, and closes the epoch.
func (r *rig) logs(events ...[]byte) {
	for _, e := range events {
		r.log.Append(r.phone.Account(), e)
	}
	r.log.Seal()
}

func (r *rig) serve(front http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.front = front
}

func (r *rig) now() time.Time {
	return time.UnixMilli(int64(r.log.TimeMs)).Add(time.Second + r.late)
}

func (r *rig) config() Config {
	r.t.Helper()
	states, err := statefile.Open(r.state)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := client.New(client.Config{URL: r.url})
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := Config{
		Verifier: &verifier.Verifier{Policy: r.policy}, Store: states, Source: c, Accounts: r.accounts, Dir: r.dir,
		Approved: r.approved, Out: &r.out, Hook: r.hook, Now: r.now, Timeout: 10 * time.Second,
		Files: c, Scan: r.scan, Promised: r.promised, Logger: slog.New(slog.NewTextHandler(&r.said, nil)),
	}
	return cfg
}

func (r *rig) open() *Monitor {
	r.t.Helper()
	m, err := New(r.config())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { m.Close() })
	return m
}

// pass is one pass of a monitor, and the lines that it printed.
func (r *rig) pass(m *Monitor) ([]Alert, Outcome) {
	r.t.Helper()
	r.out.Reset()
	o, err := m.Pass(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return parse(r.t, r.out.Bytes()), o
}

// once opens a monitor for one pass.
func (r *rig) once() ([]Alert, Outcome) {
	r.t.Helper()
	m, err := New(r.config())
	if err != nil {
		r.t.Fatal(err)
	}
	defer m.Close()
	return r.pass(m)
}

func parse(t *testing.T, lines []byte) (alerts []Alert) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(lines)); ; {
		d.DisallowUnknownFields()
		var a Alert
		if err := d.Decode(&a); errors.Is(err, io.EOF) {
			return alerts
		} else if err != nil {
			t.Fatal(err)
		}
		alerts = append(alerts, a)
	}
}

// want holds alerts against "kind check severity alarm", in order.
func want(t *testing.T, got []Alert, lines ...string) {
	t.Helper()
	var have []string
	for _, a := range got {
		word := string(a.Kind)
		if a.Check != "" {
			word += ":" + a.Check
		}
		if a.Seq != nil {
			word += fmt.Sprintf(" %d", *a.Seq)
		}
		word += " " + string(a.Severity)
		if a.Alarm {
			word += " ALARM"
		}
		have = append(have, word)
	}
	if fmt.Sprint(have) != fmt.Sprint(lines) {
		t.Errorf("alerts\n got %q\nwant %q", have, lines)
	}
}

// backend makes a liar servable. It lies where the liar does.
type backend struct{ r *rig }

func (b backend) Submit(_ context.Context, events [][]byte, _ answer.Want) []answer.Outcome {
	out := make([]answer.Outcome, len(events))
	for i := range out {
		out[i].Err = errors.New("this log takes nothing")
	}
	return out
}

func (b backend) Admit(events [][]byte) server.Batch {
	return server.Settled(b.Submit(context.Background(), events, answer.Want{}))
}

func (b backend) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	return b.r.log.Lookup(ctx, request)
}

func (b backend) Info() server.Info {
	return server.Info{Origin: b.r.log.Origin, LogKey: b.r.log.Signer.Key().String(), Genesis: b.r.log.Leaves[0], Size: uint64(len(b.r.log.Leaves))}
}

func (b backend) Checkpoint() []byte { return b.r.log.Note }

func (b backend) Tile(_ context.Context, level int, n uint64, width int) ([]byte, error) {
	var data []byte
	for i := range uint64(width) {
		at := n*tile.Full + i
		if (at+1)<<(8*level) > uint64(len(b.r.log.Leaves)) {
			return nil, server.ErrNotFound
		}
		h, err := b.r.log.Node(uint(8*level), at)
		if err != nil {
			return nil, err
		}
		data = append(data, h[:]...)
	}
	return data, nil
}

func (b backend) Entries(_ context.Context, n uint64, width int) ([]byte, error) {
	if n*tile.Full+uint64(width) > uint64(len(b.r.log.Leaves)) {
		return nil, server.ErrNotFound
	}
	var data []byte
	for _, l := range b.r.log.Leaves[n*tile.Full:][:width] {
		data = tile.AppendEntry(data, l)
	}
	return data, nil
}
