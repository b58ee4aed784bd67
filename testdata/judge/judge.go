// Package judge watches a log from outside, with none of muster's own code: the Go
// checksum database's note and tlog packages read what the log signs and serves. It
// remembers every checkpoint that anybody was shown, and rebuilds the tree from the
// leaves.
package judge

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoints are those that a log was seen to sign. Methods may be called from any
// goroutine.
type Checkpoints struct {
	key note.Verifier

	mu     sync.Mutex
	seen   map[int64]tlog.Hash // the root by size
	newest []byte              // note that was taken last: readers see one again and again
	tree   tlog.Tree           // of it
}

// New watches the log of a verifier key.
func New(vkey string) (*Checkpoints, error) {
	key, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return nil, err
	}
	return &Checkpoints{key: key, seen: map[int64]tlog.Hash{}}, nil
}

// Key is whose checkpoints these are.
func (c *Checkpoints) Key() note.Verifier { return c.key }

// Remember keeps a signed checkpoint. Two of one size are the same, or the log has
// forked.
func (c *Checkpoints) Remember(signed []byte) (tree tlog.Tree, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Equal(signed, c.newest) {
		return c.tree, nil
	}
	n, err := note.Open(signed, note.VerifierList(c.key))
	if err != nil {
		return tree, fmt.Errorf("a checkpoint that the log did not sign: %w\n%s", err, signed)
	}
	var origin, root string
	if _, err := fmt.Sscanf(n.Text, "%s\n%d\n%s\n", &origin, &tree.N, &root); err != nil || origin != c.key.Name() {
		return tree, fmt.Errorf("no checkpoint of %s: %v\n%s", c.key.Name(), err, signed)
	}
	if tree.Hash, err = tlog.ParseHash(root); err != nil {
		return tree, fmt.Errorf("%w\n%s", err, signed)
	}
	if before, ok := c.seen[tree.N]; ok && before != tree.Hash {
		return tree, fmt.Errorf("two histories of %d leaves were signed: %v and %v", tree.N, before, tree.Hash)
	}
	c.seen[tree.N] = tree.Hash
	c.newest, c.tree = bytes.Clone(signed), tree
	return tree, nil
}

// Len is how many different ones were seen.
func (c *Checkpoints) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

// Verdict holds all of them against the leaves that the log serves, as many as the
// newest signed tree has: each is a beginning of what is served.
func (c *Checkpoints) Verdict(l *Leaves) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := int64(len(l.places))
	if _, ok := c.seen[size]; !ok {
		return fmt.Errorf("no checkpoint of the %d leaves that are served", size)
	}
	for n, root := range c.seen {
		if n > size {
			return fmt.Errorf("a checkpoint of %d leaves was shown, and now the log has %d", n, size)
		}
		served, err := tlog.TreeHash(n, l)
		if err != nil {
			return err
		}
		if served != root {
			return fmt.Errorf("the first %d leaves of %d that are served hash to %v, the log signed %v", n, size, served, root)
		}
	}
	if l.last != epoch {
		return fmt.Errorf("the last of %d leaves is of kind %d, want an EPOCH", size, l.last)
	}
	return nil
}

// Kinds of leaves, their first byte.
const (
	event = 1 // then index and commitment, of 32 bytes each
	epoch = 2
)

// Leaves are a log's, from the first on, and their tree. The zero value has none.
type Leaves struct {
	stored  []tlog.Hash
	places  []place
	indexes map[[32]byte]int64 // where each EVENT leaf's stands
	last    byte               // kind of the last leaf
}

type place struct {
	event      bool
	commitment [32]byte
}

// Len is how many there are.
func (l *Leaves) Len() int64 { return int64(len(l.places)) }

// Events is how many of them are EVENT leaves.
func (l *Leaves) Events() int { return len(l.indexes) }

// Commitment is what the EVENT leaf at a position commits to; false: there is none.
func (l *Leaves) Commitment(position int64) ([32]byte, bool) {
	if position < 0 || position >= l.Len() {
		return [32]byte{}, false
	}
	return l.places[position].commitment, l.places[position].event
}

// ReadHashes gives the tree's hashes, as tlog numbers them.
func (l *Leaves) ReadHashes(indexes []int64) (out []tlog.Hash, _ error) {
	for _, i := range indexes {
		if i >= int64(len(l.stored)) {
			return nil, fmt.Errorf("no hash %d in a tree of %d leaves", i, l.Len())
		}
		out = append(out, l.stored[i])
	}
	return out, nil
}

// Append adds the next leaf. No two events have one index.
func (l *Leaves) Append(entry []byte) error {
	position := l.Len()
	if len(entry) == 0 || entry[0] == event && len(entry) != 65 {
		return fmt.Errorf("leaf %d has %d bytes", position, len(entry))
	}
	hashes, err := tlog.StoredHashes(position, entry, l)
	if err != nil {
		return err
	}
	l.stored = append(l.stored, hashes...)
	p := place{event: entry[0] == event}
	if p.event {
		p.commitment = [32]byte(entry[33:])
		index := [32]byte(entry[1:33])
		if other, ok := l.indexes[index]; ok {
			return fmt.Errorf("the events at %d and %d have one index", other, position)
		}
		if l.indexes == nil {
			l.indexes = map[[32]byte]int64{}
		}
		l.indexes[index] = position
	}
	l.places = append(l.places, p)
	l.last = entry[0]
	return nil
}
