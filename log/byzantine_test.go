package log_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// byzantine is a cosigner with a key of the policy that does what its name
// says instead of cosigning.
type byzantine struct {
	name string
	do   func(b *bench, w http.ResponseWriter, r *http.Request)
}

// bench is what a byzantine cosigner has at hand.
type bench struct {
	key   *checkpoint.Cosigner
	now   int64
	text  string // of the checkpoint that it was asked for
	size  uint64
	asked int64
}

func (b *bench) line(text string, at int64) string {
	return b.key.Cosign(text, uint64(at)).String() + "\n"
}

func (b *bench) conflict(w http.ResponseWriter, contentType, body string) {
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	} else {
		w.Header()["Content-Type"] = nil
	}
	w.WriteHeader(http.StatusConflict)
	io.WriteString(w, body)
}

func hijack(w http.ResponseWriter) *net.TCPConn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	return conn.(*net.TCPConn)
}

// slowly writes a byte every now and then until the other side is gone.
func slowly(w io.Writer, r *http.Request, text string, pause time.Duration) {
	for i := range len(text) {
		if _, err := io.WriteString(w, text[i:i+1]); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(pause):
		}
	}
}

func endless(w http.ResponseWriter, chunk string) {
	for {
		if _, err := io.WriteString(w, chunk); err != nil {
			return
		}
	}
}

