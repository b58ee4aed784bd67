package server

import (
	"time"

	musterv1 "github.com/musterlog/muster/api/v1"
)

// All limits of the server, each with its reason. Those that clients share are
// in package musterv1: events of one call, bytes of a request and a response.
const (
	// maxBodySlack is what a request's body may have beyond its message: gRPC
	// puts 5 bytes before it. Beyond, the connection is cut: Connect itself
	// would read an oversized body to its end.
	maxBodySlack = 1024

	// maxLevel is the highest level that a tile can have: a tree has fewer than
	// 2^63 leaves, a hash of level 8 covers 2^64. Paths go to 63.
	maxLevel = 7

	// maxErrorLines bounds what net/http says in a minute of strangers, maxErrorLine
	// each line in bytes: 6 MB a day of usual lines, some 120 MB at most.
	maxErrorLines = 20
	maxErrorLine  = 4 << 10

	// maxHeaderBytes is many times what clients and proxies send. Many small
	// fields take three times as much in memory.
	maxHeaderBytes = 8 << 10

	// maxConnections bounds connections: at some 30 KB each with TLS, 120 MB. A
	// service in front needs a few, monitors and auditors one each.
	maxConnections = 4096

	// maxRequests bounds what is answered at once on all connections together,
	// which with HTTP/2 could be 32 times as many: 64 senders with 30 calls
	// that wait for their epoch, and as many readers. At some 20 KB each beside
	// what other limits count, 80 MB. A connection has no more than is free for
	// all others, and one request always, so that those that take all they can
	// keep nobody out: that is maxConnections beyond it, as much again.
	maxRequests = 4096

	// retryAfter is when a client that was sent away should come again, in
	// seconds: an epoch's usual length, the least that HTTP can say.
	retryAfter = 1

	// headerTimeout is the longest that a request's header may take: who
	// connects and says nothing holds a connection no longer.
	headerTimeout = 10 * time.Second

	// readTimeout is the longest that a request may take to arrive: 2 MiB over
	// a bad mobile line.
	readTimeout = 30 * time.Second

	// maxWait is the longest that a call works or waits for its epoch to be
	// published: epochs take seconds, cosigners that are away a little more.
	// Events that take longer stay on their way, and their results say so.
	maxWait = 60 * time.Second

	// writeTimeout is the longest from a request's header to the end of its
	// response: arriving, waiting, and a minute to send 32 MiB.
	writeTimeout = readTimeout + maxWait + time.Minute

	// refusalTimeout is the longest that a client may take to read what net/http
	// says by itself, of a header that is too long or wrong. No limit here counts
	// those answers: over HTTP/2, who lets nothing in keeps maxStreams of them on
	// each connection.
	refusalTimeout = 10 * time.Second

	// maxCallBytes is memory for the bodies of Submit and Lookup, each counted as
	// long as it says it is, or 2 MiB where it does not say (gRPC), and
	// callOverhead. One sender that sends all it can
	// has half of it, 45 full calls; 64 such have one each.
	maxCallBytes = 192 << 20
	callOverhead = 16 << 10 // goroutine, buffers, header

	// jsonNames is how many strings a message may have in JSON beside its events:
	// the names of its fields, also of those that this server does not know.
	jsonNames = 100

	// maxAnswerBytes is memory for the answers of calls while they are written. Of
	// each there are answerCopies: as the log made it, and as its message, which
	// base64 makes larger. One sender or reader that reads nothing has half of it:
	// five lookups of 16 MiB, or all that it may ask at once of 2 MiB.
	maxAnswerBytes = 512 << 20
	answerCopies   = 3

	// maxStreamsEach is for one credential: a sender needs one, and another while
	// it takes over from an older process.
	maxStreamsEach = 2

	// maxSubmitStreams bounds what streams hold, at maxStreamBytes each: 400 MB.
	// Each sender needs one; who finds none free has Submit.
	maxSubmitStreams = 16

	// maxStreamBytes bounds the events of one stream that are not answered yet:
	// beyond it nothing is read, and the client waits. At about 1 KB each they
	// are two full epochs, so that one fills while the other is published.
	maxStreamBytes = 24 << 20

	// eventOverhead is what an event under way takes beside its bytes.
	eventOverhead = 700

	// maxChunks is how many chunks of a stream may have joined and not be
	// answered: an epoch of a second, filled by chunks that are sent every
	// millisecond.
	maxChunks = 1000

	// idleTimeout keeps a connection for a client's next request: monitors
	// come back at every epoch, which is at least once a minute.
	idleTimeout = 2 * time.Minute

	// pingTimeout is how long an HTTP/2 connection may be silent before it is
	// asked whether it lives; phones vanish without a word.
	pingTimeout = 30 * time.Second

	// stallTimeout is the longest that an HTTP/2 connection may take nothing of
	// what is written to it, however busily it sends. Nothing else ends it: a
	// stream's end, too, would have to be written.
	stallTimeout = 30 * time.Second

	// maxFrameBytes bounds a frame, whose room its connection keeps for the next
	// one: the least that HTTP/2 allows, and what clients send that are told
	// nothing else.
	maxFrameBytes = 16 << 10

	// maxStreams bounds what one HTTP/2 connection has open at once: the 30 calls
	// of a busy sender; a client with more opens another connection. It alone
	// bounds headers that net/http refuses by itself, at some 25 KB each: 0.8 MB
	// a connection.
	maxStreams = 32

	// checkpointAge, in seconds, is how long a cache may hand out a checkpoint:
	// an epoch's usual length.
	checkpointAge = 1

	// tileAge, in seconds, is how long a cache may keep what never changes: a
	// year, the most that HTTP caches heed.
	tileAge = 365 * 24 * 3600
)

// shares divide what the log takes among its callers, with defaultShares
// outside tests.
type shares struct {
	events  share // of Submit and SubmitStream
	lookups share
}

var defaultShares = shares{
	// Four epochs under way keep a log busy at any speed; one stream fills two
	// of them (maxStreamBytes), and if its client reads no answers for a while
	// the others still have the rest. As many wait: a second or two.
	events: share{inside: 40_000, each: 24_000, waiting: 40_000, quantum: musterv1.MaxEvents},

	// A lookup is work for one core, of up to some ten milliseconds for 200
	// accounts, and 16 MiB for its answer at most. Those that wait are counted
	// by maxRequests too.
	lookups: share{inside: 64, each: 48, waiting: 2048, quantum: 1},
}

// streamTimes bound a SubmitStream in time, with defaultTimes outside tests.
type streamTimes struct {
	chunk  time.Duration // longest until the next chunk has arrived
	wait   time.Duration // longest that a chunk waits for room, and again to be published
	answer time.Duration // longest that the client may take to read an answer
	stream time.Duration // from here on no chunk is read
}

var defaultTimes = streamTimes{
	// As a whole request, and a pause: a sender with nothing to send opens
	// another stream when it has.
	chunk: readTimeout + 30*time.Second,
	wait:  maxWait,
	// An answer has 1,000 refusals at most, 1.5 MB.
	answer: 30 * time.Second,
	// So that what a stream has piled up, in a proxy or here, ends some day, and
	// a log's servers can be replaced.
	stream: time.Hour,
}
