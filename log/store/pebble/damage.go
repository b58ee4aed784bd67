package pebble

import (
	"sync/atomic"

	pebbledb "github.com/cockroachdb/pebble/v2"
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
}

func newDamage(tell func(error)) *damage {
	return &damage{ConcurrencyLimitScheduler: pebbledb.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest(), tell: tell}
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
