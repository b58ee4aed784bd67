package server

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

const (
	MaxSubmitStreams = maxSubmitStreams
	MaxStreamBytes   = maxStreamBytes
	EventOverhead    = eventOverhead
)

// Impatient makes handlers with other times for streams.
func Impatient(chunk, wait, answer, stream time.Duration) func(Config) (http.Handler, error) {
	return func(cfg Config) (http.Handler, error) {
		return newHandler(cfg, streamTimes{chunk: chunk, wait: wait, answer: answer, stream: stream})
	}
}

// Routes is what the public may reach: the first segments of its paths.
func Routes(h http.Handler) []string { return slices.Collect(maps.Keys(h.(*handler).routes)) }
