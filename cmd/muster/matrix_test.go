package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pebbledb "github.com/cockroachdb/pebble/v2"
)

// A folder in which something is wrong, as copying, restoring and mistyping
// leave it: the real server refuses it, or serves reads and signs nothing, and
// says why and what next.

// copyDir copies a log's folder as an operator does.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copying %s: %v %s", from, err, out)
	}
}

// grown is a log's folder whose log was served and stopped, with some epochs.
func grown(t *testing.T, dir, origin string, args ...string) string {
	t.Helper()
	mustMuster(t, "init", "--dir", dir, "--origin", origin)
	grow(t, dir, "first", args...)
	return dir
}

func grow(t *testing.T, dir, account string, args ...string) {
	t.Helper()
	p := mustServe(t, dir, append([]string{"--epoch", "5ms", "--heartbeat", "1h"}, args...)...)
	until(t, "it has published", func(context.Context) bool { status, _ := public(t, p.url+"/checkpoint"); return status == 200 })
	register(t, dir, p, account)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
}

func register(t *testing.T, dir string, p *process, account string) {
	t.Helper()
	mustMuster(t, "register", account, "--log", p.url, "--policy", filepath.Join(dir, "policy"), "--state", filepath.Join(t.TempDir(), "state"), "--keys", filepath.Join(t.TempDir(), "keys"))
}

func replaceFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestServeRefusesWhatDoesNotBelongTogether(t *testing.T) {
	dir := t.TempDir()
	good := grown(t, filepath.Join(dir, "good"), "example.org/log1")
	other := grown(t, filepath.Join(dir, "other"), "example.org/log2")
	same := grown(t, filepath.Join(dir, "same"), "example.org/log1")
	from := func(log, file string) func(string) {
		return func(d string) { replaceFile(t, filepath.Join(log, file), filepath.Join(d, file)) }
	}
	for what, c := range map[string]struct {
		spoil func(dir string)
		want  string
	}{
		"the key of another log":             {from(other, "log.key"), "the store is of log \"example.org/log1\", not of \"example.org/log2\""},
		"another key of the same name":       {from(same, "log.key"), "was not signed by this log key"},
		"another VRF key":                    {from(other, "vrf.key"), "with another key no account would be found again"},
		"the signed head of another log":     {from(other, "signed-head"), "a file of another log is in its place"},
		"a signed head by another key":       {from(same, "signed-head"), "was not signed by this log key"},
		"no store":                           {func(d string) { os.RemoveAll(filepath.Join(d, "store")) }, "there is no store"},
		"a store that a newer program wrote": {func(d string) { setLayout(t, d, "muster store 99") }, "use the program that wrote it"},
		"the store of another log":           {func(d string) { os.RemoveAll(filepath.Join(d, "store")); copyDir(t, filepath.Join(other, "store"), d) }, "the store is of log \"example.org/log2\""},
		"a signed head that is cut short":    {func(d string) { os.WriteFile(filepath.Join(d, "signed-head"), []byte("example.org/log1\n4\n"), 0o600) }, "reading the signed head"},
	} {
		t.Run(what, func(t *testing.T) {
			d := filepath.Join(t.TempDir(), "log")
			copyDir(t, good, d)
			c.spoil(d)
			if s := muster(t, "serve", "--dir", d, "--listen", "127.0.0.1:0"); s.code != exitFailed || !strings.Contains(s.err, c.want) {
				t.Errorf("exit code %d, %s\nwant %q", s.code, s.err, c.want)
			}
		})
	}
}

// quiet is a Pebble logger that says nothing but what it dies of.
type quiet struct{ t *testing.T }

func (quiet) Infof(string, ...any)                {}
func (quiet) Errorf(string, ...any)               {}
func (q quiet) Fatalf(format string, args ...any) { q.t.Fatalf(format, args...) }

