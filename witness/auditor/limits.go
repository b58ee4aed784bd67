package auditor

import (
	"time"

	"github.com/musterlog/muster/log/prefix"
)

// memory is that of the auditor's tree. With buckets of 8 a replay hashes and
// reads less than half of what the 32 of a log take, for 20 bytes an event in
// place of 5.
var memory = prefix.Memory{Bucket: 8}

// All limits of the auditor, each with its reason.
const (
	// chunk is how many EVENT leaves are held before they enter the tree, in an
	// epoch of any length: 5 MB. A larger one saves little hashing.
	chunk = 1 << 16

	// DefaultBatch is how many leaves of the prefix tree are committed at once:
	// some 10 MB in memory, and one fsync.
	DefaultBatch = 1 << 16

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
