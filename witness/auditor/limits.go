package auditor

import "time"

// All limits of the auditor, each with its reason.
const (
	// chunk is how many EVENT leaves are held before they enter the tree, in an
	// epoch of any length: 5 MB. A larger one saves little hashing.
	chunk = 1 << 16

	// bucket is how many leaves an end of the auditor's tree holds. The log's own
	// trees have 32; with 8 a replay hashes and reads less than half as much,
	// and takes 17 bytes of memory an event in place of 5.
	bucket = 8

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
