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
// checkpoint. Errors are answer.ErrRequest, answer.ErrBehind, ctx's,
// or the store's.
func (l *Log) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	s := l.published.Load()
	if s == nil {
		return nil, l.unpublished()
	}
	if !l.reading.TryRLock() {
		return nil, behind("the log is stopping: ask again once it is back")
	}
	defer l.reading.RUnlock()
	v := l.view(ctx, s)
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

// behind is an answer.ErrBehind that is true for clients that have seen nothing, too.
type behind string

func (b behind) Error() string { return string(b) }

func (behind) Is(target error) bool { return target == answer.ErrBehind }

// unpublished is why there is nothing to look up yet.
func (l *Log) unpublished() error {
	if why := l.ReadOnly(); why != nil {
		return behind(fmt.Sprintf("%v; there is nothing published that it could show", forCallers(why)))
	}
	return behind("this log waits for its cosigners, and has published nothing yet: ask again later")
}

// view is one request's look at one published tree: an answer.View. Events
// that the store took since lie beyond its size and are not seen.
type view struct {
	*Log
	*snapshot
	ctx     context.Context // the request's: answer.View has none to pass on
	node    answer.NodeFunc
	proofs  *proofs
	exists  map[name.AccountID]bool
	records map[version]*answer.Record // each is read once
}

type version struct {
	account name.AccountID
	seq     uint32
}

func (l *Log) view(ctx context.Context, s *snapshot) *view {
	return &view{
		Log: l, snapshot: s, ctx: ctx, node: s.tree.reader(l.cfg.Store), proofs: l.proofs(),
		exists: make(map[name.AccountID]bool), records: make(map[version]*answer.Record),
	}
}

func (v *view) Published() (note []byte, size uint64, genesis, epoch []byte) {
	return v.note, v.tree.size, v.genesis, v.epoch.Bytes()
}

func (v *view) Newest(id name.AccountID) (int64, error) {
	if err := v.ctx.Err(); err != nil { // nobody waits for the rest of a batch
		return 0, err
	}
	at, err := v.cfg.Store.Account(id)
	if errors.Is(err, store.ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	steps := 0
	for e, err := range store.Chain(v.cfg.Store.EventAt, at) {
		if err != nil {
			return 0, err
		}
		if e.Position < v.tree.size {
			return v.found(e)
		}
		// While the cosigners are away, one account may have got as many events as
		// somebody with a credential cared to sign.
		if steps++; steps == chainSteps {
			return v.searchNewest(id, e.Seq)
		}
	}
	return -1, nil // none of its events is published
}

// searchNewest is Newest of an account whose events from seq end on are not
// published. Positions ascend with seq, so a search by halves finds it.
func (v *view) searchNewest(id name.AccountID, end uint32) (int64, error) {
	var newest *store.Event
	for begin := uint32(0); begin < end; {
		seq := begin + (end-begin)/2
		e, err := v.event(id, seq, v.cfg.VRF.Evaluate(id.Label().VRFInput(seq)))
		if err != nil {
			return 0, err
		}
		if e.Position < v.tree.size {
			newest, begin = e, seq+1
		} else {
			end = seq
		}
	}
	if newest == nil {
		return -1, nil
	}
	return v.found(newest)
}

func (v *view) found(newest *store.Event) (int64, error) {
	v.exists[newest.Account] = true
	_, err := v.record(newest)
	return int64(newest.Seq), err
}

func (v *view) Record(id name.AccountID, seq uint32) (*answer.Record, error) {
	if r := v.records[version{id, seq}]; r != nil {
		return r, nil
	}
	_, index, err := v.proofs.of(id, seq)
	if err != nil {
		return nil, err
	}
	e, err := v.event(id, seq, index)
	if err != nil {
		return nil, err
	}
	return v.record(e)
}

func (v *view) record(e *store.Event) (_ *answer.Record, err error) {
	r := &answer.Record{
		Position: e.Position, Opening: e.Opening, Event: e.Body,
		Anchor: e.Anchor, Erase: e.Erase, Live: e.Live,
	}
	if r.Commitment, err = v.commitment(e); err != nil {
		return nil, err
	}
	v.records[version{e.Account, e.Seq}] = r
	return r, nil
}

// event finds an event by its index: in the newest signed tree, which has what
// is in memory of the map, or by the store. What stands there decides.
func (l *Log) event(id name.AccountID, seq uint32, index name.Index) (*store.Event, error) {
	if position, ok := l.signed.Load().prefixes.Find(index); ok {
		if e, err := l.cfg.Store.EventAt(position); err == nil && e.Account == id && e.Seq == seq {
			return e, nil
		}
	}
	position, err := l.cfg.Store.Position(index)
	if err != nil {
		return nil, err
	}
	e, err := l.cfg.Store.EventAt(position)
	if err == nil && (e.Account != id || e.Seq != seq) {
		err = fmt.Errorf("the index of seq %d of account %v leads to position %d, where seq %d of %v is", seq, id, position, e.Seq, e.Account)
	}
	return e, err
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
	if !l.reading.TryRLock() {
		return nil, ErrStopped
	}
	defer l.reading.RUnlock()
	proof, index, err := l.proof(id, seq)
	if err != nil {
		return nil, err
	}
	e, err := l.event(id, seq, index)
	if err != nil {
		return nil, err
	}
	if len(e.Body) == 0 {
		return nil, answer.Unavailable("the event's content was erased: there is no receipt for it any more")
	}
	if e.Opening == (name.Opening{}) {
		return nil, answer.Unavailable("the event is logged, but its opening was lost with an older store: there is no receipt for it any more")
	}
	note, size, err := l.cfg.Store.NoteAbove(e.Position)
	if err != nil {
		return nil, err
	}
	p := answer.Published{Seq: seq, Position: e.Position, Opening: e.Opening, Note: note, Proof: proof}
	if p.Path, err = answer.Path(e.Position, size, l.published.Load().tree.reader(l.cfg.Store)); err != nil {
		return nil, err
	}
	return p.Bytes()
}
