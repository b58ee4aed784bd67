package pebble

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	pebbledb "github.com/cockroachdb/pebble/v2"
)

// engine is what this package uses of Pebble. All that writes goes through
// write, and no other method of Pebble's that writes can be reached.
type engine struct {
	pebbledb.Reader
	pebble *pebbledb.DB // the same
}

func (e engine) Set(k, value []byte, o *pebbledb.WriteOptions) error {
	return write(func() error { return e.pebble.Set(k, value, o) })
}

func (e engine) NewBatch() batch { return batch{e.pebble.NewBatch()} }

func (e engine) NewBatchWithSize(n int) batch { return batch{e.pebble.NewBatchWithSize(n)} }

func (e engine) Ingest(ctx context.Context, paths []string) error {
	return write(func() error { return e.pebble.Ingest(ctx, paths) })
}

func (e engine) Flush() error { return write(e.pebble.Flush) }

func (e engine) Compact(ctx context.Context, lower, upper []byte) error {
	return write(func() error { return e.pebble.Compact(ctx, lower, upper, false) })
}

func (e engine) Checkpoint(dir string) error {
	return write(func() error { return e.pebble.Checkpoint(dir, pebbledb.WithFlushedWAL()) })
}

func (e engine) SSTables() ([][]pebbledb.SSTableInfo, error) { return e.pebble.SSTables() }

// batch is one of the engine's: its Commit is the one write that it has.
type batch struct{ *pebbledb.Batch }

func (b batch) Commit(o *pebbledb.WriteOptions) error {
	return write(func() error { return b.Batch.Commit(o) })
}

// mend is what an operator does about a fatal error of the disk.
const mend = "free space or mend the disk, then start again: nothing that was acknowledged is lost"

// write does one write, and ends the process when the engine panics in it. It
// does so when its write-ahead log failed before, with the lock held for which
// every later write waits: a handler's recover, as in net/http, would let the
// process live on and keep nothing, for ever.
func write(do func() error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if closed, ok := p.(error); ok && errors.Is(closed, pebbledb.ErrClosed) {
			err = closed // a lookup that outlived Close; no lock is held
			return
		}
		logger{}.Fatalf("the engine failed in a write: %v: %s\n%s", p, mend, debug.Stack())
	}()
	return do()
}

// listener tells of damaged files, and ends the process when tables cannot be
// written: Pebble would try for ever, at once and without a word to those who
// wait, while write-ahead logs that are written over still take commits. It is
// about flushes and compactions only, so nothing that is open read-only meets it.
func listener(d *damage) *pebbledb.EventListener {
	failed := func(what string, err error) {
		switch {
		case err == nil, errors.Is(err, pebbledb.ErrCancelledCompaction), err.Error() == emptyFlush:
		case pebbledb.IsCorruptionError(err):
			d.failed.Store(&err)
			d.corrupted(fmt.Errorf("a %s of the store met damage: %w", what, err))
		default:
			logger{}.Fatalf("a %s failed: %v: %s", what, err, mend)
		}
	}
	return &pebbledb.EventListener{
		BackgroundError: d.background,
		FlushEnd:        func(i pebbledb.FlushInfo) { failed("flush", i.Err) },
		CompactionEnd:   func(i pebbledb.CompactionInfo) { failed("compaction", i.Err) },
		DataCorruption: func(i pebbledb.DataCorruptionInfo) {
			d.corrupted(fmt.Errorf("the store's file %s is damaged: %w", i.Path, i.Details))
		},
		WriteStallBegin: func(pebbledb.WriteStallBeginInfo) { d.stall(true) },
		WriteStallEnd:   func() { d.stall(false) },
	}
}

// emptyFlush is what Pebble says of a flush that had nothing to write, as
// Create's. It does not export that error.
const emptyFlush = "pebble: empty table"
