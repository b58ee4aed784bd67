package auditor

import (
	"time"

	"github.com/musterlog/muster/log/prefix"
)

// All limits of the auditor, each with its reason.
const (
	// DefaultBatch is how many EVENTs are replayed in one pass, and committed at
	// once: some 40 MB of memory, and two seconds of work that a crash may take
	// back. More read less of the store for each.
	DefaultBatch = 1 << 18

	// DefaultCacheBytes holds the indexes of the map's tables. Its leaves are read
	// in order, and never again in the same pass.
	DefaultCacheBytes = 32 << 20

	// maxRecord bounds the record: its note, at most 65,535 bytes, and an EPOCH
	// leaf.
	maxRecord = 2 * 65535

	// DefaultPoll is how often the log is asked for a newer checkpoint between
	// the requests for cosignatures.
	DefaultPoll = 5 * time.Second

	// noteTime bounds the reading of /checkpoint.
	noteTime = 15 * time.Second

	// convictTime bounds the making of evidence: the leaves of one epoch and their
	// paths are read again.
	convictTime = 5 * time.Minute

	// maxRule bounds what is kept of a reason to stop.
	maxRule = 1 << 16
)

// treeMemory is 5 bytes an event for the map's top, and nothing more that grows
// with the log: a pass reads most of the map in order, so that large ends are
// read no oftener than small ones.
var treeMemory = prefix.Memory{Bucket: 32}
