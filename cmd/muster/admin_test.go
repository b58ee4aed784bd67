package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
)

var adminAt = regexp.MustCompile(`muster: admin on http://(\S+)`)

// adminURL is where a server says that its operator finds it.
func adminURL(t *testing.T, p *process) string {
	t.Helper()
	m := adminAt.FindStringSubmatch(p.stderr())
	if m == nil {
		t.Fatalf("no admin in:\n%s", p.stderr())
	}
	return "http://" + m[1]
}

func statusOf(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

var adminPaths = []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"}

// What is for the operator is on the operator's address, and not on the public
// one.
func TestAdmin(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	p := mustServe(t, dir, "--init", "--origin", "example.org/log1", "--admin", ":0")
	admin := adminURL(t, p)
	if !strings.HasPrefix(admin, "http://127.0.0.1:") {
		t.Errorf("an address without a host is %s", admin)
	}
	mustMuster(t, "register", "alice-of-the-canary", "--log", p.url, "--policy", filepath.Join(dir, "policy"), "--state", filepath.Join(t.TempDir(), "state"))
	for _, path := range adminPaths {
		if status, _ := statusOf(t, admin+path); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		if status, _ := statusOf(t, p.url+path); status != http.StatusNotFound {
			t.Errorf("the public address answers %s with %d", path, status)
		}
	}
	_, text := statusOf(t, admin+"/metrics")
	for _, want := range []string{
		"\nmuster_events_sealed_total 1\n", "\nmuster_events_waiting 0\n", "\nmuster_read_only 0\n", "\nmuster_published_size 4\n", "\nmuster_published_epoch 1\n",
		"\nmuster_published_time_seconds 1", "\nmuster_epoch_seal_seconds_count 1\n", "\nprocess_resident_memory_bytes ", "\ngo_goroutines ",
		`muster_request_seconds_count{endpoint="Submit",outcome="ok"} 1`, `muster_request_seconds_count{endpoint="Lookup",outcome="ok"}`,
		`muster_build_info{version="`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	if strings.Contains(text, "canary") {
		t.Error("the metrics name an account")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Where others reach it, profiles are left out.
func TestAdminForOthers(t *testing.T) {
	p := mustServe(t, filepath.Join(t.TempDir(), "log"), "--init", "--origin", "example.org/log1", "--admin", "0.0.0.0:0")
	admin := adminURL(t, p)
	admin = "http://127.0.0.1" + admin[strings.LastIndex(admin, ":"):]
	for _, path := range adminPaths {
		status, _ := statusOf(t, admin+path)
		if want := !strings.HasPrefix(path, "/debug"); (status == http.StatusOK) != want {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// A log that publishes nothing lives, and is not ready.
func TestNotReady(t *testing.T) {
	dir, policy := logWithDeadCosigner(t)
	p := mustServe(t, dir, "--policy", policy, "--admin", "127.0.0.1:0")
	admin := adminURL(t, p)
	if status, _ := statusOf(t, admin+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	if status, said := statusOf(t, admin+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(said, "quorum") {
		t.Errorf("/readyz: %d %q", status, said)
	}
	until(t, "the cosigner's failure is counted", func(ctx context.Context) bool {
		_, text := statusOf(t, admin+"/metrics")
		return strings.Contains(text, `outcome="failed"`) && strings.Contains(text, "muster_cosigner_answers_total")
	})
}

// logWithDeadCosigner is a log's folder, and a policy with a cosigner that
// nobody runs.
func logWithDeadCosigner(t *testing.T) (dir, policy string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "log")
	mustMuster(t, "init", "--dir", dir, "--origin", "example.org/log1")
	key, err := checkpoint.NewCosigner(checkpoint.Cosignature, "w1.example.net", newSeed())
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := os.ReadFile(filepath.Join(dir, "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	policy = filepath.Join(t.TempDir(), "policy")
	text := fmt.Sprintf("log %switness w1 %s http://127.0.0.1:1\nquorum w1\n", vkey, key.Key())
	return dir, policyFile(t, policy, text)
}

func policyFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
