package log

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// sequencer is where the log stands: what the store has committed. One
// goroutine at a time touches it.
type sequencer struct {
	state    store.State
	tree     *tree
	prefixes *prefix.Tree
	epoch    leaf.Epoch      // the newest
	erase    []store.Erasure // of the newest epoch: their content is deleted with the next
	last     *name.Origin    // nil, or the next epoch is a SEAL that names this successor
	believed *reading        // the clock that the next reading is held against; nil: none since Open
	failed   error           // why the newest attempt at an epoch failed; nil: it did not
}

// load rebuilds the sequencer from a store, at the end of one of its epochs.
func (q *sequencer) load(s store.Store, at store.State, memory prefix.Memory) (err error) {
	if q.prefixes, err = prefix.BuildWith(memory, s.PrefixLeaves(), at.Size); err != nil {
		return fmt.Errorf("reading the prefix tree: %w", err)
	}
	return q.settleAt(s, at)
}

// forward goes on to a later epoch of the store, by the leaves in between.
func (q *sequencer) forward(s store.Store, to store.State) (err error) {
	var batch []prefix.Leaf
	for at := q.state.Size; at < to.Size; {
		end := min(at+forwardLeaves, to.Size)
		batch = batch[:0]
		for data, err := range s.Leaves(at, end) {
			if err != nil {
				return fmt.Errorf("reading the newest leaves: %w", err)
			}
			if e, err := leaf.Parse(data); err != nil {
				return fmt.Errorf("leaf %d: %w", at, err)
			} else if e, ok := e.(*leaf.Event); ok {
				batch = append(batch, prefix.NewLeaf(e.Index, at, e.Commitment))
			}
			at++
		}
		if at != end {
			return fmt.Errorf("the store has leaves up to %d, its state says %d", at, to.Size)
		}
		if q.prefixes, err = q.insert(s, batch, end); err != nil {
			return err
		}
	}
	return q.settleAt(s, to)
}

// settleAt takes everything but the prefix tree from the store, and holds the two
// against each other.
func (q *sequencer) settleAt(s store.Store, at store.State) (err error) {
	q.state, q.erase = at, nil
	if q.tree, err = loadTree(s, at.Size); err != nil {
		return err
	}
	_, parsed, err := leafAt(s, at.Size-1)
	if err != nil {
		return fmt.Errorf("reading the newest EPOCH: %w", err)
	}
	epoch, ok := parsed.(*leaf.Epoch)
	if !ok || epoch.Position()+1 != at.Size || epoch.Keys != at.Keys || epoch.Keys != q.prefixes.Len() {
		return fmt.Errorf("the store's last leaf and its state of %d leaves and %d events contradict each other", at.Size, at.Keys)
	}
	if q.prefixes.Root() != epoch.PrefixRoot {
		return fmt.Errorf("the store's prefix tree has root %s, its newest EPOCH says %s", q.prefixes.Root(), epoch.PrefixRoot)
	}
	q.epoch = *epoch
	for e, err := range s.Events(at.First, at.Size) {
		if err != nil {
			return fmt.Errorf("reading the newest events: %w", err)
		}
		q.noteErasure(e)
	}
	return nil
}