func setLayout(t *testing.T, dir, layout string) {
	t.Helper()
	db, err := pebbledb.Open(filepath.Join(dir, "store", "pebble"), &pebbledb.Options{FormatMajorVersion: pebbledb.FormatNewest, Logger: quiet{t}})
	if err == nil {
		err = db.Set([]byte("v"), []byte(layout), pebbledb.Sync)
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// onlyReads checks that a server signs nothing, says why, and answers.
func onlyReads(t *testing.T, dir, want string, args ...string) {
	t.Helper()
	head, _ := os.ReadFile(filepath.Join(dir, "signed-head"))
	p := mustServe(t, dir, append([]string{"--epoch", "5ms", "--heartbeat", "10ms", "--admin", ":0"}, args...)...)
	until(t, "it says that it only serves reads", func(context.Context) bool { return strings.Contains(p.stderr(), "READ ONLY") })
	if !strings.Contains(p.stderr(), want) {
		t.Errorf("it says %s\nwant %q", p.stderr(), want)
	}
	if status, body := public(t, p.url+"/checkpoint"); status != 200 {
		t.Errorf("no reads: %d %s", status, body)
	}
	if _, text := statusOf(t, adminURL(t, p)+"/metrics"); !strings.Contains(text, "\nmuster_read_only 1\n") {
		t.Error("the metrics do not say it")
	}
	if s := muster(t, "register", "late", "--log", p.url, "--policy", filepath.Join(dir, "policy"), "--state", filepath.Join(t.TempDir(), "state"), "--keys", filepath.Join(t.TempDir(), "keys")); s.code == exitOK {
		t.Error("an event was taken")
	}
	if code := p.ends(); code == exitOK {
		t.Error("it ends as if all were well")
	}
	if now, _ := os.ReadFile(filepath.Join(dir, "signed-head")); string(now) != string(head) {
		t.Error("something was signed")
	}
}

func TestServeOnlyReadsWhatIsBehind(t *testing.T) {
	dir := t.TempDir()
	log := grown(t, filepath.Join(dir, "log"), "example.org/log1")
	backup := filepath.Join(dir, "backup")
	copyDir(t, log, backup)
	grow(t, log, "second")
	grow(t, log, "third")
	head := func(d string) string { return filepath.Join(d, "signed-head") }

	old := filepath.Join(dir, "old head")
	copyDir(t, log, old)
	replaceFile(t, head(backup), head(old))
	onlyReads(t, old, "the head is an old copy")

	none := filepath.Join(dir, "no head")
	copyDir(t, log, none)
	os.Remove(head(none))
	onlyReads(t, none, "no signed head beside a store")

	replaceFile(t, head(log), head(backup))
	onlyReads(t, backup, "rebuild what is missing with `muster recover`")
}

// A restored backup whose signed head was restored too, and a second server on a
// copy: only a witness knows. The one that is behind stops for good.
func TestServeOnlyReadsWhatAWitnessHasSeenMoreOf(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	mustMuster(t, "init", "--dir", log, "--origin", "example.org/log1")
	witness, err := startMuster("witness", "--dir", filepath.Join(dir, "witness"), "--init", "--listen", "127.0.0.1:0", "--logs", filepath.Join(log, "policy"), "--name", "w1.example.net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(witness.kill)
	if err := witness.await(); err != nil {
		t.Fatal(err)
	}
	vkey, err := os.ReadFile(filepath.Join(log, "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	wkey, err := os.ReadFile(filepath.Join(dir, "witness", "witness.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(log, "policy")
	text := fmt.Sprintf("log %switness w1 %s %s\nquorum w1\n", vkey, strings.TrimSpace(string(wkey)), witness.url)
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	grow(t, log, "first", "--policy", policy)
	backup, second := filepath.Join(dir, "backup"), filepath.Join(dir, "second")
	copyDir(t, log, backup)
	copyDir(t, log, second)

	// The second server starts while both are equal; then the first goes on.
	q := mustServe(t, second, "--epoch", "5ms", "--heartbeat", "1h", "--policy", policy)
	grow(t, log, "second", "--policy", policy)
	muster(t, "register", "third", "--log", q.url, "--policy", policy, "--state", filepath.Join(t.TempDir(), "state"), "--keys", filepath.Join(t.TempDir(), "keys"))
	until(t, "the second server stops signing", func(context.Context) bool { return strings.Contains(q.stderr(), "READ ONLY") })
	if _, body := public(t, q.url+"/checkpoint"); !strings.HasPrefix(body, "example.org/log1\n4\n") {
		t.Errorf("the second server published %s", body)
	}
	if code := q.ends(); code == exitOK {
		t.Error("the second server ends as if all were well")
	}

	onlyReads(t, backup, "it is an old backup, or another server runs with this log's key", "--policy", policy)

	// The first goes on.
	grow(t, log, "fourth", "--policy", policy)
}
