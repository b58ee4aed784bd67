package client_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/musterlog/muster/api/client"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/log/answer"
)

// against is a client of a server that does what a test says.
func against(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := client.New(client.Config{URL: s.URL + "/", HTTP: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNew(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8650", "/checkpoint", "ftp://log", "http://", "http://log?x=1", "http://log?", "http://log#x", "http://lo g", "http://me:secret@log", "unix:///run/log"} {
		if _, err := client.New(client.Config{URL: url}); err == nil {
			t.Errorf("%q was taken for a log's URL", url)
		}
	}
	for _, url := range []string{"http://127.0.0.1:8650", "https://keys.example.org/log1", "http://[::1]:8650/"} {
		if _, err := client.New(client.Config{URL: url}); err != nil {
			t.Error(err)
		}
	}
}

func TestBasePathAndUserAgent(t *testing.T) {
	asked := make(chan string, 2)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path + " " + r.UserAgent()
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	c, err := client.New(client.Config{URL: s.URL + "/base//", HTTP: s.Client(), UserAgent: "monitor/7"})
	if err != nil {
		t.Fatal(err)
	}
	_, checkpoint := c.Checkpoint(t.Context())
	_, info := c.Info(t.Context())
	if checkpoint == nil || info == nil {
		t.Error("404 was no error")
	}
	for _, want := range []string{"/base/checkpoint monitor/7", "/base/muster.v1.MusterService/Info monitor/7"} {
		if got := <-asked; got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
}

// TestErrorsSayWhatToDo: each way a call fails, and what a person reads then.
func TestErrorsSayWhatToDo(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()
	nobody, err := client.New(client.Config{URL: closed})
	if err != nil {
		t.Fatal(err)
	}
	answer := func(status int, contentType, body string) *client.Client {
		return against(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			w.Write([]byte(body))
		})
	}
	for _, c := range []struct {
		name string
		c    *client.Client
		want []string
	}{
		{"nobody listens", nobody, []string{"cannot reach the log at " + closed, "is `muster serve` running?"}},
		{"another web server", answer(404, "text/html", "<html>"), []string{"no muster log answers", "base URL"}},
		{"a page for everything", answer(200, "text/html", "<html>"), []string{"text/html"}},
		{"refused", answer(400, "application/json", `{"code":"invalid_argument","message":"200 accounts at most"}`), []string{"refuses the request: 200 accounts at most"}},
		{"not now", answer(503, "application/json", `{"code":"unavailable","message":"this server is behind"}`), []string{"this server is behind", "try again"}},
		{"a proxy's 503", answer(503, "text/html", `<html>`), []string{"cannot answer now", "try again"}},
		{"hostile words", answer(400, "application/json", `{"code":"invalid_argument","message":"\u001b[2Jgone\n`+strings.Repeat("x", 5000)+`"}`), []string{"�[2Jgone�x"}},
		{"no protobuf", answer(200, "application/proto", "\xff\xff"), []string{"looking up"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.c.Lookup(t.Context(), []byte("x"))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if len(err.Error()) > 1500 || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("unfit to print: %.2000q", err)
			}
		})
	}
	t.Run("the code stays", func(t *testing.T) {
		_, err := answer(503, "application/json", `{"code":"unavailable"}`).Lookup(t.Context(), nil)
		if connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("code %v of %v, want unavailable", connect.CodeOf(err), err)
		}
	})
	t.Run("files", func(t *testing.T) {
		if _, err := nobody.Checkpoint(t.Context()); err == nil || !strings.Contains(err.Error(), "is `muster serve` running?") {
			t.Errorf("got %v", err)
		}
		if _, err := answer(404, "text/html", "").Tile(t.Context(), 0, 0, 1); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		if _, err := answer(500, "text/html", "").Checkpoint(t.Context()); err == nil || errors.Is(err, client.ErrNotFound) || !strings.Contains(err.Error(), "500") {
			t.Errorf("got %v, want the status", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := nobody.Lookup(ctx, nil); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "muster serve") {
			t.Errorf("got %v, want canceled", err)
		}
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed to %s", r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := against(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
		})
		_, looked := c.Lookup(t.Context(), []byte("x"))
		_, read := c.Checkpoint(t.Context())
		for _, err := range []error{looked, read} {
			if err == nil || !strings.Contains(err.Error(), elsewhere.URL) {
				t.Errorf("%d: got %v, want the place it redirects to", status, err)
			}
		}
	}
}

