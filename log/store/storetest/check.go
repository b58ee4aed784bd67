package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// Check holds the whole store against the model: nothing missing, nothing
// changed, nothing more. Proofs and checkpoints are no part of it.
func (m *Model) Check(s store.Store) error {
	st, err := s.State()
	if err != nil || st != m.State {
		return fmt.Errorf("state %+v, %v; want %+v", st, err, m.State)
	}
	return errors.Join(m.checkLeaves(s), m.checkEvents(s), m.checkAccounts(s), m.checkTiles(s), m.checkPrefix(s), m.checkPending(s))
}

func (m *Model) checkLeaves(s store.Store) error {
	size := m.State.Size
	for _, r := range ranges(size) {
		got, err := collect(s.Leaves(r[0], r[1]), bytes.Clone)
		if err != nil {
			return fmt.Errorf("leaves %v: %w", r, err)
		}
		if !slices.EqualFunc(got, m.Leaves[r[0]:r[1]], bytes.Equal) {
			return fmt.Errorf("leaves %v: %d differ from the %d that were written", r, len(got), r[1]-r[0])
		}
	}
	got, err := collect(s.Leaves(size/2, size+5), bytes.Clone)
	if uint64(len(got)) != size-size/2 || !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("leaves past the end: %d and %v, want %d and then ErrNotFound", len(got), err, size-size/2)
	}
	return nil
}

func (m *Model) checkEvents(s store.Store) error {
	for _, r := range append(ranges(m.State.Size), [2]uint64{0, math.MaxUint64}) {
		got, err := collect(s.Events(r[0], r[1]), func(e *store.Event) *store.Event { return e })
		if err != nil {
			return fmt.Errorf("events %v: %w", r, err)
		}
		want := slices.DeleteFunc(slices.Clone(m.Events), func(e *store.Event) bool { return e.Position < r[0] || e.Position >= r[1] })
		if !slices.EqualFunc(got, want, equalEvents) {
			return fmt.Errorf("events %v: %d differ from the %d that were written", r, len(got), len(want))
		}
	}
	for _, want := range m.Events {
		got, err := s.EventAt(want.Position)
		if err != nil {
			return fmt.Errorf("event at position %d: %w", want.Position, err)
		}
		if !equalEvents(got, want) {
			return fmt.Errorf("event at position %d: %+v, want %+v", want.Position, got, want)
		}
	}
	for _, position := range []uint64{0, m.State.Size, math.MaxUint64} {
		if e, err := s.EventAt(position); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("event at position %d, where none is: %v, %v; want ErrNotFound", position, e, err)
		}
	}
	return nil
}

func (m *Model) checkAccounts(s store.Store) error {
	for id, want := range m.Accounts {
		if want.Next > 0 {
			got, err := s.Account(id)
			if err != nil {
				return fmt.Errorf("account %v: %w", id, err)
			}
			if !equalAccounts(got, want) {
				return fmt.Errorf("account %v: %+v, want %+v", id, got, want)
			}
		} else if _, err := s.Account(id); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("account %v without an event: %v, want ErrNotFound", id, err)
		}
	}
	if _, err := s.Account(name.AccountID{1, 2, 3}); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("unknown account: %v, want ErrNotFound", err)
	}
	return nil
}

func (m *Model) checkTiles(s store.Store) error {
	for _, want := range m.Tiles {
		got, err := s.Tile([]byte("before"), want.Level, want.N)
		if err != nil || !bytes.Equal(got, append([]byte("before"), want.Data...)) {
			return fmt.Errorf("tile %d at level %d: %d bytes, %v", want.N, want.Level, len(got), err)
		}
	}
	for _, absent := range []store.Tile{{Level: 0, N: m.State.Size / 256}, {Level: 5}, {Level: 63, N: math.MaxUint64}} {
		if _, err := s.Tile(nil, absent.Level, absent.N); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("tile %d at level %d, which is not full: %v, want ErrNotFound", absent.N, absent.Level, err)
		}
	}
	return nil
}

