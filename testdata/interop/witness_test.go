package interop

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tlog "github.com/transparency-dev/formats/log"
	tnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera"
	tclient "github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness"
)

const tesseraOrigin = "example.org/tessera"

// witnessed is a tessera log that publishes nothing without our witness.
type witnessed struct {
	*testing.T
	skey, vkey string // of the log
	logs       []witness.Log
	front      *front
	cosigner   *checkpoint.Cosigner
	dir        string        // of the witness's state
	stop       func()        // of the witness that runs
	verifier   note.Verifier // tessera's, of the witness's cosignatures
	url        string        // under which tessera knows the witness
	appender   *tessera.Appender
	reader     tessera.LogReader
	path       string // of the tessera log
}

// front is the address under which tessera knows our witness, which may be
// down, restarted or wiped behind it. It takes down what the witness answers.
type front struct {
	mu       sync.Mutex
	target   *url.URL // nil: down
	statuses []int
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	target := f.target
	f.mu.Unlock()
	if target == nil {
		f.note(http.StatusBadGateway)
		http.Error(w, "nobody here", http.StatusBadGateway)
		return
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		f.note(r.StatusCode)
		return nil
	}
	proxy.ServeHTTP(w, r)
}

func (f *front) note(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses = append(f.statuses, status)
}

func (f *front) point(t *testing.T, at string) {
	t.Helper()
	var target *url.URL
	if at != "" {
		var err error
		if target, err = url.Parse(at); err != nil {
			t.Fatal(err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target, f.statuses = target, nil
}

// forget empties what answered tells.
func (f *front) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses = nil
}

// answered is what tessera was answered since the front was last pointed.
func (f *front) answered() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.statuses)
}

func newWitnessed(t *testing.T) *witnessed {
	w := &witnessed{T: t, front: &front{}, dir: filepath.Join(t.TempDir(), "witness"), path: filepath.Join(t.TempDir(), "tessera")}
	var err error
	if w.skey, w.vkey, err = note.GenerateKey(rand.Reader, tesseraOrigin); err != nil {
		t.Fatal(err)
	}
	if w.logs, err = witness.ParseLogs([]byte("log " + w.vkey + "\n")); err != nil {
		t.Fatal(err)
	}
	var seed [32]byte
	rand.Read(seed[:])
	if w.cosigner, err = checkpoint.NewCosigner(checkpoint.Cosignature, "witness.example.org/w1", seed); err != nil {
		t.Fatal(err)
	}
	if w.verifier, err = tnote.NewVerifierForCosignatureV1(w.cosigner.Key().String()); err != nil {
		t.Fatalf("tessera does not take our witness's key: %v", err)
	}
	s := httptest.NewServer(w.front)
	t.Cleanup(s.Close)
	w.url = s.URL
	w.up(true)
	t.Cleanup(w.down)
	return w
}

// up runs our witness on its folder, behind the address that tessera knows.
func (w *witnessed) up(init bool) {
	w.Helper()
	running, err := witness.Open(witness.Config{Dir: w.dir, Init: init, Logs: w.logs, Cosigners: []*checkpoint.Cosigner{w.cosigner}})
	if err != nil {
		w.Fatal(err)
	}
	s := httptest.NewServer(running.Handler())
	w.stop = func() {
		s.Close()
		if err := running.Close(); err != nil {
			w.Error(err)
		}
	}
	w.front.point(w.T, s.URL)
}

// down stops it; its folder stays.
func (w *witnessed) down() {
	w.Helper()
	w.front.point(w.T, "")
	if w.stop != nil {
		w.stop()
	}
	w.stop = nil
}

