package client

import "time"

// All limits of the client, each with its reason; those that servers share are
// in package musterv1.
const (
	// maxNote is the longest checkpoint that package checkpoint reads.
	maxNote = 64 << 10

	// maxEntry is the longest entry that a bundle can hold (C2SP tlog-tiles).
	maxEntry = 65535

	// maxMessage bounds what is quoted of a server's words in an error.
	maxMessage = 1000

	// timeout ends a call whose context has no end: a little over the longest
	// that a server works on one (60 s) and a slow line needs for its answer.
	timeout = 2 * time.Minute
)