// TestReadsAreBounded: a server that never stops costs a bounded read.
func TestReadsAreBounded(t *testing.T) {
	var written atomic.Int64
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/muster.v1") {
			w.Header().Set("Content-Type", "application/proto")
			w.Write(binary.AppendUvarint([]byte{0x0a}, 64<<20)) // a LookupResponse with an answer of 64 MiB
		}
		chunk := make([]byte, 1<<20)
		for range 64 {
			n, err := w.Write(chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	for name, read := range map[string]func() ([]byte, error){
		"checkpoint":     func() ([]byte, error) { return c.Checkpoint(t.Context()) },
		"tile":           func() ([]byte, error) { return c.Tile(t.Context(), 0, 0, 256) },
		"partial tile":   func() ([]byte, error) { return c.Tile(t.Context(), 0, 0, 1) },
		"entries":        func() ([]byte, error) { return c.Entries(t.Context(), 0, 256) },
		"partial bundle": func() ([]byte, error) { return c.Entries(t.Context(), 0, 1) },
		"answer":         func() ([]byte, error) { return c.Lookup(t.Context(), nil) },
	} {
		written.Store(0)
		if data, err := read(); err == nil {
			t.Errorf("%s: took %d bytes", name, len(data))
		}
		// The largest bundle and what lies in socket buffers.
		if n := written.Load(); name != "answer" && n > 40<<20 {
			t.Errorf("%s: the server could send %d bytes", name, n)
		}
	}
}

func TestFilesOfWrongForm(t *testing.T) {
	for name, body := range map[string][]byte{"empty": nil, "short": make([]byte, 63), "long": make([]byte, 65), "page": []byte("<html>")} {
		c := against(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(body) })
		if _, err := c.Tile(t.Context(), 0, 0, 2); err == nil {
			t.Errorf("%s: a tile of %d bytes was taken", name, len(body))
		}
		if _, err := c.Entries(t.Context(), 0, 2); err == nil {
			t.Errorf("%s: a bundle of %d bytes was taken", name, len(body))
		}
	}
	c := against(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) })
	for _, bad := range []struct {
		level int
		n     uint64
		width int
	}{{-1, 0, 1}, {64, 0, 1}, {0, 1 << 55, 1}, {0, 0, 0}, {0, 0, 257}} {
		if _, err := c.Tile(t.Context(), bad.level, bad.n, bad.width); err == nil {
			t.Errorf("tile %+v was asked for", bad)
		}
	}
}

// TestSubmitDoubtsTheServer: results that cannot be are errors, not outcomes.
func TestSubmitDoubtsTheServer(t *testing.T) {
	accepted := func(id []byte) *musterv1.SubmitResult {
		return &musterv1.SubmitResult{Result: &musterv1.SubmitResult_Accepted{Accepted: &musterv1.Accepted{EventId: id, Position: proto.Uint64(2)}}}
	}
	good := accepted(make([]byte, 32))
	for _, c := range []struct {
		name    string
		results []*musterv1.SubmitResult
		good    bool
	}{
		{"good", []*musterv1.SubmitResult{good, good}, true},
		{"none", nil, false},
		{"a promise", []*musterv1.SubmitResult{good, {Result: &musterv1.SubmitResult_Accepted{Accepted: &musterv1.Accepted{EventId: make([]byte, 32)}}}}, false},
		{"too few", []*musterv1.SubmitResult{good}, false},
		{"too many", []*musterv1.SubmitResult{good, good, good}, false},
		{"without content", []*musterv1.SubmitResult{good, {}}, false},
		{"short event_id", []*musterv1.SubmitResult{accepted(make([]byte, 31)), good}, false},
		{"no event_id", []*musterv1.SubmitResult{accepted(nil), good}, false},
		{"unknown role", []*musterv1.SubmitResult{good, {Result: &musterv1.SubmitResult_Refused{Refused: &musterv1.Refused{Role: 256}}}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := proto.Marshal(&musterv1.SubmitResponse{Results: c.results})
			if err != nil {
				t.Fatal(err)
			}
			cl := against(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/proto")
				w.Write(body)
			})
			outcomes, err := cl.Submit(t.Context(), [][]byte{{1}, {2}}, answer.Want{})
			if (err == nil) != c.good {
				t.Errorf("got %v, %v; want good = %v", outcomes, err, c.good)
			}
		})
	}
	never := against(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) })
	for _, n := range []int{0, musterv1.MaxEvents + 1} {
		if _, err := never.Submit(t.Context(), make([][]byte, n), answer.Want{}); err == nil {
			t.Errorf("%d events were sent", n)
		}
	}
}

func TestRefusalIsFitToPrint(t *testing.T) {
	response := &musterv1.SubmitResponse{Results: []*musterv1.SubmitResult{
		{Result: &musterv1.SubmitResult_Refused{Refused: &musterv1.Refused{Rule: "seq\a", Message: "\x1b]0;x", Head: []byte{0, 27}}}},
		{Result: &musterv1.SubmitResult_Unavailable{Unavailable: &musterv1.Unavailable{Message: "\x1b[2J"}}},
	}}
	raw, err := proto.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	c := against(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/proto")
		w.Write(raw)
	})
	outcomes, err := c.Submit(t.Context(), [][]byte{{1}, {2}}, answer.Want{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{outcomes[0].Refused, outcomes[1].Err} {
		if strings.ContainsAny(err.Error(), "\x1b\x07") {
			t.Errorf("unfit to print: %q", err)
		}
	}
	if !bytes.Equal(outcomes[0].Refused.Head, []byte{0, 27}) {
		t.Errorf("head %x was changed", outcomes[0].Refused.Head)
	}
}
