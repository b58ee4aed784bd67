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
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/verifier"
)

// crashes ends the log between the commit of an event's epoch and its signature.
func (r *rig) crashes(body []byte) {
	r.t.Helper()
	r.head.fail = errors.New("the power is gone")
	if o := r.submit(body)[0]; o.Err == nil {
		r.t.Fatalf("acknowledged without a signature: %+v", o)
	}
	if err := r.stop(); !errors.Is(err, r.head.fail) {
		r.t.Fatalf("the log ended with %v", err)
	}
	r.head.fail = nil
}

func setAll(ws []*witness, change func(*witness)) {
	for _, w := range ws {
		w.set(change)
	}
}

// A server that crashed before it signed an epoch comes back, when another one
// has long gone on in its place: the epoch that it was about to sign is a fork,
// and the cosigners say so before it signs, also when it is started once more.
func TestOldServerComesBack(t *testing.T) {
	r, ws := threeWitnesses(t)
	p := r.phone("alice")
	disk, head := r.backedUp(p)
	r.open()
	r.crashes(r.phone("bob").Register())
	crashed := r.disk

	r.disk = disk
	r.open()
	r.accepted(p.Add(), p.Add())
	newest, _ := r.published(7)
	r.stop()

	r.disk, r.head.note = crashed, head
	for range 2 {
		r.open()
		var forked *log.Forked
		if err := r.ends(); !errors.As(err, &forked) {
			t.Fatalf("the log ended with %v, want *log.Forked", err)
		}
		if note, err := checkpoint.Parse(forked.Note); err != nil || note.Size != newest.Size {
			t.Errorf("it shows %s", forked.Note)
		}
		if !bytes.Equal(r.head.note, head) {
			t.Fatal("a fork was signed")
		}
		r.stop()
	}
	setAll(ws, func(w *witness) {
		if !bytes.HasPrefix(w.seen, []byte(newest.Text)) {
			t.Errorf("%s has seen %s", w.name, w.seen)
		}
	})
}

// If nobody went on in its place, the epoch is signed once a quorum has said
// so; and if one of them has cosigned it already, since the head is a copy from
// before, that is no fork.
func TestUnsignedEpochAwaitsCosigners(t *testing.T) {
	for _, signed := range []bool{false, true} {
		r, ws := threeWitnesses(t)
		r.open()
		r.accepted(r.phone("alice").Register())
		head := r.head.note
		body := r.phone("bob").Register()
		if signed {
			// One witness, which is no quorum: nothing is published, so that only it knows.
			setAll(ws[1:], func(w *witness) { w.down = true })
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			go func() {
				until(t, "the witness has cosigned it", func() bool {
					ws[0].mu.Lock()
					defer ws[0].mu.Unlock()
					return ws[0].size > 4
				})
				cancel()
			}()
			r.log.Submit(ctx, [][]byte{body}, answer.Want{})
			r.cfg.CosignTimeout = 100 * time.Millisecond
			r.stop()
			setAll(ws[1:], func(w *witness) { w.down = false })
			r.head.note = head
		} else {
			setAll(ws, func(w *witness) { w.down = true })
			r.crashes(body)
			r.cfg.CosignTimeout = 100 * time.Millisecond
			r.open()
			r.stop()
			if !bytes.Equal(r.head.note, head) {
				t.Error("signed, and nobody was there to confirm it")
			}
			setAll(ws, func(w *witness) { w.down = false })
		}
		r.open()
		size, _ := r.log.Position()
		if size != 4 {
			t.Errorf("at its start the log shows size %d, published were 4", size)
		}
		o := r.accepted(body)[0]
		if n, _ := r.published(o.Position + 1); n.Size < 6 {
			t.Errorf("published: size %d", n.Size)
		}
	}
}

// An event that builds on what an old backup lacks is not refused, which would be for
// good, before the cosigners have been heard.
func TestOldBackupRefusesNothing(t *testing.T) {
	r, ws := threeWitnesses(t)
	p := r.phone("alice")
	r.putBack(p)
	hold := make(chan struct{})
	setAll(ws, func(w *witness) { w.hold = hold })
	r.open()
	if o := r.submit(p.Add())[0]; o.Refused != nil || o.Err == nil || !strings.Contains(o.Err.Error(), "have not confirmed yet") {
		t.Errorf("refused %v, error %v", o.Refused, o.Err)
	}
	close(hold)
	var forked *log.Forked
	if err := r.ends(); !errors.As(err, &forked) {
		t.Errorf("the log ended with %v, want *log.Forked", err)
	}
}

