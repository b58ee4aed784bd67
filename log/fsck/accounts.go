package fsck

import (
	"errors"
	"slices"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// position looks where a position row leads; that none is missing was seen at
// the events.
func (c *check) position(row string, r store.PositionRow) {
	if _, err := c.Store.Event(r.Account, r.Seq); err != nil {
		c.differ(row, "%v", err)
	}
}

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
	at := c.replay(row, a.ID, a.Next)
	if at == nil {
		return // told
	}
	if !sameAccount(at, a) {
		c.differ(row, "it differs from what its %d events yield", a.Next)
	}
	_, err := c.Store.Event(a.ID, a.Next)
	if !errors.Is(err, store.ErrNotFound) {
		c.differ(row, "it ends before seq %d, which is there", a.Next)
	}
}

func sameAccount(a, b *store.Account) bool {
	return a.Log == b.Log && a.ID == b.ID && a.Next == b.Next && a.Generation == b.Generation && a.Head == b.Head && a.Primary == b.Primary &&
		slices.Equal(a.Devices, b.Devices) && slices.Equal(a.Introduced, b.Introduced) && a.Anchor == b.Anchor && a.Erase == b.Erase
}

// replay gives the account after its first events; nil if they cannot be
// replayed, which it tells. Where content was erased, it begins at the ERASE.
func (c *check) replay(row string, id name.AccountID, next uint32) *store.Account {
	at := &store.Account{Account: *event.NewAccount(c.Origin.LogID(), id), Erase: store.None}
	var kept []*store.Event // with content, and before an ERASE that has not come yet
	for seq := range next {
		e, err := c.Store.Event(id, seq)
		if errors.Is(err, store.ErrNotFound) {
			c.differ(row, "it has %d events, but seq %d is lost", next, seq)
			return nil
		}
		if err != nil {
			c.differ(row, "its seq %d: %v", seq, err)
			return nil
		}
		if len(e.Body) == 0 {
			at = nil
			continue
		}
		parsed, err := event.Parse(e.Body)
		if err == nil && (parsed.Account != id || parsed.Seq != seq) {
			err = errors.New("it is another event than its row says")
		}
		if err == nil {
			at, err = c.step(at, id, parsed)
		}
		if err != nil {
			c.differ(c.Store.Key(e), "seq %d of its account: %v", seq, err)
			return nil
		}
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
