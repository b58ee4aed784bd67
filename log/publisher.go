package log

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
)

// publisher stands between signature and publication: it asks the policy's
// cosigners, all at once, and publishes a checkpoint when the quorum is met
// and not before. Epochs are sealed meanwhile; it takes the newest when it is
// free. One goroutine in run has all of its state.
type publisher struct {
	*Log
	cosigners []*cosigner

	current *snapshot // being cosigned; nil between rounds
	lines   map[*cosigner][]checkpoint.Line
	done    uint64    // size of the newest snapshot that met the quorum
	at      time.Time // when it did
	waiting bool      // a round ended without a quorum, and that was said

	quorate time.Time   // when a quorum first answered, before the start was confirmed
	patient *time.Timer // ends the wait for the others

	answers chan cosigned
	asking  sync.WaitGroup
}

// cosigned is what became of one question.
type cosigned struct {
	by    *cosigner
	of    *snapshot
	lines []checkpoint.Line
	err   error
}

func newPublisher(l *Log) *publisher {
	p := &publisher{Log: l, cosigners: l.cfg.cosigners(), patient: time.NewTimer(math.MaxInt64)}
	p.answers = make(chan cosigned, len(p.cosigners)) // each has one question at most: nobody ever blocks here
	return p
}

// run works until ctx ends, and returns when no request is on its way any
// more. An error says that the log must not go on.
func (p *publisher) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer p.asking.Wait()
	defer cancel()
	round := time.NewTimer(0)
	defer round.Stop()
	defer p.patient.Stop()
	for {
		published, err := false, error(nil)
		select {
		case <-ctx.Done():
			return nil
		case <-round.C:
			p.reportWaiting()
			p.begin(ctx)
			round.Reset(p.cfg.CosignTimeout)
		case <-p.offered:
			if p.current == nil {
				p.begin(ctx)
				round.Reset(p.cfg.CosignTimeout)
			}
		case a := <-p.answers:
			published, err = p.take(ctx, a)
		case <-p.patient.C:
			published, err = p.conclude()
		}
		if err != nil {
			return err
		}
		if published && p.begin(ctx) {
			round.Reset(p.cfg.CosignTimeout)
		}
	}
}

// begin turns to the newest signed snapshot, unless it is done, and asks every
// cosigner that is free.
func (p *publisher) begin(ctx context.Context) bool {
	p.current = p.signed.Load()
	if p.current.tree.size == p.done && !p.stale() {
		p.current = nil
		return false
	}
	p.lines = make(map[*cosigner][]checkpoint.Line)
	for _, c := range p.cosigners {
		p.ask(ctx, c)
	}
	return true
}

// ask starts one question. It ends with its time-out, whatever the cosigner
// does, and no second one starts before.
func (p *publisher) ask(ctx context.Context, c *cosigner) {
	if c.busy {
		return
	}
	c.busy = true
	of := p.current
	p.asking.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, p.cfg.CosignTimeout)
		defer cancel()
		lines, err := c.ask(ctx, p.Log, of)
		p.answers <- cosigned{c, of, lines, err}
	})
}

// take uses an answer. Those that come after their checkpoint was published,
// or given up for a newer one, only show that the cosigner is alive.
func (p *publisher) take(ctx context.Context, a cosigned) (published bool, err error) {
	a.by.busy = false
	var forked *Forked
	if errors.As(a.err, &forked) {
		p.halt(forked) // at once: an epoch may be on its way to its signature
		return false, forked
	}
	if ctx.Err() != nil { // it ended the question, perhaps of the one that was waited for
		return false, nil
	}
	p.report(a)
	if p.current == nil {
		return false, nil
	}
	// A question takes as long as a round: the next round found this one busy.
	if a.of != p.current || len(a.lines) == 0 {
		p.ask(ctx, a.by)
	}
	if a.of != p.current {
		return false, nil
	}
	p.lines[a.by] = a.lines
	return p.conclude()
}

// conclude publishes the current snapshot if that is all that it waits for.
func (p *publisher) conclude() (published bool, err error) {
	if p.current == nil {
		return false, nil
	}
	note, ok := p.met()
	if !ok || p.done == 0 && !p.confirms() {
		return false, nil
	}
	if p.waiting {
		p.waiting = false
		p.cfg.Logger.Info("the cosigners are back", "size", p.current.tree.size)
	}
	// A size that was published before this process began keeps its bytes.
	if p.current.tree.size != p.kept || p.current.epoch.Sealed {
		if err := p.publish(p.current, note); err != nil {
			return false, err
		}
	}
	if p.done == 0 {
		if err := p.signLeft(); err != nil {
			return false, err
		}
		close(p.confirmed)
	}
	p.done, p.at = p.current.tree.size, p.now()
	return true, nil
}

// confirms says whether the first quorum may be believed to know where the log
// stands: all others have cosigned too, or had the time to since there was one, for
// before that the network may have been away. A quorum may do without the one that
// has seen more: those who are new know of nothing, and may be quicker, and two
// quorums of a lax policy need not have a member in common.
func (p *publisher) confirms() bool {
	if !slices.ContainsFunc(p.cosigners, func(c *cosigner) bool { return len(p.lines[c]) == 0 }) {
		return true
	}
	if p.quorate.IsZero() {
		p.quorate = time.Now()
		p.patient.Reset(p.cfg.CosignTimeout)
	}
	return time.Since(p.quorate) >= p.cfg.CosignTimeout
}

// stale says that a sealed log's cosignatures want to be made anew: their age
// counts for clients that trust no auditor (protocol section 6.1). The note
// that is kept for receipts stays what it is.
func (p *publisher) stale() bool {
	return p.current.epoch.Sealed && p.now().Sub(p.at) >= p.cfg.Heartbeat
}

// met assembles the checkpoint with what has come so far, in the policy's
// order, and asks the policy. One function decides here and at clients.
func (p *publisher) met() ([]byte, bool) {
	raw := p.current.note
	note, err := checkpoint.Parse(raw)
	for _, c := range p.cosigners {
		for _, line := range p.lines[c] {
			longer := checkpoint.Append(raw, line)
			if n, err := checkpoint.Parse(longer); err == nil { // else there is no room for it
				raw, note = longer, n
			}
		}
	}
	if err == nil {
		_, err = p.cfg.Policy.Verify(note, p.now(), maxCosignatureAge)
	}
	return raw, err == nil
}

// report says when a cosigner fails and when it is back: once, not each round.
func (p *publisher) report(a cosigned) {
	p.cfg.Metrics.Cosigned(a.by.String(), a.err)
	failing := a.err != nil
	if failing == a.by.failing {
		return
	}
	a.by.failing = failing
	if failing {
		p.cfg.Logger.Warn("a cosigner does not cosign", "cosigner", a.by.String(), "size", a.of.tree.size, "error", a.err)
	} else {
		p.cfg.Logger.Info("a cosigner cosigns again", "cosigner", a.by.String(), "size", a.of.tree.size)
	}
}

// reportWaiting says once that a round was not enough.
func (p *publisher) reportWaiting() {
	if p.current == nil || p.waiting {
		return
	}
	if _, ok := p.met(); ok { // a start awaits the others, too, and for the last time
		return
	}
	p.waiting = true
	var missing []string
	for _, c := range p.cosigners {
		if len(p.lines[c]) == 0 {
			missing = append(missing, c.String())
		}
	}
	slices.Sort(missing)
	p.cfg.Logger.Warn("the quorum is not met: events are stored and wait, nothing is published; start or reach the missing cosigners",
		"size", p.current.tree.size, "quorum", p.cfg.Policy.Quorum, "missing", fmt.Sprint(missing))
}
