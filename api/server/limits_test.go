package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterlog/muster/api/server"
	musterv1 "github.com/musterlog/muster/api/v1"
)

func address(url string) string { return strings.TrimPrefix(url, "http://") }

func dialRaw(t *testing.T, url string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Who sends a header that is too long, in one line or in many, is refused.
func TestHeaderFlood(t *testing.T) {
	url := serve(t, newFake(2))
	for what, header := range map[string]string{
		"100,000 lines":     strings.Repeat("a: b\r\n", 100_000),
		"a line of 1 MiB":   "a: " + strings.Repeat("b", 1<<20) + "\r\n",
		"100,000 cookies":   strings.Repeat("Cookie: a=b\r\n", 100_000),
		"a token of 64 KiB": "Authorization: Bearer " + strings.Repeat("b", 64<<10) + "\r\n",
	} {
		c := dialRaw(t, url)
		go fmt.Fprintf(c, "GET /checkpoint HTTP/1.1\r\nHost: log\r\n%s\r\n", header)
		expect431(t, what, c)
	}
	c := dialRaw(t, url)
	go fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: log\r\n\r\n", strings.Repeat("a", 1<<20))
	expect431(t, "a URL of 1 MiB", c)
}

func expect431(t *testing.T, what string, c net.Conn) {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return // the connection was cut
	}
	if r.Body.Close(); r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%s: status %d", what, r.StatusCode)
	}
}

// Connections that send their header byte by byte, or nothing, end after the
// header's time, and keep nobody else from being answered.
func TestSlowHeaders(t *testing.T) {
	if s := server.Server(nil); s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 10*time.Second || s.ReadTimeout <= 0 || s.IdleTimeout <= 0 || s.WriteTimeout <= 0 {
		t.Errorf("time-outs %v %v %v %v: want all, and 10 s at most for a header", s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout, s.WriteTimeout)
	}
	h, err := server.New(server.Config{Backend: newFake(2)})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = server.Server(h)
	s.Config.ReadHeaderTimeout = 300 * time.Millisecond
	s.Start()
	defer s.Close()
	var ended sync.WaitGroup
	for i := range 500 {
		c := dialRaw(t, s.URL)
		if i%2 == 0 {
			fmt.Fprint(c, "GET /checkpoint HTTP/1.1\r\nHo")
		}
		ended.Go(func() { io.Copy(io.Discard, c) })
	}
	if _, err := dial(t, s.URL).Checkpoint(t.Context()); err != nil {
		t.Errorf("meanwhile: %v", err)
	}
	ended.Wait()
}

