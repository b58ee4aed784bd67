package log

import "time"

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
	maxEpochAhead = time.Minute

	// DefaultEpoch is the longest that an event waits for its epoch.
	DefaultEpoch = time.Second

	// DefaultHeartbeat keeps an idle log fresh: clients refuse checkpoints of
	// an hour, the protocol asks for one a minute.
	DefaultHeartbeat = time.Minute

	// MaxEpochEvents cuts an epoch by size: some 5 MB in one store batch.
	MaxEpochEvents = 10_000

	// MaxPending bounds what waits for its epoch, at about 1 KB each; beyond
	// it submitters are told to come again.
	MaxPending = 100_000
)
