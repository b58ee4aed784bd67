package verifier_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// durable promises an event as a log does, and hands out the answer.
func (w *world) durable(body []byte, opening name.Opening, mergeBy uint64) (*event.Event, []byte) {
	w.t.Helper()
	e, err := event.Parse(body)
	if err != nil {
		w.t.Fatal(err)
	}
	label := e.Account.Label()
	d := &answer.Durable{Seq: e.Seq, Opening: opening}
	var index name.Index
	d.Proof, index = w.log.VRFKey.Prove(label.VRFInput(e.Seq))
	d.Note = w.log.Signer.SignReceipt(checkpoint.Receipt{
		Origin: origin, Index: index, MergeBy: mergeBy, Commitment: commitment.Commit(opening, label, e.Seq, body),
	})
	data, err := d.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	return e, data
}

func (w *world) verifier() *verifier.Verifier { return &verifier.Verifier{Policy: w.policy()} }

func (w *world) promise(body []byte, opening name.Opening, mergeBy uint64) *verifier.Promise {
	w.t.Helper()
	e, data := w.durable(body, opening, mergeBy)
	p, err := w.verifier().Durable(w.log.VRFKey.Public(), e, data, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// overdue asks the log about a promise.
func (w *world) overdue(p *verifier.Promise) error {
	w.t.Helper()
	data, err := w.log.Lookup(w.t.Context(), p.Request())
	if err != nil {
		w.t.Fatal(err)
	}
	return w.verifier().Overdue(p, data, w.now())
}

func TestDurable(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	body := w.phone("alice").Add()
	key := w.log.VRFKey.Public()
	e, good := w.durable(body, name.Opening{1}, w.log.TimeMs+60_000)
	v := w.verifier()
	p, err := v.Durable(key, e, good, w.now())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := p.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.ParsePromise(key, kept, w.now())
	if err != nil || again.Receipt != p.Receipt || again.Event.ID() != e.ID() {
		t.Errorf("kept and read: %+v, %v; want %+v", again, err, p)
	}
	for i := range 8 * len(good) {
		b := bytes.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		if _, err := v.Durable(key, e, b, w.now()); verifier.FailedCheck(err) == "" {
			t.Fatalf("bit %d flipped: %v, want a failure", i, err)
		}
	}
	for i := range 8 * len(kept) {
		b := bytes.Clone(kept)
		b[i/8] ^= 1 << (i % 8)
		if _, err := v.ParsePromise(key, b, w.now()); err == nil {
			t.Fatalf("bit %d of a kept promise flipped: accepted", i)
		}
	}
	for n := range len(good) {
		if _, err := v.Durable(key, e, good[:n], w.now()); err == nil {
			t.Fatalf("cut to %d bytes: accepted", n)
		}
	}
}

// Each check by itself: what a log could sign, and a client must not take.
func TestDurableRefuses(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "bob.")
	alice := w.phone("alice")
	body, later := alice.Add(), alice.Add()
	key := w.log.VRFKey.Public()
	mergeBy := w.log.TimeMs + 60_000
	e, good := w.durable(body, name.Opening{1}, mergeBy)
	_, ofLater := w.durable(later, name.Opening{1}, mergeBy)
	_, ofBob := w.durable(w.phone("bob").Add(), name.Opening{1}, mergeBy)
	_, absurd := w.durable(body, name.Opening{1}, mergeBy+25*3_600_000)
	_, wrapped := w.durable(body, name.Opening{1}, 1<<63-1)
	mixed := func(receiptOf []byte, change func(*answer.Durable)) []byte {
		d, err := answer.ParseDurable(good)
		if err != nil {
			t.Fatal(err)
		}
		if receiptOf != nil {
			other, _ := answer.ParseDurable(receiptOf)
			d.Note = other.Note
		}
		if change != nil {
			change(d)
		}
		b, _ := d.Bytes()
		return b
	}
	foreign := newWorld(t)
	foreign.log.Signer, _ = checkpoint.NewSigner(string(origin), [32]byte{9})
	_, strange := foreign.durable(body, name.Opening{1}, mergeBy)
	for _, c := range []struct {
		name string
		data []byte
		want verifier.Check
	}{
		{"empty", nil, verifier.CheckForm},
		{"of the next seq", ofLater, verifier.CheckAsked},
		{"of another account", ofBob, verifier.CheckVRF},
		{"the receipt of another account", mixed(ofBob, nil), verifier.CheckVRF},
		{"the receipt of another opening", mixed(nil, func(d *answer.Durable) { d.Opening[0]++ }), verifier.CheckOpening},
		{"another log key", mixed(strange, nil), verifier.CheckLogSignature},
		{"a checkpoint", mixed(nil, func(d *answer.Durable) { d.Note = w.log.Note }), verifier.CheckLogSignature},
		{"promised for tomorrow and later", absurd, verifier.CheckFreshness},
		{"for no index, beside a proof of none", mixed(nil, func(d *answer.Durable) {
			c := commitment.Commit(name.Opening{1}, e.Account.Label(), e.Seq, body)
			d.Note = w.log.Signer.SignReceipt(checkpoint.Receipt{Origin: origin, MergeBy: mergeBy, Commitment: c})
			d.Proof[40]++
		}), verifier.CheckVRF},
		{"promised for never", wrapped, verifier.CheckFreshness},
	} {
		if _, err := w.verifier().Durable(key, e, c.data, w.now()); verifier.FailedCheck(err) != c.want {
			t.Errorf("%s: %v, want check %q", c.name, err, c.want)
		}
	}
	if _, err := w.verifier().Durable([32]byte{2}, e, good, w.now()); verifier.FailedCheck(err) != verifier.CheckGenesis {
		t.Errorf("another VRF key: %v", err)
	}
}

// A log that promised and dropped convicts itself with its next later epoch,
// before a stranger who has its key alone. The file is about the promised index
// and no other.
func TestDroppedPromise(t *testing.T) {
	for _, story := range [][]string{
		{"alice."},
		{"alice.", "bob.", "alice+", "|", "carol.", "alice+", "alice+", "bob+", "dave."},
		{"bob."}, // alice is unknown yet
	} {
		w := newWorld(t)
		w.plays(story...)
		alice := w.phone("alice")
		body := alice.Add
		if alice.At.Next == 0 {
			body = alice.Register
		}
		p := w.promise(body(), name.Opening{7}, w.log.TimeMs+1)
		w.log.Seal()
		if err := w.overdue(p); err != nil {
			t.Errorf("%v: an epoch of merge_by: %v", story, err)
		}
		w.log.Seal()
		var m *evidence.Misbehaviour
		if err := w.overdue(p); !errors.As(err, &m) {
			t.Fatalf("%v: %v, want misbehaviour", story, err)
		}
		w.convictsE7(m.File, p)
		if n := len(m.File.Lines[4].(evidence.Prefix).Results); n != 1 {
			t.Errorf("%v: the file answers %d indexes, want the promised one", story, n)
		}
	}
}

// A SEAL ends every promise, and another event in the promised place breaks it.
func TestEndedAndDisplacedPromise(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "bob.")
	p := w.promise(w.phone("alice").Add(), name.Opening{7}, w.log.TimeMs+50_000)
	w.log.TimeMs++
	w.log.SealAs(&leaf.Epoch{Epoch: w.log.Epochs, TimeMs: w.log.TimeMs, First: w.log.First, Keys: w.log.Keys, PrefixRoot: w.log.Tree.Root(), Sealed: true})
	var m *evidence.Misbehaviour
	if err := w.overdue(p); !errors.As(err, &m) {
		t.Fatalf("sealed: %v, want misbehaviour", err)
	}
	w.convictsE7(m.File, p)

	w = newWorld(t)
	w.plays("alice.", "bob.")
	body := w.phone("alice").Add()
	p = w.promise(body, name.Opening{7}, w.log.TimeMs+1)
	w.log.Append(w.phone("alice").Account(), body) // with another opening: another commitment
	w.log.Seal()
	w.log.Seal()
	if err := w.overdue(p); !errors.As(err, &m) {
		t.Fatalf("displaced: %v, want misbehaviour", err)
	}
	w.convictsE7(m.File, p)
}

