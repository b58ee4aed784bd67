package log

import (
	"context"
	"fmt"
	"sync"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/name"
)

// ErrSealed says that the log has ended: it takes no event any more, and serves
// reads for ever.
var ErrSealed error = answer.Unavailable("the log has ended")

func sealedError(successor name.Origin) error {
	if successor == "" {
		return fmt.Errorf("%w, and names no successor", ErrSealed)
	}
	return fmt.Errorf("%w: it goes on as %s", ErrSealed, successor)
}

// Sealed says whether the log has ended, and where it goes on; empty: nowhere.
func (l *Log) Sealed() (successor name.Origin, sealed bool) {
	e := l.signed.Load().epoch
	return e.Successor, e.Sealed
}

// Seal ends the log with a SEAL leaf (protocol section 4.2), in the place of
// Run: once cosigners have confirmed where the log stands, what was promised is
// logged, then the SEAL, and its checkpoint is published, which is what Seal
// waits for. Called again, after a crash or not, it publishes what is missing;
// another successor is refused then, since a SEAL cannot be changed.
func (l *Log) Seal(ctx context.Context, successor name.Origin) error {
	if successor == l.cfg.Origin {
		return fmt.Errorf("a log cannot be its own successor: %s", successor)
	}
	if e := l.seq.epoch; e.Sealed && e.Successor != successor {
		return fmt.Errorf("sealing log %s: %w: that cannot be changed", l.cfg.Origin, sealedError(e.Successor))
	}
	var publishing sync.WaitGroup
	defer publishing.Wait() // it reads the store, which the caller closes next
	ctx, cancel := l.untilHalted(ctx)
	defer cancel()
	published := make(chan error, 1)
	if l.cfg.cosigned() {
		publishing.Go(func() { published <- newPublisher(l).run(ctx) })
	}
	err := l.sealLast(ctx, successor, published)
	if err == nil {
		err = l.awaitSeal(ctx, published)
	}
	if err != nil {
		err = or(l.ReadOnly(), err) // which says more than that ctx ended
	}
	l.end(err)
	if err != nil {
		return fmt.Errorf("sealing log %s: %w", l.cfg.Origin, err)
	}
	return nil
}

// sealLast makes the last epochs, if they are not there yet.
func (l *Log) sealLast(ctx context.Context, successor name.Origin, published <-chan error) error {
	if l.cfg.cosigned() {
		select {
		case <-l.confirmed:
			l.believeClock()
		case err := <-published: // nil: ctx ended
			return or(err, fmt.Errorf("no quorum of cosigners has confirmed where the log stands: nothing was sealed: %w", ctx.Err()))
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was sealed: %w", err)
	}
	if l.seq.epoch.Sealed {
		return nil
	}
	// What was promised is logged first. The content of accounts that are erased
	// is deleted with the next epoch, and SEAL is the last one there is: so no
	// event comes with it.
	if err := l.drain(); err != nil {
		return err
	}
	if l.seq.failed != nil { // some of it could not be, and after the SEAL nothing can be
		return l.seq.failed
	}
	l.seq.last = &successor
	_, err := l.sealOpen(true)
	if err != nil {
		return err
	}
	return l.seq.failed
}

// awaitSeal returns once the sealed checkpoint is published.
func (l *Log) awaitSeal(ctx context.Context, published <-chan error) error {
	waited := make(chan error, 1)
	go func() { waited <- l.awaitPublished(ctx, l.signed.Load().tree.size-1) }()
	var failed error
	select {
	case err := <-waited:
		if err == nil {
			return nil
		}
	case failed = <-published: // nil: ctx ended
	}
	return or(failed, fmt.Errorf("the SEAL is signed, but not published: seal again once its cosigners can be reached: %w", ctx.Err()))
}

// runSealed is Run of a log that has ended: its cosignatures are kept fresh.
func (l *Log) runSealed(ctx context.Context) error {
	l.refuseAll(sealedError(l.seq.epoch.Successor))
	if l.cfg.cosigned() {
		return newPublisher(l).run(ctx)
	}
	<-ctx.Done()
	return nil
}
