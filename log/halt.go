package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
)

// ErrReadOnly says that a log must not sign with this store (protocol section
// 8.2): it can serve what it published before, and no more. The text says why
// and what its operator should do.
var ErrReadOnly error = answer.Unavailable("this log only serves reads, and signs nothing")

// What everybody may know of why a log is read-only. What its operator is told
// has sizes, advice and the names of files.
const (
	toldBehind  = "its store is behind what was signed with its key"
	toldHistory = "its store has another history than was signed with its key"
	toldUnknown = "what it signed last cannot be known"
	toldDamaged = "its store was found damaged"
)

// readOnlyError is an ErrReadOnly with its reason.
type readOnlyError struct {
	told string
	error
}

func (e *readOnlyError) Unwrap() error { return e.error }

func readOnly(told, format string, args ...any) error {
	return &readOnlyError{told, fmt.Errorf("%w: %w", ErrReadOnly, fmt.Errorf(format, args...))}
}

// Told is why a log that gave this error serves reads only, in general words for
// everybody; empty if it is no ErrReadOnly.
func Told(err error) string {
	var own *readOnlyError
	var forked *Forked
	switch {
	case errors.As(err, &own):
		return own.told
	case errors.As(err, &forked):
		return forked.told
	case errors.Is(err, ErrReadOnly):
		return toldUnknown
	}
	return ""
}

// forCallers is why events were not taken, without what is nobody's business but
// the operator's, who is told the rest elsewhere: sizes, advice, and the names of
// files in the words of the store and of whoever called Halt.
func forCallers(err error) error {
	switch told := Told(err); {
	case err == nil:
		return nil
	case told != "":
		return fmt.Errorf("%w: %s", ErrReadOnly, told)
	case errors.Is(err, errClock):
		return errClock
	case errors.As(err, new(answer.Unavailable)):
		return err
	}
	return answer.Fault
}

// OpenToRead opens a log that must not go on, for the reason why: that of Open,
// or of an earlier Run. It shows the newest checkpoint that was published and
// still is what its leaves give; clients that have seen a newer one refuse it.
// Nothing is signed or written. Run returns why at once.
func OpenToRead(cfg Config, why error) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := newLog(cfg)
	l.stopped, l.ended = forCallers(why), forCallers(why)
	l.halt(why)
	if err := l.loadGenesis(); err != nil {
		return nil, err
	}
	state, err := cfg.Store.State()
	if err != nil {
		return nil, fmt.Errorf("reading the store's state: %w", err)
	}
	at, note, err := l.lastPublished(state)
	if err != nil {
		return nil, err
	}
	if err := l.seq.load(cfg.Store, at, cfg.Prefix); err != nil {
		return nil, err
	}
	s, err := l.stand()
	if err != nil {
		return nil, err
	}
	l.signed.Store(s)
	if n, err := checkpoint.Parse(note); err == nil && n.Checkpoint == s.checkpoint {
		l.show(s, note)
	}
	return l, nil
}

// Halt stops all signing for good, from any goroutine: somebody found that the
// store cannot be trusted. Reads go on, and Run returns an ErrReadOnly.
func (l *Log) Halt(why error) { l.halt(readOnly(toldDamaged, "%w", why)) }

// ReadOnly is why the log signs nothing, an ErrReadOnly, or nil while it may.
func (l *Log) ReadOnly() error { return context.Cause(l.halted) }

// untilHalted is ctx until somebody calls Halt: then nothing more is taken, and
// what waits is refused, so that there is nothing left to sign.
func (l *Log) untilHalted(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.halted, func() {
		l.refuseAll(context.Cause(l.halted))
		cancel()
	})
	return ctx, func() { stop(); cancel() }
}
