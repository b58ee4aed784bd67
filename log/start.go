package log

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// Open opens a log that Create made, and shows what it published last. An epoch
// that a crash left unsigned is signed here if nobody has to cosign it, else by
// Run once a quorum has confirmed the signed head. An error says why this store
// must not go on. If it is ErrReadOnly, OpenToRead can serve what was published.
func Open(cfg Config) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := newLog(cfg)
	newest, err := cfg.Store.State()
	if err != nil {
		return nil, fmt.Errorf("reading the store's state: %w", err)
	}
	if newest.Size < 2 {
		return nil, errors.New("the store holds no log: make one with init")
	}
	if err := l.loadGenesis(); err != nil {
		return nil, err
	}
	head, err := l.checkHead(newest)
	if err != nil {
		return nil, err
	}
	published, note, err := l.lastPublished(newest)
	if err != nil {
		return nil, err
	}
	switch {
	case note == nil:
		published = head // for the way from there on
	case published.Size > head.Size:
		head = published // which has the log's signature: the head is the copy from before
	}
	if err := l.seq.load(cfg.Store, published, cfg.Prefix); err != nil {
		return nil, err
	}
	shown, err := l.checkPublished(note)
	if err != nil {
		return nil, err
	}
	return l, l.resume(shown, head, newest)
}

func (l *Log) loadGenesis() error {
	data, parsed, err := leafAt(l.cfg.Store, 0)
	if err != nil {
		return fmt.Errorf("reading GENESIS: %w", err)
	}
	l.genesis = data
	g, ok := parsed.(*leaf.Genesis)
	switch {
	case !ok:
		return errors.New("leaf 0 of the store is not GENESIS")
	case g.Origin != l.cfg.Origin:
		return fmt.Errorf("the store is of log %q, not of %q", g.Origin, l.cfg.Origin)
	case g.VRFKey != l.cfg.VRF.Public():
		return fmt.Errorf("the VRF key is not the one of log %q: with another key no account would be found again", g.Origin)
	}
	return nil
}

// checkHead compares the store with the last signed checkpoint, and gives the
// epoch that it ends with: the newest, or the one before it, if the process ended
// between its commit and its signature. The store must never be behind, nor have
// another history.
func (l *Log) checkHead(newest store.State) (head store.State, err error) {
	raw, err := l.cfg.Head.Load()
	if err != nil {
		return head, fmt.Errorf("reading the signed head: %w", err)
	}
	if raw == nil {
		if newest.Epochs == 1 { // Create ended between its commit and its signature, or a backup is that old
			return head, readOnly(toldUnknown, "no signed head beside a store without events. If `muster init` was interrupted here, delete the folder and run it again; "+
				"if the store was restored, bring the newest signed-head file back: what was signed last cannot be known without it")
		}
		return head, readOnly(toldUnknown, "no signed head beside a store of %d leaves: was it restored without it? what was signed last cannot be known. Bring the newest signed-head file back", newest.Size)
	}
	note, err := checkpoint.Parse(raw)
	if err != nil {
		return head, fmt.Errorf("reading the signed head: %w", err)
	}
	switch {
	case note.Origin != l.cfg.Origin:
		return head, fmt.Errorf("the signed head is of log %q, not of %q: a file of another log is in its place", note.Origin, l.cfg.Origin)
	case note.SignedBy(l.cfg.Signer.Key()) != nil:
		return head, fmt.Errorf("the signed head was not signed by this log key (%s): a file of another log is in the place of one of them", l.cfg.Signer.Key())
	case note.Size > newest.Size:
		return head, &Forked{Note: raw, told: toldBehind, Why: fmt.Sprintf("the store has %d leaves, but %d were signed: it lost its tail or is an old backup; going on would fork the log. "+
			"Bring back the newest copy of the store, or rebuild what is missing with `muster recover`", newest.Size, note.Size)}
	case note.Size != newest.Size && note.Size != newest.First:
		return head, readOnly(toldUnknown, "the signed head has size %d, the store's last epochs end at %d and %d: the head is an old copy, and what was signed since cannot be known. "+
			"Bring the newest signed-head file back", note.Size, newest.First, newest.Size)
	}
	tree, err := loadTree(l.cfg.Store, newest.Size)
	if err != nil {
		return head, err
	}
	root, err := answer.Range(0, note.Size, tree.reader(l.cfg.Store))
	if err != nil {
		return head, fmt.Errorf("recomputing the signed root: %w", err)
	}
	if name.TreeRoot(root) != note.Root {
		return head, &Forked{Note: raw, told: toldHistory, Why: fmt.Sprintf("the store's root at size %d is %x, but %s was signed: the store was changed; going on would fork the log. "+
			"`muster fsck` says where it differs; bring back a copy that is whole", note.Size, root, note.Root)}
	}
	if note.Size == newest.Size {
		return newest, nil
	}
	return l.before(newest)
}