var byzantines = []byzantine{
	{"hangs", func(_ *bench, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	{"resets the connection", func(_ *bench, w http.ResponseWriter, _ *http.Request) {
		conn := hijack(w)
		conn.SetLinger(0)
		conn.Close()
	}},
	{"one byte a second of a good answer", func(b *bench, w http.ResponseWriter, r *http.Request) {
		slowly(w, r, b.line(b.text, b.now), time.Second)
	}},
	{"slow headers", func(_ *bench, w http.ResponseWriter, _ *http.Request) {
		conn := hijack(w)
		defer conn.Close()
		for _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\n")); err == nil; _, err = conn.Write([]byte("X: y\r\n")) {
			time.Sleep(100 * time.Millisecond)
		}
	}},
	{"early hints without end", func(_ *bench, w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.WriteHeader(http.StatusEarlyHints)
		}
	}},
	{"garbage", func(_ *bench, w http.ResponseWriter, _ *http.Request) {
		w.Write(bytes.Repeat([]byte{0xff, 0, '\n'}, 1000))
	}},
	{"HTML", func(_ *bench, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>It works!</html>\n") }},
	{"200 and nothing", func(*bench, http.ResponseWriter, *http.Request) {}},
	{"500 and a novel", func(_ *bench, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		endless(w, strings.Repeat("sorry ", 1000))
	}},
	{"ends in the middle", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10000")
		io.WriteString(w, b.line(b.text, b.now))
	}},
	{"an endless body of good lines", func(b *bench, w http.ResponseWriter, _ *http.Request) { endless(w, b.line(b.text, b.now)) }},
	{"a gzip bomb", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(bytes.Repeat([]byte(b.line(b.text, b.now)), 200_000))
		z.Close()
	}},
	{"a line under another key", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		other, err := checkpoint.NewCosigner(checkpoint.Cosignature, b.key.Key().Name, liar.Seed("another key"))
		if err != nil {
			panic(err)
		}
		l := other.Cosign(b.text, uint64(b.now))
		l.ID = b.key.Key().ID
		io.WriteString(w, l.String()+"\n")
	}},
	{"a line under an unknown key", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		other, err := checkpoint.NewCosigner(checkpoint.Cosignature, "stranger.example.org", liar.Seed("stranger"))
		if err != nil {
			panic(err)
		}
		io.WriteString(w, other.Cosign(b.text, uint64(b.now)).String()+"\n")
	}},
	{"a bad line, then a good one of the same key", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, b.line(strings.Replace(b.text, "\n", "x\n", 1), b.now)+b.line(b.text, b.now))
	}},
	{"a thousand bad lines", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat(b.line(strings.Replace(b.text, "\n", "x\n", 1), b.now), 1000))
	}},
	{"cosigns another root", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, b.line(checkpoint.Checkpoint{Origin: origin, Size: b.size, Root: name.TreeRoot{1}}.Text(), b.now))
	}},
	{"cosigns another size", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		c, _ := checkpoint.ParseText(b.text)
		c.Size--
		io.WriteString(w, b.line(c.Text(), b.now))
	}},
	{"cosigns another origin", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, b.line(strings.Replace(b.text, string(origin), "other.example/log", 1), b.now))
	}},
	{"time 0", func(b *bench, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, b.line(b.text, 0)) }},
	{"an hour ago", func(b *bench, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, b.line(b.text, b.now-3600)) }},
	{"in an hour", func(b *bench, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, b.line(b.text, b.now+3600)) }},
	{"the last second of time", func(b *bench, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, b.line(b.text, 1<<63-1)) }},
	{"409 with an absurd size", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		b.conflict(w, checkpoint.ConflictType, "9223372036854775807\n")
	}},
	{"409 with more than 63 bits", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		b.conflict(w, checkpoint.ConflictType, "18446744073709551616\n")
	}},
	{"409 with one leaf more", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		b.conflict(w, checkpoint.ConflictType, fmt.Sprintln(b.size+1))
	}},
	{"409 with another size each time", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		b.conflict(w, checkpoint.ConflictType, fmt.Sprintln(b.asked%int64(b.size)))
	}},
	{"409 with the same size each time", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		b.conflict(w, checkpoint.ConflictType, fmt.Sprintln(b.size))
	}},
	{"409 without content type", func(b *bench, w http.ResponseWriter, _ *http.Request) { b.conflict(w, "", "1\n") }},
	{"409 with parameters", func(b *bench, w http.ResponseWriter, _ *http.Request) {
		b.conflict(w, checkpoint.ConflictType+"; charset=utf-8", "1\n")
	}},
	{"409 with no line break", func(b *bench, w http.ResponseWriter, _ *http.Request) { b.conflict(w, checkpoint.ConflictType, "1") }},
	{"409 with a sign", func(b *bench, w http.ResponseWriter, _ *http.Request) { b.conflict(w, checkpoint.ConflictType, "+1\n") }},
	{"422 each time", func(_ *bench, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) }},
	{"redirects to itself", func(_ *bench, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	}},
	{"redirects to a good answer", func(b *bench, w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			io.WriteString(w, b.line(b.text, b.now))
			return
		}
		http.Redirect(w, r, r.URL.Path+"?1", http.StatusPermanentRedirect)
	}},
}

// byzantine starts one on a server of its own, and gives its line of a policy.
func (r *rig) byzantine(i int, z byzantine) (line string, asked *atomic.Int64) {
	policyName := fmt.Sprint("byzantine", i)
	key := cosigner(r.t, checkpoint.Cosignature, policyName)
	asked = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b := &bench{key: key, now: r.cfg.Now().Unix(), asked: asked.Add(1)}
		if q.Method == http.MethodPost {
			asked, err := readQuestion(q)
			if err != nil {
				r.t.Errorf("%s: the log asks wrongly: %v", z.name, err)
				return
			}
			b.text, b.size = asked.note.Text, asked.note.Size
		} else {
			b.text, b.size = checkpoint.Checkpoint{Origin: origin, Size: 1 << 40}.Text(), 1<<40 // at its monitoring endpoint it lies too
		}
		z.do(b, w, q)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r.servers = append(r.servers, server)
	r.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return fmt.Sprintf("witness %s %s %s\n", policyName, key.Key(), server.URL), asked
}

// counting sees to it that a cosigner has one question at most.
type counting struct {
	log.Cosigner
	now, most atomic.Int64
}

