package log_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/pebble"
)

// seal opens the log and seals it instead of running it.
func (r *rig) seal(ctx context.Context, successor string) (*log.Log, error) {
	r.t.Helper()
	r.openStore()
	defer r.store.Close()
	l, err := log.Open(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return l, l.Seal(ctx, name.Origin(successor))
}

// leaves are all leaves of the store.
func (r *rig) leaves() (all []leaf.Leaf) {
	r.t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: r.disk})
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	state, err := s.State()
	if err != nil {
		r.t.Fatal(err)
	}
	for data, err := range s.Leaves(0, state.Size) {
		l, parsed := leaf.Parse(data)
		if err = errors.Join(err, parsed); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// What was promised is logged before the SEAL, erased content is deleted with
// it, and nothing comes after it.
func TestSeal(t *testing.T) {
	r := newRig(t)
	erased, promised := r.phone("alice"), r.phone("bob")
	r.accepted(erased.Register(), erased.Erase())
	r.stop()
	r.openStore()
	body := promised.Register()
	if err := r.store.Reserve([]store.Pending{{Account: promised.Account(), Opening: name.Opening{1}, MergeBy: start + 60_000, Body: body}}); err != nil {
		t.Fatal(err)
	}
	r.store.Close()

	l, err := r.seal(t.Context(), "keys.example.org/log2")
	if err != nil {
		t.Fatal(err)
	}
	last := l.Published()
	all := r.leaves()
	end := all[len(all)-1].(*leaf.Epoch)
	if !end.Sealed || end.Successor != "keys.example.org/log2" || end.Keys != 3 || end.First != end.Position() || int(end.Position()) != len(all)-1 {
		t.Errorf("the last leaf is %+v", end)
	}
	r.open()
	if e, err := r.event(erased.Account(), 0); err != nil || len(e.Body) > 0 {
		t.Errorf("erased content is there: %v, %v", e, err)
	}
	for _, o := range r.submit(r.phone("carol").Register()) {
		if !errors.Is(o.Err, log.ErrSealed) || !strings.Contains(o.Err.Error(), "keys.example.org/log2") {
			t.Errorf("after SEAL: %+v", o)
		}
	}
	if o := r.accepted(body)[0]; o.Position != 5 {
		t.Errorf("what was promised is at position %d", o.Position)
	}
	result, _ := r.look(nil, history(promised))
	if !result.Sealed || result.Successor != "keys.example.org/log2" {
		t.Errorf("a client sees %+v", result)
	}
	if err := r.stop(); err != nil {
		t.Errorf("Run of a sealed log: %v", err)
	}
	if again, err := r.seal(t.Context(), "keys.example.org/log2"); err != nil || !bytes.Equal(again.Published(), last) {
		t.Errorf("sealed again: %v", err)
	}
	for _, other := range []string{"", "keys.example.org/log3", string(origin)} {
		if _, err := r.seal(t.Context(), other); err == nil {
			t.Errorf("another successor %q", other)
		}
	}
	if after := r.leaves(); len(after) != len(all) {
		t.Errorf("%d leaves, then %d", len(all), len(after))
	}
}

// What was promised and cannot be logged now is no reason to end without it: the
// SEAL waits until it can.
func TestSealWaitsForPromises(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.stop()
	r.openStore()
	body := p.Register()
	if err := r.store.Reserve([]store.Pending{{Account: p.Account(), Opening: name.Opening{1}, MergeBy: start + 60_000, Body: body}}); err != nil {
		t.Fatal(err)
	}
	l, err := log.Open(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.store.fail = errors.New("no space left on device")
	if err := l.Seal(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("an event that was promised could not be logged: %v", err)
	}
	r.store.Close()
	if all := r.leaves(); len(all) != 2 {
		t.Errorf("%d leaves, want the 2 from before: the last is %+v", len(all), all[len(all)-1])
	}
	if _, err := r.seal(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	r.open()
	if o := r.accepted(body)[0]; o.Position != 2 {
		t.Errorf("what was promised is at position %d", o.Position)
	}
}

// The last ERASE before a SEAL deletes its content too: no epoch comes later.
func TestSealErases(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register(), p.Erase())
	r.stop()
	if _, err := r.seal(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	r.open()
	if e, err := r.event(p.Account(), 0); err != nil || len(e.Body) > 0 {
		t.Errorf("erased content is there: %v, %v", e, err)
	}
}

// Wherever sealing is cut off, doing it again ends in the same checkpoint, and
// a server started in between serves a log that is sealed, or is not.
func TestSealCutOff(t *testing.T) {
	full := errors.New("no space left on device")
	for what, cut := range map[string]func(*rig) error{
		"before the batch": func(r *rig) error {
			r.openStore()
			defer r.store.Close()
			l, err := log.Open(r.cfg)
			if err != nil {
				t.Fatal(err)
			}
			r.store.fail = full
			return l.Seal(t.Context(), "")
		},
		"before the signed head": func(r *rig) error { return r.headFails(full, false) },
		"with the signed head":   func(r *rig) error { return r.headFails(full, true) },
	} {
		r := newRig(t)
		r.accepted(r.phone("alice").Register())
		r.stop()
		if err := cut(r); err == nil {
			t.Errorf("%s: no error", what)
		}
		r.head.fail = nil
		r.open()
		_, sealed := r.log.Sealed()
		if o := r.submit(r.phone("alice").Register())[0]; o.Err != nil {
			t.Errorf("%s: what is logged: %v", what, o.Err)
		}
		if sealed == (what == "before the batch") {
			t.Errorf("%s: sealed: %v", what, sealed)
		}
		r.stop()
		l, err := r.seal(t.Context(), "")
		if err != nil {
			t.Fatalf("%s: again: %v", what, err)
		}
		if n, err := checkpoint.Parse(l.Published()); err != nil || n.Size != 5 {
			t.Errorf("%s: published %s", what, l.Published())
		}
	}
}

// headFails seals a log whose signed head fails once, with or without effect.
func (r *rig) headFails(why error, kept bool) error {
	r.openStore()
	defer r.store.Close()
	l, err := log.Open(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.head.fail, r.head.kept = why, kept
	return l.Seal(r.t.Context(), "")
}

// Nothing is sealed before a quorum has confirmed where the log stands, and a
// sealed log's cosignatures stay fresh.
func TestSealCosigned(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.cfg.CosignTimeout = 20 * time.Millisecond
	r.open()
	r.accepted(r.phone("alice").Register())
	r.stop()
	head := r.head.note
	for _, w := range ws {
		w.set(func(w *witness) { w.down = true })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.seal(ctx, ""); err == nil || !strings.Contains(err.Error(), "nothing was sealed") || !bytes.Equal(head, r.head.note) {
		t.Errorf("without cosigners: %v", err)
	}
	for _, w := range ws {
		w.set(func(w *witness) { w.down = false })
	}
	if _, err := r.seal(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.published(5)
	for range 3 { // the first may be the confirmation of the start
		before := r.log.Published()
		r.mu.Lock()
		r.now = r.now.Add(2 * r.cfg.Heartbeat)
		r.mu.Unlock()
		until(t, "the witnesses have cosigned the SEAL anew", func() bool { return !bytes.Equal(before, r.log.Published()) })
		r.published(5) // and of now
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if all := r.leaves(); len(all) != 5 {
		t.Errorf("%d leaves, want 5", len(all))
	}
}

// A backup that is behind is not sealed: the log ends elsewhere.
func TestSealOfOldBackup(t *testing.T) {
	r, _ := threeWitnesses(t)
	r.putBack(r.phone("alice"))
	head := r.head.note
	if _, err := r.seal(t.Context(), ""); !errors.Is(err, log.ErrReadOnly) || !bytes.Equal(head, r.head.note) || len(r.leaves()) != 4 {
		t.Errorf("an old backup was sealed: %v", err)
	}
}

// A fork that is shown while the SEAL is being stored is in time: it is not signed.
func TestForkWhileEnding(t *testing.T) {
	r, ws := threeWitnesses(t)
	ws[2].hold = make(chan struct{})
	head := bytes.Clone(r.head.note)
	r.openStore()
	defer r.store.Close()
	l, err := log.Open(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.store.stall = func() {
		r.forks(ws[2])
		until(t, "the log knows of the fork", func() bool { return l.ReadOnly() != nil })
	}
	var forked *log.Forked
	if err := l.Seal(t.Context(), ""); !errors.As(err, &forked) || !bytes.Equal(r.head.note, head) {
		t.Errorf("sealed, although another history was signed: %v", err)
	}
}

// lingering is a cosigner that never answers, and is slow to give up.
type lingering struct {
	*clocked
	gone atomic.Bool
}

func (c *lingering) AddCheckpoint(ctx context.Context, _ uint64, _ []leaf.Hash, _ []byte) ([]checkpoint.Line, error) {
	<-ctx.Done()
	time.Sleep(time.Second)
	c.gone.Store(true)
	return nil, ctx.Err()
}

// Nothing of Seal goes on after it: the caller closes the store.
func TestSealEndsItsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "https://lingering.example.org"
		r, w := clockedRig(t)
		close(w.open)
		last := &lingering{clocked: w}
		r.cfg.Cosigners[url] = last
		var err error
		if r.cfg.Policy, err = checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() +
			"\nwitness w " + w.Key().String() + " " + r.cfg.Policy.Witnesses[0].URL +
			"\nwitness v " + cosigner(t, checkpoint.Cosignature, "v").Key().String() + " " + url + "\ngroup any any w v\nquorum any\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := r.seal(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if !last.gone.Load() {
			t.Error("a cosigner is still being asked")
		}
	})
}

// GENESIS names a predecessor that is another log's checkpoint, or none.
func TestPredecessor(t *testing.T) {
	for text, good := range map[string]bool{
		checkpoint.Checkpoint{Origin: "keys.example.org/log0", Size: 7}.Text(): true,
		checkpoint.Checkpoint{Origin: origin, Size: 7}.Text():                  false,
		"keys.example.org/log0\n7\n":                                           false,
	} {
		r := makeRig(t)
		s, err := pebble.Create(pebble.Config{Dir: "next", FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		cfg := r.cfg
		cfg.Store, cfg.Head, cfg.Predecessor = s, &memHead{}, text
		if err := log.Create(cfg); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
		for data := range s.Leaves(0, 1) {
			if g, err := leaf.Parse(data); good && (err != nil || g.(*leaf.Genesis).Predecessor != text) {
				t.Errorf("GENESIS is %+v", g)
			}
		}
		s.Close()
	}
}
