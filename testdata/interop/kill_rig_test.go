package interop

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/transparency-dev/tessera/api/layout"
	tclient "github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/testdata/judge"
)

// killed is a log that is killed again and again, those who write to it, and what
// outsiders know of it.
type killed struct {
	*testing.T
	dir     string
	rng     *rand.Rand
	server  *server
	writers []*writer

	checkpoints *judge.Checkpoints
	followed    []byte       // the newest that tessera's client has followed
	leaves      judge.Leaves // that were served, over all lives

	mu     sync.Mutex
	placed []placed // that were not looked up yet
	logged int      // that have been looked up

	acknowledged                              atomic.Int64
	kills, early, starts, stalled, terminated int
	lost, forks                               int
}

// placed is what an acknowledgement says about an event's leaf.
type placed struct {
	position   int64
	commitment [32]byte
}

// writer makes the events of accounts of its own.
type writer struct {
	r      *killed
	name   string
	rng    *rand.Rand
	phones []*liar.Phone
	made   int // accounts

	mu   sync.Mutex
	open []*sent // that have no position yet, in order
}

// sent is an event that was submitted at least once.
type sent struct {
	label        name.Label
	seq          uint32
	id           name.EventID
	body         []byte
	acknowledged bool
	placed       bool
}

func newKilled(t *testing.T, seed uint64) *killed {
	r := &killed{T: t, dir: filepath.Join(t.TempDir(), "log"), rng: rand.New(rand.NewPCG(seed, 0))}
	s := start(t, append(r.serve(), "--init", "--origin", string(origin))...)
	s.kill()
	r.early++
	var err error
	if r.checkpoints, err = judge.New(read(t, r.dir, "log.vkey")); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		r.writers = append(r.writers, &writer{r: r, name: fmt.Sprintf("writer-%d-%d", seed, i), rng: rand.New(rand.NewPCG(seed, uint64(1+i)))})
	}
	return r
}

// serve are the server's arguments: long epochs hold more events, and with short
// ones hardly a moment is left in which no epoch is being sealed.
func (r *killed) serve() []string {
	return []string{"serve", "--dir", r.dir, "--heartbeat", "100ms", "--epoch", []string{"1ms", "5ms", "50ms"}[r.rng.IntN(3)]}
}

func (r *killed) client() *client.Client {
	c, err := client.New(client.Config{URL: r.server.url})
	if err != nil {
		r.Error(err)
	}
	return c
}

// files is tessera's client of the log as it runs now.
func (r *killed) files() *tclient.HTTPFetcher {
	u, err := url.Parse(r.server.url)
	if err != nil {
		r.Error(err)
	}
	f, err := tclient.NewHTTPFetcher(u, http.DefaultClient)
	if err != nil {
		r.Error(err)
	}
	return f
}

// remember keeps a checkpoint that somebody was shown.
func (r *killed) remember(signed []byte) {
	if _, err := r.checkpoints.Remember(signed); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.forks++
		r.Error(err)
	}
}

// make signs the next events of some accounts, which are open from now on.
func (w *writer) make() (events []*sent) {
	for range 1 + w.rng.IntN(200) {
		// Accounts stay small: an old one makes room for a new one.
		if len(w.phones) < 40 {
			w.made++
			w.phones = append(w.phones, liar.NewPhone(origin, name.Identifier(fmt.Sprintf("%s-%d", w.name, w.made)), 1767225600000))
		}
		i := w.rng.IntN(len(w.phones))
		p := w.phones[i]
		body := p.Any(w.rng) // which moves the head
		events = append(events, &sent{label: p.Account().Label(), seq: p.At.Next - 1, id: p.At.Head, body: body})
		if p.At.Next >= 12 {
			w.phones = slices.Delete(w.phones, i, i+1)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = append(w.open, events...)
	return events
}

func bodies(events []*sent) (bodies [][]byte) {
	for _, e := range events {
		bodies = append(bodies, e.body)
	}
	return bodies
}

// place takes an event's receipt: from now on its leaf stands at this position.
func (w *writer) place(e *sent, o *answer.Outcome) error {
	if o.Refused != nil {
		return fmt.Errorf("seq %d of an account: %w", e.seq, o.Refused)
	}
	if o.Event != e.id || o.Seq != e.seq {
		return fmt.Errorf("event %s is acknowledged at seq %d, want %s at %d", o.Event, o.Seq, e.id, e.seq)
	}
	receipt, err := answer.ParsePublished(o.Receipt)
	if err != nil {
		return err
	}
	if receipt.Position != o.Position {
		return fmt.Errorf("a receipt for position %d of the event at %d", receipt.Position, o.Position)
	}
	w.r.remember(receipt.Note)
	e.placed = true
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	w.r.placed = append(w.r.placed, placed{int64(o.Position), commitment(receipt.Opening, e)})
	return nil
}

// commitment is section 4 of the protocol, once more.
func commitment(opening name.Opening, e *sent) [32]byte {
	key, _ := hex.DecodeString("d821f8790d97709796b4d7903357c3f5")
	b := append(opening[:], byte(len(e.label)))
	b = append(b, e.label[:]...)
	b = binary.BigEndian.AppendUint32(b, e.seq)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.body)))
	h := hmac.New(sha256.New, key)
	h.Write(append(b, e.body...))
	return [32]byte(h.Sum(nil))
}

