package pebble

import "time"

// All limits and sizes of the engine, each with its reason.
const (
	// defaultCacheBytes holds the hot part of the random tables (h, x) of
	// some million events; performance was measured with it.
	defaultCacheBytes = 256 << 20

	// defaultMemTableBytes takes some 75,000 events before one flush. Twice that
	// would write a third less to the disk, and takes 200 MB more of memory: up
	// to three are there while one is flushed.
	defaultMemTableBytes = 64 << 20

	// maxMemTableBytes: Pebble refuses tables of 4 GiB; a quarter of that is
	// already minutes of replay.
	maxMemTableBytes = 1 << 30

	// filterBits for each key of a bloom filter: one in a hundred lookups of an
	// absent key reads a block in vain.
	filterBits = 10

	// blockBytes is what a read of one row that is not cached loads: with 8 KiB a
	// compaction takes an eighth less time, and a lookup a third to a half more.
	blockBytes = 4 << 10

	// tableBytes is what a file of the log has, in every level. The engine's 2 MB made
	// 2,800 files of 10M events, and a lookup spent a fifth of its time opening them
	// again; larger ones are more to write anew for a purge.
	tableBytes = 16 << 20

	// maxOpenFiles is more than the files of 40M events. Each takes a descriptor, of
	// which a process has some thousands at least, and a few KB.
	maxOpenFiles = 2000

	// rowBytes is what a batch adds to a row's value, with a key of the log.
	rowBytes = 16

	// tableLeaves is from how many leaves on a replica makes a table of a commit,
	// 1.2 MB. Smaller ones would be merged into the others too often.
	tableLeaves = 1 << 14

	// replicaBlock is some 430 leaves: a pass over many epochs finds several of its
	// buckets in each block, and reads, checks and caches it once for them.
	replicaBlock = 32 << 10

	// tileBytes is a full tile: 256 hashes of 32 bytes, and 16 that join them.
	tileBytes = (256 + 16) * 32

	// maxTileLevel: a full tile at the next level would have more leaves below
	// it than positions have numbers.
	maxTileLevel = 6

	// maxPurgePasses: each pass compacts what the one before left, which is what
	// another compaction was at.
	maxPurgePasses = 8

	// purgeWait is how long a purge waits for a file that is still read or whose
	// deletion waits: lookups read for milliseconds, a check of the whole store for
	// an hour. What was not done is done with the next purge.
	purgeWait = time.Minute

	// statisticsPause is between two attempts to read what no answer needs: damage is
	// told with the first.
	statisticsPause = time.Minute

	// maxLive is the protocol's limit of companions (section 3). Their count is
	// one byte in a row.
	maxLive = 255
)