// An honest log's promise never convicts it, whenever it is looked at.
func TestKeptPromise(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "bob.", "alice+")
	alice := w.phone("alice")
	body := alice.Add()
	before := w.log.Fork()
	w.log.Append(alice.Account(), body)
	records := w.log.Records[alice.Account()]
	opening := records[len(records)-1].Opening
	w.log, before = before, w.log
	p := w.promise(body, opening, w.log.TimeMs+1)
	if err := w.overdue(p); err != nil {
		t.Errorf("before: %v", err)
	}
	w.log = before
	for range 5 {
		w.log.Seal()
		if err := w.overdue(p); err != nil {
			t.Errorf("after it was logged in time: %v", err)
		}
	}
	for range 9 {
		w.plays("alice=")
		if err := w.overdue(p); err != nil && !errors.Is(err, verifier.ErrNotShown) {
			t.Errorf("among later events: %v", err)
		}
	}
}

// Of two dropped events the first convicts; the answer does not show the second.
func TestSecondDroppedPromise(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+", "alice+", "alice+")
	alice := w.phone("alice")
	first := w.promise(alice.Add(), name.Opening{1}, w.log.TimeMs)
	alice.Add()
	last := w.promise(alice.Add(), name.Opening{2}, w.log.TimeMs)
	w.log.Seal()
	var m *evidence.Misbehaviour
	if err := w.overdue(first); !errors.As(err, &m) {
		t.Errorf("the first: %v, want misbehaviour", err)
	}
	if err := w.overdue(last); !errors.Is(err, verifier.ErrNotShown) {
		t.Errorf("one behind it: %v, want ErrNotShown", err)
	}
}

// A changed answer is a failure, and never evidence against an honest log.
func TestOverdueDoubtsTheAnswer(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "bob.", "alice+")
	alice := w.phone("alice")
	body := alice.Add()
	w.log.Append(alice.Account(), body)
	records := w.log.Records[alice.Account()]
	p := w.promise(body, records[len(records)-1].Opening, w.log.TimeMs+1)
	w.log.Seal()
	w.log.Seal()
	good, err := w.log.Lookup(t.Context(), p.Request())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(good) {
		b := slices.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		var m *evidence.Misbehaviour
		if err := w.verifier().Overdue(p, b, w.now()); err == nil || errors.As(err, &m) {
			t.Fatalf("bit %d flipped: %v, want a failure", i, err)
		}
	}
	late := w.now().Add(48 * time.Hour)
	if err := w.verifier().Overdue(p, good, late); verifier.FailedCheck(err) != verifier.CheckFreshness {
		t.Errorf("an old answer: %v", err)
	}
}

func (w *world) convictsE7(f *evidence.File, p *verifier.Promise) {
	w.t.Helper()
	parsed, err := evidence.Parse(f.Bytes())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := parsed.Verify(w.log.Signer.Key()); err != nil {
		w.t.Error(err)
	}
	if f.Kind != evidence.E7 || !bytes.Equal(f.Lines[0].(evidence.Receipt), p.Durable.Note) {
		w.t.Errorf("a file of kind %s, want E7 with the receipt", f.Kind)
	}
}
