package log_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
)

// witness is a small C2SP cosigner on a real server, as strict about proofs as
// the real one, with its state in the open so that tests can spoil it.
type witness struct {
	*httptest.Server
	t    *testing.T
	name string
	keys []*checkpoint.Cosigner
	log  checkpoint.Key
	now  func() time.Time

	mu   sync.Mutex
	seen []byte        // the last signed checkpoint that was cosigned
	size uint64        // of it
	root [32]byte      // of it
	down bool          // answers 503
	hold chan struct{} // answers once this is closed
	held int           // questions that waited for it
	said []int         // status codes, in order
}

func (r *rig) witness(name string, types ...checkpoint.KeyType) *witness {
	w := &witness{t: r.t, name: name, log: r.cfg.Signer.Key(), now: r.cfg.Now}
	for _, typ := range types {
		w.keys = append(w.keys, cosigner(r.t, typ, name))
	}
	w.Server = httptest.NewServer(w)
	r.servers = append(r.servers, w.Server)
	r.t.Cleanup(w.Close)
	return w
}

func cosigner(t *testing.T, typ checkpoint.KeyType, name string) *checkpoint.Cosigner {
	c, err := checkpoint.NewCosigner(typ, name+".example.org", liar.Seed(fmt.Sprint(name, typ)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lines are the policy's lines for this witness; with more than one key, the
// names get the key's type at their ends.
func (w *witness) lines() (names []string, lines string) {
	for i, k := range w.keys {
		name := w.name
		if i > 0 {
			name += fmt.Sprint("-", k.Key().Type)
		}
		names = append(names, name)
		lines += fmt.Sprintf("witness %s %s %s\n", name, k.Key(), w.URL)
	}
	return names, lines
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hold != nil {
		hold := w.hold
		w.held++
		w.mu.Unlock()
		<-hold
		w.mu.Lock()
	}
	if r.Method == http.MethodGet {
		if w.seen == nil || r.URL.Path != fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(w.log.Name))) {
			http.NotFound(rw, r)
			return
		}
		rw.Write(w.seen)
		return
	}
	status, body := w.addCheckpoint(r)
	w.said = append(w.said, status)
	if status == http.StatusConflict {
		rw.Header().Set("Content-Type", checkpoint.ConflictType)
	}
	rw.WriteHeader(status)
	io.WriteString(rw, body)
}

func (w *witness) addCheckpoint(r *http.Request) (int, string) {
	if w.down {
		return http.StatusServiceUnavailable, "not now\n"
	}
	q, err := readQuestion(r)
	if err != nil || r.URL.Path != "/add-checkpoint" {
		w.t.Errorf("%s: the log asks wrongly: %v", w.name, err)
		return http.StatusBadRequest, fmt.Sprintln(err)
	}
	if _, err := w.log.Verify(q.note.Text, q.note.Lines[0]); err != nil {
		w.t.Errorf("%s: the log's signature: %v", w.name, err)
		return http.StatusForbidden, fmt.Sprintln(err)
	}
	if q.old != w.size {
		return http.StatusConflict, fmt.Sprintln(w.size)
	}
	if w.size > 0 {
		root := [32]byte(q.note.Root)
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, w.size, q.note.Size, q.proof, w.root[:], root[:]); err != nil {
			return http.StatusUnprocessableEntity, fmt.Sprintln(err)
		}
	} else if len(q.proof) > 0 {
		w.t.Errorf("%s: a proof from nothing", w.name)
	}
	w.size, w.root, w.seen = q.note.Size, [32]byte(q.note.Root), q.raw
	var body string
	for _, k := range w.keys {
		body += k.Cosign(q.note.Text, uint64(w.now().Unix())).String() + "\n"
	}
	return http.StatusOK, body
}

func (w *witness) set(change func(*witness)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *witness) statuses() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.said)
}

// question is the body of add-checkpoint.
type question struct {
	old   uint64
	proof [][]byte
	raw   []byte
	note  *checkpoint.Note
}

func readQuestion(r *http.Request) (q question, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return q, err
	}
	head, raw, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	old, ok2 := strings.CutPrefix(lines[0], "old ")
	if !ok || !ok2 {
		return q, fmt.Errorf("no old line: %q", lines[0])
	}
	if q.old, err = strconv.ParseUint(old, 10, 63); err != nil {
		return q, err
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != 32 {
			return q, fmt.Errorf("hash %q: %w", line, err)
		}
		q.proof = append(q.proof, h)
	}
	q.raw = raw
	q.note, err = checkpoint.Parse(raw)
	return q, err
}

// follow gives the log a policy and clients for all URLs in it, before open.
func (r *rig) follow(lines ...string) {
	r.t.Helper()
	var err error
	text := "log " + r.cfg.Signer.Key().String() + "\n" + strings.Join(lines, "\n") + "\n"
	if r.cfg.Policy, err = checkpoint.ParsePolicy([]byte(text)); err != nil {
		r.t.Fatal(err)
	}
	r.cfg.Cosigners = make(map[string]log.Cosigner)
	for _, w := range r.cfg.Policy.Witnesses {
		all, err := client.NewCosigners("", w.URL)
		if err != nil {
			r.t.Fatal(err)
		}
		r.cfg.Cosigners[w.URL] = all[w.URL]
	}
}

// threeWitnesses is a log that needs two of three.
func threeWitnesses(t *testing.T) (*rig, []*witness) {
	r := makeRig(t)
	var ws []*witness
	var lines string
	for i := range 3 {
		w := r.witness(fmt.Sprint("w", i), checkpoint.Cosignature)
		_, l := w.lines()
		ws, lines = append(ws, w), lines+l
	}
	r.follow(lines + "group quorum-of-two 2 w0 w1 w2\nquorum quorum-of-two")
	return r, ws
}

// published waits until a checkpoint of at least this size is published, and
// gives it after the policy's own word on it.
func (r *rig) published(size uint64) (*checkpoint.Note, *checkpoint.Verdict) {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for now, _ := r.log.Position(); now < size; now, _ = r.log.Position() {
		if time.Now().After(deadline) {
			r.t.Fatalf("size %d is not published, only %d", size, now)
		}
		time.Sleep(time.Millisecond)
	}
	note, err := checkpoint.Parse(r.log.Published())
	if err != nil {
		r.t.Fatal(err)
	}
	v, err := r.cfg.Policy.Verify(note, r.cfg.Now(), time.Minute)
	if err != nil {
		r.t.Fatalf("what was published does not meet the policy: %v", err)
	}
	return note, v
}
