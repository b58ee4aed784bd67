package witness_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness"
)

func (r *rig) serve() *httptest.Server {
	s := httptest.NewServer(r.Handler())
	r.Cleanup(s.Close)
	return s
}

// TestHandler: what goes over the wire, byte for byte where clients compare.
func TestHandler(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	s := r.serve()
	do := func(method, path, contentType, body string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		resp, err := http.DefaultTransport.RoundTrip(req) // follows nothing
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Cache-Control"); resp.StatusCode != http.StatusMethodNotAllowed && got != "no-store" && path != "/" {
			t.Errorf("%s %s: Cache-Control %q, want no-store", method, path, got)
		}
		return resp, string(b)
	}
	shown := "/" + witness.HashOf(l.origin) + "/checkpoint"

	if resp, _ := do("GET", shown, "", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("never cosigned: %d", resp.StatusCode)
	}
	for _, contentType := range []string{"", "application/json", "nonsense"} {
		resp, body := do("POST", "/add-checkpoint", contentType, l.body(0, 5))
		if resp.StatusCode == http.StatusOK {
			r.times(&witness.Answer{Body: []byte(body)}, l.text(5), both...)
			continue
		}
		if resp.StatusCode != http.StatusConflict || body != "5\n" {
			t.Errorf("Content-Type %q: %d %q", contentType, resp.StatusCode, body)
		}
		if got := resp.Header["Content-Type"]; len(got) != 1 || got[0] != "text/x.tlog.size" {
			t.Errorf("Content-Type of 409: %q", got)
		}
	}
	resp, body := do("GET", shown, "", "")
	note, err := checkpoint.Parse([]byte(body))
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("%s: %d %q, %v", shown, resp.StatusCode, body, err)
	}
	// A policy with this witness accepts it: it is a whole cosigned checkpoint.
	policy, err := checkpoint.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness a %s\nwitness b %s\ngroup both all a b\nquorum both\n",
		l.vkey(), cosigner(checkpoint.Cosignature).Key(), cosigner(checkpoint.MLDSA44).Key()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Verify(note, r.now, time.Minute); err != nil {
		t.Errorf("what is shown: %v", err)
	}
	if resp, body := do("HEAD", shown, "", ""); resp.StatusCode != http.StatusOK || body != "" {
		t.Errorf("HEAD: %d %q", resp.StatusCode, body)
	}

	for path, method := range map[string]string{"/add-checkpoint": "POST", shown: "GET, HEAD"} {
		for _, m := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
			if strings.Contains(method, m) {
				continue
			}
			if resp, _ := do(m, path, "", l.body(5, 9)); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != method {
				t.Errorf("%s %s: %d, Allow %q", m, path, resp.StatusCode, resp.Header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{
		"/" + strings.ToUpper(witness.HashOf(l.origin)) + "/checkpoint",
		"/" + witness.HashOf("example.org/unknown") + "/checkpoint",
		"/origins/checkpoint", "/LOCK/checkpoint", "/..%2fwitness.key/checkpoint",
	} {
		if resp, body := do("GET", path, "", ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
	for _, c := range []struct {
		body   string
		status int
	}{
		{"", 400}, {newLog("example.org/unknown").body(0, 0), 404}, {request(5, "", l.text(9)+"\n— x AAAAAAAA\n"), 403},
		{request(5, "", l.note(9)), 422}, {strings.Repeat("x", witness.MaxBody), 400}, {strings.Repeat("x", witness.MaxBody+1), 413},
	} {
		if resp, body := do("POST", "/add-checkpoint", "", c.body); resp.StatusCode != c.status {
			t.Errorf("%.40q: %d %q, want %d", c.body, resp.StatusCode, body, c.status)
		}
	}
	if a := r.add(strings.Repeat("x", witness.MaxBody+1)); a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("without HTTP: %d", a.Status)
	}
	// The largest body that can be meant is read.
	long := l.text(5) + strings.Repeat("x", 1<<16-1-len(l.text(5))-len(l.line(""))-2) + "\n"
	body = request("9223372036854775807", strings.Repeat(zeroHash+"\n", 63), l.sign(long))
	if len(body) != witness.MaxBody {
		t.Fatalf("a body of %d bytes, want %d", len(body), witness.MaxBody)
	}
	if resp, answer := do("POST", "/add-checkpoint", "", body); resp.StatusCode != http.StatusBadRequest || !strings.HasPrefix(answer, "old size") {
		t.Errorf("the largest body: %d %q", resp.StatusCode, answer)
	}
	if resp, _ := do("POST", "/add-checkpoint", "", l.body(5, 9)); resp.StatusCode != http.StatusOK {
		t.Errorf("after all this: %d", resp.StatusCode)
	}
}

// TestRetryAfter: a log that comes too early is told when to ask again.
func TestRetryAfter(t *testing.T) {
	rec := httptest.NewRecorder()
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	r.cfg.Check = func(context.Context, checkpoint.Foreign, []byte) error { return witness.ErrBehind }
	r.restart()
	r.Handler().ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", strings.NewReader(l.body(0, 5))))
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %q", rec.Code, rec.Header().Get("Retry-After"))
	}
}

// TestSlowBody: a body that never ends is given up, and its connection too.
func TestSlowBody(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	r.SetBodyTime(50 * time.Millisecond)
	s := r.serve()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 500\r\n\r\nold 0\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("%v, %v; want 408", resp, err)
	}
	io.Copy(io.Discard, resp.Body)
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after it: %v, want the end of the connection", err)
	}
}

// TestSameConnection: logs keep their connection, also after a refusal.
func TestSameConnection(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	r.SetBodyTime(time.Minute)
	s := r.serve()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(c)
	for _, step := range []struct {
		body   string
		status int
	}{{l.body(3, 5), 409}, {l.body(0, 3), 200}, {"x", 400}, {l.body(3, 5), 200}} {
		fmt.Fprintf(c, "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n%s", len(step.body), step.body)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != step.status {
			t.Fatalf("%v, %v; want %d", resp, err, step.status)
		}
		io.Copy(io.Discard, resp.Body)
	}
}
