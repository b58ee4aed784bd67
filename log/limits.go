package log

import (
	"os"
	"runtime/debug"
	"time"

	"github.com/musterlog/muster/log/prefix"
)

// All limits of the running log, each with its reason.
const (
	// MaxEvent bounds an encoded event before it is parsed: the largest of
	// types 1..7 has 355 bytes, and reserved ones are refused anyway.
	MaxEvent = 1024

	// DefaultMaxDevices is a messenger's usual limit several times over; the
	// protocol allows 255.
	DefaultMaxDevices = 16

	// MaxIntroduced bounds the keys an account can introduce between two
	// ERASEs, since each is remembered so that it is never used twice. A new
	// device every day lasts eleven years.
	MaxIntroduced = 4096

	// maxAhead is how far a signer's clock may run ahead of ours (section 3).
	maxAhead = 5 * time.Minute

	// maxEpochAhead is how far epoch times, which always rise, may run ahead of
	// our clock (section 4): beyond it the clock was turned back, and clients
	// would refuse the checkpoint soon.
	// A cosignature must not run further ahead, either: in a quorum that nobody
	// else fills, clients whose clock is slow would refuse it.
	maxEpochAhead = time.Minute

	// maxLeap is how far the clock may get ahead of the time that passes while the
	// log runs, within a leapPeriod. For as long as this a log stands still whose
	// clock leapt and was mended: as long as clients by default take the checkpoint
	// from before. And a machine that slept for less goes on by itself.
	maxLeap    = time.Hour
	leapPeriod = 24 * time.Hour

	// maxPause is how far a log that nobody cosigns may start after its newest
	// epoch, unless its operator vouches for the clock: longer than holidays, but
	// shorter than what a wrong month or year makes.
	maxPause = 14 * 24 * time.Hour

	// DefaultEpoch is the longest that an event waits for its epoch.
	DefaultEpoch = time.Second

	// DefaultMergeDelay is how long after its promise an event must be logged at
	// the latest. No log that keeps its store can be convicted, however short it
	// is, since every cut takes what was promised before it; it is what an outage
	// may last before the holders of receipts are alarmed.
	DefaultMergeDelay = time.Minute

	// DefaultHeartbeat keeps an idle log fresh: clients refuse checkpoints of
	// an hour, the protocol asks for one a minute.
	DefaultHeartbeat = time.Minute

	// DefaultPurgeInterval: protocol section 3.6 gives a day. The longer it is, the
	// more erasures share the rewriting of a file.
	DefaultPurgeInterval = time.Hour

	// MaxEpochEvents cuts an epoch by size: some 5 MB in one store batch.
	MaxEpochEvents = 10_000

	// forwardLeaves bounds what a start reads at once of leaves that were not
	// published: some 10 MB, however long the cosigners were away.
	forwardLeaves = 1 << 16

	// DefaultCosignTimeout is the longest that a cosigner is waited for, and
	// that a checkpoint waits before a newer one takes its turn: a healthy
	// cosigner needs a fsync and a round trip, and submitters wait with it.
	DefaultCosignTimeout = 5 * time.Second

	// Pauses between two questions to a cosigner that failed: an auditor that is
	// still reading is asked again soon, a dead host not often.
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second

	// maxConflicts bounds the sizes that a cosigner may tell in one question:
	// one that lost its state needs one, one that we race with another.
	maxConflicts = 3

	// maxCosignatureAge is how old a cosignature that was just asked for may
	// be, by our clock: as far behind as checkpoint allows it ahead.
	maxCosignatureAge = 300 * time.Second

	// drainTime is how long a log that ends waits for its last checkpoint's
	// cosigners: whoever stops a service waits some ten seconds.
	drainTime = 3 * time.Second

	// admitChunk is how many events one core judges before it lets others have a
	// turn: two milliseconds, which what publishes an epoch waits for again and
	// again. They share field inversions, of which 16 save most.
	admitChunk = 16

	// admitCalls is how many calls with more events than the cores take in one
	// turn are admitted beside each other: while the last core ends one, the
	// others are at the next.
	admitCalls = 2

	// recentAccounts is how many accounts stay in memory after they changed, at
	// some 700 bytes each.
	recentAccounts = 1 << 16

	// chainSteps is how many events that are not published a lookup steps over,
	// at one read each; from there on it searches by halves, at one VRF output
	// each, of which 32 do for any account.
	chainSteps = 32

	// upperTiles is how many hash tiles above level 0 are kept in memory, at 8.7 KB
	// each: those of sixty million leaves.
	upperTiles = 1 << 10

	// MaxPending bounds what waits for its epoch, at about 1 KB each; beyond
	// it submitters are told to come again.
	MaxPending = 100_000
)

// DefaultPrefix holds the leaves of sixteen million events in memory, at some 60
// bytes each; each event more takes 4 bytes, and a read for an update.
func DefaultPrefix() prefix.Memory { return prefix.Memory{Bucket: 64, Held: 1 << 24} }

// LimitMemory tells Go's runtime how much memory this process may take, which
// runs a log of so many events, and lets garbage wait while there is room: to
// collect it whenever memory has doubled would cost a log that fills two percent
// of its time. Who sets the runtime's own variables knows better.
func LimitMemory(events uint64) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(memory(events))
	}
}

// memory is LimitMemory's, in bytes. In use are 600 MB, for the engine's cache
// and tables, what waits and what is kept of recent accounts, and what
// DefaultPrefix says of an event; the rest is room for garbage. Too little room
// costs more than anything else here.
func memory(events uint64) int64 {
	held := min(events, uint64(DefaultPrefix().Held))
	return 880<<20 + 62*int64(held) + 4*int64(min(events-held, 1<<40))
}
