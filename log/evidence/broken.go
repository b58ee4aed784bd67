package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
)

// judgeLeaves is E5: note; then GENESIS and one or two leaves, ascending; or
// leaf 0 alone, if it is the broken one; or no leaf, if the note has size 0.
func judgeLeaves(r *reader) (f finding, err error) {
	n, err := r.signed()
	if err != nil {
		return f, err
	}
	if n.Size == 0 {
		return finding{"an empty tree", "a checkpoint of size 0. Every checkpoint covers GENESIS and an EPOCH at least."}, nil
	}
	zero, err := r.included()
	if err != nil {
		return f, err
	}
	var what string
	if len(r.lines) == 0 {
		what, err = r.brokenGenesis(zero)
	} else if _, err = r.genesis(zero); err == nil {
		what, err = r.brokenLeaves()
	}
	if err != nil {
		return f, err
	}
	return finding{
		fmt.Sprintf("%s in which %s", tree(n), what),
		fmt.Sprintf("a checkpoint of size %d, in which the leaves named are included; their bytes break the rule.", n.Size),
	}, nil
}

// thisVersion is how a GENESIS of this version and suite begins.
var thisVersion = []byte{byte(leaf.KindGenesis), 0, leaf.Version, 0, leaf.Suite}

// maybeNewer says that a leaf may be a GENESIS of another version or suite,
// whose rules nobody knows yet.
func maybeNewer(b []byte) bool {
	return len(b) > 0 && b[0] == byte(leaf.KindGenesis) && !bytes.HasPrefix(b, thisVersion)
}

var errNewer = errors.New("GENESIS of another version or suite, which may allow it")

func (r *reader) brokenGenesis(zero Leaf) (string, error) {
	if zero.Position != 0 {
		return "", errors.New("GENESIS is missing")
	}
	if maybeNewer(zero.Bytes) {
		return "", errNewer
	}
	parsed, err := leaf.Parse(zero.Bytes)
	if err != nil {
		return fmt.Sprintf("leaf 0 is no GENESIS: %v", err), nil
	}
	g, ok := parsed.(*leaf.Genesis)
	switch {
	case !ok:
		return "leaf 0 is not GENESIS", nil
	case g.Origin != r.origin:
		return fmt.Sprintf("leaf 0 is the GENESIS of another log, %s", g.Origin), nil
	case r.note.Size == 1:
		return "the last leaf is GENESIS: it must be EPOCH or SEAL", nil
	}
	return "", errors.New("leaf 0 is in order")
}

func (r *reader) brokenLeaves() (string, error) {
	a, err := r.included()
	if err != nil {
		return "", err
	}
	if a.Position == 0 {
		return "", errors.New("leaf 0 is there twice")
	}
	if len(r.lines) == 0 {
		return r.brokenLeaf(a)
	}
	b, err := r.included()
	if err != nil {
		return "", err
	}
	if a.Position >= b.Position {
		return "", errors.New("the leaves do not ascend")
	}
	return brokenPair(a, b)
}

// brokenLeaf judges a leaf after GENESIS, and what it says of GENESIS.
func (r *reader) brokenLeaf(a Leaf) (string, error) {
	if maybeNewer(a.Bytes) {
		return "", errNewer
	}
	parsed, err := leaf.Parse(a.Bytes)
	if err != nil {
		return fmt.Sprintf("leaf %d is not canonical: %v", a.Position, err), nil
	}
	switch l := parsed.(type) {
	case *leaf.Genesis:
		return fmt.Sprintf("leaf %d is a second GENESIS", a.Position), nil
	case *leaf.Event:
		if a.Position == r.note.Size-1 {
			return fmt.Sprintf("leaf %d, the last, is an EVENT: it must be EPOCH or SEAL", a.Position), nil
		}
	case *leaf.Epoch:
		return brokenEpoch(a.Position, l)
	}
	return "", errors.New("the leaf is in order")
}

func brokenEpoch(at uint64, l *leaf.Epoch) (string, error) {
	switch {
	case l.Position() != at:
		return fmt.Sprintf("EPOCH %d, with %d events before it, stands at position %d: it must be %d", l.Epoch, l.Keys, at, l.Position()), nil
	case l.First == 0 || l.First > at:
		return fmt.Sprintf("EPOCH %d at position %d says that it begins at %d", l.Epoch, at, l.First), nil
	case l.First == 1 && l.Epoch != 0:
		return fmt.Sprintf("EPOCH %d begins after GENESIS: only EPOCH 0 does", l.Epoch), nil
	}
	return "", errors.New("the EPOCH is in order")
}

// brokenPair judges two leaves after GENESIS, a before b.
func brokenPair(a, b Leaf) (string, error) {
	before, err := leaf.Parse(a.Bytes)
	if err != nil {
		return "", err
	}
	after, err := leaf.Parse(b.Bytes)
	if err != nil {
		return "", err
	}
	if before.Kind() == leaf.KindSeal {
		return fmt.Sprintf("leaf %d stands after the SEAL at %d, which ends the log", b.Position, a.Position), nil
	}
	if epoch, ok := after.(*leaf.Epoch); ok {
		return brokenBefore(a, before, b, epoch)
	}
	x, ok := before.(*leaf.Event)
	y, ok2 := after.(*leaf.Event)
	if ok && ok2 && neighbours(x.Index, y.Index) {
		return fmt.Sprintf("the EVENTs at %d and %d have one index", a.Position, b.Position), nil
	}
	return "", errors.New("the two leaves do not contradict each other")
}

// brokenBefore judges a leaf that stands before an EPOCH.
func brokenBefore(a Leaf, before leaf.Leaf, b Leaf, e *leaf.Epoch) (string, error) {
	previous, isEpoch := before.(*leaf.Epoch)
	switch {
	case e.First > 0 && a.Position == e.First-1 && !(isEpoch && e.Epoch > 0 && previous.Epoch == e.Epoch-1):
		return fmt.Sprintf("EPOCH %d says that it begins at %d, and the leaf before that is not the end of the epoch before", e.Epoch, e.First), nil
	case a.Position >= e.First && before.Kind() != leaf.KindEvent:
		return fmt.Sprintf("EPOCH %d says that it begins at %d, and leaf %d is no EVENT", e.Epoch, e.First, a.Position), nil
	case isEpoch && backwards(previous, e):
		return fmt.Sprintf("EPOCH %d at %d has time %s, and EPOCH %d at %d has %s: the time must rise with the number",
			previous.Epoch, a.Position, moment(previous.TimeMs), e.Epoch, b.Position, moment(e.TimeMs)), nil
	}
	return "", errors.New("the leaf and the EPOCH do not contradict each other")
}

// backwards says that of two EPOCHs the one with the higher number is not the later.
func backwards(x, y *leaf.Epoch) bool {
	if x.Epoch > y.Epoch {
		x, y = y, x
	}
	return x.Epoch < y.Epoch && y.TimeMs <= x.TimeMs
}

// neighbours says that two indexes are equal in their first 255 bits.
func neighbours(x, y name.Index) bool {
	x[len(x)-1] &^= 1
	y[len(y)-1] &^= 1
	return x == y
}
