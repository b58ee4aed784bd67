package auditor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/follow"
)

// lies are what a log may do wrong in an epoch that looks right by itself: only
// its map tells. Each gives the position of the leaf that breaks a rule.
var lies = map[string]struct {
	kind evidence.Kind
	lie  func(l *liarLog) uint64
}{
	"a ghost": {evidence.E4c, func(l *liarLog) uint64 {
		l.event()
		ghost := indexOf(1 << 40)
		l.Map[ghost] = l.Map[indexOf(1)]
		l.Seal()
		delete(l.Map, ghost)
		return uint64(len(l.Leaves)) - 1
	}},
	"a ghost without events": {evidence.E4c, func(l *liarLog) uint64 {
		ghost := indexOf(1 << 41)
		l.Map[ghost] = l.Map[indexOf(1)]
		l.Seal()
		delete(l.Map, ghost)
		return uint64(len(l.Leaves)) - 1
	}},
	"an index again": {evidence.E5, func(l *liarLog) uint64 {
		l.event()
		p := l.eventAs(indexOf(2))
		l.Seal()
		return p
	}},
	"an unknown leaf": {evidence.E5, func(l *liarLog) uint64 {
		p := l.leaf([]byte{9})
		l.Seal()
		return p
	}},
}

// TestFirstOfTwoLies: whatever is broken later in the same pass, the auditor
// stops at the first broken rule, and what went before stays replayed.
func TestFirstOfTwoLies(t *testing.T) {
	for first, a := range lies {
		for second, b := range lies {
			for _, batch := range []int{0, 7, 40} {
				t.Run(fmt.Sprintf("%s, then %s, passes of %d", first, second, batch), func(t *testing.T) {
					t.Parallel()
					l := newLiar(4, 12)
					honest := l.Keys
					position := a.lie(l)
					b.lie(l)
					for range 3 {
						l.event()
						l.Seal()
					}
					dir := t.TempDir()
					au, err := auditor.Open(auditor.Config{Dir: dir, Log: l.Signer.Key(), Source: l.files(), Batch: batch, Logger: slog.New(slog.DiscardHandler), CacheBytes: 8 << 20})
					if err != nil {
						t.Fatal(err)
					}
					_, err = au.Catch(context.Background())
					if n := au.Events(); n < honest || n > honest+1 {
						t.Errorf("%d events were replayed, %d came before the lie", n, honest)
					}
					au.Close()
					l.caught(t, dir, err, position, a.kind)
				})
			}
		}
	}
}

// TestNothingUnreplayedIsAccepted: what was judged leaf by leaf when reading
// broke off is replayed before a smaller checkpoint is accepted.
func TestNothingUnreplayedIsAccepted(t *testing.T) {
	l, dir := newLiar(2, 20), t.TempDir()
	small := l.Note
	position := lies["a ghost"].lie(l)
	for range 500 {
		l.event()
	}
	l.Seal()
	// The first bundle has the lie, the second cannot be read.
	a := l.open(t, dir, serve(t, l.files(), "/tile/entries/001", behaviours["500"]))
	_, err := a.Catch(context.Background())
	if !errors.As(err, new(*auditor.Broken)) {
		t.Errorf("after a bundle with a wrong map, none: %v", err)
	}
	if err := a.Check(context.Background(), small); !errors.As(err, new(*auditor.Broken)) {
		t.Errorf("a smaller checkpoint, after that: %v", err)
	}
	a.Close()
	l.caught(t, dir, err, position, evidence.E4c)
}

// TestBreakInAnEpoch: when reading breaks off within an epoch, the map of the
// EPOCH before is still at hand to show what is wrong with the next.
func TestBreakInAnEpoch(t *testing.T) {
	l, dir := newLiar(3, 50), t.TempDir()
	for range 700 {
		l.event()
	}
	l.Map[indexOf(1<<40)] = l.Map[indexOf(1)]
	l.Seal()
	f := l.files()
	source := &gate{Source: serve(t, f, "/tile/entries/003", behaviours["500"])}
	a := l.open(t, dir, source)
	if _, err := a.Catch(context.Background()); err == nil || errors.As(err, new(*auditor.Broken)) {
		t.Fatalf("without its last bundle: %v", err)
	}
	if n := a.Events(); n < 300 {
		t.Fatalf("%d events were replayed: reading broke off before the epoch", n)
	}
	source.Source = f
	_, err := a.Catch(context.Background())
	a.Close()
	l.caught(t, dir, err, uint64(len(l.Leaves))-1, evidence.E4c)
}

// TestEpochsWithoutEvents: passes end at EPOCHs that bring nothing, too.
func TestEpochsWithoutEvents(t *testing.T) {
	l, dir := newLiar(1, 3), t.TempDir()
	for range 300 {
		l.Seal()
	}
	l.event()
	l.TimeMs++
	l.SealAs(&leaf.Epoch{Epoch: l.Epochs, TimeMs: l.TimeMs, First: l.First, Keys: l.Keys, PrefixRoot: l.Tree.Root()}) // without the event
	a, err := auditor.Open(auditor.Config{Dir: dir, Log: l.Signer.Key(), Source: l.files(), Batch: 10, Logger: slog.New(slog.DiscardHandler), CacheBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Catch(context.Background())
	a.Close()
	l.caught(t, dir, err, uint64(len(l.Leaves))-1, evidence.E4c)
}

// emptyEpochs is a log with a ghost in the map after so many epochs without
// events, and an index again later.
func emptyEpochs(n int) *liarLog {
	l := newLiar(1, 3)
	for range n {
		l.Seal()
	}
	lies["a ghost"].lie(l)
	lies["an index again"].lie(l)
	return l
}

// TestPassesToAWrongMap: however many epochs come before it in one batch, the
// first wrong map takes a few passes, each with one commit.
func TestPassesToAWrongMap(t *testing.T) {
	l := emptyEpochs(500)
	commits := 0
	d := durabletest.New()
	d.FS = &durabletest.Hook{FS: d.FS, Before: func(op, path string) {
		if op == "sync" && strings.HasSuffix(path, ".log") {
			commits++
		}
	}}
	a, err := auditor.OpenOn(auditor.Config{Dir: "/a", Log: l.Signer.Key(), Source: l.files(), Logger: slog.New(slog.DiscardHandler), CacheBytes: 8 << 20}, d)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	commits = 0
	var b *auditor.Broken
	if _, err = a.Catch(context.Background()); !errors.As(err, &b) || b.Position != uint64(len(l.Leaves))-4 || b.Evidence == "" {
		t.Errorf("it says %v, of a log of %d leaves", err, len(l.Leaves))
	}
	if commits == 0 || commits > 3 {
		t.Errorf("%d commits, want 1 to 3", commits)
	}
}

// TestContextEndsInAReplay: whoever stops the auditor while it looks for the
// first broken rule waits for the pass at hand alone. The next call finds it.
func TestContextEndsInAReplay(t *testing.T) {
	l, dir := emptyEpochs(20), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	source := &last{Source: l.files(), then: cancel}
	a := l.open(t, dir, source)
	if _, err := a.Catch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("it says %v", err)
	}
	_, err := a.Catch(context.Background())
	a.Close()
	l.caught(t, dir, err, uint64(len(l.Leaves))-4, evidence.E4c)
}

// last calls then after it gave entries.
type last struct {
	follow.Source
	then func()
}

func (s *last) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	defer s.then()
	return s.Source.Entries(ctx, n, width)
}
