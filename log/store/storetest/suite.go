package storetest

import (
	"bytes"
	"errors"
	"iter"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/vrf"
)

// Create makes a new store. reopen closes the store that is open and opens it
// again; whichever is open at the end of the test, Create's cleanup closes.
type Create func(t *testing.T) (s store.Store, reopen func() store.Store)

// Run tests an engine.
func Run(t *testing.T, create Create) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Create)
	}{
		{"a new store is empty", testEmpty},
		{"every epoch is kept whole", testEpochs},
		{"ranges of every depth", testRanges},
		{"erasure deletes what it is told and nothing else", testErasure},
		{"erasure deletes what lies before events without content", testErasureBeforeGaps},
		{"a purge is owed once and changes nothing", testPurge},
		{"tiles of every level", testTiles},
		{"the checkpoint above a position", testNotes},
		{"VRF proofs", testProofs},
		{"reserved events", testReserved},
		{"an iterator can be left", testLeaving},
		{"readers see whole epochs", testReaders},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, create) })
	}
}

func testEmpty(t *testing.T, create Create) {
	s, reopen := create(t)
	for range 2 {
		check(t, NewModel(1), s)
		if _, _, err := s.NoteAbove(0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("checkpoint of a new store: %v, want ErrNotFound", err)
		}
		if p, err := s.Proofs(name.AccountID{}, 0); err != nil || len(p) > 0 {
			t.Errorf("proofs in a new store: %v, %v, want none", p, err)
		}
		if err := NewModel(1).checkRanges(s, name.Index{}); err != nil {
			t.Error(err)
		}
		s = reopen()
	}
}

func testEpochs(t *testing.T, create Create) {
	s, reopen := create(t)
	m := NewModel(2)
	for i, events := range []int{0, 1, 2, 0, 0, 40, 250, 7, 3, 300, 1} {
		b := m.Next(events)
		commit(t, s, b)
		scribble(b)
		check(t, m, s)
		if i%3 == 0 {
			s = reopen()
			check(t, m, s)
		}
	}
}

func testRanges(t *testing.T, create Create) {
	s, _ := create(t)
	m := NewModel(3)
	for range 5 {
		commit(t, s, m.Next(30))
	}
	for _, index := range []name.Index{
		{}, // stored, the first
		name.Index(bytes.Repeat([]byte{0xff}, 32)), // stored, the last
		name.Index(bytes.Repeat([]byte{0x7f}, 32)),
		m.Prefix[10].Index, m.Prefix[77].Index, m.Prefix[149].Index,
	} {
		if err := m.checkRanges(s, index); err != nil {
			t.Error(err)
		}
	}
}

