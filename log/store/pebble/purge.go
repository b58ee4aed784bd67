package pebble

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// Purge rewrites every file that holds what committed batches have erased, and
// returns once the old ones are gone. Reads and commits go on meanwhile.
//
// Where old content lies, and what removes it:
//
//   - in memory and in the write-ahead log: a flush;
//   - in tables, below the rows that took its place: Pebble merges the two when a
//     compaction brings them together, which for a table of old leaves is never,
//     unless it is told to;
//   - in write-ahead logs that wait to be written over, since Pebble keeps three,
//     and in the one that is written over the start of such a file: new files
//     take their places;
//   - in tables that are replaced and still being read: they are waited for.
//
// The rows e say what is owed. They are written with the erasure and deleted at
// the end, so that a crash anywhere only has it all done again.
func (s *Store) Purge(ctx context.Context) (erasures int, err error) {
	s.purging.Lock()
	defer s.purging.Unlock()
	owed, err := s.owed()
	if err != nil || len(owed) == 0 {
		return 0, err
	}
	if err := s.purge(ctx, owed); err != nil {
		return 0, fmt.Errorf("purging the content of %d erasures from the store's files: %w", len(owed), err)
	}
	return len(owed), nil
}

func (s *Store) purge(ctx context.Context, owed []store.Erasure) error {
	// From here on no write-ahead log takes the place of another, so that those
	// there are now are all that may hold what was erased.
	s.wal.setFresh(true)
	defer s.wal.setFresh(false)
	logs, err := s.files(".log")
	if err != nil {
		return err
	}
	if err := s.db.Flush(); err != nil {
		return err
	}
	if err := s.purgeTables(ctx, owed); err != nil {
		return err
	}
	if err := s.purgeLogs(ctx, logs); err != nil {
		return err
	}
	// A power cut must not bring back the name of a file whose duty is forgotten.
	if err := syncDir(s.fs, s.folder); err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	for _, e := range owed {
		if err := b.Delete(owedKey(e), nil); err != nil {
			return err
		}
	}
	return b.Commit(pebbledb.Sync)
}

// owed is what was erased and not purged.
func (s *Store) owed() (owed []store.Erasure, err error) {
	err = s.scan(key{tableErased}, after(tableErased), func(k key, value []byte) (bool, error) {
		e, err := decodeOwed(k, value)
		owed = append(owed, e)
		return true, err
	})
	return owed, err
}

func owedKey(e store.Erasure) key { return numberedOf(tableErased, e.Account, e.Before) }

func decodeOwed(k key, value []byte) (store.Erasure, error) {
	if len(k) != 37 {
		return store.Erasure{}, fmt.Errorf("%v: key of %d bytes, want 37", k, len(k))
	}
	if len(value) != 0 {
		return store.Erasure{}, wrongLength("erasure", value, 0)
	}
	return store.Erasure{Account: name.AccountID(k[1:33]), Before: binary.BigEndian.Uint32(k[33:])}, nil
}

// span is the keys lower <= key < upper.
type span struct{ lower, upper key }

// spans are where the content of erased events was: the events, the account's
// states before, which list its keys, and the events that were only promised.
func (s *Store) spans(owed []store.Erasure) ([]span, error) {
	all := []span{{key{tableReserved}, after(tableReserved)}}
	for _, order := range owed {
		account := accountKey(order.Account)
		all = append(all, span{account, append(bytes.Clone(account), 0)})
		for e, err := range s.chain(order.Account) {
			if err != nil {
				return nil, err
			}
			if event := eventKey(e.Position); e.Seq < order.Before {
				all = append(all, span{event, append(bytes.Clone(event), 0)})
			}
		}
	}
	slices.SortFunc(all, func(a, b span) int { return bytes.Compare(a.lower, b.lower) })
	return all, nil
}

