package log_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// mirror is a running log's public files.
type mirror struct{ *log.Log }

func (m mirror) Checkpoint(context.Context) ([]byte, error) { return m.Published(), nil }
func (m mirror) Tile(_ context.Context, level int, n uint64, width int) ([]byte, error) {
	return m.Log.Tile(level, n, width)
}
func (m mirror) Entries(_ context.Context, n uint64, width int) ([]byte, error) {
	return m.Log.Entries(n, width)
}

// lost is a log that goes on, and what was backed up of it before.
type lost struct {
	*rig         // goes on
	old     *rig // restored, without its signed head
	content []log.Content
	erased  []log.Content // bob's, of which nothing is needed
	alice   *liar.Phone
	bob     *liar.Phone
	carol   *liar.Phone
	note    []byte
}

func newLost(t *testing.T) *lost {
	r := newRig(t)
	l := &lost{rig: r, alice: r.phone("alice"), bob: r.phone("bob"), carol: r.phone("carol")}
	r.accepted(l.alice.Register())
	r.stop()
	disk, _ := r.backup()
	l.old = &rig{t: t, disk: disk, head: &memHead{}, cfg: r.cfg, now: r.now}
	l.old.cfg.Head = l.old.head
	t.Cleanup(func() { l.old.stop() })
	r.open()
	send := func(keep *[]log.Content, bodies ...[]byte) {
		for i, o := range r.accepted(bodies...) {
			p, err := answer.ParsePublished(o.Receipt)
			if err != nil {
				t.Fatal(err)
			}
			*keep = append(*keep, log.Content{Body: bodies[i], Opening: p.Opening})
		}
	}
	send(&l.content, l.alice.Add(), l.alice.Add())
	send(&l.erased, l.bob.Register(), l.bob.Add())
	send(&l.content, l.carol.Register(), l.bob.Erase())
	send(&l.content, l.alice.Remove(1), l.carol.Add(), l.carol.Confirm(), l.carol.Add())
	l.note = r.log.Published()
	return l
}

func (l *lost) tree() log.PublicTree {
	l.t.Helper()
	n, err := checkpoint.Parse(l.note)
	if err != nil {
		l.t.Fatal(err)
	}
	t, err := follow.Open(l.t.Context(), mirror{l.log}, n.Checkpoint)
	if err != nil {
		l.t.Fatal(err)
	}
	return t
}

func (l *lost) recover(content []log.Content) (*log.Recovered, error) {
	l.t.Helper()
	l.old.openStore()
	defer l.old.store.Close()
	return log.Recover(l.t.Context(), l.old.cfg, l.note, l.tree(), content)
}

// size is that of the restored store.
func (l *lost) size() uint64 {
	l.t.Helper()
	return uint64(len(l.old.leaves()))
}

// A restored backup gets what it lacks from the public files and the receipts
// that submitters kept: the same log, with which clients go on.
func TestRecover(t *testing.T) {
	l := newLost(t)
	_, before := l.look(nil, history(l.alice), history(l.carol))
	l.old.openStore()
	if _, err := log.Open(l.old.cfg); !errors.Is(err, log.ErrReadOnly) {
		t.Fatalf("a backup without its signed head: %v", err)
	}
	l.old.store.Close()
	slices.Reverse(l.content)
	done, err := l.recover(l.content)
	if err != nil {
		t.Fatal(err)
	}
	if done.From != 4 || done.Events != 10 || done.Closed != 2 || done.Epochs < 4 {
		t.Errorf("it did %+v", done)
	}
	if string(l.old.head.note) != string(l.head.note) {
		t.Error("the signed head is another")
	}
	l.old.openStore()
	if _, _, err := l.old.store.NoteAbove(done.To - 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("without a policy nothing says that the checkpoint was published; it is kept: %v", err)
	}
	l.old.store.Close()
	l.old.open()
	if string(l.old.log.Published()) != string(l.note) {
		t.Errorf("it publishes %s", l.old.log.Published())
	}
	result, _ := l.old.look(before, history(l.alice), history(l.carol), history(l.phone("bob")))
	l.old.sees(l.alice, result.Accounts[0])
	l.old.sees(l.carol, result.Accounts[1])
	l.old.accepted(l.alice.Add(), l.carol.Confirm())
	result, _ = l.old.look(before, history(l.alice), history(l.carol))
	l.old.sees(l.alice, result.Accounts[0])
	l.old.sees(l.carol, result.Accounts[1])
}

// Without openings the log goes on all the same; accounts can be looked up again
// from the next event that their primary signs.
func TestRecoverWithoutOpenings(t *testing.T) {
	l := newLost(t)
	for i := range l.content {
		l.content[i].Opening = [16]byte{}
	}
	if done, err := l.recover(l.content); err != nil || done.Closed != 10 {
		t.Fatalf("%+v, %v", done, err)
	}
	l.old.open()
	l.old.accepted(l.carol.Confirm())
	result, _ := l.old.look(nil, verifier.Question{Account: l.carol.Account()})
	l.old.sees(l.carol, result.Accounts[0])
	request := (&answer.Request{Asks: []answer.Ask{{Account: l.carol.Account(), Kind: answer.History, Most: 9}}}).Bytes()
	if _, err := l.old.log.Lookup(t.Context(), request); !errors.Is(err, answer.ErrBehind) {
		t.Errorf("what cannot be opened: %v", err)
	}
	if o := l.old.submit(l.content[0].Body)[0]; o.Err == nil {
		t.Errorf("a receipt without an opening: %+v", o)
	}
}

