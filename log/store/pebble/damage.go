package pebble

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damage ends the compactions of a store whose files were found damaged. Pebble
// would try the one that failed again at once, for ever, and tell of it each time;
// and a store that may be all the evidence there is should not be written anew.
// Reads go on, and so do flushes.
//
// It is Pebble's own scheduler. The one whose name says that it is for tests lacks
// a clock that looks whether more compactions may run than before: here that is one
// at a time, always.
type damage struct {
	*pebbledb.ConcurrencyLimitScheduler
	tell    func(error)
	found   atomic.Pointer[error] // the newest
	stalled atomic.Bool           // a write waits
	failed  atomic.Pointer[error] // the newest of a flush or a compaction
	closing chan struct{}
}

func newDamage(tell func(error)) *damage {
	return &damage{
		ConcurrencyLimitScheduler: pebbledb.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest(),
		tell:                      tell, closing: make(chan struct{}),
	}
}

// corrupted may be called under the engine's lock.
func (d *damage) corrupted(why error) {
	if d.tell == nil {
		logger{}.Fatalf("%v: check the disk, and bring back a copy that is whole", why)
	}
	d.found.Store(&why)
	d.tell(why)
	d.check()
}

// stall is told when a write begins to wait until tables are flushed or compacted,
// and, with false, when it goes on.
func (d *damage) stall(begins bool) {
	d.stalled.Store(begins)
	d.check()
}

// check ends the process when a write might wait for ever: then nobody would hear
// why, and it could not be ended in good order. The next start meets the damage
// again, when nothing waits.
func (d *damage) check() {
	if why := d.found.Load(); why != nil && d.stalled.Load() {
		logger{}.Fatalf("a write waits for what damage has ended: %v: start again, to read what is left, and check the disk", *why)
	}
}

// background hears of errors that nobody waits for. Those of flushes and compactions
// are told already, and come under the engine's lock. That the size of the disk is
// unknown can be lived with. What is left: after a start Pebble reads the statistics
// of all tables, and where it cannot it tries again at once, for ever.
func (d *damage) background(err error) {
	if told := d.failed.Load(); told != nil && errors.Is(err, *told) {
		return
	}
	if !pebbledb.IsCorruptionError(err) && !errors.As(err, new(*fs.PathError)) {
		return
	}
	select {
	case <-time.After(statisticsPause):
	case <-d.closing:
	}
}

// Unregister is the scheduler's: the engine closes, and waits for the statistics.
func (d *damage) Unregister() {
	close(d.closing)
	d.ConcurrencyLimitScheduler.Unregister()
}

// Register is the scheduler's.
func (d *damage) Register(goroutines int, db pebbledb.DBForCompaction) {
	d.ConcurrencyLimitScheduler.Register(goroutines, permits{db, d})
}

// permits are how many compactions may run.
type permits struct {
	pebbledb.DBForCompaction
	damage *damage
}

func (p permits) GetAllowedWithoutPermission() int {
	if p.damage.found.Load() != nil {
		return 0
	}
	return p.DBForCompaction.GetAllowedWithoutPermission()
}

// tableFS calls a table damaged that the disk does not give back. Pebble does so
// only when the disk gives back something else, and of a compaction that cannot read
// it would be said that a table cannot be written, at each start anew. If only the
// way to the disk was broken, the next start finds nothing.
//
// Tables alone are read at an offset: what Pebble opens with cannot be lived without.
type tableFS struct{ vfs.FS }

func (t tableFS) Open(path string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := t.FS.Open(path, opts...)
	if err != nil {
		return nil, err
	}
	return tableFile{f}, nil
}

// Unwrap is vfs.FS's; the embedded one would skip a layer.
func (t tableFS) Unwrap() vfs.FS { return t.FS }

type tableFile struct{ vfs.File }

func (f tableFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	if err != nil {
		err = unreadable{err}
	}
	return n, err
}

// unreadable is what Pebble takes for damage.
type unreadable struct{ error }

func (unreadable) Is(target error) bool { return target == pebbledb.ErrCorruption }

func (u unreadable) Unwrap() error { return u.error }
