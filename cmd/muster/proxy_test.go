package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

const (
	lookupPath = "/muster.v1.MusterService/Lookup"
	submitPath = "/muster.v1.MusterService/Submit"
)

// proxy stands between client and log; judge may change or replace what the
// log answers.
func proxy(t *testing.T, log string, judge func(*http.Response) error) string {
	t.Helper()
	target, err := url.Parse(log)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Accept-Encoding", "identity")
		},
		ModifyResponse: judge,
	})
	t.Cleanup(s.Close)
	return s.URL
}

// clientOf is the flags of a client with a state of its own.
func clientOf(t *testing.T, url, policy string) func(args ...string) []string {
	state := filepath.Join(t.TempDir(), "state")
	return func(args ...string) []string {
		return append(args, "--log", url, "--policy", policy, "--state", state)
	}
}

// TestFlippedByte: a man in the middle changes one byte of the answer, any
// byte. Every time the exit code is 3 and nothing is said on stdout.
func TestFlippedByte(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	server := mustServe(t, dir, "--init", "--origin", "example.org/log1", "--epoch", "5ms", "--heartbeat", "1h")
	policy := filepath.Join(dir, "policy")
	honest := clientOf(t, server.url, policy)
	mustMuster(t, honest("register", "alice")...)
	mustMuster(t, honest("link", "alice")...)

	var at, size atomic.Int64 // the byte to flip, and how many there were; -1: none
	liar := proxy(t, server.url, func(r *http.Response) error {
		if r.Request.URL.Path != lookupPath {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		// The answer is the one field of a LookupResponse.
		n, prefix := binary.Uvarint(body[1:])
		if answer := body[1+prefix:]; uint64(len(answer)) == n {
			size.Store(int64(n))
			if i := at.Load(); i >= 0 {
				answer[i] ^= 1 << (i % 8)
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return nil
	})
	at.Store(-1)
	mustMuster(t, clientOf(t, liar, policy)("verify", "alice")...)
	if size.Load() == 0 {
		t.Fatal("the proxy saw no answer")
	}
	for i := int64(0); i < size.Load(); i += 7 {
		at.Store(i)
		s := muster(t, clientOf(t, liar, policy)("verify", "alice")...)
		if s.code != exitRefuse || s.out != "" || !strings.HasPrefix(s.err, "muster: verification failed (") {
			t.Errorf("byte %d of %d flipped: exit code %d\n%s%s", i, size.Load(), s.code, s.out, s.err)
		}
	}
}

// TestPending: an event was signed, and then the log could not be reached. It
// is sent again, once, by whatever the agent is asked next; or taken back.
func TestPending(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	server := mustServe(t, dir, "--init", "--origin", "example.org/log1", "--epoch", "5ms", "--heartbeat", "1h")
	// Of a submission either nothing arrives, or all does and only the answer is lost.
	var cut, lost atomic.Bool
	target, err := url.Parse(server.url)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == submitPath && lost.Load() {
			through.ServeHTTP(httptest.NewRecorder(), r)
		}
		if r.URL.Path == submitPath && (cut.Load() || lost.Load()) {
			http.Error(w, "gateway timeout", http.StatusGatewayTimeout)
			return
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	agent := clientOf(t, s.URL, filepath.Join(dir, "policy"))
	step := func(code int, args, out, err string) {
		t.Helper()
		got := muster(t, agent(strings.Fields(args)...)...)
		if got.code != code || !strings.Contains(got.out, out) || !strings.Contains(got.err, err) {
			t.Fatalf("muster %s: exit code %d, want %d; want %q and %q in\n%s%s", args, got.code, code, out, err, got.out, got.err)
		}
	}

	cut.Store(true)
	step(exitFailed, "register alice", "", "run the command again")
	step(exitFailed, "register alice", "", "seq 0, may not have arrived")
	step(exitOK, "devices alice --json", `"status":"unknown"`, "")
	cut.Store(false)
	step(exitOK, "register alice", "REGISTER is in force at seq 0", "sending it again")

	cut.Store(true)
	step(exitFailed, "link alice", "", "muster confirm alice")
	cut.Store(false)
	step(exitOK, "link alice", "ADD_DEVICE is in force at seq 1", "sending it again")
	step(exitOK, "devices alice --json", `"seq":1,`, "")

	cut.Store(true)
	step(exitFailed, "unlink alice 1", "", "muster confirm alice")
	cut.Store(false)
	step(exitOK, "unlink alice 1", "REMOVE_DEVICE is in force at seq 2", "sending it again")

	// Another command sends what is pending first, and then does its own.
	cut.Store(true)
	step(exitFailed, "link alice", "", "")
	cut.Store(false)
	step(exitOK, "unlink alice 3", "REMOVE_DEVICE is in force at seq 4", "seq 3, may not have arrived")

	// It is taken back: what was signed can never be logged.
	cut.Store(true)
	step(exitFailed, "reregister alice", "", "muster confirm alice")
	cut.Store(false)
	step(exitOK, "confirm alice", "took back the REREGISTER that was pending at seq 5", "")
	step(exitOK, "devices alice --json", `"generation":0,"seq":5,`, "")

	// It arrived, only the answer was lost: nothing is done twice.
	lost.Store(true)
	step(exitFailed, "link alice", "", "muster confirm alice")
	lost.Store(false)
	step(exitOK, "link alice", "ADD_DEVICE is in force at seq 6", "arrived: it is in force at seq 6")
	step(exitOK, "devices alice --json", `"seq":6,`, "")
}
