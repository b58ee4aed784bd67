package server

import (
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
	MaxRequests      = maxRequests
)

// Impatient makes handlers with other times for streams.
func Impatient(chunk, wait, answer, stream time.Duration) func(Config) (http.Handler, error) {
	return func(cfg Config) (http.Handler, error) {
		return newHandler(cfg, streamTimes{chunk: chunk, wait: wait, answer: answer, stream: stream})
	}
}

// Routes is what the public may reach: the first segments of its paths.
func Routes(h http.Handler) []string { return slices.Collect(maps.Keys(h.(*handler).routes)) }

// LimitListener is Listener with another limit.
func LimitListener(l net.Listener, limit int) net.Listener { return limitListener(l, limit) }
