package auditor

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/witness/follow"
)

// Check accepts a checkpoint that the log signed once every leaf below it was
// replayed and broke no rule, and it extends all that was accepted before
// (protocol section 7.2). It reads what is missing. A *Broken is final; any
// other error says that it cannot be told now. When ctx ends, what was
// replayed so far counts for the next call.
func (a *Auditor) Check(ctx context.Context, note []byte) error {
	n, err := checkpoint.Open(a.cfg.Log, note)
	if err != nil {
		return fmt.Errorf("auditing a checkpoint: %w", err)
	}
	select {
	case <-a.turn:
	case <-ctx.Done():
		return fmt.Errorf("auditing a checkpoint of size %d: %w", n.Size, ctx.Err())
	}
	defer func() { a.turn <- struct{}{} }()
	if a.broken != nil {
		a.again(ctx, n)
		return a.broken
	}
	err = a.check(ctx, n)
	if v := (*violation)(nil); errors.As(err, &v) {
		a.stop(ctx, v)
		return a.broken
	}
	if err != nil {
		return fmt.Errorf("auditing a checkpoint of size %d: %w", n.Size, err)
	}
	return nil
}

// violation is a rule broken by leaves that are included in a signed tree.
type violation struct {
	position uint64
	rule     string
	// What may convict, tried in this order: each is leaves of an E5.
	leaves [][]uint64
	// Else the whole file, or nil.
	file func(context.Context) (*evidence.File, error)
	tree *follow.Tree // under the checkpoint of note
	note *checkpoint.Note
}

func (v *violation) Error() string { return v.rule }

func (a *Auditor) check(ctx context.Context, n *checkpoint.Note) error {
	if n.Size == 0 {
		return &violation{rule: "it signed a checkpoint of size 0", leaves: [][]uint64{nil}, note: n}
	}
	// Before any file is read: two notes are enough, and a log that shows two
	// trees of one size need serve neither.
	if old := a.at.note; old != nil && old.Size == n.Size && old.Root != n.Root {
		return &violation{
			position: n.Size, rule: fmt.Sprintf("it signed two roots of size %d", n.Size), note: n,
			file: func(context.Context) (*evidence.File, error) { return evidence.TwoRoots(old.Bytes(), n.Bytes()), nil },
		}
	}
	tree, err := follow.Open(ctx, a.cfg.Source, n.Checkpoint)
	if err != nil {
		return err
	}
	if err := a.extends(ctx, tree, n); err != nil {
		return err
	}
	// The last leaf first: it is cheap to see, but counts only if no earlier
	// leaf breaks a rule, so that the auditor stops at the first one.
	if err := a.catchUp(ctx, tree); err != nil {
		if v := (*violation)(nil); errors.As(err, &v) {
			v.tree, v.note = tree, n
		}
		return err
	}
	last, err := tree.Leaf(ctx, n.Size-1)
	if err != nil {
		return err
	}
	if kind := leaf.Kind(last[0]); kind != leaf.KindEpoch && kind != leaf.KindSeal {
		return &violation{
			position: n.Size - 1, rule: fmt.Sprintf("its checkpoint of size %d does not end in EPOCH or SEAL", n.Size),
			leaves: [][]uint64{{n.Size - 1}}, tree: tree, note: n,
		}
	}
	return nil
}

// extends compares a tree with the newest checkpoint that was followed. If it
// is larger and extends that one, it takes its place.
func (a *Auditor) extends(ctx context.Context, tree *follow.Tree, n *checkpoint.Note) error {
	old := a.at.note
	if old == nil {
		a.at.note = n
		return nil
	}
	small, large, at := old, n, tree
	if n.Size < old.Size {
		var err error
		if at, err = follow.Open(ctx, a.cfg.Source, old.Checkpoint); err != nil {
			return err
		}
		small, large = n, old
	}
	root, err := at.RootAt(ctx, small.Size)
	if err != nil {
		return err
	}
	if root == small.Root {
		a.at.note = large
		return nil
	}
	return &violation{
		position: small.Size, rule: fmt.Sprintf("its tree of size %d does not extend the one of size %d", large.Size, small.Size), note: n,
		file: func(ctx context.Context) (*evidence.File, error) {
			proof, err := at.Consistency(ctx, small.Size)
			return evidence.Fork(small.Bytes(), large.Bytes(), root, proof), err
		},
	}
}

