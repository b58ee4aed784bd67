package pebble

import (
	"fmt"
	"log/slog"
	"os"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// options is the only literal of Pebble's options in the tree: the logger and
// the format decide about what a power cut leaves.
func options(cfg *Config) *pebbledb.Options {
	o := &pebbledb.Options{
		FS:     tableFS{markerFS{cfg.FS}},
		Logger: logger{},

		// Only the newest format writes offsets into the write-ahead log by
		// which a bit that flipped in its middle is found. An older one takes
		// such a bit for the log's end and drops acknowledged epochs silently.
		FormatMajorVersion: pebbledb.FormatNewest,

		CacheSize:    cfg.CacheBytes,
		MemTableSize: uint64(cfg.MemTableBytes),
		MaxOpenFiles: maxOpenFiles,
	}
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = tableBytes
	}
	d := newDamage(cfg.Corrupted)
	o.EventListener, o.Experimental.CompactionScheduler = listener(d), d
	// No file holds rows of two tables. So the files of L, which overlaps
	// nothing that came before, are moved from level to level as they are.
	o.Experimental.SpanPolicyFunc = func(start []byte) (pebbledb.SpanPolicy, []byte, error) {
		return pebbledb.SpanPolicy{}, after(start[0]), nil
	}
	// Keys, signatures, hashes: what is random does not get smaller. To try took a
	// sixth to two fifths of a compaction, and to unpack a part of every read.
	o.ApplyCompressionSettings(func() pebbledb.DBCompressionSettings { return pebbledb.DBCompressionNone })
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = filter{bloom.FilterPolicy(filterBits)}
		o.Levels[i].BlockSize = blockBytes
	}
	// Pebble does not ask the last level's: what no level before has is there.
	o.Levels[len(o.Levels)-1].FilterPolicy = pebbledb.NoFilterPolicy
	return o
}

// logger hears what Pebble has to say.
type logger struct{}

func (logger) Infof(string, ...any) {} // about every flush and compaction

func (logger) Errorf(format string, args ...any) {
	slog.Error("the store's engine", "error", fmt.Sprintf(format, args...))
}

// Fatalf ends the process; it must never return nor panic. Pebble calls it
// when a write or sync of the write-ahead log failed and then goes on to
// report success: an epoch would be signed that the disk does not hold. A
// panic would not do, since net/http recovers those of its handlers, and the
// process would live on with a page cache that may differ from the disk.
func (logger) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "store: fatal: "+format+"\n", args...)
	os.Exit(1)
}
