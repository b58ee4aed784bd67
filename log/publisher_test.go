package log_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
)

// What is published has the quorum, for every epoch, and receipts too.
func TestPublishedWithQuorum(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register())
	for range 5 {
		o := r.accepted(p.Add())[0]
		note, v := r.published(o.Position + 1)
		if len(v.Cosigners) < 2 {
			t.Errorf("size %d: published with %v", note.Size, v.Cosigners)
		}
		kept, _, err := r.store.NoteAbove(o.Position)
		if err != nil || !bytes.Equal(kept, note.Bytes()) {
			t.Errorf("size %d: the receipt's note is not the published one: %v", note.Size, err)
		}
	}
	for _, w := range ws {
		if n := len(w.statuses()); n < 2 {
			t.Errorf("%s was asked %d times", w.name, n)
		}
	}
}

// An auditor and a witness with two keys at one URL: it is asked once a
// checkpoint, and all its lines count.
func TestPublishedWithAuditor(t *testing.T) {
	r := makeRig(t)
	auditor := r.witness("auditor", checkpoint.Cosignature)
	both := r.witness("both", checkpoint.Cosignature, checkpoint.MLDSA44)
	_, a := auditor.lines()
	names, b := both.lines()
	r.follow(a + b + "group auditors any auditor\ngroup quorum-all all auditors " + strings.Join(names, " ") + "\nquorum quorum-all")
	auditor.down = true
	r.open()
	never(t, r, 2)
	auditor.set(func(w *witness) { w.down = false })
	r.accepted(r.phone("alice").Register())
	_, v := r.published(4)
	if v.Trust != checkpoint.Audited || len(v.Cosigners) != 3 {
		t.Errorf("published %+v, want three cosignatures, audited", v)
	}
	if r.stop() != nil {
		t.Error("the log did not stop well")
	}
	if n := len(both.statuses()); n > 5 {
		t.Errorf("asked %d times for two checkpoints, %v", n, both.statuses())
	}
}

// never sees to it that a round that fails publishes nothing.
func never(t *testing.T, r *rig, size uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if o := r.log.Submit(ctx, [][]byte{r.phone("nobody").Register()}, answer.Want{Receipt: true})[0]; !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("submitted without a quorum: %+v", o)
	} else if strings.Contains(o.Err.Error(), "deadline") || !strings.Contains(o.Err.Error(), "send it again") {
		t.Errorf("whoever submitted is told %q, want what to do", o.Err)
	}
	if now, _ := r.log.Position(); now >= size {
		t.Errorf("size %d is published without a quorum", now)
	}
	if size <= 2 {
		if r.log.Published() != nil {
			t.Error("something is published without a quorum")
		}
		if _, err := r.log.Lookup(context.Background(), (&answer.Request{Asks: []answer.Ask{{Most: 1}}}).Bytes()); !errors.Is(err, answer.ErrBehind) || strings.Contains(err.Error(), "is behind") || !strings.Contains(err.Error(), "waits for its cosigners") {
			t.Errorf("a lookup before anything is published: %v", err)
		}
		if _, err := r.log.Tile(0, 0, 2); err != nil {
			t.Errorf("the signed tree's tiles are not served: %v", err)
		}
	}
}

// Without a quorum epochs are sealed and nothing is published; submitters wait,
// and have their answer as soon as a witness is back, after a restart too.
func TestQuorumIsAwaited(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register())
	before, _ := r.published(4)
	for _, w := range ws[1:] {
		w.set(func(w *witness) { w.down = true })
	}
	body := p.Add()
	waiting := make(chan answer.Outcome, 1)
	go func() { waiting <- r.submit(body)[0] }()
	never(t, r, before.Size+1)
	if _, err := r.log.Entries(0, int(before.Size)+1); err != nil {
		t.Errorf("the signed epoch's entries are not served to auditors: %v", err)
	}
	select {
	case o := <-waiting:
		t.Fatalf("acknowledged without a quorum: %+v", o)
	default:
	}
	ws[2].set(func(w *witness) { w.down = false })
	o := <-waiting
	if o.Err != nil || o.Refused != nil {
		t.Fatalf("the witness is back: %+v", o)
	}
	r.published(o.Position + 1)

	// The same, with the log restarted in between: what is stored is not
	// acknowledged before it is published, and then with the same position.
	ws[2].set(func(w *witness) { w.down = true })
	body = p.Add()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	r.log.Submit(ctx, [][]byte{body}, answer.Want{Receipt: true})
	cancel()
	last := r.log.Published()
	r.stop()
	r.open()
	ctx, cancel = context.WithTimeout(context.Background(), 200*time.Millisecond)
	if o := r.log.Submit(ctx, [][]byte{body}, answer.Want{Receipt: true})[0]; !errors.Is(o.Err, context.DeadlineExceeded) {
		t.Errorf("acknowledged after a restart without a quorum: %+v", o)
	}
	cancel()
	if now := r.log.Published(); now != nil && !bytes.Equal(now, last) {
		t.Errorf("published without a quorum: %s", now)
	}
	ws[1].set(func(w *witness) { w.down = false })
	r.accepted(body)
}

