package client

import "time"

// All limits of the client, each with its reason; those that servers share are
// in package musterv1.
const (
	// maxNote is the longest checkpoint that package checkpoint reads.
	maxNote = 64 << 10

	// maxEntry is the longest entry that a bundle can hold (C2SP tlog-tiles).
	maxEntry = 65535

	// cosignerTimeout ends a call to a cosigner whose context has no end: twice
	// what a log waits.
	cosignerTimeout = 10 * time.Second

	// cosignerIdle keeps a connection between two epochs of a heartbeat.
	cosignerIdle = 90 * time.Second

	// maxCosignerConns bounds what one host costs. A log asks each of its
	// cosigners one thing at a time; one host may serve several.
	maxCosignerConns = 32

	// maxCosignerHeader bounds an answer's header: a cosigner needs a few lines.
	maxCosignerHeader = 16 << 10

	// maxRefusal bounds what is quoted of a cosigner's refusal: a sentence.
	maxRefusal = 200

	// maxMessage bounds what is quoted of a server's words in an error.
	maxMessage = 1000

	// Timeout ends a call whose context has no end: a little over the longest
	// that a server works on one (60 s) and a slow line needs for its answer.
	Timeout = 2 * time.Minute
)