// settle judges the log that has just started by what was known of it, and has all
// that is open logged, which may be logged already or not.
func (r *killed) settle() {
	r.Helper()
	size := r.mustJudge()
	for _, w := range r.writers {
		open := slices.DeleteFunc(w.open, func(e *sent) bool { return e.placed })
		w.open = nil
		for batch := range slices.Chunk(open, 1000) {
			var acknowledged []bool
			for _, e := range batch {
				acknowledged = append(acknowledged, e.acknowledged)
			}
			before := len(r.placed)
			err := w.call(r.Context(), r.client(), batch, func(n int) { r.acknowledged.Add(int64(n)) })
			if err != nil || len(r.placed) != before+len(batch) {
				r.Fatalf("submitting %d events again, of which %d are logged: %v", len(batch), len(r.placed)-before, err)
			}
			// What was acknowledged was there before anybody sent it again.
			for i, p := range r.placed[before:] {
				if acknowledged[i] && p.position >= size {
					r.lose("seq %d of an account was acknowledged, and is logged at %d of a log that had %d leaves when it started", batch[i].seq, p.position, size)
				}
			}
		}
	}
}

func (r *killed) mustJudge() (size int64) {
	r.Helper()
	size, err := r.judge()
	if err != nil {
		r.forks++
		r.Fatal(err)
	}
	return size
}

// lose counts an acknowledged event that is not where it should be.
func (r *killed) lose(how string, args ...any) {
	r.Helper()
	if r.lost++; r.lost == 1 { // thousands follow the first
		r.Errorf(how, args...)
	}
}

// judge reads what the log has more than when it was last read, and holds it
// against every checkpoint and acknowledgement so far. It gives the log's size.
func (r *killed) judge() (size int64, err error) {
	signed, err := r.files().ReadCheckpoint(r.Context())
	if err != nil {
		return 0, err
	}
	tree, err := r.checkpoints.Remember(signed)
	if err != nil {
		return 0, err
	}
	if err := r.follow(signed); err != nil {
		return 0, err
	}
	for from := r.leaves.Len(); from < tree.N; from = r.leaves.Len() {
		bundle, err := tclient.GetEntryBundle(r.Context(), r.files().ReadEntryBundle, uint64(from)/layout.EntryBundleWidth, uint64(tree.N))
		if err != nil {
			return 0, err
		}
		for _, entry := range bundle.Entries[from%layout.EntryBundleWidth:] {
			if err := r.leaves.Append(entry); err != nil {
				return 0, err
			}
		}
	}
	if r.leaves.Len() != tree.N {
		return 0, fmt.Errorf("the log had %d leaves, and now has %d", r.leaves.Len(), tree.N)
	}
	// x/mod: the leaves hash to every root that was ever signed.
	if err := r.checkpoints.Verdict(&r.leaves); err != nil {
		return 0, err
	}
	for _, p := range r.placed {
		if got, ok := r.leaves.Commitment(p.position); !ok || got != p.commitment {
			r.lose("the event that was acknowledged at %d is not in the leaf there, of %d leaves", p.position, tree.N)
		}
	}
	r.logged += len(r.placed)
	r.placed = r.placed[:0]
	return tree.N, nil
}

// follow is tessera's word that a checkpoint extends the last one, by the tiles that
// are served.
func (r *killed) follow(signed []byte) (err error) {
	newest := tclient.UnilateralConsensus(func(context.Context) ([]byte, error) { return signed, nil })
	tile := func(ctx context.Context, l, i uint64, p uint8) ([]byte, error) {
		return r.files().ReadTile(ctx, l, i, p)
	}
	before := r.followed
	tracker, err := tclient.NewLogStateTracker(r.Context(), tile, before, r.checkpoints.Key(), string(origin), newest)
	if err == nil && before != nil {
		_, _, _, err = tracker.Update(r.Context())
	}
	r.followed = signed
	return err
}

// finish has everything looked up, and tessera's fsck read the whole log.
func (r *killed) finish() {
	r.mustJudge()
	if r.leaves.Events() != r.logged || int64(r.logged) != r.acknowledged.Load() {
		r.Errorf("the log has %d EVENT leaves, %d events were acknowledged and %d looked up", r.leaves.Events(), r.acknowledged.Load(), r.logged)
	}
	if err := fsck.New(string(origin), r.checkpoints.Key(), r.files(), leafHashes, fsck.Opts{N: 2}).Check(r.Context()); err != nil {
		r.Errorf("tessera's fsck: %v", err)
	}
}

func (r *killed) report() {
	for what, n := range map[string]int{
		"acknowledged events": int(r.acknowledged.Load()), "kills under load": r.kills, "kills of servers that started": r.early, "starts": r.starts,
		"stops by SIGSTOP": r.stalled, "ends by SIGTERM": r.terminated, "checkpoints seen": r.checkpoints.Len(), "leaves": int(r.leaves.Len()),
		"acknowledged events lost": r.lost, "forks": r.forks,
	} {
		r.Logf("count %s %d", what, n)
	}
}