// lastPublished goes back from epoch to epoch until one was published. If none
// was, the note is nil, and the state the store's own.
func (l *Log) lastPublished(newest store.State) (at store.State, note []byte, err error) {
	for at = newest; ; {
		raw, size, err := l.cfg.Store.NoteAbove(at.Size - 1)
		if err == nil && size == at.Size {
			return at, raw, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return at, nil, fmt.Errorf("reading the published checkpoint: %w", err)
		}
		if at.First < 2 {
			return newest, nil, nil
		}
		if at, err = l.before(at); err != nil {
			return at, nil, err
		}
	}
}

// before is the epoch before one that is not the first.
func (l *Log) before(at store.State) (store.State, error) {
	_, parsed, err := leafAt(l.cfg.Store, at.First-1)
	if err != nil {
		return at, fmt.Errorf("reading an EPOCH: %w", err)
	}
	e, ok := parsed.(*leaf.Epoch)
	if !ok || e.Position() != at.First-1 || e.First > e.Position() {
		return at, fmt.Errorf("the leaf at position %d is not the EPOCH that belongs there", at.First-1)
	}
	return store.State{Size: at.First, Epochs: e.Epoch + 1, Keys: e.Keys, TimeMs: e.TimeMs, First: e.First}, nil
}

// checkPublished holds the note that was published last, nil if none was, against
// where the sequencer stands, which is there.
func (l *Log) checkPublished(note []byte) (*snapshot, error) {
	s, err := l.stand()
	if err != nil || note == nil {
		return nil, err
	}
	n, err := checkpoint.Open(l.cfg.Signer.Key(), note)
	if err != nil || n.Checkpoint != s.checkpoint {
		return nil, fmt.Errorf("the store published another checkpoint than the one of its %d leaves: it was changed, and nothing is signed with it", s.tree.size)
	}
	s.note = note
	return s, l.checkCosigners(n)
}

// resume goes from what was published last, nil for nothing, to the newest epoch.
func (l *Log) resume(shown *snapshot, head, newest store.State) error {
	if err := l.seq.forward(l.cfg.Store, head); err != nil {
		return readOnly(toldDamaged, "what was signed, and not published yet: %w. `muster fsck` says where it differs; bring back a copy that is whole", err)
	}
	signed, err := l.stand()
	if err != nil {
		return err
	}
	if head.Size < newest.Size {
		if err := l.resumeUnsigned(newest); err != nil {
			return err
		}
	}
	if err := l.restore(); err != nil {
		return err
	}
	if l.seq.epoch.Sealed {
		l.stopped = sealedError(l.seq.epoch.Successor)
	}
	if l.cfg.ClockIsRight {
		l.believeClock()
	}
	// Signing is deterministic: what was signed is signed again in the same bytes.
	if err := l.sign(signed); err != nil {
		return err
	}
	if !l.cfg.cosigned() {
		if err := l.signLeft(); err != nil {
			return err
		}
	}
	return l.republish(shown)
}

// resumeUnsigned goes on to the epoch that an earlier process committed, and of
// which nobody knows whether it was signed. It may have been a fork by now: the
// process crashed, another one went on with an older copy of the store, and this
// one was brought back. So cosigners are asked before it is signed.
func (l *Log) resumeUnsigned(newest store.State) error {
	err := l.seq.forward(l.cfg.Store, newest)
	if err == nil {
		err = l.recheck()
	}
	if err != nil {
		return readOnly(toldDamaged, "the newest epoch, which is not signed yet, contradicts itself: %w. `muster fsck` says where; bring back a copy of the store from before it", err)
	}
	left, err := l.stand()
	if err != nil {
		return err
	}
	l.left = left
	var once sync.Mutex
	signed := false // and later ones, perhaps: never again
	l.signLeft = func() error {
		once.Lock()
		defer once.Unlock()
		if signed {
			return nil
		}
		err := l.sign(left)
		signed = err == nil
		return err
	}
	return nil
}

// republish shows what an earlier process published last, in the same bytes, unless
// the policy asks for others by now. What that one did not get to is published if
// nobody has to cosign it.
func (l *Log) republish(shown *snapshot) error {
	if shown != nil {
		l.kept = shown.tree.size
		if !l.cfg.cosigned() || l.meets(shown.note, math.MaxInt64) {
			l.show(shown, shown.note)
		}
	}
	if s := l.signed.Load(); !l.cfg.cosigned() && s.tree.size != l.kept {
		return l.publish(s, s.note)
	}
	return nil
}