// insert is the prefix tree with an epoch's leaves; limit is its EPOCH's position.
func (q *sequencer) insert(s store.Store, batch []prefix.Leaf, limit uint64) (next *prefix.Tree, err error) {
	err = s.ReadPrefix(func(leaves prefix.Leaves) (err error) {
		next, err = q.prefixes.Update(leaves, batch, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("inserting into the prefix tree: %w", err)
	}
	return next, nil
}

// advance goes on to an epoch that the store has committed.
func (q *sequencer) advance(b *store.Batch, next *tree, prefixes *prefix.Tree, epoch *leaf.Epoch) {
	q.state, q.tree, q.prefixes, q.epoch, q.erase = b.State, next, prefixes, *epoch, nil
	for i := range b.Events {
		q.noteErasure(&b.Events[i])
	}
}

func (q *sequencer) noteErasure(e *store.Event) {
	if e.Erase == e.Seq {
		q.erase = append(q.erase, store.Erasure{Account: e.Account, Before: e.Seq})
	}
}

// errBatch says that an epoch failed before anything of it was kept: its
// events are refused, and the log goes on.
var errBatch = errors.New("the epoch could not be sealed")

// sealOpen seals what waits, at most one epoch's worth; an empty epoch only
// when the log was idle for a heartbeat.
func (l *Log) sealOpen(idle bool) (sealed bool, err error) {
	l.mu.Lock()
	batch, timeMs, err := l.cutOpen()
	select {
	case <-l.full:
	default:
	}
	if len(l.open) > 0 {
		l.wake(len(l.open) >= l.cfg.MaxEpochEvents)
	}
	l.mu.Unlock()
	if len(batch) == 0 && !idle {
		return false, nil
	}
	began := l.now()
	if err == nil {
		l.reserve() // so that no row of this batch is on its way to the store beside Commit, which deletes it
		err = l.seal(nil, batch, timeMs)
	}
	l.seq.failed = err
	if errors.Is(err, errBatch) {
		l.cfg.Logger.Error("an epoch failed: its events are refused, and those promised are tried again", "events", len(batch), "error", err)
		l.failBatch(batch, err)
		l.cfg.Metrics.Failed(len(batch))
		return true, nil
	}
	if err != nil {
		l.failAll(batch, err)
		return false, err
	}
	l.cfg.Metrics.Sealed(len(batch), l.now().Sub(began))
	if err := l.offer(); err != nil {
		l.failAll(batch, err)
		return false, err
	}
	l.settle(batch)
	return true, nil
}

// seal makes one epoch, in the write order of protocol section 8. An errBatch
// means that nothing happened. Any other error means that this process does
// not know what is on disk, or who has seen what: it must end.
//
// timeMs was fixed when the batch was cut.
func (l *Log) seal(first [][]byte, batch []*ticket, timeMs uint64) error {
	q := &l.seq
	b := &store.Batch{
		First: q.state.Size, Erase: q.erase,
		Leaves: append(make([][]byte, 0, len(first)+len(batch)+1), first...),
		Prefix: make([]prefix.Leaf, 0, len(batch)),
		Events: make([]store.Event, 0, len(batch)),
	}
	accounts := make(map[name.AccountID]*store.Account)
	for _, t := range batch {
		t.place(b.First + uint64(len(b.Leaves)))
		e := t.checked.Event()
		c := commitment.Commit(t.opening, e.Account.Label(), e.Seq, t.body)
		l := leaf.Event{Index: t.index, Commitment: c}
		b.Leaves = append(b.Leaves, l.Bytes())
		b.Prefix = append(b.Prefix, prefix.NewLeaf(t.index, t.position, c))
		b.Events = append(b.Events, store.Event{
			Account: e.Account, Seq: e.Seq, Position: t.position, Previous: t.previous, Opening: t.opening, Body: t.body,
			Anchor: t.after.Anchor, Erase: t.after.Erase, Live: t.live,
		})
		accounts[e.Account] = t.logged
	}
	b.Accounts = slices.Collect(maps.Values(accounts))

	// An index occurs at most once in the log, ever: a second one is refused,
	// and then the log is at its end rather than dead to every auditor.
	prefixes, err := q.insert(l.cfg.Store, b.Prefix, b.First+uint64(len(b.Leaves)))
	if err != nil {
		return err
	}
	epoch := leaf.Epoch{
		Epoch: q.state.Epochs, TimeMs: timeMs, First: max(q.state.Size, 1),
		Keys: q.state.Keys + uint64(len(batch)), PrefixRoot: prefixes.Root(),
	}
	if q.last != nil {
		epoch.Sealed, epoch.Successor = true, *q.last
	}
	b.Leaves = append(b.Leaves, epoch.Bytes())
	hashes := make([]leaf.Hash, len(b.Leaves))
	for i := range b.Leaves {
		hashes[i] = leaf.HashOf(b.Leaves[i])
	}
	var next *tree
	next, b.Tiles = q.tree.appended(hashes)
	b.State = store.State{Size: next.size, Epochs: epoch.Epoch + 1, Keys: epoch.Keys, TimeMs: timeMs, First: epoch.First}

	// A crash before Commit returns leaves the old epoch or this one whole.
	// Nothing of it has left the process, so both are in order.
	if err := l.cfg.Store.Commit(b); err != nil {
		return fmt.Errorf("%w: %w", errBatch, err)
	}
	if err := l.readBack(b, hashes); err != nil {
		return fmt.Errorf("reading back what was stored: %w", err)
	}
	q.advance(b, next, prefixes, &epoch)
	// A crash from here to the signed head: Open finds the store one epoch
	// ahead and signs the same bytes.
	return l.signStand()
}

// place gives a ticket its position, again after an epoch that failed.
func (t *ticket) place(position uint64) {
	if t.prior != nil {
		t.previous = t.prior.position
	}
	t.position = position
	logged := *t.after // which others read
	logged.Position = position
	t.logged = &logged
}

// stand is where the sequencer stands, not signed.
func (l *Log) stand() (*snapshot, error) {
	q := &l.seq
	root, err := q.tree.root(l.cfg.Store)
	if err != nil {
		return nil, fmt.Errorf("computing the root: %w", err)
	}
	c := checkpoint.Checkpoint{Origin: l.cfg.Origin, Size: q.state.Size, Root: name.TreeRoot(root)}
	return &snapshot{tree: q.tree, prefixes: q.prefixes, epoch: q.epoch, checkpoint: c}, nil
}

// signStand signs where the sequencer stands.
func (l *Log) signStand() error {
	s, err := l.stand()
	if err != nil {
		return err
	}
	return l.sign(s)
}

// sign makes a committed tree's checkpoint. It returns once the signed head
// remembers it: from then on this log can never sign another of its size.
func (l *Log) sign(s *snapshot) error {
	if err := context.Cause(l.halted); err != nil {
		return err
	}
	s.note = l.cfg.Signer.Sign(s.checkpoint)
	if l.cfg.MLDSA != nil {
		s.note = checkpoint.Append(s.note, l.cfg.MLDSA.Cosign(s.checkpoint.Text(), 0)) // time 0, for none: the same bytes when it is signed again
	}
	if err := l.cfg.Head.Store(s.note); err != nil {
		return err
	}
	l.signed.Store(s)
	return nil
}

// settle tells the submitters of a signed epoch.
func (l *Log) settle(batch []*ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range batch {
		id := t.after.ID
		l.recent.keep(t.logged)
		t.prior = nil
		if p := l.pending[id]; len(p) > 1 {
			l.pending[id] = p[1:]
		} else {
			delete(l.pending, id)
		}
		close(t.done)
	}
}

// failAll refuses a batch and all that joined after it.
func (l *Log) failAll(batch []*ticket, err error) {
	err = forCallers(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range append(batch, l.open...) {
		t.err = fmt.Errorf("%w: send the event again", err)
		close(t.done)
	}
	l.open = nil
	clear(l.pending)
	l.failed++
}

// refuseAll ends the taking of events.
func (l *Log) refuseAll(err error) {
	l.mu.Lock()
	l.stopped = or(l.stopped, forCallers(err))
	l.mu.Unlock()
	l.failAll(nil, err)
}
