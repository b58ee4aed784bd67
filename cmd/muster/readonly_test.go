package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/verifier"
)

// ends asks the server to end, and gives its exit code.
func (p *process) ends() int {
	p.command.Process.Signal(syscall.SIGTERM)
	<-p.done
	return p.command.ProcessState.ExitCode()
}

// Files of the store that are damaged while the log runs stop its signing. What
// was read before is still served, and the process lives on until it is ended.
func TestServeStopsSigningWhenFilesAreDamaged(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "log")
	mustMuster(t, "init", "--dir", logs, "--origin", "example.org/log1")
	as := func(p *process, args ...string) []string {
		return append(args, "--log", p.url, "--policy", filepath.Join(logs, "policy"), "--state", filepath.Join(dir, "state"))
	}
	p := mustServe(t, logs, "--epoch", "5ms", "--heartbeat", "1h")
	mustMuster(t, as(p, "register", "alice", "--keys", filepath.Join(dir, "keys"))...)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = mustServe(t, logs, "--epoch", "5ms", "--heartbeat", "1h")
	_, before := public(t, p.url+"/checkpoint")
	files, err := filepath.Glob(filepath.Join(logs, "store", "pebble", "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files of the store: ", err)
	}
	for _, file := range files {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("damaged by a test"), 3)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	muster(t, as(p, "devices", "alice")...) // reads an account, which was not read since the start
	until(t, "it says that it only serves reads", func(context.Context) bool {
		return strings.Contains(p.stderr(), "muster: READ ONLY") && strings.Contains(p.stderr(), "muster fsck")
	})
	if s := muster(t, as(p, "register", "bob", "--keys", filepath.Join(dir, "keys"))...); s.code != exitFailed || !strings.Contains(s.err, "only serves reads") || strings.Contains(s.err, logs+"/store") {
		t.Errorf("an event was taken, or too much was told: %+v", s)
	}
	s := muster(t, "status", "--log", p.url)
	if s.code != exitOK || !strings.Contains(s.out, "READ ONLY") || !strings.Contains(s.out, "its store was found damaged") || strings.Contains(s.out, dir) {
		t.Errorf("status: %+v", s)
	}
	// What a client is told whose checkpoint has become too old meanwhile.
	source, err := client.New(client.Config{URL: p.url})
	if err != nil {
		t.Fatal(err)
	}
	for check, want := range map[verifier.Check]bool{verifier.CheckFreshness: true, verifier.CheckRules: false} {
		var said strings.Builder
		g := &globals{terminal: &terminal{err: &said}}
		g.explain(t.Context(), &reader{source: source}, &verifier.Failure{Check: check})
		if got := strings.Contains(said.String(), "signs nothing any more: its store was found damaged"); got != want {
			t.Errorf("after a failed check of %s: %q", check, &said)
		}
	}
	if status, now := public(t, p.url+"/checkpoint"); status != http.StatusOK || now != before {
		t.Errorf("the checkpoint: %d %s", status, now)
	}
	if code := p.ends(); code != exitFailed {
		t.Errorf("exit code %d\n%s", code, p.stderr())
	}
	// Started again it either refuses, or only serves reads.
	if s := muster(t, "fsck", "--dir", logs); s.code == exitOK {
		t.Errorf("fsck: %+v", s)
	}
}