func testTiles(t *testing.T, create Create) {
	s, reopen := create(t)
	m := NewModel(5)
	b := m.Next(1)
	for _, level := range []int{0, 1, 2, 6} {
		for _, n := range []uint64{1, 253, 1<<(56-8*level) - 2} { // the last one of a log that can be numbered
			b.Tiles = append(b.Tiles, store.Tile{Level: level, N: n, Data: bytes.Repeat([]byte{byte(level), byte(n >> 8)}, 4352)})
		}
	}
	m.Tiles = b.Tiles
	commit(t, s, b)
	check(t, m, s)
	got, err := s.Tile(nil, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	clear(got) // it is the caller's, and no part of the store
	check(t, m, s)
	check(t, m, reopen())
}

func testNotes(t *testing.T, create Create) {
	s, reopen := create(t)
	for _, p := range []struct {
		size uint64
		note string
	}{{3, "three"}, {300, "three hundred"}, {1 << 33, "2^33"}, {3, "another three"}} {
		if err := s.PutNote(p.size, []byte(p.note)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, c := range []struct {
			position, size uint64
			note           string
		}{{0, 3, "three"}, {2, 3, "three"}, {3, 300, "three hundred"}, {255, 300, "three hundred"}, {300, 1 << 33, "2^33"}, {1<<33 - 1, 1 << 33, "2^33"}} {
			note, size, err := s.NoteAbove(c.position)
			if err != nil || size != c.size || string(note) != c.note {
				t.Errorf("checkpoint above position %d: size %d, %q, %v; want %d, %q", c.position, size, note, err, c.size, c.note)
			}
			clear(note) // it is the caller's
		}
		for _, position := range []uint64{1 << 33, math.MaxUint64} {
			if _, _, err := s.NoteAbove(position); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("checkpoint above position %d: %v, want ErrNotFound", position, err)
			}
		}
		s = reopen()
	}
}

func testProofs(t *testing.T, create Create) {
	s, _ := create(t)
	id := name.AccountID{1}
	seven := store.Proof{Seq: 7, Proof: vrf.Proof{2, 79: 3}, Index: name.Index{4, 31: 5}}
	all := map[uint32][]store.Proof{
		0:       {seven},
		1:       {{Seq: 16, Proof: vrf.Proof{6}}, {Seq: 31, Index: name.Index{7}}},
		1 << 27: {{Seq: 1<<31 + 3}},
	}
	for group, proofs := range all {
		if err := s.PutProofs(id, group, proofs); err != nil {
			t.Fatal(err)
		}
	}
	all[0] = []store.Proof{{Seq: 0, Index: name.Index{8}}, seven, {Seq: 15}}
	if err := s.PutProofs(id, 0, all[0]); err != nil {
		t.Fatal(err)
	}
	for _, group := range []uint32{0, 1, 2, 1 << 27} {
		if got, err := s.Proofs(id, group); err != nil || !slices.Equal(got, all[group]) {
			t.Errorf("proofs of group %d: %v, %v; want %v", group, got, err, all[group])
		}
	}
	if got, err := s.Proofs(name.AccountID{2}, 0); err != nil || len(got) > 0 {
		t.Errorf("proofs of another account: %v, %v; want none", got, err)
	}
	for what, bad := range map[string][]store.Proof{
		"none": nil, "another group's": {{Seq: 16}}, "out of order": {{Seq: 3}, {Seq: 2}}, "twice": {seven, seven},
	} {
		if err := s.PutProofs(id, 0, bad); err == nil {
			t.Errorf("proofs %s were kept", what)
		}
	}
}

func testReserved(t *testing.T, create Create) {
	s, reopen := create(t)
	m := NewModel(9)
	commit(t, s, m.Next(30))
	logged := 0
	for i := range 12 {
		reserved := m.Reserve(i % 4 * 5)
		if err := s.Reserve(reserved); err != nil {
			t.Fatal(err)
		}
		for j := range reserved {
			clear(reserved[j].Body) // it is the caller's
		}
		check(t, m, s)
		if i%3 == 0 {
			s = reopen()
			check(t, m, s)
		}
		before := len(m.Pending)
		commit(t, s, m.Next(10))
		logged += before - len(m.Pending)
		check(t, m, s)
	}
	if logged == 0 || len(m.Pending) == 0 {
		t.Errorf("%d reserved events were logged and %d are left, want some of both", logged, len(m.Pending))
	}
	if err := s.Reserve([]store.Pending{{Seq: 1, Body: []byte{1}}, {Seq: 2}}); err == nil {
		t.Error("an event without a body was reserved")
	}
	check(t, m, s) // nothing of it
}

func testLeaving(t *testing.T, create Create) {
	s, _ := create(t)
	m := NewModel(6)
	commit(t, s, m.Next(20))
	if n := take(s.Leaves(0, 22), 3); n != 3 {
		t.Errorf("%d leaves, want 3", n)
	}
	if n := take(s.Events(0, 22), 3); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
	if n := take(s.PrefixLeaves(), 3); n != 3 {
		t.Errorf("%d prefix leaves, want 3", n)
	}
	if n := take(s.Leaves(20, 30), 3); n != 3 { // the third is the error
		t.Errorf("%d leaves and errors, want 3", n)
	}
	commit(t, s, m.Next(20))
	check(t, m, s)
}

// testReaders reads from several goroutines beside Commit. Whatever is counted
// must be the count after some whole epoch.
func testReaders(t *testing.T, create Create) {
	s, _ := create(t)
	m := NewModel(7)
	var batches []*store.Batch
	sizes, keys := []uint64{0}, []uint64{0}
	for range 25 {
		batches = append(batches, m.Next(100))
		sizes, keys = append(sizes, m.State.Size), append(keys, m.State.Keys)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for last := false; !last; {
				select {
				case <-done:
					last = true // once more, with all there
				default:
				}
				if err := readWhole(s, sizes, keys); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, b := range batches {
		if err := s.Commit(b); err != nil {
			t.Errorf("committing: %v", err)
			break
		}
	}
	close(done)
	readers.Wait()
	check(t, m, s)
}

func readWhole(s store.Store, sizes, keys []uint64) error {
	st, err := s.State()
	if err != nil {
		return err
	}
	if _, err := collect(s.Leaves(0, st.Size), bytes.Clone); err != nil {
		return err // a size whose leaves were not there yet
	}
	leaves, err := collect(s.Leaves(0, math.MaxUint64), bytes.Clone)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	prefixes, err := collect(s.PrefixLeaves(), func(l prefix.Leaf) prefix.Leaf { return l })
	if err != nil {
		return err
	}
	events, err := collect(s.Events(0, math.MaxUint64), func(e *store.Event) *store.Event { return e })
	if err != nil {
		return err
	}
	for _, n := range []struct {
		count int
		whole []uint64
		least uint64
	}{{len(leaves), sizes, st.Size}, {len(prefixes), keys, st.Keys}, {len(events), keys, st.Keys}} {
		if !slices.Contains(n.whole, uint64(n.count)) || uint64(n.count) < n.least {
			return errors.New("a reader saw a part of an epoch")
		}
	}
	if len(events) > 0 {
		e := events[len(events)-1]
		if _, err := s.EventAt(e.Position); err != nil {
			return err
		}
		if _, err := s.Account(e.Account); err != nil {
			return err
		}
	}
	return nil
}

func commit(t *testing.T, s store.Store, b *store.Batch) {
	t.Helper()
	if err := s.Commit(b); err != nil {
		t.Fatalf("committing the epoch at position %d: %v", b.First, err)
	}
}

func check(t *testing.T, m *Model, s store.Store) {
	t.Helper()
	if err := m.Check(s); err != nil {
		t.Fatalf("after %d epochs: %v", m.State.Epochs, err)
	}
}

// scribble writes over all memory of a batch: a store must not have kept it.
func scribble(b *store.Batch) {
	for _, l := range b.Leaves {
		clear(l)
	}
	for i := range b.Events {
		clear(b.Events[i].Body)
		clear(b.Events[i].Live)
	}
	for _, a := range b.Accounts {
		clear(a.Devices)
		clear(a.Introduced)
	}
	for _, t := range b.Tiles {
		clear(t.Data)
	}
	clear(b.Prefix)
	clear(b.Events)
}

// take leaves an iterator after n steps.
func take[T any](seq iter.Seq2[T, error], n int) (taken int) {
	for range seq {
		if taken++; taken == n {
			break
		}
	}
	return taken
}
