package monitor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// Promised is a promise of the log as it came (protocol section 9.1): the event
// that was sent, and the Durable that answered it.
type Promised struct{ Event, Durable []byte }

func (p *Promised) id() string {
	sum := sha256.Sum256(p.Durable)
	return hex.EncodeToString(sum[:])
}

// checkPromised refuses promises about accounts that are not watched, whose
// alerts would have nobody's name, and those of other logs, of which this
// monitor knows no key.
func (c *Config) checkPromised() error {
	for i, p := range c.Promised {
		e, err := event.Parse(p.Event)
		if err != nil {
			return fmt.Errorf("promise %d: %w", i+1, err)
		}
		if origin := name.Origin(c.Verifier.Policy.Log.Name); e.Log != origin.LogID() {
			return fmt.Errorf("promise %d is of another log than %s: leave it to a monitor of that log", i+1, origin)
		}
		if c.watched(e.Account) == "" {
			return fmt.Errorf("promise %d is about account %s, which is not watched: add its --watch", i+1, e.Account)
		}
	}
	return nil
}

func (c *Config) watched(id name.AccountID) name.Identifier {
	i := slices.IndexFunc(c.Accounts, func(a name.Identifier) bool { return a.AccountID() == id })
	if i < 0 {
		return ""
	}
	return c.Accounts[i]
}

// promises holds each promise whose time is over in the log's own epochs
// against the log. One that was kept is asked about no more; one that was not
// is evidence E7, and told again each Repeat.
func (m *Monitor) promises(ctx context.Context, v *view, o *Outcome) {
	for i := range m.cfg.Promised {
		if m.kept[i] || ctx.Err() != nil {
			continue
		}
		e, err := event.Parse(m.cfg.Promised[i].Event)
		if err != nil {
			continue // New has read it
		}
		account := m.cfg.watched(e.Account)
		r := v.results[account]
		if r == nil {
			continue // its own failure was told
		}
		w := m.promiseWatch(i)
		if _, asked := m.kept[i]; !asked { // since an earlier monitor nobody asked, which is no outage
			m.kept[i], w.Verified, m.dirty = false, m.cfg.Now().UTC(), true
		}
		kept, err := m.promise(ctx, e, m.cfg.Promised[i].Durable, uint64(r.Time.UnixMilli()))
		if errors.Is(err, verifier.ErrNotShown) {
			kept, err = m.past(ctx, account, e)
		}
		if err != nil {
			m.failed(ctx, account, w, err, o)
			continue
		}
		// Not kept yet, it is not overdue either: the wait is no failure.
		m.kept[i] = kept
		m.recovered(account, w)
	}
}

// promise says that a promise was kept, or what is wrong with it; neither while
// the log's newest epoch is not later than the time promised.
func (m *Monitor) promise(ctx context.Context, e *event.Event, durable []byte, epoch uint64) (kept bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	state, _, err := m.cfg.Store.Load(e.Log, nil)
	if err != nil {
		return false, err
	}
	p, err := m.cfg.Verifier.Durable(state.VRFKey, e, durable, m.cfg.Now())
	if err != nil || epoch <= p.Receipt.MergeBy {
		return false, err
	}
	answer, err := m.client.Source.Lookup(ctx, p.Request())
	if err != nil {
		return false, err
	}
	if err := m.cfg.Verifier.Overdue(p, answer, m.cfg.Now()); err != nil {
		return false, err
	}
	return true, nil
}

// past looks for a promised event in the whole history, since the account may
// have gone on from it long ago. What an ERASE hides is not shown any more,
// and then there is nothing left to hold the log to.
func (m *Monitor) past(ctx context.Context, account name.Identifier, e *event.Event) (kept bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	r, err := m.client.Lookup(ctx, verifier.Question{Account: account.AccountID(), History: true})
	if err != nil {
		return false, err
	}
	f := &r.Accounts[0]
	if f.ErasedBefore != nil && e.Seq < *f.ErasedBefore {
		return true, nil
	}
	for _, l := range f.Events {
		if l.ID() == e.ID() {
			return true, nil
		}
	}
	return false, verifier.ErrNotShown
}

// promiseWatch is the place of the i-th promise's troubles.
func (m *Monitor) promiseWatch(i int) *watch {
	key := m.cfg.Promised[i].id()
	if m.journal.Promises == nil {
		m.journal.Promises = map[string]*watch{}
	}
	w := m.journal.Promises[key]
	if w == nil {
		w = &watch{Verified: m.cfg.Now().UTC(), Troubles: map[string]*trouble{}}
		m.journal.Promises[key], m.dirty = w, true
	}
	return w
}
