package log

import "time"

// Metrics hears what a log does. Its methods are called from the goroutines
// that do it, so they must not wait; they get no account and no key.
type Metrics interface {
	// Sealed: an epoch of so many events was stored and signed, in this time.
	Sealed(events int, took time.Duration)

	// Failed: an epoch of so many events failed, and nothing of it was kept.
	Failed(events int)

	// Published: readers see the tree of this size, whose EPOCH says this time.
	Published(size, epoch uint64, at time.Time)

	// Purged: the content of so many erasures has left the store's files, or could
	// not be removed yet.
	Purged(erasures int, err error)

	// Cosigned: a cosigner answered, or failed to.
	Cosigned(name string, err error)
}

type noMetrics struct{}

func (noMetrics) Sealed(int, time.Duration)           {}
func (noMetrics) Failed(int)                          {}
func (noMetrics) Published(uint64, uint64, time.Time) {}
func (noMetrics) Purged(int, error)                   {}
func (noMetrics) Cosigned(string, error)              {}
