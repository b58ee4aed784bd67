package log

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// PublicTree is the published log under one checkpoint: what it gives has been
// recomputed up to that checkpoint's root before it gives it.
type PublicTree interface {
	Checkpoint() checkpoint.Checkpoint
	RootAt(ctx context.Context, size uint64) (name.TreeRoot, error)
	Leaves(ctx context.Context, from uint64) iter.Seq2[[]byte, error]
}

// Recovered is what Recover did.
type Recovered struct {
	From, To uint64 // sizes
	Epochs   uint64
	Events   uint64
	Closed   uint64 // events without an opening: they cannot be shown, the account goes on
}

// Recover brings a store that is behind up to the checkpoint that note holds,
// which the log has signed, and which the caller has found to be the newest that
// anybody has seen. It signs nothing: it proves that what it rebuilds has the
// signed root, makes note the signed head, and only then writes. Until it is
// done, in one run or several, Open finds the store behind its signed head. If note
// meets cfg.Policy, it is also kept as the published one.
//
// Every event since must have its Content, in any order and with others among
// it; only of those that an ERASE has deleted since nothing is needed, and nothing
// that is given of them is stored. Without
// opening nobody can be shown an event, as if its content were erased; first
// lookups of its account work again from the next event that the primary signs.
// That such a body is the one that was logged, nothing proves but its index and
// the account's rules.
func Recover(ctx context.Context, cfg Config, note []byte, tree PublicTree, content []Content) (*Recovered, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	r := &recovery{Log: newLog(cfg), tree: tree}
	if err := r.begin(ctx, note); err != nil {
		return nil, err
	}
	if err := r.index(content); err != nil {
		return nil, err
	}
	if err := r.complete(ctx); err != nil {
		return nil, err
	}
	// From here on the store is behind its signed head, and signs nothing,
	// whenever this is cut off.
	if err := cfg.Head.Store(note); err != nil {
		return nil, err
	}
	if err := r.rebuild(ctx); err != nil {
		return nil, err
	}
	root, err := r.seq.tree.root(cfg.Store)
	if err != nil || name.TreeRoot(root) != r.target.Root || r.seq.state.Size != r.target.Size {
		return nil, errors.Join(err, fmt.Errorf("the rebuilt log of %d leaves has root %x, signed is %s at size %d", r.seq.state.Size, root, r.target.Root, r.target.Size))
	}
	// A size keeps its bytes: kept, a signed head without its cosignatures would be
	// in receipts for ever. If none is kept, the log that goes on publishes its own.
	if cfg.Policy != nil && r.meets(note, math.MaxInt64) {
		if err := cfg.Store.PutNote(r.target.Size, note); err != nil {
			return nil, fmt.Errorf("keeping the published checkpoint: %w", err)
		}
	}
	return &r.done, nil
}

// recovery is one Recover under way.
type recovery struct {
	*Log
	tree   PublicTree
	target *checkpoint.Note
	done   Recovered
	known  map[name.Index]known
	newest map[name.AccountID]uint64 // of the epoch at hand: positions
}

// begin reads where the store is, and refuses a target that does not extend
// it, or that lies below or beside what was signed.
func (r *recovery) begin(ctx context.Context, note []byte) (err error) {
	if r.target, err = checkpoint.Parse(note); err != nil {
		return fmt.Errorf("reading the checkpoint to recover: %w", err)
	}
	if r.target.Origin != r.cfg.Origin || r.target.Checkpoint != r.tree.Checkpoint() {
		return fmt.Errorf("the checkpoint to recover is of log %q, this one is %q", r.target.Origin, r.cfg.Origin)
	}
	if err := r.target.SignedBy(r.cfg.Signer.Key()); err != nil {
		return fmt.Errorf("the checkpoint to recover: %w", err)
	}
	state, err := r.cfg.Store.State()
	if err != nil {
		return fmt.Errorf("reading the store's state: %w", err)
	}
	if state.Size < 2 {
		return errors.New("the store holds no log: restore a backup first, however old")
	}
	if err := r.loadGenesis(); err != nil {
		return err
	}
	if err := r.seq.load(r.cfg.Store, state, r.cfg.Prefix); err != nil {
		return err
	}
	r.done.From, r.done.To = state.Size, r.target.Size
	if state.Size > r.target.Size {
		return fmt.Errorf("the store has %d leaves, the checkpoint to recover is of size %d: find a newer one", state.Size, r.target.Size)
	}
	if err := r.extends(ctx, "the store", state.Size, func() (name.TreeRoot, error) {
		root, err := r.seq.tree.root(r.cfg.Store)
		return name.TreeRoot(root), err
	}); err != nil {
		return err
	}
	raw, err := r.cfg.Head.Load()
	if err != nil || raw == nil {
		return err
	}
	head, err := checkpoint.Open(r.cfg.Signer.Key(), raw)
	if err != nil {
		return fmt.Errorf("reading the signed head: %w", err)
	}
	return r.extends(ctx, "the signed head", head.Size, func() (name.TreeRoot, error) { return head.Root, nil })
}

// extends holds a root that we have against the one that the tree had then.
func (r *recovery) extends(ctx context.Context, what string, size uint64, root func() (name.TreeRoot, error)) error {
	if size > r.target.Size {
		return fmt.Errorf("%s is of size %d, the checkpoint to recover of %d: more was signed; find a newer one", what, size, r.target.Size)
	}
	have, err := root()
	if err != nil {
		return err
	}
	then, err := r.tree.RootAt(ctx, size)
	if err != nil {
		return err
	}
	if have != then {
		return &Forked{Note: r.target.Bytes(), told: toldHistory, Why: fmt.Sprintf("%s has root %s at size %d, the published log %s: these are two histories, and neither is changed. Find out by `muster fsck` and the cosigners which one is true", what, have, size, then)}
	}
	return nil
}

