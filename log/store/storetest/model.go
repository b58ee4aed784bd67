// Package storetest is the conformance suite of store.Store: every promise of
// the interface, held against a model in memory. An engine's test calls Run;
// its tests of crashes and of speed use Model alone.
package storetest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// Model is what a store must hold. It makes the epochs too, from its seed: two
// models of one seed make the same ones. Rows have the sizes of a real log's,
// but their keys and signatures are random.
type Model struct {
	State    store.State
	Leaves   [][]byte
	Events   []*store.Event // ascending by position
	Prefix   []prefix.Leaf  // as they came
	Values   map[name.Index]name.Value
	Accounts map[name.AccountID]*store.Account
	Tiles    []store.Tile
	Pending  []*store.Pending // reserved and not committed, as they came

	random *rand.ChaCha8
	ids    []name.AccountID
	erase  []store.Erasure // to be ordered with the next epoch
}

const origin = name.Origin("keys.example.org/log1")

// NewModel is a new store's.
func NewModel(seed byte) *Model {
	return &Model{
		Values:   make(map[name.Index]name.Value),
		Accounts: make(map[name.AccountID]*store.Account),
		random:   rand.NewChaCha8([32]byte{seed}),
	}
}

// Next adds an epoch of n events and returns it; the first one has the GENESIS
// leaf too. Nothing in the batch shares memory with the model.
func (m *Model) Next(n int) *store.Batch {
	b := &store.Batch{First: m.State.Size, Erase: m.erase}
	for _, e := range m.erase {
		m.forget(e)
	}
	m.erase = nil
	if m.State.Size == 0 {
		m.leaf(b, (&leaf.Genesis{Origin: origin, VRFKey: [32]byte{1}}).Bytes())
	}
	touched := make(map[name.AccountID]bool)
	for range n {
		touched[m.event(b)] = true
	}
	for _, id := range m.ids { // not in the map's order, which is random
		if touched[id] {
			b.Accounts = append(b.Accounts, clone(m.Accounts[id]))
		}
	}
	epoch := leaf.Epoch{Epoch: m.State.Epochs, TimeMs: m.State.TimeMs + 1000, First: max(b.First, 1), Keys: m.State.Keys + uint64(n)}
	m.bytes(epoch.PrefixRoot[:])
	m.leaf(b, epoch.Bytes())
	m.State = store.State{Size: uint64(len(m.Leaves)), Epochs: epoch.Epoch + 1, Keys: epoch.Keys, TimeMs: epoch.TimeMs, First: epoch.First}
	b.State = m.State
	return b
}

// event adds one event of a new or a known account.
func (m *Model) event(b *store.Batch) name.AccountID {
	a := m.account()
	e := &store.Event{Account: a.ID, Seq: a.Next, Position: uint64(len(m.Leaves)), Previous: a.Position}
	m.bytes(e.Opening[:])
	e.Body = m.body()
	if m.below(8) > 0 { // else a body that no event has, which is kept all the same
		copy(e.Body[1:], slices.Concat(a.Log[:], a.ID[:]))
	}
	m.Pending = slices.DeleteFunc(m.Pending, func(p *store.Pending) bool { return p.Account == e.Account && p.Seq == e.Seq })
	m.bytes(a.Head[:])
	a.Next, a.Position = a.Next+1, e.Position
	switch m.below(8) {
	case 0: // ERASE
		if e.Seq > 0 {
			a.Anchor, a.Erase = e.Seq, e.Seq
			a.Primary, a.Devices, a.Introduced = event.Key{}, nil, nil
			m.erase = append(m.erase, store.Erasure{Account: a.ID, Before: e.Seq})
			break
		}
		fallthrough
	case 1: // REREGISTER
		a.Anchor, a.Generation = e.Seq, a.Generation+1
		a.Primary, a.Devices = m.key(a), nil
	default: // ADD_DEVICE
		a.Anchor = e.Seq
		a.Devices = append(a.Devices, event.Device{KeyIndex: e.Seq, Key: m.key(a)})
	}
	for _, d := range a.Devices {
		e.Live = append(e.Live, d.KeyIndex)
	}
	e.Anchor, e.Erase = a.Anchor, a.Erase
	m.Events = append(m.Events, e)
	b.Events = append(b.Events, cloneEvent(e))
	m.place(b, e.Position)
	return a.ID
}

