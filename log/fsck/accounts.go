package fsck

import (
	"errors"
	"slices"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

func (c *check) prefixLeaf(row string, l prefix.Leaf) {
	index, value, err := c.Store.Full(l)
	switch {
	case err != nil:
		c.differ(row, "%v", err)
	case index != l.Index || prefix.LeafHash(index, value) != l.Hash:
		c.differ(row, "it or the EVENT at position %d was changed: they do not fit together", l.Position)
	}
}

// account replays an account's events, and compares what they yield.
func (c *check) account(row string, a *store.Account) {
	c.report.Accounts++
	if a.Next == 0 {
		c.differ(row, "an account without events")
		return
	}
	events := c.events(row, a)
	if events == nil {
		return // told
	}
	c.owned += uint64(len(events))
	c.proven(a.ID, events)
	if at := c.replay(row, a.ID, events); at != nil && !sameAccount(at, a) {
		c.differ(row, "it differs from what its %d events yield", a.Next)
	}
}

// events are an account's from seq 0 on, found from its newest back; nil if some
// cannot be found, which it tells.
func (c *check) events(row string, a *store.Account) []*store.Event {
	var events []*store.Event
	from := row // which leads to the next event
	for e, err := range store.Chain(c.Store.EventAt, a) {
		if err != nil {
			c.differ(from, "%v", err)
			return nil
		}
		events = append(events, e)
		from = c.Store.Key(e)
	}
	slices.Reverse(events)
	return events
}

func sameAccount(a, b *store.Account) bool {
	return a.Log == b.Log && a.ID == b.ID && a.Next == b.Next && a.Generation == b.Generation && a.Head == b.Head && a.Primary == b.Primary &&
		slices.Equal(a.Devices, b.Devices) && slices.Equal(a.Introduced, b.Introduced) && a.Position == b.Position && a.Anchor == b.Anchor && a.Erase == b.Erase
}

// proven holds the indexes of an account's kept VRF proofs against its leaves.
func (c *check) proven(id name.AccountID, events []*store.Event) {
	for first := 0; first < len(events); first += store.ProofGroup {
		group := uint32(first / store.ProofGroup)
		proofs, _ := c.Store.Proofs(id, group) // a row that cannot be read is told when it is met
		for _, p := range proofs {
			if int(p.Seq) >= len(events) {
				break // of an event that is not there yet
			}
			at := events[p.Seq].Position
			for data, err := range c.Store.Leaves(at, at+1) {
				l, parsed := leaf.Parse(data)
				if e, ok := l.(*leaf.Event); err == nil && parsed == nil && (!ok || e.Index != p.Index) {
					c.differ(c.Store.Key(store.LeafRow{Position: at}), "its index is not the one that %s proves", c.Store.Key(store.ProofRow{Account: id, Group: group}))
				}
			}
		}
	}
}

// replay gives the account after its events; nil if they cannot be replayed,
// which it tells. Where content was erased, it begins at the ERASE.
func (c *check) replay(row string, id name.AccountID, events []*store.Event) *store.Account {
	at := &store.Account{Account: *event.NewAccount(c.Origin.LogID(), id), Erase: store.None}
	var kept []*store.Event // with content, and before an ERASE that has not come yet
	for _, e := range events {
		if len(e.Body) == 0 {
			at = nil
			continue
		}
		parsed, err := event.Parse(e.Body)
		if err == nil && (parsed.Account != id || parsed.Seq != e.Seq) {
			err = errors.New("it is another event than its row says")
		}
		if err == nil {
			at, err = c.step(at, id, parsed)
		}
		if err != nil {
			c.differ(c.Store.Key(e), "seq %d of its account: %v", e.Seq, err)
			return nil
		}
		at.Position = e.Position
		c.compareEvent(e, at)
		if kept = append(kept, e); parsed.Type == event.Erase {
			c.stillThere(kept[:len(kept)-1], e)
			kept = []*store.Event{e}
		}
	}
	if at == nil {
		c.differ(row, "the content of its newest events is missing, and no ERASE explains that")
	}
	return at
}

// step takes an account one event further; from nil, which is unknown, only an
// ERASE leads back.
func (c *check) step(at *store.Account, id name.AccountID, e *event.Event) (*store.Account, error) {
	if at == nil {
		if e.Type != event.Erase {
			return nil, errors.New("the content of the event before it is missing, and no ERASE explains that")
		}
		a, err := event.Anchor(c.Origin.LogID(), id, event.Check(e), nil)
		if err != nil {
			return nil, err
		}
		return &store.Account{Account: *a, Anchor: e.Seq, Erase: e.Seq}, nil
	}
	if err := at.Apply(event.Check(e, at.Keys()...)); err != nil {
		return nil, err
	}
	if e.IsAnchor() {
		at.Anchor = e.Seq
	}
	if e.Type == event.Erase {
		at.Erase = e.Seq
	}
	return at, nil
}

// compareEvent holds what an event's row says for answers against its account
// after it.
func (c *check) compareEvent(e *store.Event, at *store.Account) {
	var live []uint32
	for _, d := range at.Devices {
		live = append(live, d.KeyIndex)
	}
	if e.Anchor != at.Anchor || e.Erase != at.Erase || !slices.Equal(e.Live, live) {
		c.differ(c.Store.Key(e), "seq %d: anchor %d, ERASE %d, devices %v, but the account has %d, %d, %v", e.Seq, e.Anchor, e.Erase, e.Live, at.Anchor, at.Erase, live)
	}
}

// stillThere says whose content an ERASE has not deleted, although an epoch
// came after it.
func (c *check) stillThere(kept []*store.Event, erase *store.Event) {
	if c.epoch == nil || erase.Position >= c.epoch.First {
		return
	}
	for _, e := range kept {
		if e.Seq < erase.Seq {
			c.differ(c.Store.Key(e), "its content is there, although the ERASE at position %d orders it deleted", erase.Position)
		}
	}
}

// erasure looks for the ERASE whose content is to be purged; that no content
// is left, and that the chain is whole, is seen at its account.
func (c *check) erasure(row string, o store.Erasure) {
	a, err := c.Store.Account(o.Account)
	if err != nil {
		c.differ(row, "its account: %v", err)
		return
	}
	for e, err := range store.Chain(c.Store.EventAt, a) {
		if err != nil || e.Seq == o.Before && e.Erase == e.Seq {
			return
		}
		if e.Seq <= o.Before {
			break
		}
	}
	c.differ(row, "seq %d of its account is no ERASE", o.Before)
}

// reserved replays the events that are promised and not logged.
func (c *check) reserved(row string, r store.ReservedRow) {
	c.report.Reserved++
	if c.after == nil {
		c.after = make(map[name.AccountID]*store.Account)
	}
	e, err := event.Parse(r.Body)
	if err == nil && (e.Account != r.Account || e.Seq != r.Seq) {
		err = errors.New("it is another event than its row says")
	}
	if err != nil {
		c.differ(row, "%v", err)
		return
	}
	at := c.after[r.Account]
	if at == nil {
		if at, err = c.Store.Account(r.Account); errors.Is(err, store.ErrNotFound) {
			at, err = &store.Account{Account: *event.NewAccount(c.Origin.LogID(), r.Account), Erase: store.None}, nil
		}
		if err != nil {
			c.differ(row, "its account: %v", err)
			return
		}
	}
	if at, err = c.step(at, r.Account, e); err != nil {
		c.differ(row, "it does not follow: %v", err)
		return
	}
	c.after[r.Account] = at
}