// rebuild commits epoch after epoch, each proven to be in the target's tree.
func (r *recovery) rebuild(ctx context.Context) error {
	var leaves [][]byte
	for data, err := range r.tree.Leaves(ctx, r.seq.state.Size) {
		if err != nil {
			return err
		}
		leaves = append(leaves, data)
		parsed, err := leaf.Parse(data)
		if err != nil {
			return err
		}
		if e, ok := parsed.(*leaf.Epoch); ok {
			if err := r.epoch(leaves, e); err != nil {
				return fmt.Errorf("rebuilding epoch %d: %w", e.Epoch, err)
			}
			leaves = nil
		}
	}
	if len(leaves) > 0 {
		return errors.New("the published log does not end in EPOCH or SEAL")
	}
	return nil
}

func (r *recovery) epoch(leaves [][]byte, e *leaf.Epoch) error {
	q := &r.seq
	b := &store.Batch{First: q.state.Size, Leaves: leaves, Erase: q.erase}
	accounts := make(map[name.AccountID]*store.Account)
	r.newest = make(map[name.AccountID]uint64)
	var hashes []leaf.Hash
	for i, data := range leaves {
		hashes = append(hashes, leaf.HashOf(data))
		l, err := leaf.Parse(data)
		if err != nil {
			return err
		}
		if l, ok := l.(*leaf.Event); ok {
			if err := r.event(b, accounts, b.First+uint64(i), l); err != nil {
				return fmt.Errorf("the event at position %d: %w", b.First+uint64(i), err)
			}
		}
	}
	b.Accounts = slices.Collect(maps.Values(accounts))
	prefixes, err := q.insert(r.cfg.Store, b.Prefix, b.First+uint64(len(leaves)))
	if err != nil {
		return err
	}
	var next *tree
	next, b.Tiles = q.tree.appended(hashes)
	b.State = store.State{Size: next.size, Epochs: e.Epoch + 1, Keys: e.Keys, TimeMs: e.TimeMs, First: e.First}
	if e.PrefixRoot != prefixes.Root() || e.Keys != prefixes.Len() || e.Epoch != q.state.Epochs || e.First != b.First || e.Position()+1 != next.size {
		return errors.New("its EPOCH does not follow from its events and the epochs before: the published log breaks its own rules")
	}
	// A crash leaves this epoch whole or not at all; the next run goes on there.
	if err := r.cfg.Store.Commit(b); err != nil {
		return err
	}
	if err := r.readBack(b, hashes); err != nil {
		return fmt.Errorf("reading back what was stored: %w", err)
	}
	q.advance(b, next, prefixes, e)
	r.done.Epochs++
	r.done.Events += uint64(len(b.Events))
	return nil
}

// event rebuilds the rows of one event.
func (r *recovery) event(b *store.Batch, accounts map[name.AccountID]*store.Account, position uint64, l *leaf.Event) (err error) {
	k, ok := r.known[l.Index]
	if !ok {
		return &Missing{[]uint64{position}}
	}
	b.Prefix = append(b.Prefix, prefix.NewLeaf(l.Index, position, l.Commitment))
	row := store.Event{Account: k.account, Seq: k.seq, Position: position, Erase: store.None}
	if row.Previous, err = r.previous(k.account, k.seq); err != nil {
		return err
	}
	r.newest[k.account] = position
	if k.content == nil {
		b.Events = append(b.Events, row)
		r.done.Closed++
		return nil
	}
	at := accounts[k.account]
	if at == nil {
		if at, err = r.committed(k.account); err != nil {
			return err
		}
	}
	parsed, err := event.Parse(k.content.Body)
	if err != nil {
		return err
	}
	if at, err = after(r.id, at, parsed); err != nil {
		return err
	}
	at.Position = position
	accounts[k.account] = at
	row.Anchor, row.Erase, row.Live = at.Anchor, at.Erase, keyIndexes(at.Devices)
	switch {
	case k.opens(l.Commitment):
		row.Opening, row.Body = k.content.Opening, k.content.Body
	case k.content.Opening == (name.Opening{}):
		row.Body = k.content.Body
		r.done.Closed++
	default:
		return errors.New("its content and opening are not those of its leaf")
	}
	b.Events = append(b.Events, row)
	return nil
}

// previous is the position of the event before one: in this epoch, or in one
// that the store has. Of an account whose content is gone it may have no row.
func (r *recovery) previous(id name.AccountID, seq uint32) (uint64, error) {
	if seq == 0 {
		return 0, nil
	}
	if position, ok := r.newest[id]; ok {
		return position, nil
	}
	index := r.cfg.VRF.Evaluate(id.Label().VRFInput(seq - 1))
	position, err := r.cfg.Store.Position(index)
	if err != nil {
		return 0, fmt.Errorf("its account's event before it, seq %d: %w", seq-1, err)
	}
	return position, nil
}

// after is the account one event on; ERASE may follow events that are unknown.
func after(id name.LogID, at *store.Account, e *event.Event) (*store.Account, error) {
	if e.Type == event.Erase && e.Seq > at.Next {
		a, err := event.Anchor(id, e.Account, event.Check(e), nil)
		if err != nil {
			return nil, err
		}
		return &store.Account{Account: *a, Anchor: e.Seq, Erase: e.Seq}, nil
	}
	next := *at
	next.Account = at.Account.Fork()
	return &next, follow(&next, event.Check(e, at.Keys()...))
}
