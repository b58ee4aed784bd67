package auditor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/witness/follow"
)

// stop ends the auditing of the log for good: evidence first, then the mark
// that a restart finds. A crash in between has the next auditor come here
// again, since the leaf was not committed.
func (a *Auditor) stop(ctx context.Context, v *violation) {
	// A request that runs out of time must not cost the evidence.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), convictTime)
	defer cancel()
	caught, err := a.convict(ctx, v)
	if a.broken != nil && caught == nil {
		return // it has stopped, and can show no more than before
	}
	a.broken, a.owed = &Broken{Position: v.position, Rule: strings.ReplaceAll(v.rule, "\n", " ")}, caught
	kept := a.keep()
	switch {
	case a.broken.Evidence == "":
		a.unkept(v, errors.Join(err, kept))
	case kept != nil:
		// This process has stopped all the same; without the mark the next one finds
		// the leaf again.
		a.cfg.Logger.Error("that the auditor stopped cannot be written", "error", kept)
	}
	a.cfg.Logger.Error("the log broke a rule: the auditor stops for good", "origin", a.cfg.Log.Name, "position", a.broken.Position, "rule", a.broken.Rule, "evidence", a.broken.Evidence)
}

// keep writes the evidence, if one was made, and the mark. What the disk does
// not take stays owed.
func (a *Auditor) keep() (err error) {
	b := *a.broken // who was given the old one may be reading it
	if a.owed != nil {
		path := filepath.Join(a.evidence(), a.owed.File.Name())
		if err = a.cfg.Disk.Keep(path, a.owed.File.Bytes()); err == nil {
			b.Evidence = path
		}
	}
	a.broken = &b
	marked := a.keepStopped(&b)
	a.unmarked = marked != nil
	if err = errors.Join(err, marked); err == nil {
		a.owed = nil
	}
	return err
}

// again tries once more what a stop left undone. What the disk did not take is
// at hand. If none could be made, or an earlier auditor stopped without any, the
// log is read for it again: nothing from the broken leaf on was committed. A log
// that shows its lie no more stays unproven, and the auditor stopped.
func (a *Auditor) again(ctx context.Context, n *checkpoint.Note) {
	a.makeGood()
	if v := (*violation)(nil); a.owed == nil && a.broken.Evidence == "" && errors.As(a.check(ctx, n), &v) {
		a.stop(ctx, v)
	}
}

// makeGood writes what is owed, and says whether nothing is any more.
func (a *Auditor) makeGood() bool {
	if a.owed == nil && !a.unmarked {
		return true
	}
	if a.keep() != nil {
		return false // as was said
	}
	a.cfg.Logger.Error("that the log broke a rule is kept now", "origin", a.cfg.Log.Name, "evidence", a.broken.Evidence)
	return true
}

// unkept says what is left when no evidence is kept: the checkpoint, signed, and
// another try, once the disk has room or the log shows its files again.
func (a *Auditor) unkept(v *violation, err error) {
	a.cfg.Logger.Error("no evidence is kept: publish this checkpoint, and make sure that there is room and that the log answers; what the disk did not take is tried again while the auditor runs, all else when it is started again",
		"folder", a.evidence(), "error", err, "checkpoint", string(v.note.Bytes()))
}

// convict makes the file that proves the violation.
func (a *Auditor) convict(ctx context.Context, v *violation) (*evidence.Misbehaviour, error) {
	var why []error
	try := func(f *evidence.File, err error) *evidence.Misbehaviour {
		if err == nil {
			err = evidence.Convict(a.cfg.Log, f)
		}
		var m *evidence.Misbehaviour
		if errors.As(err, &m) {
			return m
		}
		why = append(why, err)
		return nil
	}
	if v.file != nil {
		if m := try(v.file(ctx)); m != nil {
			return m, nil
		}
	}
	for _, positions := range v.leaves {
		if m := try(shown(ctx, v.tree, v.note).BrokenLeaves(positions...)); m != nil {
			return m, nil
		}
	}
	return nil, errors.Join(why...)
}

// shown is a tree as evidence shows it.
func shown(ctx context.Context, t *follow.Tree, note *checkpoint.Note) *evidence.Tree {
	return &evidence.Tree{
		Note: note.Bytes(),
		Leaf: func(position uint64) ([]byte, error) { return t.Leaf(ctx, position) },
		Path: func(position uint64) ([]leaf.Hash, error) { return t.Path(ctx, position) },
	}
}

// wrongMap is E4c: what the map of the EPOCH before was, shown by the auditor's
// own tree, and all that was added to it.
func (a *Auditor) wrongMap(ctx context.Context, t *follow.Tree, note *checkpoint.Note, before, epoch uint64) (*evidence.File, error) {
	if a.base == nil { // it was not built since a restart in the middle of an epoch
		var err error
		if a.base, err = prefix.BuildWith(treeMemory, a.store.PrefixLeaves(), before+1); err != nil {
			return nil, err
		}
	}
	values := valued{a.store, func(position uint64) ([]byte, error) { return t.Leaf(ctx, position) }}
	f, err := shown(ctx, t, note).WrongMap(before, epoch, func(indexes []name.Index) (*prefix.Proof, error) {
		return a.base.Prove(values, absent(indexes))
	})
	if err != nil {
		return nil, fmt.Errorf("showing the map of EPOCH at %d: %w", before, err)
	}
	return f, nil
}

func absent(indexes []name.Index) []prefix.Query {
	queries := make([]prefix.Query, len(indexes))
	for i, index := range indexes {
		queries[i].Index = index
	}
	return queries
}

// valued is the stored leaves, with the values that the store does not keep
// read from the log.
type valued struct {
	*pebble.Replica
	leaf func(position uint64) ([]byte, error)
}

func (v valued) Full(l prefix.Leaf) (i name.Index, value name.Value, err error) {
	data, err := v.leaf(l.Position)
	if err != nil {
		return i, value, err
	}
	parsed, err := leaf.Parse(data)
	if err != nil {
		return i, value, err
	}
	e, ok := parsed.(*leaf.Event)
	if !ok {
		return i, value, fmt.Errorf("leaf %d is no EVENT", l.Position)
	}
	return e.Index, prefix.Value(l.Position, e.Commitment), nil
}
