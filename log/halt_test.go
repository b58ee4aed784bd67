package log_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
)

// A store behind its signed head is read as it was last published, and nothing
// is signed.
func TestOpenToRead(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	body := p.Register()
	r.accepted(body)
	r.stop()
	disk, _ := r.backup()
	r.open()
	r.accepted(r.phone("bob").Register())
	r.stop()
	r.disk = disk
	head := slices.Clone(r.head.note)
	r.openStore()
	_, why := log.Open(r.cfg)
	if !errors.Is(why, log.ErrReadOnly) || !strings.Contains(why.Error(), "muster recover") {
		t.Fatalf("opened: %v", why)
	}
	if told := log.Told(why); told != "its store is behind what was signed with its key" {
		t.Errorf("it tells everybody %q", told)
	}
	l, err := log.OpenToRead(r.cfg, why)
	if err != nil {
		t.Fatal(err)
	}
	r.run(l)
	if err := r.ends(); !errors.Is(err, log.ErrReadOnly) {
		t.Errorf("Run returned %v", err)
	}
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])
	if o := r.accepted(body)[0]; o.Position != 2 {
		t.Errorf("what is logged: %+v", o)
	}
	for _, wait := range []answer.Wait{answer.WaitPublished, answer.WaitDurable} {
		o := l.Submit(t.Context(), [][]byte{r.phone("carol").Register()}, answer.Want{Wait: wait})[0]
		if !errors.Is(o.Err, log.ErrReadOnly) {
			t.Errorf("an event was taken: %+v", o)
		}
	}
	if _, err := l.Entries(0, 4); err != nil {
		t.Errorf("entries: %v", err)
	}
	if !bytes.Equal(head, r.head.note) {
		t.Error("something was signed")
	}
}

// The newest epochs may not have been published when the store came back: an
// older one is shown.
func TestOpenToReadShowsTheLastPublished(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register())
	first := r.log.Published()
	for _, w := range ws {
		w.set(func(w *witness) { w.down = true })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r.log.Submit(ctx, [][]byte{p.Add()}, answer.Want{}) // stored, not published
	r.stop()
	r.head.note = nil
	r.openStore()
	_, why := log.Open(r.cfg)
	l, err := log.OpenToRead(r.cfg, why)
	if err != nil || !errors.Is(why, log.ErrReadOnly) {
		t.Fatal(why, err)
	}
	if told := log.Told(l.ReadOnly()); told != "what it signed last cannot be known" {
		t.Errorf("it tells everybody %q", told)
	}
	r.run(l)
	if !bytes.Equal(l.Published(), first) {
		t.Errorf("published %s, want\n%s", l.Published(), first)
	}
	result, _ := r.look(nil, history(r.phone("alice")))
	if result.Accounts[0].Seq != 0 {
		t.Errorf("it shows %+v", result.Accounts[0])
	}
}

// A log that must not go on and never published says that: nobody has to wait.
func TestReadOnlyWithNothingPublished(t *testing.T) {
	r := makeRig(t)
	r.head.note = nil
	r.openStore()
	defer r.store.Close()
	_, why := log.Open(r.cfg)
	l, err := log.OpenToRead(r.cfg, why)
	if err != nil {
		t.Fatal(why, err)
	}
	_, err = l.Lookup(t.Context(), (&answer.Request{Asks: []answer.Ask{{Most: 1}}}).Bytes())
	if !errors.Is(err, answer.ErrBehind) || !strings.HasPrefix(err.Error(), "this log only serves reads, and signs nothing: what it signed last cannot be known; there is nothing published") {
		t.Errorf("a lookup gives %v", err)
	}
}

// Halt stops signing; reads go on.
func TestHalt(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register())
	head := slices.Clone(r.head.note)
	if told := log.Told(r.log.ReadOnly()); told != "" {
		t.Errorf("before, it tells everybody %q", told)
	}
	r.log.Halt(errors.New("the file /var/lib/log is damaged"))
	if err := r.ends(); !errors.Is(err, log.ErrReadOnly) || !strings.Contains(err.Error(), "/var/lib/log is damaged") {
		t.Errorf("Run returned %v", err)
	}
	for _, wait := range []answer.Wait{answer.WaitPublished, answer.WaitDurable} {
		o := r.log.Submit(t.Context(), [][]byte{p.Add()}, answer.Want{Wait: wait})[0]
		if !errors.Is(o.Err, log.ErrReadOnly) || strings.Contains(o.Err.Error(), "/var") {
			t.Errorf("taken, or told too much: %+v", o)
		}
	}
	if told := log.Told(r.log.ReadOnly()); told != "its store was found damaged" {
		t.Errorf("it tells everybody %q", told)
	}
	result, _ := r.look(nil, history(r.phone("alice")))
	if result.Accounts[0].Seq != 0 || !bytes.Equal(head, r.head.note) {
		t.Errorf("it shows %+v", result.Accounts[0])
	}
}

// An epoch under way when Halt is called is not signed any more.
func TestHaltBeforeTheSignature(t *testing.T) {
	r := newRig(t)
	head := slices.Clone(r.head.note)
	r.store.stall = func() { r.log.Halt(errors.New("the file /var/lib/log is damaged")) }
	if o := r.submit(r.phone("alice").Register())[0]; o.Err == nil || strings.Contains(o.Err.Error(), "/var") {
		t.Errorf("acknowledged, or told too much: %+v", o)
	}
	if err := r.ends(); !errors.Is(err, log.ErrReadOnly) || !bytes.Equal(head, r.head.note) {
		t.Errorf("Run returned %v, and it signed: %v", err, !bytes.Equal(head, r.head.note))
	}
}

// Who waits for cosigners when Halt is called is told why, and no more.
func TestHaltWhileWaiting(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register())
	for _, w := range ws {
		w.set(func(w *witness) { w.down = true })
	}
	waiting := make(chan error, 1)
	go func() { waiting <- r.submit(p.Add())[0].Err }()
	until(t, "the event is stored", func() bool { return r.log.Events() == 2 })
	r.log.Halt(errors.New("the file /var/lib/log is damaged"))
	if err := <-waiting; !errors.Is(err, log.ErrReadOnly) || strings.Contains(err.Error(), "/var") {
		t.Errorf("the event: %v", err)
	}
}

// A log that is halted between Open and Run takes no event: nobody would ever
// answer its sender.
func TestHaltBeforeRun(t *testing.T) {
	r := makeRig(t)
	r.openStore()
	l, err := log.Open(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	early := make(chan answer.Outcome, 1)
	submit := func() answer.Outcome {
		return l.Submit(t.Context(), [][]byte{r.phone("alice").Register()}, answer.Want{})[0]
	}
	go func() { early <- submit() }()
	for l.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	l.Halt(errors.New("the file /var/lib/log is damaged"))
	r.run(l)
	if err := r.ends(); !errors.Is(err, log.ErrReadOnly) {
		t.Errorf("Run returned %v", err)
	}
	for what, o := range map[string]answer.Outcome{"before Run": <-early, "after it": submit()} {
		if !errors.Is(o.Err, log.ErrReadOnly) {
			t.Errorf("%s: %+v", what, o)
		}
	}
}
