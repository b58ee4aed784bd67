// Package fsck recomputes a stored log: its tree from the leaves, its map from
// the tree, its accounts from the events, and compares every row with what
// follows. It shares the formats with the log, and none of its opinions: what
// package log computes when it writes is computed here another time.
//
// It finds what was damaged, and what was changed by somebody who does not
// hold the log's key. What it cannot find: a store whose newest epochs are
// missing as a whole, which looks like an older one (the signed head and the
// cosigners know); another opening or merge_by of an event that is only
// promised; a checkpoint that was published and is not there; and what an
// erased event said about its account.
package fsck

import (
	"context"
	"fmt"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/vrf"
)

// Config says what is looked at. Store, Origin and Key are required.
type Config struct {
	Store  store.Inspectable
	Origin name.Origin
	Key    checkpoint.Key  // the log's verifier key
	VRF    *vrf.PrivateKey // nil: indexes are checked as far as kept proofs show them
	Head   []byte          // the signed head; nil: there is none to compare with
	// Found is told of each difference as it is met.
	Found func(Difference)
}

// Difference is a row that is not what follows from the others.
type Difference struct {
	Row  string // as the store's errors name it
	What string
}

func (d Difference) String() string { return d.Row + ": " + d.What }

// Report is what was looked at.
type Report struct {
	Leaves, Epochs, Events, Tiles uint64
	Accounts                      uint64
	Erased                        uint64 // events whose content is erased: their leaves were compared, and nothing else
	Unopened                      uint64 // events whose openings were lost: their bodies were replayed, not compared with their leaves
	Indexes                       uint64 // events whose index was computed from the VRF key
	Proofs, Notes, Reserved       uint64
	Sealed                        bool
	Head                          bool // the signed head was compared
	Differences                   uint64
}

// Check looks at everything. An error says that it could not; what is wrong
// with the store goes to Found and into the report.
func Check(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Store == nil || cfg.Origin == "" || cfg.Key.Name != string(cfg.Origin) {
		return nil, fmt.Errorf("checking a store: want a store, and the log's name and key, which bear one name; got %q and %q", cfg.Origin, cfg.Key.Name)
	}
	c := &check{Config: cfg, prefixes: new(prefix.Tree)}
	c.readHead()
	for row := range cfg.Store.Rows() {
		if err := ctx.Err(); err != nil {
			return &c.report, fmt.Errorf("checking the store: %w", err)
		}
		c.row(row)
	}
	c.end()
	return &c.report, nil
}

// check is one Check under way.
type check struct {
	Config
	report Report

	// The pass over the log.
	size   uint64    // leaves met: the next position
	gap    bool      // some were missing: no hash of the tree is known from there on
	leaf   leaf.Leaf // at the newest position; nil if it is malformed
	event  bool      // its event was met
	epoch  *leaf.Epoch
	keys   uint64         // EVENT leaves
	peaks  []leaf.Hash    // perfect subtrees of the tree, from left to right
	rows   [][]leaf.Hash  // by level of tiles: hashes that fill no tile yet
	due    []store.Tile   // tiles that end at this position and were not met
	good   uint64         // size of the newest published root that was right
	wrong  bool           // a root was wrong: those above it will be, too
	public *vrf.PublicKey // of GENESIS
	asked  []asked

	prefixes *prefix.Tree  // of the newest EPOCH; nil once it cannot be recomputed
	batch    []prefix.Leaf // that came since

	owned    uint64                            // events that an account leads to
	head     *checkpoint.Note                  // the signed head, until it was compared
	headSize uint64                            // of it, once it was compared
	state    bool                              // the state's row was met
	after    map[name.AccountID]*store.Account // of the accounts of reserved events
}

// row turns to one row. Those of the log come first, by the order of keys.
func (c *check) row(r store.Row) {
	if r.Err != nil {
		c.differ(r.Key, "%v", r.Err)
		return
	}
	switch v := r.Value.(type) {
	case store.LeafRow:
		c.nextLeaf(r.Key, v)
	case *store.Event:
		c.nextEvent(r.Key, v)
	case store.Tile:
		c.nextTile(r.Key, v)
	case *store.Account:
		c.account(r.Key, v)
	case prefix.Leaf:
		c.prefixLeaf(r.Key, v)
	case store.ProofRow:
		c.proofs(r.Key, v)
	case store.NoteRow:
		c.note(r.Key, v)
	case store.Erasure:
		c.erasure(r.Key, v)
	case store.ReservedRow:
		c.reserved(r.Key, v)
	case store.State:
		c.storedState(r.Key, v)
	}
}

func (c *check) differ(row, format string, args ...any) {
	c.report.Differences++
	if c.Found != nil {
		c.Found(Difference{Row: row, What: fmt.Sprintf(format, args...)})
	}
}

// end looks for what should have been met and was not.
func (c *check) end() {
	c.leaveLeaf()
	c.askIndexes()
	if c.size == 0 {
		c.differ("row L", "there are no leaves")
	} else if c.epoch == nil || c.epoch.Position()+1 != c.size {
		c.differ(c.Store.Key(store.LeafRow{Position: c.size - 1}), "the log does not end in EPOCH or SEAL")
	}
	if c.owned < c.report.Events {
		c.differ("rows h", "accounts lead to %d events, the log has %d", c.owned, c.report.Events)
	}
	if !c.state {
		c.differ(c.Store.Key(store.State{}), "lost")
	}
	if c.headSize > 0 && c.epoch != nil && c.headSize < c.epoch.First {
		c.differ("signed head", "it is of size %d, the store's last epochs end at %d and %d: it is an old copy", c.headSize, c.epoch.First, c.size)
	}
	// Behind a leaf that is lost there is no tree to compare it with.
	if c.head != nil && (!c.gap || c.head.Size > c.size) {
		c.differ("signed head", "it is of size %d, the store ends at %d: the store lost its tail, or is an older copy", c.head.Size, c.size)
	}
}
