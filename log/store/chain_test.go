package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// chained is an account of three events at positions 2, 4 and 7, as the rows of
// a test's own store.
func chained() (map[uint64]*store.Event, *store.Account) {
	a := &store.Account{Position: 7}
	a.ID, a.Next = name.AccountID{1}, 3
	return map[uint64]*store.Event{
		2: {Account: a.ID, Seq: 0, Position: 2},
		4: {Account: a.ID, Seq: 1, Position: 4, Previous: 2},
		7: {Account: a.ID, Seq: 2, Position: 7, Previous: 4},
	}, a
}

// walk gives the seqs that Chain yields before it ends, and how.
func walk(rows map[uint64]*store.Event, a *store.Account) (seqs []uint32, err error) {
	eventAt := func(position uint64) (*store.Event, error) {
		if e := rows[position]; e == nil {
			return nil, store.ErrNotFound
		} else if e.Position != position {
			return nil, errors.New("this row is damaged")
		}
		return rows[position], nil
	}
	for e, err := range store.Chain(eventAt, a) {
		if err != nil {
			return seqs, err
		}
		seqs = append(seqs, e.Seq)
	}
	return seqs, nil
}

func TestChain(t *testing.T) {
	rows, a := chained()
	if seqs, err := walk(rows, a); err != nil || !slices.Equal(seqs, []uint32{2, 1, 0}) {
		t.Errorf("the seqs %v, %v; want 2, 1, 0", seqs, err)
	}
	if seqs, err := walk(rows, new(store.Account)); err != nil || seqs != nil {
		t.Errorf("of an account without events: %v, %v", seqs, err)
	}
	for e, err := range store.Chain(func(p uint64) (*store.Event, error) { return rows[p], nil }, a) {
		if err != nil || e.Seq == 0 {
			t.Fatalf("after the walk was left at seq 1: %v, %v", e, err)
		}
		if e.Seq == 1 {
			break
		}
	}
}

func TestBrokenChain(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(rows map[uint64]*store.Event, a *store.Account)
		seqs  []uint32 // before the error
		want  string
	}{
		{"a lost event", func(rows map[uint64]*store.Event, a *store.Account) { delete(rows, 4) }, []uint32{2}, "position 4: it is lost"},
		{"an account that leads out of the log", func(_ map[uint64]*store.Event, a *store.Account) { a.Position = 1 << 60 }, nil, "position 1152921504606846976: it is lost"},
		{"a damaged row", func(rows map[uint64]*store.Event, a *store.Account) { rows[4].Position = 0 }, []uint32{2}, "position 4: this row is damaged"},
		{"another account's event", func(rows map[uint64]*store.Event, a *store.Account) { rows[2].Account[0]++ }, []uint32{2, 1}, "position 2: seq 0 of 02"},
		{"an event that is left out", func(rows map[uint64]*store.Event, a *store.Account) { rows[7].Previous = 2 }, []uint32{2}, "position 2: seq 0 of 01"},
		{"more events than the chain has", func(rows map[uint64]*store.Event, a *store.Account) { a.Next++ }, nil, "position 7: seq 2 of 01"},
		{"fewer events than the chain has", func(rows map[uint64]*store.Event, a *store.Account) { a.Next-- }, nil, "position 7: seq 2 of 01"},
		{"an event that leads to itself", func(rows map[uint64]*store.Event, a *store.Account) { rows[7].Previous = 7 }, []uint32{2}, "at position 7, says that the event before it is at position 7"},
		{"an event that leads up", func(rows map[uint64]*store.Event, a *store.Account) {
			rows[4].Previous = 9
			rows[9] = &store.Event{Account: a.ID, Position: 9}
		}, []uint32{2, 1}, "at position 4, says that the event before it is at position 9"},
		{"an event before the first", func(rows map[uint64]*store.Event, a *store.Account) { rows[2].Previous = 1 }, []uint32{2, 1, 0}, "seq 0 of account"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows, a := chained()
			c.spoil(rows, a)
			seqs, err := walk(rows, a)
			if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), c.want) || !slices.Equal(seqs, c.seqs) {
				t.Errorf("after the seqs %v: %v; want %v, then one with %q", seqs, err, c.seqs, c.want)
			}
		})
	}
}
