package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	pebbledb "github.com/cockroachdb/pebble/v2"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// Commit writes one epoch as one synced Pebble batch. An error comes before
// anything was written; when the write itself fails, the process ends.
func (s *Store) Commit(b *store.Batch) error {
	// A batch that grows into its size copies itself again and again.
	w := writer{batch: s.db.NewBatchWithSize(batchBytes(b)), store: s}
	defer w.Close()
	if err := w.fill(b); err != nil {
		return fmt.Errorf("committing the epoch at position %d: %w", b.First, err)
	}
	// A crash in here keeps the batch whole or drops it whole: a record of the
	// write-ahead log that is cut short fails its checksum.
	if err := w.Commit(pebbledb.Sync); err != nil {
		return fmt.Errorf("committing the epoch at position %d: %w", b.First, err)
	}
	return nil
}

// batchBytes is about what an epoch's rows take.
func batchBytes(b *store.Batch) int {
	n := 1 << 10
	for i := range b.Leaves {
		n += len(b.Leaves[i]) + rowBytes
	}
	for i := range b.Events {
		n += 72 + 4*len(b.Events[i].Live) + len(b.Events[i].Body) + rowBytes
	}
	for _, a := range b.Accounts {
		n += 128 + 37*len(a.Devices) + 32*len(a.Introduced) + rowBytes
	}
	return n + len(b.Prefix)*(33+40+rowBytes) + len(b.Tiles)*(tileBytes+rowBytes)
}

// writer turns an epoch into rows. It refuses what a read would not give back.
type writer struct {
	batch
	store *Store
}

func (w *writer) fill(b *store.Batch) error {
	if err := w.continues(b); err != nil {
		return err
	}
	if b.First == 0 && len(b.Leaves) > 0 {
		n := namesOf(b.Leaves[0])
		w.store.names.Store(&n)
	}
	for i, data := range b.Leaves {
		if len(data) == 0 || len(data) > leaf.MaxSize {
			return fmt.Errorf("leaf %d of %d bytes, want 1 to %d", b.First+uint64(i), len(data), leaf.MaxSize)
		}
		if err := w.put(leafKey(b.First+uint64(i)), data); err != nil {
			return err
		}
	}
	for i := range b.Events {
		if err := w.event(b, &b.Events[i]); err != nil {
			return err
		}
	}
	// Rows of random keys go in by rising keys: the memtable then finds the place
	// of each near the one before.
	for _, l := range rising(b.Prefix, func(a, b *prefix.Leaf) int { return bytes.Compare(a.Index[:], b.Index[:]) }) {
		if err := w.put(prefixKey(l.Index), encodePrefix(l)); err != nil {
			return err
		}
	}
	for _, a := range rising(b.Accounts, func(a, b **store.Account) int { return bytes.Compare((*a).ID[:], (*b).ID[:]) }) {
		value, err := w.store.names.Load().encodeAccount(*a)
		if err != nil {
			return fmt.Errorf("account %v: %w", (*a).ID, err)
		}
		if err := w.put(accountKey((*a).ID), value); err != nil {
			return err
		}
	}
	for i := range b.Tiles {
		t := &b.Tiles[i]
		k := tileKey(t.Level, t.N)
		if k == nil || len(t.Data) != tileBytes {
			return fmt.Errorf("tile %d of %d bytes at level %d, want %d bytes at 0 to %d", t.N, len(t.Data), t.Level, tileBytes, maxTileLevel)
		}
		if err := w.put(k, t.Data); err != nil {
			return err
		}
	}
	for _, e := range b.Erase {
		if err := w.erase(e); err != nil {
			return fmt.Errorf("erasing account %v before seq %d: %w", e.Account, e.Before, err)
		}
	}
	if err := w.unreserve(b.Events); err != nil {
		return err
	}
	return w.put(key{tableState}, encodeState(b.State))
}

// continues refuses a batch that does not begin where the log ends: it would
// write over leaves that are under a signature.
func (w *writer) continues(b *store.Batch) error {
	have, err := w.store.State()
	if err != nil {
		return err
	}
	if b.First != have.Size || b.State.Size != b.First+uint64(len(b.Leaves)) {
		return fmt.Errorf("%d leaves from %d to size %d do not continue a log of size %d", len(b.Leaves), b.First, b.State.Size, have.Size)
	}
	return nil
}

func (w *writer) event(b *store.Batch, e *store.Event) error {
	if e.Position < b.First || e.Position >= b.State.Size {
		return fmt.Errorf("event at position %d, want %d <= position < %d", e.Position, b.First, b.State.Size)
	}
	value, err := w.store.names.Load().encodeEvent(e)
	if err != nil {
		return fmt.Errorf("event at position %d: %w", e.Position, err)
	}
	return w.put(eventKey(e.Position), value)
}

// rising orders rows, and leaves the batch as it is.
func rising[Row any](rows []Row, compare func(a, b *Row) int) []*Row {
	all := make([]*Row, len(rows))
	for i := range rows {
		all[i] = &rows[i]
	}
	slices.SortFunc(all, compare)
	return all
}

// erase writes the account's rows before a seq anew, without their content: no
// later read finds it. Older versions of the rows lie in Pebble's files, which
// Purge owes from now on.
func (w *writer) erase(order store.Erasure) error {
	if err := w.put(owedKey(order), nil); err != nil {
		return err
	}
	for e, err := range w.store.chain(order.Account) {
		if err != nil {
			return err
		}
		// What was erased or lost before may have content below it, in a recovered store.
		if e.Seq >= order.Before || len(e.Body) == 0 && e.Opening == (name.Opening{}) {
			continue
		}
		e.Body, e.Opening = nil, name.Opening{}
		row, err := w.store.names.Load().encodeEvent(e)
		if err != nil {
			return err
		}
		if err := w.put(eventKey(e.Position), row); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) put(k key, value []byte) error { return w.Set(k, value, nil) }

// PutProofs keeps a group of VRF proofs. It is not synced: lost ones are
// computed again.
func (s *Store) PutProofs(id name.AccountID, group uint32, proofs []store.Proof) error {
	value, err := encodeProofs(group, proofs)
	if err != nil {
		return fmt.Errorf("keeping VRF proofs of account %v: %w", id, err)
	}
	return s.db.Set(proofKey(id, group), value, pebbledb.NoSync)
}

// PutNote keeps a published checkpoint and syncs it. The first of a size
// stays, so that every receipt made with it stays the same.
func (s *Store) PutNote(size uint64, note []byte) error {
	if len(note) == 0 {
		return fmt.Errorf("keeping the checkpoint of size %d: it is empty", size)
	}
	s.notes.Lock()
	defer s.notes.Unlock()
	err := s.read(noteKey(size), func([]byte) error { return nil })
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return s.db.Set(noteKey(size), note, pebbledb.Sync)
}
