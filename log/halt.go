package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// ErrReadOnly says that a log must not sign with this store (protocol section
// 8.2): it can serve what it published before, and no more. The text says why
// and what its operator should do.
var ErrReadOnly error = answer.Unavailable("this log only serves reads, and signs nothing")

// What everybody may know of why a log is read-only. What its operator is told
// has sizes, advice and the names of files.
const (
	toldBehind  = "its store is behind what was signed with its key"
	toldHistory = "its store has another history than was signed with its key"
	toldUnknown = "what it signed last cannot be known"
	toldDamaged = "its store was found damaged"
)

// readOnlyError is an ErrReadOnly with its reason.
type readOnlyError struct {
	told string
	error
}

func (e *readOnlyError) Unwrap() error { return e.error }

func readOnly(told, format string, args ...any) error {
	return &readOnlyError{told, fmt.Errorf("%w: %w", ErrReadOnly, fmt.Errorf(format, args...))}
}

// Told is why a log that gave this error serves reads only, in general words for
// everybody; empty if it is no ErrReadOnly.
func Told(err error) string {
	var own *readOnlyError
	var forked *Forked
	switch {
	case errors.As(err, &own):
		return own.told
	case errors.As(err, &forked):
		return forked.told
	case errors.Is(err, ErrReadOnly):
		return toldUnknown
	}
	return ""
}

// forCallers is why events were not taken, without what is nobody's business but
// the operator's, who is told the rest elsewhere: sizes, advice, and the names of
// files in the words of the store and of whoever called Halt.
func forCallers(err error) error {
	switch told := Told(err); {
	case err == nil:
		return nil
	case told != "":
		return fmt.Errorf("%w: %s", ErrReadOnly, told)
	case errors.Is(err, errClock):
		return errClock
	case errors.As(err, new(answer.Unavailable)):
		return err
	}
	return answer.Fault
}

// OpenToRead opens a log that must not go on, for the reason why: that of Open,
// or of an earlier Run. It shows the newest checkpoint that was published and
// still is what its leaves give; clients that have seen a newer one refuse it.
// Nothing is signed or written. Run returns why at once.
func OpenToRead(cfg Config, why error) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := newLog(cfg)
	l.stopped, l.ended = forCallers(why), forCallers(why)
	l.halt(why)
	if err := l.loadGenesis(); err != nil {
		return nil, err
	}
	state, err := cfg.Store.State()
	if err != nil {
		return nil, fmt.Errorf("reading the store's state: %w", err)
	}
	at, note, err := l.lastPublished(state)
	if err != nil {
		return nil, err
	}
	if err := l.seq.load(cfg.Store, at, cfg.Prefix); err != nil {
		return nil, err
	}
	root, err := l.seq.tree.root(cfg.Store)
	if err != nil {
		return nil, fmt.Errorf("computing the root: %w", err)
	}
	text := checkpoint.Checkpoint{Origin: cfg.Origin, Size: at.Size, Root: name.TreeRoot(root)}.Text()
	l.signed.Store(&snapshot{tree: l.seq.tree, prefixes: l.seq.prefixes, text: text, note: note, epoch: l.seq.epoch})
	if n, err := checkpoint.Parse(note); err == nil && n.Text == text {
		l.show(l.signed.Load(), note)
	}
	return l, nil
}

// lastPublished goes back from epoch to epoch until one was published. If none
// was, the note is nil, and the state the store's own.
func (l *Log) lastPublished(newest store.State) (at store.State, note []byte, err error) {
	for at = newest; at.Size > 1; {
		raw, size, err := l.cfg.Store.NoteAbove(at.Size - 1)
		if err == nil && size == at.Size {
			return at, raw, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return at, nil, fmt.Errorf("reading the published checkpoint: %w", err)
		}
		if at.First < 2 {
			break
		}
		_, parsed, err := leafAt(l.cfg.Store, at.First-1)
		if err != nil {
			return at, nil, fmt.Errorf("reading an EPOCH: %w", err)
		}
		e, ok := parsed.(*leaf.Epoch)
		if !ok || e.Position() != at.First-1 || e.First > e.Position() {
			return at, nil, fmt.Errorf("the leaf at position %d is not the EPOCH that belongs there", at.First-1)
		}
		at = store.State{Size: at.First, Epochs: e.Epoch + 1, Keys: e.Keys, TimeMs: e.TimeMs, First: e.First}
	}
	return newest, nil, nil
}

