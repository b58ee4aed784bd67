package fsck

import (
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

func (c *check) readHead() {
	if c.Head == nil {
		return
	}
	var err error
	if c.head, err = checkpoint.Open(c.Key, c.Head); err != nil {
		c.head = nil
		c.differ("signed head", "%v", err)
	}
}

// compareRoots holds the tree's root at the end of an epoch against what was
// signed and what was published of this size.
func (c *check) compareRoots() {
	root := c.root()
	if c.head != nil && c.head.Size == c.size {
		c.report.Head = true
		if c.head.Root != root {
			c.differ("signed head", "it has root %s at size %d, the leaves give %s", c.head.Root, c.size, root)
		}
		c.head, c.headSize = nil, c.size
	}
	raw, size, err := c.Store.NoteAbove(c.size - 1)
	if err != nil || size != c.size || c.wrong {
		return // what cannot be read is met among the notes
	}
	if n, err := checkpoint.Parse(raw); err == nil && n.Root != root {
		c.wrong = true
		c.differ(c.Store.Key(store.NoteRow{Size: size}), "root %s was published, the leaves give %s: one of those from %d to %d was changed, or this; larger sizes were not compared", n.Root, root, c.good, size-1)
	} else if err == nil {
		c.good = size
	}
}

// note judges a published checkpoint by itself; its root was compared before.
func (c *check) note(row string, r store.NoteRow) {
	c.report.Notes++
	n, err := checkpoint.Open(c.Key, r.Note)
	switch {
	case err != nil:
		c.differ(row, "%v", err)
	case n.Size != r.Size:
		c.differ(row, "it holds a checkpoint of size %d", n.Size)
	case !c.endsEpoch(r.Size):
		c.differ(row, "no epoch ends at size %d", r.Size)
	}
}

func (c *check) endsEpoch(size uint64) bool {
	if size == 0 || size > c.size {
		return false
	}
	for data, err := range c.Store.Leaves(size-1, size) {
		l, parsed := leaf.Parse(data)
		if err != nil || parsed != nil {
			return true // the leaf's own difference, and told
		}
		_, ok := l.(*leaf.Epoch)
		return ok
	}
	return false
}

func (c *check) storedState(row string, s store.State) {
	c.state = true
	if c.epoch == nil {
		return
	}
	if want := (store.State{Size: c.size, Epochs: c.epoch.Epoch + 1, Keys: c.keys, TimeMs: c.epoch.TimeMs, First: c.epoch.First}); s != want {
		c.differ(row, "it says %+v, the leaves %+v", s, want)
	}
}

func (c *check) proofs(row string, r store.ProofRow) {
	for i := range r.Proofs {
		c.report.Proofs++
		if c.public != nil {
			c.proof(row, r.Account, &r.Proofs[i])
		}
	}
}

// proof verifies a kept VRF proof. Its index is held against the event's leaf
// where the account is met.
func (c *check) proof(row string, id name.AccountID, p *store.Proof) {
	index, err := c.public.Verify(id.Label().VRFInput(p.Seq), &p.Proof)
	if err != nil {
		c.differ(row, "%v", err)
	} else if index != p.Index {
		c.differ(row, "of seq %d it keeps another index than the proof shows", p.Seq)
	}
}
