package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// credulous cosigns whatever it is asked to, once it is let.
type credulous struct {
	key *checkpoint.Cosigner
	up  atomic.Bool
}

func (c *credulous) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	_, raw, _ := bytes.Cut(body, []byte("\n\n"))
	note, err2 := checkpoint.Parse(raw)
	if err != nil || err2 != nil || r.URL.Path != "/add-checkpoint" || !c.up.Load() {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, c.key.Cosign(note.Text, uint64(time.Now().Unix())))
}

// public reads one of the log's public files.
func public(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// A server whose cosigner is not there comes up all the same, says what it
// waits for, and publishes once the cosigner is back.
func TestServeWaitsForCosigners(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "log")
	mustMuster(t, "init", "--dir", logs, "--origin", "example.org/log1")
	key, err := checkpoint.NewCosigner(checkpoint.Cosignature, "witness.example.org", liar.Seed("witness"))
	if err != nil {
		t.Fatal(err)
	}
	c := &credulous{key: key}
	cosigner := httptest.NewServer(c)
	t.Cleanup(cosigner.Close)
	vkey, err := os.ReadFile(filepath.Join(logs, "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(dir, "policy")
	write := func(witness string) {
		text := fmt.Sprintf("log %switness w1 %s\nquorum w1\n", vkey, witness)
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	write(key.Key().String())
	if s := muster(t, "serve", "--dir", logs, "--listen", "127.0.0.1:0", "--policy", policy); s.code != exitFailed || !strings.Contains(s.err, "no URL to ask w1") {
		t.Errorf("without a URL: exit code %d, %s", s.code, s.err)
	}
	write(key.Key().String() + " witness.example.org")
	if s := muster(t, "serve", "--dir", logs, "--listen", "127.0.0.1:0", "--policy", policy); s.code != exitFailed || !strings.Contains(s.err, "base URL") {
		t.Errorf("with a bad URL: exit code %d, %s", s.code, s.err)
	}

	write(key.Key().String() + " " + cosigner.URL)
	head := filepath.Join(logs, "signed-head")
	if err := os.Rename(head, head+".away"); err != nil {
		t.Fatal(err)
	}
	p := mustServe(t, logs, "--policy", policy)
	until(t, "it only serves reads", func(context.Context) bool { return strings.Contains(p.stderr(), "READ ONLY") })
	if strings.Contains(p.stderr(), "waiting for cosigners") {
		t.Errorf("a log that only serves reads waits for nobody:\n%s", p.stderr())
	}
	p.ends()
	if err := os.Rename(head+".away", head); err != nil {
		t.Fatal(err)
	}

	p = mustServe(t, logs, "--epoch", "5ms", "--heartbeat", "1h", "--policy", policy)
	if !strings.Contains(p.stderr(), "waiting for cosigners") {
		t.Errorf("it does not say what it waits for:\n%s", p.stderr())
	}
	if status, body := public(t, p.url+"/checkpoint"); status != http.StatusNotFound {
		t.Errorf("a checkpoint without its quorum: %d %s", status, body)
	}
	for _, path := range []string{"/tile/0/000.p/2", "/tile/entries/000.p/2"} {
		if status, body := public(t, p.url+path); status != http.StatusOK {
			t.Errorf("%s is not there for auditors: %d %s", path, status, body)
		}
	}
	c.up.Store(true)
	until(t, "the checkpoint is published", func(context.Context) bool {
		status, _ := public(t, p.url+"/checkpoint")
		return status == http.StatusOK
	})
	client := []string{"--log", p.url, "--policy", policy, "--state", filepath.Join(dir, "state")}
	mustMuster(t, append([]string{"register", "alice", "--keys", filepath.Join(dir, "keys")}, client...)...)
	s := mustMuster(t, append([]string{"devices", "alice", "--json"}, client...)...)
	if !strings.Contains(s.out, `"cosigners":["w1"]`) || !strings.Contains(s.out, `"unaudited"`) {
		t.Errorf("the client does not see the cosigner: %s", s.out)
	}
	_, before := public(t, p.url+"/checkpoint")
	if err := p.stop(); err != nil {
		t.Error(err)
	}

	// What was published is there at once when it starts again, in the same
	// bytes, with nobody to ask.
	c.up.Store(false)
	p = mustServe(t, logs, "--epoch", "5ms", "--heartbeat", "1h", "--policy", policy)
	if _, now := public(t, p.url+"/checkpoint"); now != before {
		t.Errorf("published\n%s then\n%s", before, now)
	}
	if strings.Contains(p.stderr(), "waiting for cosigners") {
		t.Errorf("it waits for what it has:\n%s", p.stderr())
	}
}

// Somebody else signed with this log's key: a cosigner shows it. The server
// signs nothing more, keeps a file that convicts the key, and serves reads until
// it is told to end.
func TestServeKeepsEvidence(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "log")
	mustMuster(t, "init", "--dir", logs, "--origin", "example.org/log1")
	signer, err := logDir(logs).signer()
	if err != nil {
		t.Fatal(err)
	}
	fork := signer.Sign(checkpoint.Checkpoint{Origin: "example.org/log1", Size: 2, Root: name.TreeRoot{1}})
	cosigner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Write(fork)
			return
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
	}))
	t.Cleanup(cosigner.Close)
	key, err := checkpoint.NewCosigner(checkpoint.Cosignature, "witness.example.org", liar.Seed("witness"))
	if err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(dir, "policy")
	text := fmt.Sprintf("log %s\nwitness w1 %s %s\nquorum w1\n", signer.Key(), key.Key(), cosigner.URL)
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := mustServe(t, logs, "--policy", policy)
	until(t, "it says that it only serves reads", func(context.Context) bool {
		return strings.Contains(p.stderr(), "muster: READ ONLY") && strings.Contains(p.stderr(), "two servers ran with this log's key")
	})
	if status, body := public(t, p.url+"/tile/entries/000.p/2"); status != http.StatusOK {
		t.Errorf("reads: %d %s", status, body)
	}
	s := said{code: p.ends(), err: p.stderr()}
	if s.code != exitRefuse {
		t.Errorf("exit code %d, %s", s.code, s.err)
	}
	files, err := filepath.Glob(filepath.Join(logs, "evidence", "*.evidence"))
	if err != nil || len(files) != 1 || !strings.Contains(s.err, files[0]) {
		t.Fatalf("evidence %v, said %s", files, s.err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	f, err := evidence.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Verify(signer.Key()); err != nil || f.Kind != evidence.E1 {
		t.Errorf("%s convicts nobody: %v", f.Kind, err)
	}
}
