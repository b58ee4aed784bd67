package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

const witnessedOrigin = name.Origin("example.org/witnessed")

// witnessRig is a folder for a real witness, and a log with two histories.
type witnessRig struct {
	*testing.T
	dir, logs string
	forks     [2]*liar.Log
}

func newWitnessRig(t *testing.T) *witnessRig {
	r := &witnessRig{T: t, dir: filepath.Join(t.TempDir(), "w"), logs: filepath.Join(t.TempDir(), "logs")}
	honest := liar.New(witnessedOrigin, 1767225600000)
	fork := honest.Fork()
	fork.TimeMs += 1000 // its next epoch says another time
	for _, l := range []*liar.Log{honest, fork} {
		l.Seal()
	}
	r.forks = [2]*liar.Log{honest, fork}
	if err := os.WriteFile(r.logs, []byte("log "+honest.Signer.Key().String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// run starts the witness; it is gone when the test ends.
func (r *witnessRig) run(args ...string) (*process, error) {
	p, err := startMuster(append([]string{"witness", "--dir", r.dir, "--logs", r.logs, "--listen", "127.0.0.1:0"}, args...)...)
	if err == nil {
		err = p.await()
	}
	if err == nil {
		r.Cleanup(p.kill)
	}
	return p, err
}

func (r *witnessRig) mustRun(args ...string) *process {
	r.Helper()
	p, err := r.run(args...)
	if err != nil {
		r.Fatal(err)
	}
	return p
}

// ask submits a fork's checkpoint as an old size's next. Its error is the
// network's.
func (r *witnessRig) ask(p *process, old uint64, l *liar.Log) (status int, body []byte, err error) {
	resp, err := http.Post(p.url+"/add-checkpoint", "", strings.NewReader(fmt.Sprintf("old %d\n\n%s", old, l.Note)))
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

func (r *witnessRig) key(file string) checkpoint.Key {
	r.Helper()
	vkey, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil {
		r.Fatal(err)
	}
	k, err := checkpoint.ParseKey(strings.TrimSuffix(string(vkey), "\n"))
	if err != nil {
		r.Fatal(err)
	}
	return k
}

// TestWitness: the real command cosigns with both keys, shows what it cosigned,
// refuses a fork with evidence, ends well, and remembers.
func TestWitness(t *testing.T) {
	r := newWitnessRig(t)
	p := r.mustRun("--init", "--name", "w1.example.net")
	if want := "muster: witness w1.example.net on " + p.url; !strings.Contains(p.stderr(), want+"\n") || !strings.Contains(p.stderr(), filepath.Join(r.dir, "witness.vkey")) {
		t.Errorf("it says:\n%swant %q and the path of the vkey", p.stderr(), want)
	}
	honest, fork := r.forks[0], r.forks[1]
	status, body, err := r.ask(p, 0, honest)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, body, err)
	}
	note, err := checkpoint.Parse(honest.Note)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := checkpoint.ParseLines(body)
	if err != nil || len(lines) != 2 {
		t.Fatalf("%d lines, %v; want one for each key", len(lines), err)
	}
	for i, k := range []checkpoint.Key{r.key("witness.vkey"), r.key("witness-mldsa.vkey")} {
		if k.Type != []checkpoint.KeyType{checkpoint.Cosignature, checkpoint.MLDSA44}[i] || k.Name != "w1.example.net" {
			t.Errorf("key %d is of type %#02x and of %s", i, uint8(k.Type), k.Name)
		}
		at, err := k.Verify(note.Text, lines[i])
		if age := time.Since(time.Unix(int64(at), 0)); err != nil || age < 0 || age > patience {
			t.Errorf("line %d: %v, of %v ago", i, err, age)
		}
	}
	id := witnessedOrigin.LogID()
	shown, err := get(fmt.Sprintf("%s/%s/checkpoint", p.url, id))
	if err != nil || !bytes.Equal(shown, append(bytes.Clone(honest.Note), body...)) {
		t.Errorf("shown: %v\n%s", err, shown)
	}

	if status, body, err = r.ask(p, note.Size, fork); err != nil || status != http.StatusUnprocessableEntity {
		t.Errorf("the fork: %d %s %v", status, body, err)
	}
	begun := time.Now()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("SIGTERM ended it after %v, want 5 s", took)
	}
	if !regexp.MustCompile(`(?m)^muster: time=\S+ level=ERROR msg="FORK: `).MatchString(p.stderr()) {
		t.Errorf("of the fork it says:\n%s", p.stderr())
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "evidence", "*.evidence"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, evidence %v, want one file", err, files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	f, err := evidence.Parse(data)
	if err == nil {
		_, err = f.Verify(honest.Signer.Key())
	}
	if err != nil {
		t.Errorf("the evidence: %v", err)
	}

	p = r.mustRun()
	if status, body, err = r.ask(p, 0, fork); err != nil || status != http.StatusConflict || string(body) != fmt.Sprintf("%d\n", note.Size) {
		t.Errorf("the fork after a restart: %d %s %v", status, body, err)
	}
	if again, err := get(fmt.Sprintf("%s/%s/checkpoint", p.url, id)); err != nil || !bytes.Equal(again, shown) {
		t.Errorf("shown after a restart: %v\n%s", err, again)
	}
}

// TestWitnessStops: a client that says nothing does not keep the witness from
// ending within 5 s of SIGTERM.
func TestWitnessStops(t *testing.T) {
	r := newWitnessRig(t)
	p := r.mustRun("--init")
	in, out := io.Pipe()
	defer out.Close()
	req, err := http.NewRequest("POST", p.url+"/add-checkpoint", in)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 500
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	if _, err := out.Write([]byte("old 0\n")); err != nil { // the request is on its way
		t.Fatal(err)
	}
	begun := time.Now()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("SIGTERM ended it after %v, want 5 s", took)
	}
	out.CloseWithError(errors.New("enough"))
	<-done
}

// TestWitnessKill: the real command is killed at any moment while both forks
// are submitted to it, and started again. Over all of its lives, at most one
// fork is cosigned. A second process on its folder never runs.
func TestWitnessKill(t *testing.T) {
	rounds := number(t, "MUSTER_TEST_KILLS", 8)
	if testing.Short() {
		rounds = 3
	}
	cosigned := 0
	for round := range rounds {
		r := newWitnessRig(t)
		var won [2]bool
		args := []string{"--init"}
		for life := range 3 {
			p := r.mustRun(args...)
			args = nil
			if life == 0 && round == 0 {
				if second, err := r.run(); err == nil || !strings.Contains(second.stderr(), "open in another process") {
					t.Fatalf("a second process on the folder: %v", err)
				}
			}
			type result struct {
				fork int
				ok   bool
			}
			results := make(chan result)
			for i := range 8 {
				go func() {
					status, _, err := r.ask(p, 0, r.forks[i%2])
					results <- result{i % 2, err == nil && status == http.StatusOK}
				}()
			}
			// Killed as soon as a number of answers is there: some are on their way.
			for got := range 8 {
				if life < 2 && got == int(round)%4 {
					p.kill()
				}
				if res := <-results; res.ok {
					won[res.fork] = true
				}
			}
			p.kill()
		}
		if won[0] && won[1] {
			t.Fatalf("round %d: both forks were cosigned", round)
		}
		if won[0] || won[1] {
			cosigned++
		}
	}
	if cosigned == 0 {
		t.Error("no fork was ever cosigned")
	}
	t.Logf("count rounds of three lives %d", rounds)
	t.Logf("count rounds in which one fork was cosigned %d", cosigned)
}