// A new cosigner that is quicker than those who have seen more confirms nothing:
// an old backup signs nothing meanwhile. If they are gone, it is not waited for long.
func TestQuickStrangerConfirmsNothing(t *testing.T) {
	r, ws := threeWitnesses(t)
	_, newest, now := r.putBack(r.phone("alice"))
	head := r.head.note
	stranger := r.witness("stranger", checkpoint.Cosignature)
	_, lines := stranger.lines()
	for _, w := range ws {
		_, l := w.lines()
		lines += l
	}
	r.follow(lines + "quorum stranger")
	all := make(chan struct{})
	setAll(ws, func(w *witness) { w.hold = all })
	r.open()
	until(t, "the stranger has cosigned", func() bool { return slices.Contains(stranger.statuses(), 200) })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r.log.Submit(ctx, [][]byte{r.phone("bob").Register()}, answer.Want{})
	if !bytes.Equal(r.head.note, head) {
		t.Error("something was signed")
	}
	setAll(ws, func(w *witness) { w.hold = nil })
	close(all)
	var forked *log.Forked
	if err := r.ends(); !errors.As(err, &forked) || !bytes.Equal(r.head.note, head) {
		t.Errorf("the log ended with %v, want *log.Forked", err)
	}
	r.stop()

	setAll(ws, func(w *witness) { w.down = true })
	r.disk, r.head.note, r.cfg.CosignTimeout = newest, now, 50*time.Millisecond
	r.open()
	r.accepted(r.phone("bob").Register())
}

// In a policy of one of two, each is a quorum, and what one has cosigned the other
// need not know. An old backup is found out though the one that knows nothing is
// the quicker, also if both were away at first, for longer than one is waited for.
func TestQuorumsApart(t *testing.T) {
	for _, away := range []bool{false, true} {
		r := makeRig(t)
		w0, w1 := r.witness("w0", checkpoint.Cosignature), r.witness("w1", checkpoint.Cosignature)
		_, l0 := w0.lines()
		_, l1 := w1.lines()
		r.follow(l0 + l1 + "group one 1 w0 w1\nquorum one")
		r.open()
		p := r.phone("alice")
		r.accepted(p.Register())
		until(t, "both have cosigned", func() bool { return len(w0.statuses()) > 1 && len(w1.statuses()) > 1 })
		r.stop()
		disk, head := r.backup()
		w0.set(func(w *witness) { w.down, w.said = true, nil })
		r.cfg.CosignTimeout = 50 * time.Millisecond
		r.open()
		r.accepted(p.Add())
		r.stop()

		w1.set(func(w *witness) { w.down, w.said = away, nil })
		w0.set(func(w *witness) { w.down, w.said = away, nil })
		hold := make(chan struct{})
		r.cfg.CosignTimeout = time.Hour
		r.disk, r.head.note = disk, head
		if away {
			r.cfg.CosignTimeout = 3 * time.Second
			r.open()
			time.Sleep(r.cfg.CosignTimeout + 500*time.Millisecond) // their first questions are over
			w1.set(func(w *witness) { w.hold = hold })
			w0.set(func(w *witness) { w.down = false })
		} else {
			w1.set(func(w *witness) { w.hold = hold })
			r.open()
		}
		until(t, "the other one has cosigned", func() bool { return slices.Contains(w0.statuses(), 200) })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		r.log.Submit(ctx, [][]byte{r.phone("bob").Register()}, answer.Want{})
		w1.set(func(w *witness) { w.down = false })
		close(hold)
		var forked *log.Forked
		if err := r.ends(); !errors.As(err, &forked) || !bytes.Equal(r.head.note, head) {
			t.Errorf("away %v: the log ended with %v, want *log.Forked", away, err)
		}
		r.stop()
	}
}

// A log whose cosigners are away when it starts shows what was published last,
// and takes up what they have not seen once they are back.
func TestReadsBeforeCosigners(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	alice, bob := r.phone("alice"), r.phone("bob")
	r.accepted(alice.Register())
	published, _ := r.published(4)
	setAll(ws, func(w *witness) { w.down = true })
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		r.log.Submit(ctx, [][]byte{bob.Register(), alice.Add()}, answer.Want{})
	}()
	until(t, "the epoch is signed", func() bool { return r.log.Events() == 3 })
	cancel()
	<-waiting
	r.cfg.CosignTimeout = 50 * time.Millisecond
	r.stop()

	r.open()
	if note, err := checkpoint.Parse(r.log.Published()); err != nil || note.Checkpoint != published.Checkpoint {
		t.Fatalf("the log shows %v, %v; published was %v", note, err, published)
	}
	if r.log.Events() != 3 {
		t.Errorf("%d events signed, want 3", r.log.Events())
	}
	result, state := r.look(nil, history(r.phone("alice")), history(r.phone("bob")))
	if n := len(result.Accounts); n != 2 || result.Accounts[0].Seq != 0 || result.Accounts[1].Status != verifier.Unknown {
		t.Errorf("before the cosigners are back: %+v", result.Accounts)
	}
	setAll(ws, func(w *witness) { w.down = false })
	r.published(published.Size + 3)
	result, _ = r.look(state, history(alice), history(bob))
	r.sees(alice, result.Accounts[0])
	r.sees(bob, result.Accounts[1])
}
