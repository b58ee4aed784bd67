package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/vrf"
)

// Lookup answers a request (protocol section 5) from the newest published
// checkpoint. Errors are answer.ErrRequest, answer.ErrBehind, or the store's.
func (l *Log) Lookup(_ context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	s := l.published.Load()
	if s == nil {
		return nil, fmt.Errorf("%w: it waits for its cosigners, and has published nothing yet", answer.ErrBehind)
	}
	v := l.view(s)
	a, err := answer.Assemble(v, r)
	if err != nil {
		return nil, err
	}
	if err := v.proofs.keep(); err != nil {
		return nil, err
	}
	data, err := a.Bytes()
	if err != nil || len(data) > answer.MaxAnswer {
		return nil, fmt.Errorf("%w: the answer is over %d bytes: ask about fewer accounts at once", answer.ErrRequest, answer.MaxAnswer)
	}
	return data, nil
}

// view is one request's look at one published tree: an answer.View. Events
// that the store took since lie beyond its size and are not seen.
type view struct {
	*Log
	*snapshot
	node    answer.NodeFunc
	proofs  *proofs
	exists  map[name.AccountID]bool
	records map[version]*answer.Record // each is read once
}

type version struct {
	account name.AccountID
	seq     uint32
}

func (l *Log) view(s *snapshot) *view {
	return &view{
		Log: l, snapshot: s, node: s.tree.reader(l.cfg.Store), proofs: l.proofs(),
		exists: make(map[name.AccountID]bool), records: make(map[version]*answer.Record),
	}
}

func (v *view) Published() (note []byte, size uint64, genesis, epoch []byte) {
	return v.note, v.tree.size, v.genesis, v.epoch.Bytes()
}

func (v *view) Newest(id name.AccountID) (int64, error) {
	at, err := v.cfg.Store.Account(id)
	if errors.Is(err, store.ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	for n := int64(at.Next) - 1; n >= 0; n-- {
		r, err := v.Record(id, uint32(n))
		if err != nil {
			return 0, err
		}
		if r.Position < v.tree.size {
			v.exists[id] = true
			return n, nil
		}
	}
	return -1, nil
}

func (v *view) Record(id name.AccountID, seq uint32) (*answer.Record, error) {
	at := version{id, seq}
	if r := v.records[at]; r != nil {
		return r, nil
	}
	e, err := v.event(id, seq)
	if err != nil {
		return nil, err
	}
	r := &answer.Record{
		Position: e.Position, Opening: e.Opening, Event: e.Body,
		Anchor: e.Anchor, Erase: e.Erase, Live: e.Live,
	}
	if r.Commitment, err = v.commitment(e); err != nil {
		return nil, err
	}
	v.records[at] = r
	return r, nil
}

// event finds an event. If its index is known, the map says where it should be,
// and one row less is read; what stands there decides.
func (v *view) event(id name.AccountID, seq uint32) (*store.Event, error) {
	index, known, err := v.proofs.index(id, seq)
	if err != nil {
		return nil, err
	}
	if position, ok := v.prefixes.Find(index); known && ok {
		if e, err := v.cfg.Store.EventAt(position); err == nil && e.Account == id && e.Seq == seq {
			return e, nil
		}
	}
	return v.cfg.Store.Event(id, seq)
}

// commitment is the one of an event's leaf: made again from what it opens to,
// which is quicker than to read the leaf, or read once that is erased or lost.
func (v *view) commitment(e *store.Event) (c name.Commitment, err error) {
	if len(e.Body) > 0 && e.Opening != (name.Opening{}) {
		return commitment.Commit(e.Opening, e.Account.Label(), e.Seq, e.Body), nil
	}
	_, parsed, err := leafAt(v.cfg.Store, e.Position)
	if err != nil {
		return c, err
	}
	l, ok := parsed.(*leaf.Event)
	if !ok {
		return c, errors.New("the store's leaf is no EVENT")
	}
	return l.Commitment, nil
}

// VRF proves an index.
func (v *view) VRF(id name.AccountID, seq uint32) (vrf.Proof, name.Index, error) {
	if v.exists[id] {
		return v.proofs.of(id, seq)
	}
	p, index := v.cfg.VRF.Prove(id.Label().VRFInput(seq))
	return p, index, nil
}

func (v *view) Prefix(queries []prefix.Query) (p *prefix.Proof, err error) {
	err = v.cfg.Store.ReadPrefix(func(leaves prefix.Leaves) error {
		p, err = v.prefixes.Prove(leaves, queries)
		return err
	})
	return p, err
}

func (v *view) Node(level uint, index uint64) (leaf.Hash, error) {
	return v.node(level, index)
}

// receipt is the canonical answer.Published of a published event, under the
// first checkpoint that covered it: the same bytes whenever it is asked for,
// until an ERASE deletes the opening.
func (l *Log) receipt(id name.AccountID, seq uint32) ([]byte, error) {
	e, err := l.cfg.Store.Event(id, seq)
	if err != nil {
		return nil, err
	}
	if len(e.Body) == 0 {
		return nil, errors.New("the event's content was erased: there is no receipt for it any more")
	}
	if e.Opening == (name.Opening{}) {
		return nil, errors.New("the event is logged, but its opening was lost with an older store: there is no receipt for it any more")
	}
	note, size, err := l.cfg.Store.NoteAbove(e.Position)
	if err != nil {
		return nil, err
	}
	p := answer.Published{Seq: seq, Position: e.Position, Opening: e.Opening, Note: note}
	if p.Proof, _, err = l.proof(id, seq); err != nil {
		return nil, err
	}
	if p.Path, err = answer.Path(e.Position, size, l.published.Load().tree.reader(l.cfg.Store)); err != nil {
		return nil, err
	}
	return p.Bytes()
}
