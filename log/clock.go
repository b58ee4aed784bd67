package log

import (
	"fmt"
	"time"

	"github.com/musterlog/muster/log/answer"
)

// reading is the clock at a moment when it was believed, beside the time that
// passes whatever the clock is set to.
type reading struct {
	at      time.Time
	elapsed time.Duration
}

func (l *Log) now() time.Time { return l.cfg.Now() }

// readClock reads the clock last: a process that is stopped between the two sees a
// leap in this reading, and in no later one.
func (l *Log) readClock() reading {
	elapsed := l.cfg.Elapsed()
	return reading{l.now().Round(0), elapsed} // Round: without what time.Now says of elapsed time
}

// believeClock is called when somebody vouches for the clock: the quorum whose
// cosignatures state the same time, or the operator.
func (l *Log) believeClock() {
	r := l.readClock()
	l.seq.believed = &r
}

// epochTime is the time of an epoch that is cut now (protocol section 4.2): the
// clock's, but always above the newest epoch's. It can never be taken back: one
// epoch that is years ahead, and a log whose clock is mended stands still for as
// many. So a clock that leaps ahead is not believed; the errBatch says why, and
// the log goes on by itself once the clock is set.
func (l *Log) epochTime() (timeMs uint64, err error) {
	q, now := &l.seq, l.readClock()
	newest := time.UnixMilli(int64(q.state.TimeMs))
	before := q.believed
	var leapt, passed time.Duration // since then
	if before != nil {
		passed = now.elapsed - before.elapsed
		leapt = now.at.Sub(before.at) - passed
	}
	switch {
	case newest.Add(time.Millisecond).Sub(now.at) > maxEpochAhead:
		return 0, wrongClock("this clock says %s, but the newest epoch is of %s, and epochs' times never go back: if the clock is behind, set it; if it was ahead then, wait", utc(now.at), utc(newest))
	case leapt > maxLeap:
		// Not against the newest epoch: a stalled disk, or a process that was
		// stopped for a day, is no leap.
		return 0, wrongClock("this clock leapt from %s to %s while %s passed: if it is wrong now, set it, and the log goes on; if it is right, since it was behind or this machine slept, start the log again",
			utc(before.at), utc(now.at), passed.Round(time.Second))
	case before == nil && now.at.Sub(newest) > maxPause:
		return 0, wrongClock("this clock says %s, the newest epoch is of %s, and no cosigner vouches for either: if the clock is ahead, set it, and the log goes on; if the log was down for so long, start it once with --clock-is-right",
			utc(now.at), utc(newest))
	}
	// Leaps that are small enough by themselves add up: a day's are held against one
	// reading, that at which the clock was least ahead.
	if before == nil || leapt < 0 || passed >= leapPeriod {
		q.believed = &now
	}
	return max(uint64(now.at.UnixMilli()), q.state.TimeMs+1), nil
}

// errClock is all that callers are told of what wrongClock says.
var errClock error = answer.Unavailable("the log does not believe its clock")

// wrongClock is an errBatch with both times and what an operator can do.
func wrongClock(format string, args ...any) error {
	return fmt.Errorf("%w: %w: %s", errBatch, errClock, fmt.Sprintf(format, args...))
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }
