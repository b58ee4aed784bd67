package device

import "time"

// All limits of the signer's side, each with its reason.
const (
	// maxAhead is how far an event's time may run ahead of the signer's clock:
	// a log refuses more (protocol section 3).
	maxAhead = 5 * time.Minute

	// maxDevices is the protocol's limit on companions (section 3).
	maxDevices = 255

	// maxDraft bounds an encoded draft before it is parsed: an Event with two
	// signatures and 255 devices of 39 bytes each need 10,310 bytes.
	maxDraft = 12 << 10

	// maxPending is how many events a signer keeps for one seq: the first, and
	// what was signed to replace it. Nobody changes their mind more often.
	maxPending = 16

	// noSeq is no event's seq (section 1): an account that reached it is full.
	noSeq = 1<<32 - 1
)