// Stopping lets waiters go: their events are stored, and they are told.
func TestStopWithoutQuorum(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register())
	for _, w := range ws {
		w.set(func(w *witness) { w.down = true })
	}
	body := p.Add()
	waiting := make(chan answer.Outcome, 1)
	go func() { waiting <- r.submit(body)[0] }()
	never(t, r, 5)
	if err := r.stop(); err != nil {
		t.Errorf("the log stopped with %v", err)
	}
	if o := <-waiting; !errors.Is(o.Err, log.ErrStopped) {
		t.Errorf("a waiter of a log that ended got %+v", o)
	}
	for _, w := range ws {
		w.set(func(w *witness) { w.down = false })
	}
	r.open()
	r.accepted(body)
}

// The same bytes for the same size, whatever happens in between.
func TestRestartRepublishesTheSameBytes(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	p := r.phone("alice")
	for i, step := range []func() []byte{p.Register, p.Add, p.Add} {
		body := step()
		o := r.accepted(body)[0]
		r.published(o.Position + 1)
		before := r.log.Published()
		r.stop()
		ws[i].set(func(w *witness) { w.down = true }) // another quorum would be asked now
		r.mu.Lock()
		r.now = r.now.Add(time.Second) // and state another time
		r.mu.Unlock()
		r.open()
		if now := r.log.Published(); !bytes.Equal(now, before) {
			t.Errorf("step %d: published\n%s then\n%s", i, before, now)
		}
		if again := r.accepted(body)[0]; !bytes.Equal(again.Receipt, o.Receipt) {
			t.Errorf("step %d: another receipt for the same event", i)
		}
		ws[i].set(func(w *witness) { w.down = false })
	}
}

// Whatever size a witness has, the log finds out and goes on.
func TestConflictRecovery(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register(), p.Add())
	r.published(5)
	ws[0].mu.Lock()
	older, root, seen := ws[0].size, ws[0].root, ws[0].seen
	ws[0].mu.Unlock()
	r.accepted(p.Add())
	for what, spoil := range map[string]func(*witness){
		"wiped":                 func(w *witness) { w.size, w.seen = 0, nil },
		"behind, an old backup": func(w *witness) { w.size, w.root, w.seen = older, root, seen },
		"as it was":             func(*witness) {},
	} {
		for _, w := range ws {
			w.set(spoil)
		}
		o := r.accepted(p.Add())[0]
		if note, _ := r.published(o.Position + 1); note.Size != o.Position+2 {
			t.Errorf("%s: size %d is published", what, note.Size)
		}
	}
	// A log that starts knows no sizes: 409 tells them. Two cosignatures are enough, so
	// one of the three may not have been asked for the newest checkpoint yet.
	newest, _ := r.published(1)
	i := slices.IndexFunc(ws, func(w *witness) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.size == newest.Size
	})
	r.stop()
	ws[i].set(func(w *witness) { w.said = nil })
	r.open()
	r.accepted(p.Add())
	until(t, "the witness has answered twice", func() bool { return len(ws[i].statuses()) >= 2 })
	if said := ws[i].statuses(); said[0] != 409 || said[1] != 200 {
		t.Errorf("after a restart a witness said %v, want 409 and 200", said)
	}
}

// A witness that was slow for one checkpoint is asked for the next as soon as
// it has answered, and its late answer stands in nobody's way.
func TestLateAnswer(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.cfg.CosignTimeout = time.Hour // the client's own time-out is 10 s
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register())
	hold := make(chan struct{})
	ws[0].set(func(w *witness) { w.hold = hold })
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	o := r.accepted(p.Add())[0] // by the other two
	r.published(o.Position + 1)
	ws[1].set(func(w *witness) { w.down = true })
	body := p.Add()
	waiting := make(chan answer.Outcome, 1)
	go func() { waiting <- r.submit(body)[0] }()
	until(t, "the next epoch is signed", func() bool {
		_, err := r.log.Entries(0, int(o.Position)+3)
		return err == nil
	})
	release()
	select {
	case o := <-waiting:
		if o.Err != nil || o.Refused != nil {
			t.Errorf("%+v", o)
		}
	case <-time.After(30 * time.Second):
		t.Error("the late answer kept the next checkpoint from being published")
	}
}
