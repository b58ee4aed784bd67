package pebble

import (
	"fmt"
	"iter"

	pebbledb "github.com/cockroachdb/pebble/v2"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// Reserve keeps promised events as one synced Pebble batch, behind those that
// are reserved already. A crash keeps all of them or none; a promise is signed
// only after it returned, so what is lost here was promised to nobody.
func (s *Store) Reserve(events []store.Pending) error {
	if len(events) == 0 {
		return nil
	}
	s.reserving.Lock()
	defer s.reserving.Unlock()
	n, err := s.nextReserved()
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	for i := range events {
		value, err := encodePending(&events[i])
		if err != nil {
			return fmt.Errorf("reserving seq %d of account %v: %w", events[i].Seq, events[i].Account, err)
		}
		if err := b.Set(reservedKey(n+uint64(i)), value, nil); err != nil {
			return err
		}
	}
	if err := b.Commit(pebbledb.Sync); err != nil {
		return fmt.Errorf("reserving %d events: %w", len(events), err)
	}
	return nil
}

// nextReserved is the number after the last. Numbers start again once nothing
// is reserved: only their order means something.
func (s *Store) nextReserved() (uint64, error) {
	it, err := s.db.NewIter(&pebbledb.IterOptions{LowerBound: key{tableReserved}, UpperBound: after(tableReserved)})
	if err != nil {
		return 0, fmt.Errorf("reading reserved events: %w", err)
	}
	defer it.Close()
	if !it.Last() {
		return 0, it.Error()
	}
	n, err := key(it.Key()).number()
	return n + 1, err
}

// Pending yields what is reserved, in the order in which it came.
func (s *Store) Pending() iter.Seq2[*store.Pending, error] {
	return func(yield func(*store.Pending, error) bool) {
		stopped := false
		err := s.scanReserved(func(_ key, p *store.Pending) (bool, error) {
			stopped = !yield(p, nil)
			return !stopped, nil
		})
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

func (s *Store) scanReserved(row func(key, *store.Pending) (more bool, err error)) error {
	return s.scan(key{tableReserved}, after(tableReserved), func(k key, value []byte) (bool, error) {
		if _, err := k.number(); err != nil {
			return false, err
		}
		p, err := decodePending(value)
		if err != nil {
			return false, err
		}
		return row(k, p)
	})
}

// unreserve deletes the rows of events that are committed now. There are as
// many rows as one epoch has promised events: few, or none.
func (w *writer) unreserve(events []store.Event) error {
	type place struct {
		account name.AccountID
		seq     uint32
	}
	var logged map[place]bool // made for the first row only
	return w.store.scanReserved(func(k key, p *store.Pending) (bool, error) {
		if logged == nil {
			logged = make(map[place]bool, len(events))
			for i := range events {
				logged[place{events[i].Account, events[i].Seq}] = true
			}
		}
		if !logged[place{p.Account, p.Seq}] {
			return true, nil
		}
		return true, w.Delete(k, nil)
	})
}
