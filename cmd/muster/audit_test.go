package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/witness/follow/followtest"
)

// auditRig is a log in this process, and a folder for a real auditor.
type auditRig struct {
	*testing.T
	*liar.Log
	dir, url string
	handler  atomic.Pointer[http.Handler]
}

func newAuditRig(t *testing.T) *auditRig {
	r := &auditRig{T: t, Log: liar.New("example.org/audited", 1767225600000), dir: filepath.Join(t.TempDir(), "a")}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { (*r.handler.Load()).ServeHTTP(w, req) }))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// logs adds an event and an EPOCH whose map has it, or not; it shows both.
func (r *auditRig) logs(kept bool) {
	r.Helper()
	position := uint64(len(r.Leaves))
	e := &leaf.Event{Index: name.Index(liar.Seed("index", fmt.Sprint(position)))}
	r.Leaves = append(r.Leaves, e.Bytes())
	r.Keys++
	if kept {
		r.Map[e.Index] = liar.Entry{Value: prefix.Value(position, e.Commitment), Position: position}
	}
	r.Seal()
	f := followtest.New(r.Origin, r.Leaves...)
	f.Note = r.Note
	h, err := server.New(server.Config{Backend: f.Backend()})
	if err != nil {
		r.Fatal(err)
	}
	r.handler.Store(&h)
}

func (r *auditRig) args(more ...string) []string {
	return append([]string{"audit", "--dir", r.dir, "--log", r.url, "--vkey", r.Signer.Key().String()}, more...)
}

func exitCode(err error) int {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// TestAuditOnce: 0 for a log in order, 3 with evidence for one that is not, and
// 3 ever after.
func TestAuditOnce(t *testing.T) {
	r := newAuditRig(t)
	r.logs(true)
	r.logs(true)
	out, err := exec.Command(builtMuster, r.args("--once")...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "is in order: 6 leaves, 2 events, 3 epochs") {
		t.Fatalf("%v\n%s", err, out)
	}
	r.logs(false)
	for range 2 {
		out, err = exec.Command(builtMuster, r.args("--once")...).CombinedOutput()
		if exitCode(err) != exitRefuse || !strings.Contains(string(out), "broke a rule: EPOCH 3, at 7, has prefix root") || !strings.Contains(string(out), ".evidence") {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(r.dir, "evidence", "*.evidence")); len(kept) != 1 {
		t.Errorf("%d evidence files, want 1", len(kept))
	}
}

// TestAuditCosigns: the real auditor cosigns what it replayed, remembers across
// SIGKILL, and says on every channel that a log broke a rule.
func TestAuditCosigns(t *testing.T) {
	r := newAuditRig(t)
	r.logs(true)
	run := func() *process {
		t.Helper()
		p, err := startMuster(r.args("--listen", "127.0.0.1:0")...)
		if err == nil {
			err = p.await()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.kill)
		return p
	}
	ask := func(p *process, old uint64) (int, string) {
		t.Helper()
		f := followtest.New(r.Origin, r.Leaves...)
		hashes, err := answer.Consistency(old, f.Size(), f.Node)
		if err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf("old %d\n", old)
		for _, h := range hashes {
			body += base64.StdEncoding.EncodeToString(h[:]) + "\n"
		}
		resp, err := http.Post(p.url+"/add-checkpoint", "", strings.NewReader(body+"\n"+string(r.Note)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		said, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(said)
	}
	p := run()
	if code, said := ask(p, 0); code != 200 || !strings.Contains(said, "muster-auditor-") {
		t.Fatalf("%d %s", code, said)
	}
	old := uint64(len(r.Leaves))
	p.kill()
	p = run()
	r.logs(true)
	if code, said := ask(p, old); code != 200 {
		t.Fatalf("after SIGKILL: %d %s", code, said)
	}
	old = uint64(len(r.Leaves))
	r.logs(false)
	if code, said := ask(p, old); code != 503 || !strings.Contains(said, "broke a rule") {
		t.Errorf("%d %s", code, said)
	}
	if err := p.stop(); !strings.Contains(fmt.Sprint(err), "exit status 3") || !strings.Contains(p.stderr(), ".evidence") {
		t.Errorf("it stops with %v", err)
	}
	out, err := exec.Command(builtMuster, r.args("--listen", "127.0.0.1:0")...).CombinedOutput()
	if exitCode(err) != exitRefuse || !strings.Contains(string(out), "broke a rule") {
		t.Errorf("started again: %v\n%s", err, out)
	}
}
