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
func (a *Auditor) stop(ctx context.Context, v *violation) error {
	// A request that runs out of time must not cost the evidence.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), convictTime)
	defer cancel()
	b := &Broken{Position: v.position, Rule: strings.ReplaceAll(v.rule, "\n", " ")}
	caught, err := a.convict(ctx, v)
	if caught != nil {
		b.Evidence = filepath.Join(a.evidence(), caught.File.Name())
		if err := a.cfg.Disk.Keep(b.Evidence, caught.File.Bytes()); err != nil {
			a.unkept(v, err)
			b.Evidence = ""
		}
	} else {
		a.unkept(v, err)
	}
	a.broken = b
	a.cfg.Logger.Error("the log broke a rule: the auditor stops for good", "origin", a.cfg.Log.Name, "position", b.Position, "rule", b.Rule, "evidence", b.Evidence)
	if err := a.keepStopped(b); err != nil {
		// This process has stopped all the same; the next one finds the leaf again.
		a.cfg.Logger.Error("that the auditor stopped cannot be written", "error", err)
	}
	return b
}

// unkept says what is left when no evidence is kept: the checkpoint, signed, and
// another try, once the disk has room or the log shows its files again.
func (a *Auditor) unkept(v *violation, err error) {
	a.cfg.Logger.Error("no evidence is kept: publish this checkpoint; to look again, make sure that there is room and that the log answers, delete the file and start the auditor",
		"file", a.stoppedFile(), "error", err, "checkpoint", string(v.note.Bytes()))
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
