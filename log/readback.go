package log

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// readBack recomputes from the store's bytes what is about to be signed: a bit
// that flipped on the way to the disk must not get a signature.
func (l *Log) readBack(b *store.Batch, hashes []leaf.Hash) error {
	i := 0
	for data, err := range l.cfg.Store.Leaves(b.First, b.State.Size) {
		if err != nil {
			return err
		}
		if i >= len(hashes) || leaf.HashOf(data) != hashes[i] {
			return fmt.Errorf("leaf %d differs", b.First+uint64(i))
		}
		i++
	}
	if i != len(hashes) {
		return fmt.Errorf("%d leaves, %d were stored", i, len(hashes))
	}
	i = 0
	for e, err := range l.cfg.Store.Events(b.First, b.State.Size) {
		if err != nil {
			return err
		}
		if i >= len(b.Events) || !sameEvent(e, &b.Events[i]) {
			return fmt.Errorf("event %d differs", i)
		}
		i++
	}
	if i != len(b.Events) {
		return fmt.Errorf("%d events, %d were stored", i, len(b.Events))
	}
	return nil
}

func sameEvent(a, b *store.Event) bool {
	return a.Account == b.Account && a.Seq == b.Seq && a.Position == b.Position && a.Previous == b.Previous && a.Opening == b.Opening &&
		bytes.Equal(a.Body, b.Body) && a.Anchor == b.Anchor && a.Erase == b.Erase && slices.Equal(a.Live, b.Live)
}

// recheck is readBack for an epoch that an earlier process committed and did not
// sign: it may have ended because its readBack refused what the store had. Nothing
// of the epoch is in memory any more, but each part says what another must be:
// leaves the tree, an event its leaf's commitment, a leaf its place in the map, whose
// root is in the EPOCH.
func (l *Log) recheck() error {
	q, s := &l.seq, l.cfg.Store
	first, size := q.state.First, q.state.Size
	leaves, err := l.recheckTree(first, size)
	if err != nil {
		return err
	}
	for e, err := range s.Events(first, size) {
		if err != nil {
			return err
		}
		data := leaves[e.Position-first]
		leaves[e.Position-first] = nil
		parsed, ok := data.(*leaf.Event)
		if !ok || commitment.Commit(e.Opening, e.Account.Label(), e.Seq, e.Body) != parsed.Commitment {
			return fmt.Errorf("the event at position %d is not the one that its leaf commits to", e.Position)
		}
		if err := recheckIndex(s, e.Position, parsed); err != nil {
			return err
		}
		if e.Seq == 0 {
			continue
		}
		before, err := s.EventAt(e.Previous)
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		case err != nil || before.Account != e.Account || before.Seq+1 != e.Seq:
			return fmt.Errorf("the event at position %d says that the one before it is at position %d: it is not", e.Position, e.Previous)
		}
	}
	for i, left := range leaves {
		if _, ok := left.(*leaf.Event); ok {
			return fmt.Errorf("no event belongs to the EVENT leaf at position %d", first+uint64(i))
		}
	}
	return nil
}

// recheckTree makes the tiles from the leaves of an epoch, and from what was before:
// the store's, of which load has made the tree, must be the same. It gives the leaves.
func (l *Log) recheckTree(first, size uint64) (leaves []leaf.Leaf, err error) {
	s := l.cfg.Store
	before, err := loadTree(s, first)
	if err != nil {
		return nil, err
	}
	var hashes []leaf.Hash
	for data, err := range s.Leaves(first, size) {
		if err != nil {
			return nil, err
		}
		parsed, err := leaf.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("leaf %d: %w", first+uint64(len(leaves)), err)
		}
		leaves, hashes = append(leaves, parsed), append(hashes, leaf.HashOf(data))
	}
	_, tiles := before.appended(hashes)
	for _, t := range tiles {
		have, err := s.Tile(nil, t.Level, t.N)
		if err != nil {
			return nil, fmt.Errorf("tile %d at level %d: %w", t.N, t.Level, err)
		}
		if !bytes.Equal(have, t.Data) {
			return nil, fmt.Errorf("tile %d at level %d is not that of the leaves below it", t.N, t.Level)
		}
	}
	return leaves, nil
}

// recheckIndex looks a leaf up in the map's rows, of which load has made the map.
func recheckIndex(s store.Store, position uint64, e *leaf.Event) error {
	at, err := s.Range(nil, e.Index, 255)
	if err != nil {
		return err
	}
	if len(at) != 1 || at[0] != prefix.NewLeaf(e.Index, position, e.Commitment) {
		return fmt.Errorf("the map does not have the leaf at position %d", position)
	}
	return nil
}