// Halt stops all signing for good, from any goroutine: somebody found that the
// store cannot be trusted. Reads go on, and Run returns an ErrReadOnly.
func (l *Log) Halt(why error) { l.halt(readOnly(toldDamaged, "%w", why)) }

// ReadOnly is why the log signs nothing, an ErrReadOnly, or nil while it may.
func (l *Log) ReadOnly() error { return context.Cause(l.halted) }

// untilHalted is ctx until somebody calls Halt: then nothing more is taken, and
// what waits is refused, so that there is nothing left to sign.
func (l *Log) untilHalted(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.halted, func() {
		l.refuseAll(context.Cause(l.halted))
		cancel()
	})
	return ctx, func() { stop(); cancel() }
}

// checkHead compares the store with the last signed checkpoint. The store may
// be ahead by one epoch, committed and not signed when the process ended; it
// must never be behind, nor have another history.
func (l *Log) checkHead() error {
	raw, err := l.cfg.Head.Load()
	if err != nil {
		return fmt.Errorf("reading the signed head: %w", err)
	}
	size := l.seq.state.Size
	if raw == nil {
		if l.seq.state.Epochs == 1 { // Create ended between its commit and its signature, or a backup is that old
			return readOnly(toldUnknown, "no signed head beside a store without events. If `muster init` was interrupted here, delete the folder and run it again; "+
				"if the store was restored, bring the newest signed-head file back: what was signed last cannot be known without it")
		}
		return readOnly(toldUnknown, "no signed head beside a store of %d leaves: was it restored without it? what was signed last cannot be known. Bring the newest signed-head file back", size)
	}
	note, err := checkpoint.Parse(raw)
	if err != nil {
		return fmt.Errorf("reading the signed head: %w", err)
	}
	switch {
	case note.Origin != l.cfg.Origin:
		return fmt.Errorf("the signed head is of log %q, not of %q: a file of another log is in its place", note.Origin, l.cfg.Origin)
	case note.SignedBy(l.cfg.Signer.Key()) != nil:
		return fmt.Errorf("the signed head was not signed by this log key (%s): a file of another log is in the place of one of them", l.cfg.Signer.Key())
	case note.Size > size:
		return &Forked{Note: raw, told: toldBehind, Why: fmt.Sprintf("the store has %d leaves, but %d were signed: it lost its tail or is an old backup; going on would fork the log. "+
			"Bring back the newest copy of the store, or rebuild what is missing with `muster recover`", size, note.Size)}
	case note.Size != size && note.Size != l.seq.state.First:
		return readOnly(toldUnknown, "the signed head has size %d, the store's last epochs end at %d and %d: the head is an old copy, and what was signed since cannot be known. "+
			"Bring the newest signed-head file back", note.Size, l.seq.state.First, size)
	}
	root, err := answer.Range(0, note.Size, l.seq.tree.reader(l.cfg.Store))
	if err != nil {
		return fmt.Errorf("recomputing the signed root: %w", err)
	}
	if name.TreeRoot(root) != note.Root {
		return &Forked{Note: raw, told: toldHistory, Why: fmt.Sprintf("the store's root at size %d is %x, but %s was signed: the store was changed; going on would fork the log. "+
			"`muster fsck` says where it differs; bring back a copy that is whole", note.Size, root, note.Root)}
	}
	if note.Size == size {
		return nil
	}
	if err := l.recheck(); err != nil {
		return readOnly(toldDamaged, "the newest epoch, which is not signed yet, contradicts itself: %w. `muster fsck` says where; bring back a copy of the store from before it", err)
	}
	return nil
}