// open starts tessera's log under the policy that an operator would write.
func (w *witnessed) open() error {
	w.Helper()
	policy := fmt.Sprintf("witness w %s %s\nquorum w\n", w.cosigner.Key(), w.url)
	group, err := tessera.NewWitnessGroupFromPolicy([]byte(policy))
	if err != nil {
		w.Fatalf("tessera does not take our policy: %v", err)
	}
	signer, err := note.NewSigner(w.skey)
	if err != nil {
		w.Fatal(err)
	}
	driver, err := posix.New(w.Context(), posix.Config{Path: w.path})
	if err != nil {
		w.Fatal(err)
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(1, 10*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond).
		WithCheckpointRepublishInterval(0).
		WithWitnesses(group, &tessera.WitnessOptions{Timeout: patience})
	w.appender, _, w.reader, err = tessera.NewAppender(w.Context(), driver, options)
	return err
}

// add has tessera integrate an entry, and returns its position.
func (w *witnessed) add(entry string) uint64 {
	w.Helper()
	index, err := w.appender.Add(w.Context(), tessera.NewEntry([]byte(entry)))()
	if err != nil {
		w.Fatal(err)
	}
	until(w.T, "tessera integrates "+entry, func() bool {
		size, err := w.reader.IntegratedSize(w.Context())
		return err == nil && size > index.Index
	})
	return index.Index
}

// published is the checkpoint that tessera serves; it must carry a valid
// signature of the log and a valid cosignature of our witness.
func (w *witnessed) published() *tlog.Checkpoint {
	w.Helper()
	raw, err := tclient.FileFetcher{Root: w.path}.ReadCheckpoint(w.Context())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		w.Fatal(err)
	}
	log, err := note.NewVerifier(w.vkey)
	if err != nil {
		w.Fatal(err)
	}
	cp, _, n, err := tlog.ParseCheckpoint(raw, tesseraOrigin, log, w.verifier)
	if err != nil {
		w.Fatalf("%v:\n%s", err, raw)
	}
	if len(n.Sigs) != 2 || len(n.UnverifiedSigs) > 0 {
		w.Fatalf("%d valid signatures, %d others, want the log's and our witness's:\n%s", len(n.Sigs), len(n.UnverifiedSigs), raw)
	}
	return cp
}

// publishes waits until tessera has published what holds this position.
func (w *witnessed) publishes(position uint64) {
	w.Helper()
	until(w.T, fmt.Sprintf("tessera publishes position %d", position), func() bool {
		cp := w.published()
		return cp != nil && cp.Size > position
	})
}

// TestTesseraPublishesWithOurWitness: from the empty tree on, every checkpoint
// of a tessera log carries our cosignature, by tessera's own judgement.
func TestTesseraPublishesWithOurWitness(t *testing.T) {
	w := newWitnessed(t)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	if cp := w.published(); cp == nil || cp.Size != 0 {
		t.Fatalf("the empty log published %v, want size 0", cp)
	}
	for i := range 12 {
		w.publishes(w.add(fmt.Sprintf("entry %d", i)))
	}
	for _, status := range w.front.answered() {
		if status != http.StatusOK {
			t.Fatalf("our witness answered %v, want 200s only", w.front.answered())
		}
	}
}

// TestTesseraDoesNotPublishWithoutOurWitness: neither its first checkpoint nor
// a later one; it goes on when our witness is back, with its state.
func TestTesseraDoesNotPublishWithoutOurWitness(t *testing.T) {
	w := newWitnessed(t)
	w.down()
	if err := w.open(); err == nil || !strings.Contains(err.Error(), "witness policy was not satisfied") {
		t.Fatalf("tessera began without its witness: %v", err)
	}
	if cp := w.published(); cp != nil {
		t.Fatalf("published %v without a witness", cp)
	}

	w.up(false)
	w.path = filepath.Join(t.TempDir(), "another") // tessera does not try its first checkpoint again
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.publishes(w.add("with the witness"))
	before := w.published().Size

	w.down()
	last := w.add("without it")
	until(t, "tessera has asked in vain", func() bool { return len(w.front.answered()) >= 3 })
	if cp := w.published(); cp.Size != before {
		t.Fatalf("published size %d while the witness was down, want %d", cp.Size, before)
	}

	w.up(false)
	w.publishes(last)
}

// TestTesseraRecoversFrom409: our witness is wiped, or is ahead of what
// tessera remembers; it says so, and tessera finds the right old size.
func TestTesseraRecoversFrom409(t *testing.T) {
	w := newWitnessed(t)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		w.publishes(w.add(fmt.Sprintf("entry %d", i)))
	}

	// Ahead: tessera lost the checkpoint that it had published, and asks from 0.
	w.front.forget()
	if err := os.Remove(filepath.Join(w.path, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	w.publishes(2)
	if got := w.front.answered(); !slices.Equal(got[:2], []int{http.StatusConflict, http.StatusOK}) {
		t.Fatalf("ahead: our witness answered %v, want 409 and then 200", got)
	}
	w.publishes(w.add("after the loss"))

	// Wiped: only --init makes it begin, with the key that tessera knows.
	w.down()
	if err := os.RemoveAll(filepath.Join(w.dir, "state")); err != nil {
		t.Fatal(err)
	}
	w.up(true)
	w.publishes(w.add("after the wipe"))
	if got := w.front.answered(); !slices.Equal(got[:2], []int{http.StatusConflict, http.StatusOK}) {
		t.Fatalf("wiped: our witness answered %v, want 409 and then 200", got)
	}
	w.publishes(w.add("and on"))
}
