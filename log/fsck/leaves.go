package fsck

import (
	"bytes"
	"errors"
	"runtime"
	"sync"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/vrf"
)

// nextLeaf takes the leaf at the next position by the rules of protocol
// section 4.2.
func (c *check) nextLeaf(row string, l store.LeafRow) {
	c.leaveLeaf()
	if l.Position != c.size {
		c.differ(c.Store.Key(store.LeafRow{Position: c.size}), "lost, and the leaves up to %d with it: the tree cannot be recomputed from here on", l.Position-1)
		c.gap, c.prefixes = true, nil
		c.size = l.Position
	}
	c.size++
	c.report.Leaves++
	c.grow(leaf.HashOf(l.Data))
	parsed, err := leaf.Parse(l.Data)
	if err != nil {
		c.leaf = nil
		c.differ(row, "%v", err)
		return
	}
	c.leaf = parsed
	switch p := parsed.(type) {
	case *leaf.Genesis:
		c.genesis(row, l.Position, p)
	case *leaf.Event:
		c.keys++
		c.report.Events++
		c.inserted(row, l.Position, p)
	case *leaf.Epoch:
		c.closed(row, l.Position, p)
	}
	if c.report.Sealed && c.epoch.Position() < l.Position {
		c.differ(row, "a leaf after SEAL")
	}
}

func (c *check) genesis(row string, position uint64, g *leaf.Genesis) {
	if position != 0 {
		c.differ(row, "a second GENESIS")
		return
	}
	if g.Origin != c.Origin {
		c.differ(row, "GENESIS is of log %q, not of %q", g.Origin, c.Origin)
	}
	if c.VRF != nil && g.VRFKey != c.VRF.Public() {
		c.differ(row, "GENESIS names another VRF key than the one that is there")
	}
	if g.Predecessor != "" {
		if p, err := checkpoint.ParseText(g.Predecessor); err != nil || p.Origin == g.Origin {
			c.differ(row, "GENESIS names a predecessor that is no other log's checkpoint")
		}
	}
	var err error
	if c.public, err = vrf.ParsePublicKey(g.VRFKey); err != nil {
		c.differ(row, "GENESIS: %v", err)
	}
}

// inserted looks for the prefix leaf of an EVENT leaf.
func (c *check) inserted(row string, position uint64, e *leaf.Event) {
	if position == 0 {
		c.differ(row, "leaf 0 is not GENESIS")
	}
	want := prefix.NewLeaf(e.Index, position, e.Commitment)
	c.batch = append(c.batch, want)
	leaves, err := c.Store.Range(nil, e.Index, 255)
	if err != nil {
		c.differ(c.Store.Key(want), "%v", err)
		return
	}
	for _, l := range leaves {
		if l == want {
			return
		}
	}
	c.differ(c.Store.Key(want), "lost or changed, or the EVENT in %s was: they do not fit together", row)
}

// closed takes an EPOCH or SEAL: its counts, its map, and what was published of it.
func (c *check) closed(row string, position uint64, e *leaf.Epoch) {
	number, first := uint64(0), uint64(1)
	if c.epoch != nil {
		number, first = c.epoch.Epoch+1, c.epoch.Position()+1
		if e.TimeMs <= c.epoch.TimeMs {
			c.differ(row, "its time is not above that of the epoch before")
		}
	}
	if e.Epoch != number || e.First != first || e.Keys != c.keys || e.Position() != position {
		c.differ(row, "EPOCH %d from %d with %d events, want %d from %d with %d", e.Epoch, e.First, e.Keys, number, first, c.keys)
	}
	if e.Sealed && e.Successor == c.Origin {
		c.differ(row, "a SEAL that names its own log as the successor")
	}
	c.epoch = e
	c.report.Epochs++
	c.report.Sealed = c.report.Sealed || e.Sealed
	c.recomputeMap(row, e)
	if !c.gap {
		c.compareRoots()
	}
}

func (c *check) recomputeMap(row string, e *leaf.Epoch) {
	batch := c.batch
	c.batch = nil
	if c.prefixes == nil {
		return
	}
	var next *prefix.Tree
	err := c.Store.ReadPrefix(func(leaves prefix.Leaves) (err error) {
		next, err = c.prefixes.Update(leaves, batch, c.size)
		return err
	})
	c.prefixes = next
	if err != nil {
		c.prefixes = nil
		c.differ(row, "its prefix_root and those after it cannot be recomputed: %v", err)
	} else if next.Root() != e.PrefixRoot {
		c.prefixes = nil // the later ones build on it
		c.differ(row, "prefix_root %s, its events give %s; those after it were not recomputed", e.PrefixRoot, next.Root())
	}
}