// Whoever still has what was erased, all of it or a part, or something else in its
// place, may give it: none is stored again.
func TestRecoverBringsNothingErasedBack(t *testing.T) {
	for what, kept := range map[string]func([]log.Content) []log.Content{
		"all":        func(c []log.Content) []log.Content { return c },
		"the second": func(c []log.Content) []log.Content { return c[1:] },
		"another":    func(c []log.Content) []log.Content { c[0].Opening[0] ^= 1; return c },
	} {
		l := newLost(t)
		done, err := l.recover(slices.Concat(kept(l.erased), l.content))
		if err != nil || done.Closed != 2 {
			t.Errorf("%s: %+v, %v", what, done, err)
			continue
		}
		l.old.open()
		for seq := range uint32(2) {
			if e, err := l.old.event(l.bob.Account(), seq); err != nil || e.Body != nil {
				t.Errorf("%s: seq %d has content again: %v", what, seq, err)
			}
		}
		result, _ := l.old.look(nil, history(l.alice), history(l.bob))
		l.old.sees(l.alice, result.Accounts[0])
	}
}

// An ERASE that was never logged excuses no missing event.
func TestRecoverHoldsAnEraseAgainstTheLog(t *testing.T) {
	l := newLost(t)
	without := slices.DeleteFunc(slices.Clone(l.content), func(c log.Content) bool {
		e, err := event.Parse(c.Body)
		return err != nil || e.Account == l.alice.Account()
	})
	var missing *log.Missing
	if _, err := l.recover(append(without, log.Content{Body: l.alice.Erase()})); !errors.As(err, &missing) || len(missing.Positions) != 3 {
		t.Errorf("three events of alice are not given: %v", err)
	}
	if l.size() != 4 || l.old.head.note != nil {
		t.Errorf("it wrote: size %d", l.size())
	}
}

