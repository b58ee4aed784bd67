package log

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// Cosigner is a witness or an auditor at a distance (protocol section 7). What
// it answers is verified: it may be anything. Both calls return when ctx ends.
type Cosigner interface {
	// AddCheckpoint asks for cosignatures of a signed checkpoint, which extends
	// the cosigner's of size old by this proof. Errors that say more than "not
	// now": *checkpoint.Conflict, checkpoint.ErrInconsistent.
	AddCheckpoint(ctx context.Context, old uint64, proof []leaf.Hash, note []byte) ([]checkpoint.Line, error)

	// Checkpoint is the note of this origin that the cosigner last cosigned.
	Checkpoint(ctx context.Context, origin name.Origin) ([]byte, error)
}

// cosigner is one URL of the policy, with all keys that cosign there.
type cosigner struct {
	Cosigner
	url       string
	witnesses []checkpoint.Witness

	busy  bool   // a request is on its way; of the publisher's goroutine
	known uint64 // size that it cosigned last, 0 if unknown; of whoever asks, one at a time

	failing bool // the last answer was none, and that was said
}

func (c *cosigner) String() string {
	names := make([]string, len(c.witnesses))
	for i, w := range c.witnesses {
		names[i] = w.Name
	}
	return strings.Join(names, ", ") + " at " + c.url
}

// cosigners groups the policy's witnesses by URL, in the policy's order.
func (c *Config) cosigners() (all []*cosigner) {
	at := make(map[string]*cosigner)
	for _, w := range c.Policy.Witnesses {
		remote := c.Cosigners[w.URL]
		if w.URL == "" || remote == nil {
			continue
		}
		if at[w.URL] == nil {
			at[w.URL] = &cosigner{Cosigner: remote, url: w.URL}
			all = append(all, at[w.URL])
		}
		at[w.URL].witnesses = append(at[w.URL].witnesses, w)
	}
	return all
}

// ask asks until ctx ends or there is a cosignature, with a longer pause after
// each failure: an auditor that is still reading says "not now", and a witness may
// be on its way back. A *Forked means that there is nothing left to ask for.
func (c *cosigner) ask(ctx context.Context, l *Log, s *snapshot) ([]checkpoint.Line, error) {
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		lines, err := c.askOnce(ctx, l, s)
		var forked *Forked
		if len(lines) > 0 || errors.As(err, &forked) {
			return lines, err
		}
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, err
		case <-pause.C:
		}
	}
}

// askOnce asks for s with the size that the cosigner is known to have, or then
// says to have: a wrong one costs it a request, and maxConflicts of them the turn.
func (c *cosigner) askOnce(ctx context.Context, l *Log, s *snapshot) ([]checkpoint.Line, error) {
	var conflict *checkpoint.Conflict
	for range maxConflicts {
		proof, err := answer.Consistency(c.known, s.tree.size, s.tree.reader(l.cfg.Store))
		if err != nil {
			return nil, err
		}
		lines, err := c.AddCheckpoint(ctx, c.known, proof, s.note)
		switch {
		case err == nil:
			good, err := c.valid(lines, s.checkpoint.Text(), l.now())
			if len(good) > 0 {
				c.known = s.tree.size
			}
			return good, err
		case errors.As(err, &conflict) && conflict.Size <= s.tree.size && conflict.Size != c.known:
			c.known = conflict.Size
			continue
		case errors.As(err, &conflict), errors.Is(err, checkpoint.ErrInconsistent):
			c.known = 0 // whatever it was, it did not help
			return nil, l.judge(ctx, c, err)
		}
		return nil, err
	}
	return nil, l.judge(ctx, c, fmt.Errorf("it named another size each time: %w", conflict))
}

// valid picks the lines by this cosigner's keys, at most one a key: valid over
// our own text, and of now. Others are not worth a look, since anybody can
// write them. The error says which key has none.
func (c *cosigner) valid(lines []checkpoint.Line, text string, now time.Time) (good []checkpoint.Line, err error) {
	for _, w := range c.witnesses {
		lacking := errors.New("no line")
		for _, line := range lines {
			if !w.Key.Made(line) {
				continue
			}
			at, invalid := w.Key.Verify(text, line)
			if lacking = invalid; invalid == nil && (!checkpoint.Timely(at, now, maxCosignatureAge) || at > uint64(now.Add(maxEpochAhead).Unix())) {
				lacking = fmt.Errorf("it states time %d, this clock %d: is one of the two wrong?", at, now.Unix())
			}
			if lacking == nil {
				good = append(good, line)
			}
			break // a second line of one key is a second chance that nobody needs
		}
		if lacking != nil {
			err = errors.Join(err, fmt.Errorf("answered without a good cosignature by %s %08x: %w", w.Key.Name, w.Key.ID, lacking))
		}
	}
	return good, err
}
