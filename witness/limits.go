package witness

import "time"

// All limits of this package, each with its reason.
const (
	// maxProof is the most hashes of a consistency proof (C2SP tlog-witness): a
	// tree has fewer than 2^63 leaves.
	maxProof = 63

	// maxBody is the longest body in bytes: the longest old size line, 63 hash
	// lines, an empty line, and a note of the 65,535 bytes that
	// checkpoint.ParseSigned reads.
	maxBody = len("old 9223372036854775807\n") + maxProof*len(hashLine) + len("\n") + 1<<16 - 1

	// maxLogs bounds a file of log lines in bytes: some 4,000 logs, each of
	// which costs a file of state and a few kB of memory.
	maxLogs = 1 << 20

	// bodyTime is the longest that a body may take to arrive: 70 kB over a bad
	// line. Who sends a byte a second holds a connection no longer.
	bodyTime = 10 * time.Second

	// turnTime is the longest that a request waits for those before it at its
	// log, and works once it has its turn: logs ask again.
	turnTime = 20 * time.Second

	// maxWaiting bounds the requests that wait for one log's turn, each with its
	// body of up to 70 kB: a log sends one at a time, the rest are strangers.
	maxWaiting = 256

	// maxAhead is how many seconds ahead of their clock clients accept a
	// cosignature's time (protocol section 6).
	maxAhead = 300

	// retryTime is when a log is told to ask again: an epoch later, as a rule.
	retryTime = time.Second
)

// hashLine is one line of a proof.
const hashLine = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
