package log

import (
	"context"
	"time"
)

// purge removes what was erased from the store's files (protocol section 3.6),
// until ctx ends: at once what an earlier process left, then what came since, all
// of a PurgeInterval together, since it may cost the rewriting of gigabytes. The
// store remembers what it owes, also through a crash. What fails is tried again.
func (l *Log) purge(ctx context.Context) {
	next := time.NewTicker(l.cfg.PurgeInterval)
	defer next.Stop()
	for {
		began := time.Now()
		erasures, err := l.cfg.Store.Purge(ctx)
		if ctx.Err() != nil {
			return // not done, which the next process finds
		}
		if l.cfg.Metrics.Purged(erasures, err); err != nil {
			l.cfg.Logger.Warn("erased content is still in the store's files: it is tried again", "after", l.cfg.PurgeInterval, "error", err)
		} else if erasures > 0 {
			l.cfg.Logger.Info("erased content has left the store's files", "erasures", erasures, "took", time.Since(began))
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
	}
}

// purging is purge beside what else Run does; stop returns when it has ended, so
// that the store can be closed.
func (l *Log) purging(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); l.purge(ctx) }()
	return func() { cancel(); <-done }
}
