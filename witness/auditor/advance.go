package auditor

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// end is a place in the log up to which a map can be built: after an EPOCH, or
// where the auditor pauses.
type end struct {
	at     state
	events int // how many of those that are pending lie before it
}

// end makes one of where the auditor is.
func (a *Auditor) end() {
	last := a.done.size
	if n := len(a.ends); n > 0 {
		last = a.ends[n-1].at.size
	}
	if a.at.size > last {
		a.ends = append(a.ends, end{a.at, len(a.pending)})
	}
}

// replay takes all ends up to the last EPOCH in one pass, so that its map is at
// hand when the next one is wrong. If that finds a rule broken, another pass
// takes what ends before that leaf, and leaves it to the caller to come again:
// then it is found with the map of the EPOCH before it at hand. A repeated index
// is found before any map is compared, so that an earlier EPOCH may be wrong
// too; a third pass takes what ends before that one. A log of many empty epochs
// gets no more passes than that, and none once ctx has ended.
func (a *Auditor) replay(ctx context.Context) error {
	n := len(a.ends)
	if n > 1 && !a.ends[n-1].at.atEpoch() {
		n--
	}
	for {
		err := a.advance(n)
		v := (*violation)(nil)
		if !errors.As(err, &v) {
			return err
		}
		// Fewer than n: the leaf lies before the last of them.
		n = sort.Search(n, func(i int) bool { return a.ends[i].at.size > v.position })
		if n == 0 {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// advance builds the maps of the first n ends, compares those of EPOCHs, and
// makes it durable. On an error everything stands as it did.
//
// Nothing is cosigned before the end that it lies under was committed here, so
// a crash takes back nothing that was said: it leaves what the last commit
// did, and the next auditor on the folder replays the rest again.
func (a *Auditor) advance(n int) error {
	ends := a.ends[:n]
	last := ends[n-1]
	limits := make([]uint64, n)
	for i := range ends {
		limits[i] = ends[i].at.size
	}
	a.sorted = prefix.Sorted(a.sorted[:0], a.pending[:last.events])
	var next *prefix.Tree
	var roots []name.PrefixRoot
	err := a.store.ReadPrefix(func(leaves prefix.Leaves) (err error) {
		next, roots, err = a.tree.Replay(leaves, a.sorted, limits)
		return err
	})
	if errors.Is(err, prefix.ErrRepeated) {
		return a.repeated(a.pending[:last.events], err)
	}
	if err != nil {
		return err
	}
	for i := range ends {
		if at := &ends[i].at; at.atEpoch() && at.epoch.PrefixRoot != roots[i] {
			return a.wrongRoot(at.epoch, roots[i])
		}
	}
	last.at.note = a.at.note
	if err := a.store.Commit(a.sorted, last.at.bytes()); err != nil {
		return err
	}
	a.done, a.tree = last.at, next
	if last.at.atEpoch() {
		a.base = next
	}
	a.pending = a.pending[:copy(a.pending, a.pending[last.events:])]
	a.ends = a.ends[:copy(a.ends, a.ends[n:])]
	for i := range a.ends {
		a.ends[i].events -= last.events
	}
	return nil
}

func (a *Auditor) wrongRoot(e *leaf.Epoch, root name.PrefixRoot) error {
	position, before := e.Position(), uint64(0)
	if last := a.done.epoch; last != nil {
		before = last.Position()
	}
	v := broken(position, fmt.Sprintf("EPOCH %d, at %d, has prefix root %s; its events give %s", e.Epoch, position, e.PrefixRoot, root))
	v.file = func(ctx context.Context) (*evidence.File, error) {
		return a.wrongMap(ctx, v.tree, v.note, before, position)
	}
	return v
}

// repeated finds the first of these EVENTs whose index is taken.
func (a *Auditor) repeated(events []prefix.Leaf, cause error) error {
	seen := make(map[name.Index]uint64, len(events)) // by the first 255 bits
	for _, l := range events {
		earlier, found := seen[cut(l.Index)]
		if !found {
			stored, err := a.store.Range(nil, l.Index, 255)
			if err != nil {
				return err
			}
			for _, s := range stored {
				earlier, found = s.Position, true
			}
		}
		if found {
			return broken(l.Position, fmt.Sprintf("the index of leaf %d is that of leaf %d", l.Position, earlier), []uint64{earlier, l.Position})
		}
		seen[cut(l.Index)] = l.Position
	}
	return fmt.Errorf("%w: %w", prefix.ErrStore, cause)
}

func cut(i name.Index) name.Index {
	i[31] &^= 1
	return i
}