// catchUp judges and replays the leaves below a tree's size. On an error
// everything stands as it did after the last leaf that was accepted, and the
// error is of the first leaf that was not.
func (a *Auditor) catchUp(ctx context.Context, tree *follow.Tree) error {
	var read error
	if a.at.size < tree.Checkpoint().Size {
		read = a.judgeAll(ctx, tree)
	}
	// EVENTs after the last EPOCH too: their checkpoint is wrong, or a smaller one
	// was asked for; they must not hide a repeated index.
	a.end()
	for len(a.ends) > 0 {
		if err := a.replay(ctx); err != nil {
			return err
		}
	}
	return read
}

// judgeAll takes leaf after leaf, and replays as many at once as the batch says.
func (a *Auditor) judgeAll(ctx context.Context, tree *follow.Tree) error {
	for b, err := range tree.Bundles(ctx, a.at.size) {
		if err != nil {
			return err
		}
		for i, data := range b.Leaves {
			position := b.First + uint64(i)
			if err := a.judge(position, data); err != nil {
				return err
			}
			a.at.size = position + 1
			if a.at.atEpoch() {
				a.end()
			}
			if len(a.pending)+len(a.ends) < a.cfg.Batch {
				continue
			}
			if len(a.ends) == 0 {
				a.end() // in the middle of a long epoch
			}
			if err := a.replay(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge has the rules of protocol section 4.2.
func (a *Auditor) judge(position uint64, data []byte) error {
	if e := a.at.epoch; e != nil && e.Sealed {
		return broken(position, "a leaf follows its SEAL", []uint64{e.Position(), position})
	}
	parsed, err := leaf.Parse(data)
	if err != nil {
		return broken(position, fmt.Sprintf("leaf %d: %v", position, err), []uint64{position})
	}
	switch l := parsed.(type) {
	case *leaf.Event:
		return a.event(position, l)
	case *leaf.Epoch:
		return a.epoch(position, l)
	default:
		return a.genesis(position, l.(*leaf.Genesis))
	}
}

func broken(position uint64, rule string, leaves ...[]uint64) *violation {
	return &violation{position: position, rule: rule, leaves: leaves}
}

func (a *Auditor) genesis(position uint64, g *leaf.Genesis) error {
	if position != 0 {
		return broken(position, fmt.Sprintf("leaf %d is another GENESIS", position), []uint64{position})
	}
	if string(g.Origin) != a.cfg.Log.Name {
		return broken(0, fmt.Sprintf("GENESIS is of log %s", g.Origin), []uint64{0})
	}
	if g.Predecessor == "" {
		return nil
	}
	c, err := checkpoint.ParseText(g.Predecessor)
	if err != nil || c.Origin == g.Origin {
		return broken(0, "GENESIS names a predecessor that is no other log's checkpoint", []uint64{0})
	}
	return nil
}

func (a *Auditor) event(position uint64, e *leaf.Event) error {
	if position == 0 {
		return broken(0, "leaf 0 is not GENESIS", []uint64{0})
	}
	a.pending = append(a.pending, prefix.NewLeaf(e.Index, position, e.Commitment))
	return nil
}

// epoch judges an EPOCH or SEAL. Which leaves contradict each other depends on
// what is wrong; those of an E5 that do not are passed over later.
func (a *Auditor) epoch(position uint64, e *leaf.Epoch) error {
	if position == 0 {
		return broken(0, "leaf 0 is not GENESIS", []uint64{0})
	}
	var number, before uint64
	last := a.at.epoch
	if last != nil {
		number, before = last.Epoch+1, last.Position()
	}
	first, keys := before+1, a.tree.Len()+uint64(len(a.pending))
	say := func(format string, args ...any) error {
		rule := fmt.Sprintf("EPOCH at %d: ", position) + fmt.Sprintf(format, args...)
		leaves := [][]uint64{{position}}
		if e.First > 0 && e.First <= position {
			leaves = append(leaves, []uint64{e.First - 1, position})
		}
		return broken(position, rule, append(leaves, []uint64{before, position})...)
	}
	switch {
	case e.Epoch != number:
		return say("it has number %d, want %d", e.Epoch, number)
	case e.First != first:
		return say("its epoch begins at %d, want %d", e.First, first)
	case e.Keys != keys:
		return say("it counts %d events, there are %d", e.Keys, keys)
	case last != nil && e.TimeMs <= last.TimeMs: // never as a sum, which wraps: no rule bounds a time
		return say("its time is not above that of the one before")
	case string(e.Successor) == a.cfg.Log.Name:
		return say("the log's successor is itself")
	}
	a.at.epoch = e
	return nil
}
