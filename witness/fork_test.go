package witness_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/evidence"
)

// files closes the witness, which waits for what is being written, and gives
// its evidence.
func (r *rig) files() (paths []string) {
	r.Helper()
	r.Close()
	paths, err := filepath.Glob(filepath.Join(r.cfg.Dir, "evidence", "*"))
	if err != nil {
		r.Fatal(err)
	}
	return paths
}

// TestForkEvidence: two roots of one size, whatever the request with the second
// is answered, leave one file that convicts the log and nobody else.
func TestForkEvidence(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	fork := newLog(l.origin).grow(9, "fork")
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"422":                         {http.StatusUnprocessableEntity, fork.body(5, 5)},
		"409: from another size":      {http.StatusConflict, fork.body(0, 5)},
		"400: from above":             {http.StatusBadRequest, request(6, "", fork.note(5))},
		"with the lines of strangers": {http.StatusUnprocessableEntity, fork.body(5, 5) + newLog("example.org/x").line(fork.text(5))},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, l)
			r.want(http.StatusOK, l.body(0, 5))
			r.want(c.status, c.body)
			r.want(c.status, c.body)
			r.want(http.StatusUnprocessableEntity, newLog(l.origin).grow(5, "third fork").body(5, 5))
			r.want(http.StatusOK, l.body(5, 9)) // the branch that it knows goes on
			paths := r.files()
			if len(paths) != 1 {
				t.Fatalf("evidence %v, want one file", paths)
			}
			if said := r.said.String(); !strings.Contains(said, "FORK") || !strings.Contains(said, paths[0]) {
				t.Errorf("the operator is not told: %s", said)
			}
			data, err := os.ReadFile(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			f, err := evidence.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind != evidence.E1 || f.Name() != filepath.Base(paths[0]) {
				t.Errorf("kind %s, name %s, want E1 and %s", f.Kind, f.Name(), filepath.Base(paths[0]))
			}
			if _, err := f.Verify(l.key()); err != nil {
				t.Errorf("against the log: %v", err)
			}
			if _, err := f.Verify(newLog("example.org/other").key()); err == nil {
				t.Error("it convicts another log")
			}
		})
	}
}

// TestNoEvidence: what only fails to convince is no evidence. Against a log whose
// checkpoints are of another kind there is none, but both checkpoints.
func TestNoEvidence(t *testing.T) {
	l := newLog("example.org/any").grow(9, "main")
	r := newRig(t, l)
	r.want(http.StatusOK, l.body(0, 5))
	r.want(http.StatusUnprocessableEntity, request(5, "", l.note(9)))
	r.want(http.StatusUnprocessableEntity, newLog(l.origin).grow(9, "fork").body(5, 9))
	r.want(http.StatusForbidden, request(5, "", newLog("example.org/x").sign(newLog(l.origin).grow(5, "fork").text(5))))
	if paths := r.files(); len(paths) > 0 || strings.Contains(r.said.String(), "FORK") {
		t.Errorf("evidence %v: %s", paths, r.said.String())
	}

	l, fork := newLog("muster/foreign").grow(9, "main"), newLog("muster/foreign").grow(9, "fork")
	r = newRig(t, l)
	r.want(http.StatusOK, l.body(0, 5))
	r.want(http.StatusUnprocessableEntity, fork.body(5, 5))
	r.want(http.StatusUnprocessableEntity, newLog(l.origin).grow(5, "third fork").body(5, 5))
	paths := r.files()
	if len(paths) != 2 || !strings.Contains(r.said.String(), "FORK") || !strings.Contains(r.said.String(), ".note") {
		t.Fatalf("evidence %v: %s", paths, r.said.String())
	}
	for _, path := range paths {
		note, err := os.ReadFile(path)
		if err != nil || string(note) != l.note(5) && string(note) != fork.note(5) {
			t.Errorf("%s has %q: %v", path, note, err)
		}
	}
}