// grow adds a leaf's hash to the tree, and notes which tiles end with it.
func (c *check) grow(h leaf.Hash) {
	c.due = nil
	if c.gap {
		return
	}
	for level, up := 0, h; ; level++ {
		if level == len(c.rows) {
			c.rows = append(c.rows, nil)
		}
		c.rows[level] = append(c.rows[level], up)
		if len(c.rows[level]) < 256 {
			break
		}
		t := store.Tile{Level: level, N: (c.size - 1) >> (8 * (level + 1))}
		var groups []leaf.Hash
		for i := 0; i < 256; i += 16 {
			groups = append(groups, join(c.rows[level][i:i+16]))
		}
		for _, h := range append(c.rows[level], groups...) {
			t.Data = append(t.Data, h[:]...)
		}
		c.due = append(c.due, t)
		c.rows[level], up = nil, join(groups)
	}
	c.peaks = append(c.peaks, h)
	for n := c.size; n%2 == 0; n /= 2 { // as many subtrees of equal size meet
		last := len(c.peaks) - 1
		c.peaks = append(c.peaks[:last-1], leaf.Join(c.peaks[last-1], c.peaks[last]))
	}
}

// join is the root of a perfect subtree.
func join(hashes []leaf.Hash) leaf.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return leaf.Join(join(hashes[:half]), join(hashes[half:]))
}

func (c *check) root() name.TreeRoot {
	h := c.peaks[len(c.peaks)-1]
	for i := len(c.peaks) - 2; i >= 0; i-- {
		h = leaf.Join(c.peaks[i], h)
	}
	return name.TreeRoot(h)
}

// nextTile compares a tile with the hashes of the leaves below it.
func (c *check) nextTile(row string, t store.Tile) {
	for i, want := range c.due {
		if want.Level != t.Level || want.N != t.N {
			continue
		}
		c.due = append(c.due[:i], c.due[i+1:]...)
		c.report.Tiles++
		if bytes.Equal(want.Data, t.Data) {
			return
		}
		c.differ(row, "tile %d of level %d holds other hashes than what lies below it", t.N, t.Level)
		c.otherLeaves(row, t, want)
		return
	}
	if !c.gap {
		c.differ(row, "tile %d of level %d has no leaves", t.N, t.Level)
	}
}

// otherLeaves names the leaves that a tile has other hashes of. Whether they or
// the tile were changed shows at the next published root.
func (c *check) otherLeaves(row string, got, want store.Tile) {
	for i := range uint64(256) {
		if at := i * 32; got.Level == 0 && !bytes.Equal(got.Data[at:at+32], want.Data[at:at+32]) {
			c.differ(c.Store.Key(store.LeafRow{Position: got.N<<8 + i}), "%s has another hash of it", row)
		}
	}
}

// leaveLeaf says what of the newest position was not met.
func (c *check) leaveLeaf() {
	if e, ok := c.leaf.(*leaf.Event); ok && !c.event {
		c.differ(c.Store.Key(&store.Event{Position: c.size - 1}), "lost: the EVENT of index %s is there", e.Index)
	}
	for _, t := range c.due {
		c.differ(c.Store.Key(t), "lost: tile %d of level %d", t.N, t.Level)
	}
	c.leaf, c.event, c.due = nil, false, nil
}

// nextEvent compares an event with its leaf and with the rows that lead to it.
func (c *check) nextEvent(row string, e *store.Event) {
	l, ok := c.leaf.(*leaf.Event)
	if !ok || e.Position+1 != c.size || c.event {
		c.differ(row, "an event without an EVENT leaf")
		return
	}
	c.event = true
	switch {
	case len(e.Body) == 0:
		c.report.Erased++ // whether it may be is seen when its account is replayed
		if e.Opening != (name.Opening{}) {
			c.differ(row, "its content is erased, but not its opening")
		}
	case e.Opening == (name.Opening{}):
		c.report.Unopened++
	case commitment.Commit(e.Opening, e.Account.Label(), e.Seq, e.Body) != l.Commitment:
		c.differ(row, "its content and opening do not give the commitment of its leaf")
	}
	if c.VRF != nil {
		c.asked = append(c.asked, asked{e.Position, e.Account.Label().VRFInput(e.Seq), l.Index})
		if len(c.asked) == indexChunk {
			c.askIndexes()
		}
	}
	if e.Seq == 0 {
		if _, err := c.Store.Account(e.Account); errors.Is(err, store.ErrNotFound) {
			a := new(store.Account)
			a.ID = e.Account
			c.differ(c.Store.Key(a), "lost: its first event is at position %d", e.Position)
		}
	}
}

// asked is an index that is to be computed from the VRF key.
type asked struct {
	position uint64
	alpha    []byte
	index    name.Index
}

// askIndexes computes those that wait on all cores, since each costs more than
// all other checks of its event together.
func (c *check) askIndexes() {
	all := c.asked
	c.asked = nil
	got := make([][]name.Index, runtime.GOMAXPROCS(0))
	part := (len(all) + len(got) - 1) / len(got)
	var workers sync.WaitGroup
	for i := range got {
		mine := all[min(i*part, len(all)):min((i+1)*part, len(all))]
		workers.Go(func() {
			alphas := make([][]byte, len(mine))
			for j := range mine {
				alphas[j] = mine[j].alpha
			}
			got[i] = c.VRF.EvaluateAll(alphas)
		})
	}
	workers.Wait()
	for i, a := range all {
		c.report.Indexes++
		if a.index != got[i/part][i%part] {
			c.differ(c.Store.Key(store.LeafRow{Position: a.position}), "its index is not the one of its account and seq")
		}
	}
}
