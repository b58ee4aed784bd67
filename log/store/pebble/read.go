package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"

	pebbledb "github.com/cockroachdb/pebble/v2"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// read gives a row's value to decode, which must not keep it.
func (s *Store) read(k key, decode func(value []byte) error) error {
	value, closer, err := s.db.Get(k)
	if errors.Is(err, pebbledb.ErrNotFound) {
		return store.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("reading %v: %w", k, err)
	}
	defer closer.Close()
	if err := decode(value); err != nil {
		return fmt.Errorf("reading %v: %w", k, err)
	}
	return nil
}

// scan calls row for each row at lower <= key < upper until it has no more to
// ask. It sees the store as it was when the scan began. Key and value are valid
// during the call only.
func (s *Store) scan(lower, upper key, row func(k key, value []byte) (more bool, err error)) (err error) {
	it, err := s.db.NewIter(&pebbledb.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("reading from %v: %w", lower, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for more := it.First(); more; more = it.Next() {
		k := key(it.Key())
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("reading %v: %w", k, err)
		}
		if goOn, err := row(k, value); err != nil {
			return fmt.Errorf("reading %v: %w", k, err)
		} else if !goOn {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("reading from %v: %w", lower, err)
	}
	return nil
}

// State is that of the newest committed batch.
func (s *Store) State() (st store.State, err error) {
	err = s.read(key{tableState}, func(value []byte) error {
		st, err = decodeState(value)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return store.State{}, nil
	}
	return st, err
}

// Account is the newest committed state of an account.
func (s *Store) Account(id name.AccountID) (a *store.Account, err error) {
	err = s.read(accountKey(id), func(value []byte) error {
		a, err = s.names.Load().decodeAccount(id, value)
		return err
	})
	return a, err
}

// Position is that of the EVENT leaf with an index.
func (s *Store) Position(index name.Index) (position uint64, err error) {
	k := prefixKey(index)
	err = s.read(k, func(value []byte) error {
		l, err := decodePrefix(k, value)
		position = l.Position
		return err
	})
	return position, err
}

// EventAt is the event at a position.
func (s *Store) EventAt(position uint64) (e *store.Event, err error) {
	err = s.read(eventKey(position), func(value []byte) error {
		e, err = s.names.Load().decodeEvent(position, value)
		return err
	})
	return e, err
}

// chain is the store.Chain of an account whose row another one says is there.
func (s *Store) chain(id name.AccountID) iter.Seq2[*store.Event, error] {
	a, err := s.Account(id)
	if err != nil {
		return func(yield func(*store.Event, error) bool) { yield(nil, missing(accountKey(id), err)) }
	}
	return store.Chain(s.EventAt, a)
}

// missing says of a row that another one says is there: its absence is no
// ErrNotFound but a store that lost a row.
func missing(k key, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reading %v: lost, another row refers to it", k)
	}
	return err
}

// Events yields the events at positions from <= p < to, ascending.
func (s *Store) Events(from, to uint64) iter.Seq2[*store.Event, error] {
	return func(yield func(*store.Event, error) bool) {
		if from >= to {
			return
		}
		stopped := false
		err := s.scan(leafKey(from), leafKey(to), func(k key, value []byte) (bool, error) {
			position, kind, err := k.place()
			if err != nil || kind != kindEvent {
				return true, err
			}
			e, err := s.names.Load().decodeEvent(position, value)
			if err != nil {
				return false, err
			}
			stopped = !yield(e, nil)
			return !stopped, nil
		})
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

// Leaves yields the leaves at positions from <= p < to in order.
func (s *Store) Leaves(from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if from >= to {
			return
		}
		next, stopped := from, false
		err := s.scan(leafKey(from), leafKey(to), func(k key, value []byte) (bool, error) {
			position, kind, err := k.place()
			if err != nil || kind != kindLeaf {
				return true, err
			}
			if position != next {
				return false, nil // a gap, told below
			}
			if len(value) == 0 {
				return false, wrongLength("leaf", value, 1)
			}
			next++
			stopped = !yield(value, nil)
			return !stopped, nil
		})
		switch {
		case stopped:
		case err != nil:
			yield(nil, err)
		case next < to:
			yield(nil, fmt.Errorf("leaf %d: %w", next, store.ErrNotFound))
		}
	}
}

// Tile appends a full hash tile to dst.
func (s *Store) Tile(dst []byte, level int, n uint64) (data []byte, err error) {
	k := tileKey(level, n)
	if k == nil {
		return nil, store.ErrNotFound
	}
	err = s.read(k, func(value []byte) error {
		if len(value) != tileBytes {
			return wrongLength("tile", value, tileBytes)
		}
		data = append(dst, value...)
		return nil
	})
	return data, err
}

// PrefixLeaves yields all leaves of the prefix tree, ascending by index.
func (s *Store) PrefixLeaves() iter.Seq2[prefix.Leaf, error] {
	return func(yield func(prefix.Leaf, error) bool) {
		stopped := false
		err := s.scan(key{tablePrefix}, after(tablePrefix), func(k key, value []byte) (bool, error) {
			l, err := decodePrefix(k, value)
			if err != nil {
				return false, err
			}
			stopped = !yield(l, nil)
			return !stopped, nil
		})
		if err != nil && !stopped {
			yield(prefix.Leaf{}, err)
		}
	}
}

// Range appends the prefix leaves whose index begins with the first depth bits
// of an index.
func (s *Store) Range(dst []prefix.Leaf, index name.Index, depth int) ([]prefix.Leaf, error) {
	err := s.ReadPrefix(func(leaves prefix.Leaves) (err error) {
		dst, err = leaves.Range(dst, index, depth)
		return err
	})
	return dst, err
}

// ReadPrefix gives read the prefix leaves under one iterator, which is dear to
// make: a tree that has all its leaves in memory never needs it.
func (s *Store) ReadPrefix(read func(prefix.Leaves) error) (err error) {
	r := &prefixReader{Store: s}
	defer func() {
		if r.it != nil {
			err = errors.Join(err, r.it.Close())
		}
	}()
	return read(r)
}

type prefixReader struct {
	*Store
	it *pebbledb.Iterator // nil before the first range
}

func (r *prefixReader) iterator() (_ *pebbledb.Iterator, err error) {
	if r.it == nil {
		r.it, err = r.db.NewIter(&pebbledb.IterOptions{LowerBound: key{tablePrefix}, UpperBound: after(tablePrefix)})
	}
	return r.it, err
}

// Range is Store.Range.
func (r *prefixReader) Range(dst []prefix.Leaf, index name.Index, depth int) ([]prefix.Leaf, error) {
	if depth < 0 || depth > 256 {
		return nil, fmt.Errorf("reading prefix leaves: depth %d, want 0 to 256", depth)
	}
	lower, upper := prefixBounds(index, depth)
	it, err := r.iterator()
	if err != nil {
		return nil, fmt.Errorf("reading from %v: %w", lower, err)
	}
	for more := it.SeekGE(lower); more; more = it.Next() {
		k := key(it.Key())
		if bytes.Compare(k, upper) >= 0 {
			break
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("reading %v: %w", k, err)
		}
		l, err := decodePrefix(k, value)
		if err != nil {
			return nil, fmt.Errorf("reading %v: %w", k, err)
		}
		dst = append(dst, l)
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("reading from %v: %w", lower, err)
	}
	return dst, nil
}

// Full is made from the EVENT leaf at the leaf's position.
func (s *Store) Full(l prefix.Leaf) (i name.Index, v name.Value, err error) {
	k := leafKey(l.Position)
	err = s.read(k, func(value []byte) error {
		parsed, err := leaf.Parse(value)
		if err != nil {
			return err
		}
		e, ok := parsed.(*leaf.Event)
		if !ok {
			return fmt.Errorf("leaf of kind %d, want an EVENT", parsed.Kind())
		}
		i, v = e.Index, prefix.Value(l.Position, e.Commitment)
		return nil
	})
	return i, v, missing(k, err)
}

// Proofs are what PutProofs kept; none is no error.
func (s *Store) Proofs(id name.AccountID, group uint32) (proofs []store.Proof, err error) {
	err = s.read(proofKey(id, group), func(value []byte) error {
		proofs, err = decodeProofs(group, value)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return proofs, err
}

// NoteAbove is the smallest kept checkpoint whose size is above position.
func (s *Store) NoteAbove(position uint64) (note []byte, size uint64, err error) {
	if position == math.MaxUint64 {
		return nil, 0, store.ErrNotFound
	}
	err = s.scan(noteKey(position+1), after(tableNote), func(k key, value []byte) (bool, error) {
		if size, err = k.number(); err != nil {
			return false, err
		}
		if len(value) == 0 {
			return false, wrongLength("checkpoint", value, 1)
		}
		note = bytes.Clone(value)
		return false, nil
	})
	if err == nil && note == nil {
		err = store.ErrNotFound
	}
	return note, size, err
}
