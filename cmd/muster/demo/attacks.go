package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// attack is one lie of an operator who has all keys of the log, hashes and
// signs what he says, and proves what can be proven.
type attack struct {
	name, lie string
	by        Party         // who must notice
	kind      evidence.Kind // of the file that must convict; empty: none can
	noFile    string        // why none can
	colludes  bool          // one of the three witnesses
	tell      func(ctx context.Context, s *scene) error
}

const (
	alice = name.Identifier("alice")
	bob   = name.Identifier("bob")
	carol = name.Identifier("carol")
)

// attacks are told in this order.
var attacks = []attack{
	{
		name: "ghost device",
		lie:  "The operator adds a device of its own to Alice's account. It has no key of hers, so it signs with its own.",
		by:   Client, kind: evidence.E6,
		tell: func(ctx context.Context, s *scene) error {
			a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add)
			if err != nil {
				return err
			}
			s.lies(func(l *liar.Log) { l.Append(a.phone.Account(), ghost(a.phone)) })
			if err := s.publish(ctx); err != nil {
				return err
			}
			return s.contact(ctx, bob, a)
		},
	},
	{
		name: "replayed removed device",
		lie:  "Alice removed her stolen laptop. The operator logs the old event that had linked it once more, signatures and all.",
		by:   Monitor, kind: evidence.E6,
		tell: func(ctx context.Context, s *scene) error {
			a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add, removeFirst)
			if err != nil {
				return err
			}
			if err := s.monitors(ctx, a); err != nil {
				return err
			}
			s.lies(func(l *liar.Log) {
				account := a.phone.Account()
				l.Append(account, l.Records[account][1].Event)
			})
			if err := s.publish(ctx); err != nil {
				return err
			}
			return s.monitors(ctx, a)
		},
	},
	{
		name: "hidden removal",
		lie:  "Alice removed her stolen laptop, and it was logged. In the next epoch the operator's map forgets it, so that contacts go on writing to the thief.",
		by:   Auditor, kind: evidence.E4c,
		tell: func(ctx context.Context, s *scene) error {
			a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add, removeFirst)
			if err != nil {
				return err
			}
			if err := errors.Join(s.audits(ctx), s.knows(ctx, alice, a)); err != nil {
				return err
			}
			s.lies(func(l *liar.Log) {
				account := a.phone.Account()
				_, index, _ := l.VRF(account, 2)
				delete(l.Map, index)
				l.Records[account] = l.Records[account][:2]
				s.log.asked = forgets(l)
			})
			if err := s.publish(ctx); err != nil {
				return err
			}
			return errors.Join(s.audits(ctx), s.contact(ctx, alice, a))
		},
	},
	{
		name: "forged re-registration",
		lie:  "The operator registers Alice anew with a primary key of its own, as if she had lost her phone.",
		by:   Monitor,
		noFile: "An operator must be able to do this for people who lost their phone, and the log shows openly that the old key did not sign. " +
			"No statement of the log contradicts another: only Alice knows that she did not ask for it.",
		tell: func(ctx context.Context, s *scene) error {
			a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add)
			if err != nil {
				return err
			}
			if err := errors.Join(s.monitors(ctx, a), s.knows(ctx, bob, a)); err != nil {
				return err
			}
			s.lies(func(l *liar.Log) { l.Append(a.phone.Account(), usurp(a.phone)) })
			if err := s.publish(ctx); err != nil {
				return err
			}
			return errors.Join(s.monitors(ctx, a), s.contact(ctx, bob, a))
		},
	},
	{
		name: "hidden later version",
		lie: "The operator logs a version 3 of Alice's account where she has 0 and 1, to show it to others later; " +
			"what it shows her is a map without it.",
		by: Monitor, kind: evidence.E4a,
		tell: func(ctx context.Context, s *scene) error {
			a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add)
			if err != nil {
				return err
			}
			if err := s.monitors(ctx, a); err != nil {
				return err
			}
			s.lies(func(l *liar.Log) {
				account := a.phone.Account()
				l.AppendAt(account, 3, usurp(a.phone))
				_, index, _ := l.VRF(account, 3)
				delete(l.Map, index)
				l.Records[account] = l.Records[account][:2]
			})
			if err := s.publish(ctx); err != nil {
				return err
			}
			return s.monitors(ctx, a)
		},
	},
	{
		name: "repeated index",
		lie:  "The operator overwrites version 1 of Alice's account: it logs a second leaf under the same index, and its map points to that.",
		by:   Auditor, kind: evidence.E5,
		tell: func(ctx context.Context, s *scene) error {
			a, err := s.begin(ctx, alice, (*liar.Phone).Register, (*liar.Phone).Add)
			if err != nil {
				return err
			}
			if err := s.audits(ctx); err != nil {
				return err
			}
			s.lies(func(l *liar.Log) {
				account := a.phone.Account()
				again := l.Records[account][1].Event
				l.Records[account] = l.Records[account][:1]
				l.Append(account, again)
			})
			if err := s.publish(ctx); err != nil {
				return err
			}
			return s.audits(ctx)
		},
	},
	{
		name: "wrong epoch root",
		lie:  "The operator logs Alice's new device, but signs the map's old root over it: a map that does not follow from the log.",
		by:   Auditor, kind: evidence.E4c,
		tell: func(ctx context.Context, s *scene) error {
			a, err := s.begin(ctx, alice, (*liar.Phone).Register)
			if err != nil {
				return err
			}
			if err := s.audits(ctx); err != nil {
				return err
			}
			s.lies(func(l *liar.Log) {
				account := a.phone.Account()
				l.Append(account, a.phone.Add())
				_, index, _ := l.VRF(account, 1)
				delete(l.Map, index)
				l.Records[account] = l.Records[account][:1]
			})
			if err := s.publish(ctx); err != nil {
				return err
			}
			return s.audits(ctx)
		},
	},
	{
		name: "split view",
		lie:  "The operator shows Bob a log in which Alice removed her laptop, and Carol one of the same size in which she did not. One of the three witnesses is in league with it.",
		by:   Client, kind: evidence.E1, colludes: true,
		tell: splitView,
	},
	{
		name: "rollback",
		lie:  "The operator serves Bob yesterday's log, in which Alice's stolen laptop is still linked.",
		by:   Client,
		noFile: "Every word of the old log is true, and the newer one extends it; a server may merely be behind. " +
			"So Bob's app uses nothing of it and asks again, and warns when an hour has passed without a newer one.",
		tell: rollBack,
	},
	{
		name: "overdue event",
		lie:  "The operator takes Alice's removal of her stolen laptop, promises with its signature to log it in time, and does not.",
		by:   Owner, kind: evidence.E7,
		tell: overdue,
	},
}

// removeFirst is the removal of the account's first companion.
func removeFirst(p *liar.Phone) []byte { return p.Remove(1) }

// begin has a person do what is logged and published honestly.
func (s *scene) begin(ctx context.Context, id name.Identifier, events ...func(*liar.Phone) []byte) (*person, error) {
	who, err := s.person(id)
	if err != nil {
		return nil, err
	}
	s.log.do(func(l *liar.Log) {
		for _, e := range events {
			l.Append(who.phone.Account(), e(who.phone))
		}
		l.Seal()
	})
	if err := s.publish(ctx); err != nil {
		return nil, fmt.Errorf("publishing what is true: %w", err)
	}
	return who, nil
}
