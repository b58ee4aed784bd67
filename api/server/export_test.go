package server

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

const (
	MaxSubmitStreams = maxSubmitStreams
	MaxStreamBytes   = maxStreamBytes
	EventOverhead    = eventOverhead
	MaxStreams       = maxStreams
	HeaderTimeout    = headerTimeout
	MaxRequests      = maxRequests
	MaxStreamsEach   = maxStreamsEach
	MaxErrorLines    = maxErrorLines
	MaxCallBytes     = maxCallBytes
	CallOverhead     = callOverhead
	MaxAnswerBytes   = maxAnswerBytes
	AnswerCopies     = answerCopies
)

// Impatient makes handlers with other times for streams.
func Impatient(chunk, wait, answer, stream time.Duration) func(Config) (http.Handler, error) {
	return func(cfg Config) (http.Handler, error) {
		return newHandler(cfg, streamTimes{chunk: chunk, wait: wait, answer: answer, stream: stream}, defaultShares)
	}
}

// LookupsEach is how many lookups of one caller run at once.
var LookupsEach = defaultShares.lookups.each

// Turns is turns with these numbers.
type Turns struct{ *turns }

func NewTurns(inside, each, waiting, quantum int) Turns {
	return Turns{newTurns(share{inside: inside, each: each, waiting: waiting, quantum: quantum})}
}

func (t Turns) Enter(ctx context.Context, id string, cost int, patient bool) (func(), error) {
	return t.enter(ctx, id, cost, patient)
}

// Idle says whether nothing of anybody is kept.
func (t Turns) Idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.free == t.inside && t.unused == t.waiting && len(t.queues) == 0 && len(t.ring) == 0
}

var ErrTooMuch = errTooMuch

// Room is room.
type Room struct{ *room }

func NewRoom(bytes int64) Room                           { return Room{newRoom(bytes)} }
func (r Room) Take(id string, bytes int64) (give func()) { return r.take(id, bytes) }

// Small makes a handler that takes so many events at once, half of them of one
// caller, and lets as many wait.
func Small(events int) func(Config) (http.Handler, error) {
	return func(cfg Config) (http.Handler, error) {
		s := defaultShares
		s.events.inside, s.events.each, s.events.waiting = events, events/2, events
		s.events.quantum = max(events/100, 1)
		return newHandler(cfg, defaultTimes, s)
	}
}

// Routes is what the public may reach: the first segments of its paths.
func Routes(h http.Handler) []string { return slices.Collect(maps.Keys(h.(*handler).routes)) }

// LimitListener is Listener with another limit.
func LimitListener(l net.Listener, limit int) net.Listener { return limitListener(l, limit) }