func (m *Model) checkPrefix(s store.Store) error {
	want := slices.SortedFunc(slices.Values(m.Prefix), func(a, b prefix.Leaf) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	got, err := collect(s.PrefixLeaves(), func(l prefix.Leaf) prefix.Leaf { return l })
	if err != nil {
		return fmt.Errorf("prefix leaves: %w", err)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("prefix leaves: %d differ from the %d that were written", len(got), len(want))
	}
	for _, l := range want {
		if i, v, err := s.Full(l); err != nil || i != l.Index || v != m.Values[l.Index] {
			return fmt.Errorf("prefix leaf of position %d: %v, %v, %v; want %v, %v", l.Position, i, v, err, l.Index, m.Values[l.Index])
		}
		if p, err := s.Position(l.Index); err != nil || p != l.Position {
			return fmt.Errorf("position of index %v: %d, %v; want %d", l.Index, p, err, l.Position)
		}
		near := l.Index
		near[31] ^= 1
		if p, err := s.Position(near); m.Values[near] == (name.Value{}) && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("position of index %v, which is not there: %d, %v; want ErrNotFound", near, p, err)
		}
	}
	return nil
}

func (m *Model) checkPending(s store.Store) error {
	got, err := collect(s.Pending(), func(p *store.Pending) *store.Pending { return p })
	if err != nil {
		return fmt.Errorf("reserved events: %w", err)
	}
	if !slices.EqualFunc(got, m.Pending, func(a, b *store.Pending) bool { return reflect.DeepEqual(a, b) }) {
		return fmt.Errorf("reserved events: %d differ from the %d that were reserved and not committed", len(got), len(m.Pending))
	}
	return nil
}

// checkRanges reads below every prefix of an index, which need not be stored:
// each by itself, and all in one ReadPrefix.
func (m *Model) checkRanges(s store.Store, index name.Index) error {
	return errors.Join(m.checkRangesOf(s, index), s.ReadPrefix(func(leaves prefix.Leaves) error {
		return m.checkRangesOf(leaves, index)
	}))
}

func (m *Model) checkRangesOf(s prefix.Leaves, index name.Index) error {
	sorted := slices.SortedFunc(slices.Values(m.Prefix), func(a, b prefix.Leaf) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	before := prefix.Leaf{Position: 7}
	for depth := range 256 {
		want := []prefix.Leaf{before}
		for _, l := range sorted {
			if sharesBits(index, l.Index, depth) {
				want = append(want, l)
			}
		}
		got, err := s.Range([]prefix.Leaf{before}, index, depth)
		if err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("range of the first %d bits of %v: %d leaves, %v; want %d, ascending, after what dst held", depth, index, len(got)-1, err, len(want)-1)
		}
	}
	return nil
}

func sharesBits(a, b name.Index, depth int) bool {
	for i := range depth {
		if (a[i/8]^b[i/8])&(0x80>>(i%8)) != 0 {
			return false
		}
	}
	return true
}

// ranges of positions worth reading in a log of a size.
func ranges(size uint64) [][2]uint64 {
	return [][2]uint64{{0, size}, {size / 3, size / 2}, {size / 2, size / 2}, {size - min(size, 1), size}, {0, 0}}
}

// collect reads an iterator to its end or first error.
func collect[T any](seq iter.Seq2[T, error], keep func(T) T) (all []T, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, keep(v))
	}
	return all, nil
}

// An empty and a missing slice are the same here.
func equalEvents(a, b *store.Event) bool {
	x, y := *a, *b
	x.Body, y.Body, x.Live, y.Live = nil, nil, nil, nil
	return reflect.DeepEqual(x, y) && bytes.Equal(a.Body, b.Body) && slices.Equal(a.Live, b.Live)
}

func equalAccounts(a, b *store.Account) bool {
	x, y := *a, *b
	x.Devices, y.Devices, x.Introduced, y.Introduced = nil, nil, nil, nil
	return reflect.DeepEqual(x, y) && slices.Equal(a.Devices, b.Devices) && slices.Equal(a.Introduced, b.Introduced)
}
