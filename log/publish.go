package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
)

// cosigned says whether a checkpoint needs more than the log's own signature.
func (c *Config) cosigned() bool { return c.Policy != nil && c.Policy.NeedsCosigners() }

// checkPolicy refuses a policy that this log can never meet.
func (c *Config) checkPolicy() error {
	if c.Policy == nil {
		return nil
	}
	if want, got := c.Signer.Key().String(), c.Policy.Log.String(); want != got {
		return fmt.Errorf("the policy is of log %s, this log is %s: give it a policy with this log's key", got, want)
	}
	if !c.cosigned() {
		return nil
	}
	reached := make(map[string]bool)
	var missing []string
	for _, w := range c.Policy.Witnesses {
		if w.URL != "" && c.Cosigners[w.URL] != nil {
			reached[w.Name] = true
		} else {
			missing = append(missing, w.Name)
		}
	}
	if !c.Policy.Met(reached) {
		return fmt.Errorf("the policy's quorum %q cannot be met: no URL to ask %s: add one at the end of each witness line", c.Policy.Quorum, strings.Join(missing, ", "))
	}
	return nil
}

// checkCosigners refuses to sign on with nobody to ask who cosigned what was
// published last. A backup that was restored with its signed head fits it: only
// they know that more was signed. Cosigners that are new know of nothing.
func (l *Log) checkCosigners(note *checkpoint.Note) error {
	if l.cfg.Unconfirmed || l.seq.epoch.Sealed { // then nothing is left to sign
		return nil
	}
	var names []string
	for _, line := range note.Lines {
		if line.Name == string(l.cfg.Origin) { // the log's own keys
			continue
		}
		if l.cfg.asks(line) {
			return nil
		}
		names = append(names, line.Name)
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("the newest published checkpoint, of size %d, was cosigned by %s, and none of them would be asked now whether more was signed since: if this store is an old backup, going on would fork the log. "+
		"Give --policy FILE with one of them at least, and its URL. Only if they are gone for good, and this store is certainly the newest, start it once with --unconfirmed", note.Size, strings.Join(slices.Compact(names), ", "))
}

// asks says whether a line is by a cosigner that is asked.
func (c *Config) asks(line checkpoint.Line) bool {
	return c.cosigned() && slices.ContainsFunc(c.Policy.Witnesses, func(w checkpoint.Witness) bool {
		return w.Key.Made(line) && c.Cosigners[w.URL] != nil
	})
}

// runCosigned is the publisher beside the sequencer.
func (l *Log) runCosigned(ctx context.Context) error {
	sequencing, cancel := context.WithCancel(ctx)
	defer cancel()
	publishing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	published := make(chan error, 1)
	go func() {
		err := newPublisher(l).run(publishing)
		if err != nil {
			l.refuseAll(err) // before the sequencer drains: nothing may be signed any more
			cancel()
			stop()
		}
		published <- err
	}()

	var err error
	select {
	case <-l.confirmed:
		l.believeClock()
		if err = l.sequence(sequencing, l.firstHeartbeat()); err == nil {
			l.publishLast(publishing)
		}
	case <-sequencing.Done():
		l.refuseAll(ErrStopped)
	}
	stop()
	if failed := <-published; !errors.Is(err, failed) { // a fork ends both, and is told once
		err = errors.Join(err, failed)
	}
	return err
}

// firstHeartbeat is at once if clients would not take what is published: it is
// old, or was published under another policy.
func (l *Log) firstHeartbeat() time.Duration {
	if s := l.published.Load(); s == nil || !l.meets(s.note, l.cfg.Heartbeat) {
		return 0
	}
	return l.cfg.Heartbeat
}

// publishLast gives the last checkpoint of a log that ends its chance.
func (l *Log) publishLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	l.awaitPublished(ctx, l.signed.Load().tree.size-1)
}

// meets says whether a note has the policy's quorum, of at most this age.
func (l *Log) meets(raw []byte, age time.Duration) bool {
	note, err := checkpoint.Parse(raw)
	if err == nil {
		_, err = l.cfg.Policy.Verify(note, l.now(), age)
	}
	return err == nil
}

// offer brings a signed snapshot on its way: to the publisher, or out.
func (l *Log) offer() error {
	if l.cfg.cosigned() {
		signal(l.offered)
		return nil
	}
	s := l.signed.Load()
	return l.publish(s, s.note)
}

// publish lets lookups see a signed tree. The note is kept first, so that the
// receipts of its events are the same for ever.
func (l *Log) publish(s *snapshot, note []byte) error {
	if err := l.cfg.Store.PutNote(s.tree.size, note); err != nil {
		return fmt.Errorf("keeping the published checkpoint: %w", err)
	}
	l.show(s, note)
	return nil
}

func (l *Log) show(s *snapshot, note []byte) {
	shown := *s
	shown.note = note
	l.published.Store(&shown)
	l.cfg.Metrics.Published(s.tree.size, s.epoch.Epoch, time.UnixMilli(int64(s.epoch.TimeMs)))
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.news)
	l.news = make(chan struct{})
}

// awaitPublished blocks until the leaf at a position is published.
func (l *Log) awaitPublished(ctx context.Context, position uint64) error {
	for {
		l.mu.Lock()
		news, ended := l.news, l.ended
		l.mu.Unlock()
		if s := l.published.Load(); s != nil && position < s.tree.size {
			return nil
		}
		if ended != nil {
			return ended
		}
		select {
		case <-news:
		case <-ctx.Done():
			return gaveUp(ctx, "the event is stored and waits for the log's cosigners: send it again")
		}
	}
}

// end lets those go who still wait for a publication.
func (l *Log) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = or(forCallers(err), ErrStopped)
	close(l.news)
	l.news = make(chan struct{})
}