// What is not given is named, and nothing is written.
func TestRecoverRefuses(t *testing.T) {
	l := newLost(t)
	untouched := func(what string) {
		t.Helper()
		if l.size() != 4 || l.old.head.note != nil {
			t.Errorf("%s: it wrote: size %d, head %q", what, l.size(), l.old.head.note)
		}
	}
	var missing *log.Missing
	if _, err := l.recover(l.content[1:]); !errors.As(err, &missing) || fmt.Sprint(missing.Positions) != "[4]" {
		t.Errorf("without the first event: %v", err)
	}
	untouched("without the first event")

	wrong := slices.Clone(l.content)
	wrong[2].Opening[0] ^= 1
	if _, err := l.recover(wrong); err == nil {
		t.Error("a wrong opening is taken")
	}
	untouched("a wrong opening")

	note := l.note
	stranger, err := checkpoint.NewSigner(string(origin), liar.Seed("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := checkpoint.Parse(note)
	if err != nil {
		t.Fatal(err)
	}
	l.note = stranger.Sign(n.Checkpoint)
	if _, err := l.recover(l.content); err == nil {
		t.Error("a checkpoint of another key is taken")
	}
	untouched("another key")
	l.note = note

	// Something larger, or something else, was signed.
	for what, c := range map[string]checkpoint.Checkpoint{
		"larger": {Origin: origin, Size: n.Size + 1, Root: n.Root},
		"beside": {Origin: origin, Size: n.Size},
	} {
		head := l.cfg.Signer.Sign(c)
		l.old.head.note = head
		if _, err := l.recover(l.content); err == nil || string(l.old.head.note) != string(head) || l.size() != 4 {
			t.Errorf("%s than the target: %v", what, err)
		}
		l.old.head.note = nil
	}

	// A store that is on another history.
	other := newRig(t)
	other.accepted(l.phone("mallory").Register())
	other.stop()
	old := l.old
	l.old = other
	head := other.head.note
	var forked *log.Forked
	if _, err := l.recover(l.content); !errors.As(err, &forked) || string(other.head.note) != string(head) {
		t.Errorf("another history: %v", err)
	}
	l.old = old

	// A store that is ahead.
	l.old = l.rig
	tree := l.tree()
	l.accepted(l.phone("dave").Register())
	if _, err := log.Recover(t.Context(), l.cfg, note, tree, l.content); err == nil {
		t.Error("a store that is ahead is cut")
	}
}

// Cut off at any epoch, the store signs nothing, and the next run completes it.
func TestRecoverCutOff(t *testing.T) {
	full := errors.New("no space left on device")
	for commits := range 4 {
		l := newLost(t)
		l.old.openStore()
		n := 0
		l.old.store.stall = func() {
			if n++; n > commits {
				l.old.store.fail = full
			}
		}
		if _, err := log.Recover(t.Context(), l.old.cfg, l.note, l.tree(), l.content); !errors.Is(err, full) {
			t.Fatalf("after %d commits: %v", commits, err)
		}
		l.old.store.Close()
		l.old.openStore()
		if _, err := log.Open(l.old.cfg); !errors.Is(err, log.ErrReadOnly) {
			t.Errorf("after %d commits it opens: %v", commits, err)
		}
		l.old.store.Close()
		if _, err := l.recover(l.content); err != nil {
			t.Fatalf("after %d commits, again: %v", commits, err)
		}
		l.old.open()
		result, _ := l.old.look(nil, history(l.alice), history(l.carol))
		l.old.sees(l.alice, result.Accounts[0])
		l.old.sees(l.carol, result.Accounts[1])
	}
}

// What was erased of an account that the backup does not know is rebuilt without a
// trace in its row, so the run that goes on has only the ERASE to know it by.
func TestRecoverCutOffBeforeAnErase(t *testing.T) {
	l := newLost(t)
	dave := l.phone("dave")
	l.accepted(dave.Register(), dave.Add(), dave.Add(), dave.Add(), dave.Add())
	erase := dave.Erase()
	p, err := answer.ParsePublished(l.accepted(erase)[0].Receipt)
	if err != nil {
		t.Fatal(err)
	}
	l.content = append(l.content, log.Content{Body: erase, Opening: p.Opening})
	l.note = l.log.Published()
	full := errors.New("no space left on device")
	l.old.openStore()
	l.old.store.stall = func() {
		if state, err := l.old.store.State(); err != nil || state.Size+2 == l.tree().Checkpoint().Size {
			l.old.store.fail = full // but for the ERASE and its EPOCH all is there
		}
	}
	if _, err := log.Recover(t.Context(), l.old.cfg, l.note, l.tree(), l.content); !errors.Is(err, full) {
		t.Fatal(err)
	}
	l.old.store.Close()
	if _, err := l.recover(l.content); err != nil {
		t.Fatalf("again: %v", err)
	}
	l.old.open()
	result, _ := l.old.look(nil, history(l.alice), history(dave))
	l.old.sees(l.alice, result.Accounts[0])
}

// A promise in the backup opens its event.
func TestRecoverPromised(t *testing.T) {
	l := newLost(t)
	l.old.openStore()
	first := l.content[0]
	if err := l.old.store.Reserve([]store.Pending{{Account: l.alice.Account(), Seq: 1, Opening: first.Opening, Body: first.Body}}); err != nil {
		t.Fatal(err)
	}
	l.old.store.Close()
	if done, err := l.recover(l.content[1:]); err != nil || done.Closed != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	l.old.open()
	result, _ := l.old.look(nil, history(l.alice))
	l.old.sees(l.alice, result.Accounts[0])
}

// A size keeps its bytes, and a note that never met the policy must not be the
// one: the signed head is kept under no policy but one that it meets.
func TestRecoverKeepsNoNoteWithoutQuorum(t *testing.T) {
	r, _ := threeWitnesses(t)
	r.open()
	r.accepted(r.phone("alice").Register())
	r.stop()
	disk, _ := r.backup()
	r.open()
	bob := r.phone("bob").Register()
	r.accepted(bob)
	e, err := r.event(r.phone("bob").Account(), 0)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, policy := r.log.Published(), r.cfg.Policy
	quorumNone, err := checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		note   []byte
		policy *checkpoint.Policy // of recover; the log goes on under the cosigners' one
		kept   bool
	}{
		{"the signed head", r.head.note, policy, false},
		{"the signed head, recovered without a policy", r.head.note, nil, false},
		{"the signed head under quorum none", r.head.note, quorumNone, true},
		{"the published note", cosigned, policy, true},
	} {
		copied := vfs.NewMem()
		if _, err := vfs.Clone(disk, copied, "store", "store"); err != nil {
			t.Fatal(err)
		}
		old := &rig{t: t, disk: copied, head: &memHead{note: r.head.note}, cfg: r.cfg, now: r.now}
		old.cfg.Head, old.cfg.Policy = old.head, c.policy
		l := &lost{rig: r, old: old, note: c.note}
		done, err := l.recover([]log.Content{{Body: e.Body, Opening: e.Opening}})
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		old.openStore()
		note, size, err := old.store.NoteAbove(done.To - 1)
		if kept := err == nil && size == done.To && string(note) == string(c.note); kept != c.kept {
			t.Errorf("%s: kept %v, want %v (%v)", c.what, kept, c.kept, err)
		}
		old.store.Close()
		if c.kept {
			continue
		}
		// The log that goes on gets the quorum, and its receipts have it.
		old.cfg.Policy = policy
		old.open()
		out := old.accepted(bob)
		old.stop()
		p, err := answer.ParsePublished(out[0].Receipt)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		n, err := checkpoint.Parse(p.Note)
		if err == nil {
			_, err = policy.Verify(n, r.cfg.Now(), math.MaxInt64)
		}
		if err != nil {
			t.Errorf("%s: the receipt of a recovered event: %v", c.what, err)
		}
	}
}
