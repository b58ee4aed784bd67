package witness_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness"
)

// testLog is a log of any kind, whose tree another library keeps. Its
// operator signs what he likes.
type testLog struct {
	origin  string
	private ed25519.PrivateKey
	id      []byte
	hashes  []tlog.Hash
	size    int64
}

func newLog(origin string) *testLog {
	seed := sha256.Sum256([]byte("test log " + origin))
	return newLogWith(origin, ed25519.NewKeyFromSeed(seed[:]))
}

func newLogWith(origin string, private ed25519.PrivateKey) *testLog {
	l := &testLog{origin: origin, private: private}
	id := sha256.Sum256(join([]byte(origin+"\n"), []byte{1}, l.public()))
	l.id = id[:4]
	return l
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func (l *testLog) public() []byte { return l.private.Public().(ed25519.PublicKey) }

func (l *testLog) vkey() string {
	return fmt.Sprintf("%s+%x+%s", l.origin, l.id, base64.StdEncoding.EncodeToString(append([]byte{1}, l.public()...)))
}

func (l *testLog) key() checkpoint.Key {
	k, err := checkpoint.ParseKey(l.vkey())
	if err != nil {
		panic(err)
	}
	return k
}

// grow adds leaves that name their branch.
func (l *testLog) grow(n int, branch string) *testLog {
	for range n {
		h, err := tlog.StoredHashes(l.size, fmt.Appendf(nil, "leaf %d of %s", l.size, branch), l.reader())
		if err != nil {
			panic(err)
		}
		l.hashes = append(l.hashes, h...)
		l.size++
	}
	return l
}

// fork is the same log, to grow otherwise.
func (l *testLog) fork() *testLog {
	c := *l
	c.hashes = append([]tlog.Hash(nil), l.hashes...)
	return &c
}

func (l *testLog) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, n := range indexes {
			out[i] = l.hashes[n]
		}
		return out, nil
	})
}

func (l *testLog) root(size int64) tlog.Hash {
	if size == 0 {
		return sha256.Sum256(nil)
	}
	h, err := tlog.TreeHash(size, l.reader())
	if err != nil {
		panic(err)
	}
	return h
}

func (l *testLog) text(size int64) string {
	return fmt.Sprintf("%s\n%d\n%s\n", l.origin, size, l.root(size))
}

func (l *testLog) line(text string) string {
	sig := ed25519.Sign(l.private, []byte(text))
	return fmt.Sprintf("— %s %s\n", l.origin, base64.StdEncoding.EncodeToString(join(l.id, sig)))
}

// sign is a note with this text, whatever it is.
func (l *testLog) sign(text string) string { return text + "\n" + l.line(text) }

func (l *testLog) note(size int64) string { return l.sign(l.text(size)) }

// proof is a consistency proof as lines.
func (l *testLog) proof(from, to int64) string {
	if from == 0 || from == to {
		return ""
	}
	p, err := tlog.ProveTree(to, from, l.reader())
	if err != nil {
		panic(err)
	}
	var s strings.Builder
	for _, h := range p {
		s.WriteString(h.String() + "\n")
	}
	return s.String()
}

// body is the request that takes a witness from one size to another.
func (l *testLog) body(from, to int64) string {
	return request(from, l.proof(from, to), l.note(to))
}

func request(old any, proof, note string) string {
	return fmt.Sprintf("old %v\n%s\n%s", old, proof, note)
}

// rig is a witness on a folder of its own, with both kinds of keys.
type rig struct {
	*testing.T
	*witness.Witness
	cfg  witness.Config
	now  time.Time
	said bytes.Buffer // by its Logger
}

var start = time.Unix(1_800_000_000, 999)

func cosigner(typ checkpoint.KeyType) *checkpoint.Cosigner {
	c, err := checkpoint.NewCosigner(typ, "w1.example.net", sha256.Sum256([]byte{byte(typ)}))
	if err != nil {
		panic(err)
	}
	return c
}

func config(dir string, logs ...*testLog) witness.Config {
	cfg := witness.Config{
		Dir: dir, Init: true,
		Cosigners: []*checkpoint.Cosigner{cosigner(checkpoint.Cosignature), cosigner(checkpoint.MLDSA44)},
	}
	for _, l := range logs {
		cfg.Logs = append(cfg.Logs, witness.Log{Key: l.key()})
	}
	return cfg
}

func newRig(t *testing.T, logs ...*testLog) *rig {
	r := &rig{T: t, now: start, cfg: config(t.TempDir(), logs...)}
	r.cfg.Now = func() time.Time { return r.now }
	r.cfg.Logger = slog.New(slog.NewTextHandler(&r.said, nil))
	r.open()
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *rig) open() {
	r.Helper()
	w, err := witness.Open(r.cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.Witness = w
}

// restart closes the witness and opens it again, with its state.
func (r *rig) restart() {
	r.Helper()
	if err := r.Witness.Close(); err != nil {
		r.Fatal(err)
	}
	r.cfg.Init = false
	r.open()
}

// Close is for a witness that may be closed.
func (r *rig) Close() {
	if r.Witness != nil {
		r.Witness.Close()
		r.Witness = nil
	}
}

func (r *rig) add(body string) *witness.Answer {
	return r.AddCheckpoint(r.Context(), []byte(body))
}

// want adds a checkpoint and looks at the status.
func (r *rig) want(status int, body string) *witness.Answer {
	r.Helper()
	a := r.add(body)
	if a.Status != status {
		r.Fatalf("status %d, want %d: %s", a.Status, status, a.Body)
	}
	return a
}

// times verifies an answer of 200: one line for each key, none else.
func (r *rig) times(a *witness.Answer, text string, types ...checkpoint.KeyType) []uint64 {
	r.Helper()
	times, err := verify(a.Body, text, types...)
	if err != nil {
		r.Fatalf("%v: %s", err, a.Body)
	}
	return times
}

func verify(body []byte, text string, types ...checkpoint.KeyType) (times []uint64, err error) {
	lines, err := checkpoint.ParseLines(body)
	if err != nil {
		return nil, err
	}
	if len(lines) != len(types) {
		return nil, fmt.Errorf("%d lines, want %d", len(lines), len(types))
	}
	for i, typ := range types {
		at, err := cosigner(typ).Key().Verify(text, lines[i])
		if err != nil {
			return nil, err
		}
		if at != binary.BigEndian.Uint64(lines[i].Signature) || at == 0 {
			return nil, errors.New("the time is not that of the line")
		}
		times = append(times, at)
	}
	return times, nil
}

// both are the types of the rig's keys.
var both = []checkpoint.KeyType{checkpoint.Cosignature, checkpoint.MLDSA44}