// Reserve adds n promised events and returns them, one an account at the most:
// the next seq of known ones, which later epochs take, and seq 7 of unknown
// ones, which stay. Nothing returned shares memory with the model.
func (m *Model) Reserve(n int) []store.Pending {
	var out []store.Pending
	for range n {
		p := &store.Pending{Seq: 7, MergeBy: m.State.TimeMs + uint64(m.below(1000)), Body: m.body()}
		m.bytes(p.Account[:])
		m.bytes(p.Opening[:])
		if len(m.ids) > 0 && m.below(2) == 0 {
			a := m.Accounts[m.ids[m.below(len(m.ids))]]
			p.Account, p.Seq = a.ID, a.Next
		}
		if slices.ContainsFunc(m.Pending, func(q *store.Pending) bool { return p.Account == q.Account }) {
			continue
		}
		m.Pending = append(m.Pending, p)
		c := *p
		c.Body = bytes.Clone(p.Body)
		out = append(out, c)
	}
	return out
}

func (m *Model) body() []byte {
	b := make([]byte, 250+m.below(105)) // ADD_DEVICE, the longest, has 355
	m.bytes(b)
	return b
}

func (m *Model) account() *store.Account {
	if len(m.ids) == 0 || m.below(3) == 0 {
		var id name.AccountID
		m.bytes(id[:])
		m.ids = append(m.ids, id)
		log := origin.LogID()
		if m.below(8) == 0 { // nor has any log an account of another
			log = name.LogID{9}
		}
		m.Accounts[id] = &store.Account{Account: *event.NewAccount(log, id), Erase: store.None}
	}
	return m.Accounts[m.ids[m.below(len(m.ids))]]
}

func (m *Model) key(a *store.Account) (k event.Key) {
	m.bytes(k[1:])
	k[0] = event.KeyCurve25519
	a.Introduced = append(a.Introduced, [32]byte(k[1:]))
	return k
}

// place gives an event its EVENT leaf and its leaf in the prefix tree. Every
// fourth index shares a long prefix with an older one, as no hash ever would,
// so that ranges of every depth have something to tell apart.
func (m *Model) place(b *store.Batch, position uint64) {
	e := leaf.Event{}
	for ok := true; ok; _, ok = m.Values[e.Index] {
		m.bytes(e.Index[:])
		switch n := len(m.Prefix); {
		case n == 0:
			e.Index = name.Index{} // the first of all
		case n == 1:
			e.Index = name.Index(bytes.Repeat([]byte{0xff}, 32)) // the last
		case m.below(4) == 0:
			depth := m.below(255)
			e.Index = m.Prefix[m.below(n)].Index
			e.Index[depth/8] ^= 0x80 >> (depth % 8)
		}
	}
	m.bytes(e.Commitment[:])
	v := prefix.Value(position, e.Commitment)
	l := prefix.Leaf{Index: e.Index, Hash: prefix.LeafHash(e.Index, v), Position: position}
	m.Values[e.Index] = v
	m.Prefix = append(m.Prefix, l)
	b.Prefix = append(b.Prefix, l)
	m.leaf(b, e.Bytes())
}

// leaf appends a leaf, and the tile that it fills.
func (m *Model) leaf(b *store.Batch, data []byte) {
	m.Leaves = append(m.Leaves, data)
	b.Leaves = append(b.Leaves, bytes.Clone(data))
	n := len(m.Leaves)
	if n%256 != 0 {
		return
	}
	var tile []byte
	for _, l := range m.Leaves[n-256:] {
		h := leaf.HashOf(l)
		tile = append(tile, h[:]...)
	}
	tile = append(tile, bytes.Repeat([]byte{byte(n)}, 512)...) // a store does not look at what it keeps
	t := store.Tile{N: uint64(n/256 - 1), Data: tile}
	m.Tiles = append(m.Tiles, t)
	t.Data = bytes.Clone(t.Data)
	b.Tiles = append(b.Tiles, t)
}

func (m *Model) forget(order store.Erasure) {
	for _, e := range m.Events {
		if e.Account == order.Account && e.Seq < order.Before {
			e.Opening, e.Body = name.Opening{}, nil
		}
	}
}

func (m *Model) bytes(b []byte) { m.random.Read(b) }

func (m *Model) below(n int) int {
	var b [8]byte
	m.bytes(b[:])
	return int(binary.BigEndian.Uint64(b[:]) >> 1 % uint64(n))
}

func clone(a *store.Account) *store.Account {
	b := *a
	b.Account = *a.Account.Clone()
	return &b
}

func cloneEvent(e *store.Event) store.Event {
	c := *e
	c.Body = bytes.Clone(e.Body)
	c.Live = slices.Clone(e.Live)
	return c
}