// A body that unpacks to a gigabyte is not unpacked, in any protocol.
func TestGzipBomb(t *testing.T) {
	url := serve(t, newFake(2))
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.CopyN(z, new(endless), 64<<20)
	z.Close()
	enveloped := append(binary.BigEndian.AppendUint32([]byte{1}, uint32(bomb.Len())), bomb.Bytes()...)
	for _, c := range []struct {
		protocol, header string
		body             []byte
	}{
		{"application/json", "Content-Encoding", bomb.Bytes()},
		{"application/proto", "Content-Encoding", bomb.Bytes()},
		{"application/grpc", "Grpc-Encoding", enveloped},
		{"application/grpc-web", "Grpc-Encoding", enveloped},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+service+"Lookup", bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", c.protocol)
		r.Header.Set(c.header, "gzip")
		response, err := h2(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(response.Body)
		response.Body.Close()
		// 12 is unimplemented: a log that unpacked it would say what is too long.
		if !strings.Contains(string(said), "unimplemented") && response.Header.Get("Grpc-Status")+response.Trailer.Get("Grpc-Status") != "12" && !strings.Contains(string(said), "grpc-status: 12") {
			t.Errorf("%s: %s %q %v", c.protocol, response.Status, said, response.Header)
		}
	}
}

// A body that unpacks to a million empty events is not unpacked, in any protocol.
func TestEmptyEvents(t *testing.T) {
	url := serve(t, newFake(2))
	const many = 600_000
	binary, text := strings.Repeat("\x0a\x00", many), `{"events":["`+strings.Repeat(`","`, many)+`"]}`
	for _, c := range []struct{ kind, method, body string }{
		{"application/proto", "Submit", binary},
		{"application/json", "Submit", text},
		{"application/connect+proto", "SubmitStream", string(message(uint32(len(binary)), []byte(binary)))},
		{"application/connect+json", "SubmitStream", string(message(uint32(len(text)), []byte(text)))},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+service+c.method, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", c.kind)
		over := h2(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		response, err := over.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(response.Body)
		response.Body.Close()
		runtime.ReadMemStats(&after)
		if !strings.Contains(string(said), "events: want 1 to 1000") || !strings.Contains(string(said), "invalid_argument") {
			t.Errorf("%s: %s %q", c.kind, response.Status, said)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 12*musterv1.MaxRequest {
			t.Errorf("%s: %d bytes took %d", c.kind, len(c.body), took)
		}
	}
}

// One connection more than there may be waits until another one ends.
func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h, err := server.New(server.Config{Backend: newFake(2)})
	if err != nil {
		t.Fatal(err)
	}
	s := server.Server(h)
	var open, most atomic.Int64
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			most.Store(max(most.Load(), open.Add(1)))
		case http.StateClosed:
			open.Add(-1)
		}
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(server.LimitListener(inner, 3)) }()
	url := "http://" + inner.Addr().String()
	var idle []net.Conn
	for range 3 {
		idle = append(idle, dialRaw(t, url))
	}
	answered := make(chan error, 1)
	go func() { _, err := dial(t, url).Checkpoint(t.Context()); answered <- err }()
	for open.Load() < 3 {
		time.Sleep(time.Millisecond) // until it has accepted them
	}
	select {
	case err := <-answered:
		t.Fatalf("a fourth connection was served: %v", err)
	default:
	}
	idle[1].Close()
	if err := <-answered; err != nil {
		t.Errorf("after one had ended: %v", err)
	}
	if n := most.Load(); n > 3 {
		t.Errorf("%d connections at once", n)
	}
	s.Close() // also while Accept waits for a place
	if err := <-done; err != http.ErrServerClosed {
		t.Errorf("the server ended: %v", err)
	}
}

// A request more than there may be is sent away at once, and told when to come.
// A connection has half of all at most, and others the rest; one of each
// connection is answered always.
func TestRequestsAreBounded(t *testing.T) {
	f := newFake(300)
	release, began := make(chan struct{}), make(chan struct{}, server.MaxRequests)
	f.spoil = func(b []byte) []byte { began <- struct{}{}; <-release; return b }
	h, err := server.New(server.Config{Backend: f})
	if err != nil {
		t.Fatal(err)
	}
	get := func(connection int) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/tile/0/000", nil)
		r.RemoteAddr = fmt.Sprint("connection ", connection)
		h.ServeHTTP(w, r)
		return w
	}
	var running sync.WaitGroup
	fill := func(connection, requests int) {
		for range requests {
			running.Go(func() {
				if w := get(connection); w.Code != http.StatusOK {
					t.Errorf("one that there may be: %d", w.Code)
				}
			})
		}
		for range requests {
			<-began
		}
	}
	refused := func(connection int) {
		t.Helper()
		if w := get(connection); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || w.Body.Len() > 0 {
			t.Errorf("one more: %d %v %q", w.Code, w.Header(), w.Body)
		}
	}
	fill(0, server.MaxRequests/2)
	refused(0)
	for connection, left := 1, server.MaxRequests/2; left > 0; connection++ {
		n := (left + 1) / 2
		fill(connection, n)
		left -= n
	}
	refused(1)
	fill(100, 1) // the first of a connection
	refused(100)
	close(release)
	running.Wait()
	if w := get(0); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d", w.Code)
	}
}