// purgeTables compacts until no row that was flushed before has an older
// version anywhere, and then waits for the tables that had them.
func (s *Store) purgeTables(ctx context.Context, owed []store.Erasure) error {
	spans, err := s.spans(owed)
	if err != nil {
		return err
	}
	tables, err := s.db.SSTables()
	if err != nil {
		return err
	}
	newest := pebbledb.SeqNum(0)
	for _, level := range tables {
		for i := range level {
			newest = max(newest, level[i].LargestSeqNum)
		}
	}
	// One pass is enough, unless Pebble's own compactions move an old version down
	// beside it.
	for range maxPurgePasses {
		if spans = slices.DeleteFunc(spans, func(at span) bool { return layers(tables, at, newest) < 2 }); len(spans) == 0 {
			return s.awaitTables(ctx)
		}
		for _, at := range spans {
			if err := s.db.Compact(ctx, at.lower, at.upper); err != nil {
				return err
			}
		}
		if tables, err = s.db.SSTables(); err != nil {
			return err
		}
	}
	return fmt.Errorf("after %d passes %d rows may still have an older version below them: the store is compacting too much else", maxPurgePasses, len(spans))
}

// layers counts how many versions of a row of a span the tables can hold, of
// those that were written up to a sequence number: tables of one level never
// overlap, except in the first. A version that Pebble has at its end of the
// line has number 0.
func layers(levels [][]pebbledb.SSTableInfo, at span, newest pebbledb.SeqNum) (n int) {
	for number, tables := range levels {
		for i := range tables {
			t := &tables[i]
			if t.SmallestSeqNum > newest || bytes.Compare(t.Smallest.UserKey, at.upper) >= 0 || bytes.Compare(t.Largest.UserKey, at.lower) < 0 {
				continue
			}
			n++
			if number > 0 {
				break
			}
		}
	}
	return n
}

// awaitTables waits until every table on the disk is a live one, of those that
// are there now: those that were replaced live on while somebody reads them.
func (s *Store) awaitTables(ctx context.Context) error {
	there, err := s.files(".sst")
	if err != nil {
		return err
	}
	return s.await(ctx, there, func(left []string) ([]string, error) {
		levels, err := s.db.SSTables()
		if err != nil {
			return nil, err
		}
		live := make(map[string]bool)
		for _, tables := range levels {
			for i := range tables {
				live[fmt.Sprintf("%s.sst", tables[i].BackingSSTNum)] = true
			}
		}
		return slices.DeleteFunc(left, func(file string) bool { return live[file] }), nil
	})
}

// purgeLogs ends every write-ahead log of a list, and each that waits to be
// written over: a flush begins a new file and removes one of them.
func (s *Store) purgeLogs(ctx context.Context, logs []string) error {
	return s.await(ctx, logs, func(left []string) ([]string, error) { return left, s.db.Flush() })
}

// await waits until no file of a list is there, and calls next each time that
// some are: it says which of them are worth waiting for.
func (s *Store) await(ctx context.Context, files []string, next func(left []string) ([]string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, purgeWait)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		there, err := s.files("")
		if err != nil {
			return err
		}
		files = slices.DeleteFunc(files, func(file string) bool { return !slices.Contains(there, file) })
		if len(files) > 0 {
			if files, err = next(files); err != nil {
				return err
			}
		}
		if len(files) == 0 {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%d replaced files are still there, the first %s: %w", len(files), files[0], cmp.Or(context.Cause(ctx), ctx.Err()))
		}
	}
}

// files lists the engine's files by the end of their names.
func (s *Store) files(end string) ([]string, error) {
	all, err := s.fs.List(s.folder)
	return slices.DeleteFunc(all, func(file string) bool { return !strings.HasSuffix(file, end) }), err
}

// walFS says whether a write-ahead log may be written over an old one, which is
// quicker than to make a new file, and leaves what the old one held at its end.
type walFS struct {
	vfs.FS
	mu    sync.RWMutex // read-locked until a file has its new name
	fresh bool         // not now
}

// setFresh returns once every file that was to be written over has its new name.
func (w *walFS) setFresh(fresh bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fresh = fresh
}

func (w *walFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.fresh {
		return w.FS.ReuseForWrite(from, to, category)
	}
	if err := w.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return w.Create(to, category)
}

// Unwrap is vfs.FS's; the embedded one would skip a layer.
func (w *walFS) Unwrap() vfs.FS { return w.FS }