func (c *counting) AddCheckpoint(ctx context.Context, old uint64, proof []leaf.Hash, note []byte) ([]checkpoint.Line, error) {
	if n := c.now.Add(1); n > c.most.Load() {
		c.most.Store(n)
	}
	defer c.now.Add(-1)
	return c.Cosigner.AddCheckpoint(ctx, old, proof, note)
}

// None of 35 byzantine cosigners keeps the honest quorum from publishing, has
// a word in what is published, or costs anything in the long run.
func TestByzantineCosigners(t *testing.T) {
	r := makeRig(t)
	var lines, names string
	var honest []string
	for i := range 3 {
		w := r.witness(fmt.Sprint("honest", i), checkpoint.Cosignature)
		_, l := w.lines()
		lines, names, honest = lines+l, names+" "+w.name, append(honest, w.name)
	}
	asked := make([]*atomic.Int64, len(byzantines))
	for i, z := range byzantines {
		var l string
		l, asked[i] = r.byzantine(i, z)
		lines, names = lines+l, names+fmt.Sprint(" byzantine", i)
	}
	// Any three will do: if one of the byzantine counted, it would show.
	r.follow(lines + "group three 3" + names + "\nquorum three")
	r.cfg.CosignTimeout = 2 * time.Second
	logged := new(counter)
	r.cfg.Logger = slog.New(logged)
	counters := make(map[string]*counting)
	for u, c := range r.cfg.Cosigners {
		counters[u] = &counting{Cosigner: c}
		r.cfg.Cosigners[u] = counters[u]
	}
	goroutines, memory := runtime.NumGoroutine(), heap()

	r.open()
	p := r.phone("alice")
	const epochs = 8
	began := time.Now()
	for i := range epochs {
		body := p.Add
		if i == 0 {
			body = p.Register
		}
		started := time.Now()
		o := r.accepted(body())[0]
		took := time.Since(started)
		if limit := r.cfg.CosignTimeout + time.Second; took > limit {
			t.Errorf("event %d took %v, more than %v", i, took, limit)
		}
		if _, v := r.published(o.Position + 1); !slices.Equal(v.Cosigners, honest) {
			t.Errorf("event %d: published with %v, want the honest ones", i, v.Cosigners)
		}
	}
	t.Logf("%d epochs beside %d byzantine cosigners in %v", epochs, len(byzantines), time.Since(began))
	// Two more epochs after the slow ones' time-outs: they have their next turn.
	for range 2 {
		time.Sleep(r.cfg.CosignTimeout)
		r.accepted(p.Add())
	}
	for u, c := range counters {
		if n := c.most.Load(); n != 1 {
			t.Errorf("%s had %d questions at once", u, n)
		}
	}
	for i, n := range asked {
		if n := n.Load(); n < 2 || n > 200 {
			t.Errorf("%s was asked %d times", byzantines[i].name, n)
		}
	}
	if n := logged.warnings.Load(); n != int64(len(byzantines)) {
		t.Errorf("%d warnings, want one for each of %d byzantine cosigners", n, len(byzantines))
	}
	if err := r.stop(); err != nil {
		t.Fatalf("the log stopped with %v", err)
	}
	settled(t, goroutines, func() {
		// One idle connection a cosigner may be left, which is no leak; it may
		// also arrive late, when a dial ends after the question that began it.
		for _, s := range r.servers {
			s.CloseClientConnections()
		}
	})
	if now := heap(); now > memory+8<<20 {
		t.Errorf("%d bytes in use, %d before", now, memory)
	}
}

// counter counts warnings.
type counter struct{ warnings atomic.Int64 }

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }
func (c *counter) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *counter) WithGroup(string) slog.Handler            { return c }
func (c *counter) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		c.warnings.Add(1)
	}
	return nil
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// settled waits until there are at most so many goroutines, and does release
// while it waits.
func settled(t *testing.T, most int, release func()) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for release(); runtime.NumGoroutine() > most; release() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, want at most %d:\n%s", runtime.NumGoroutine(), most, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
}
