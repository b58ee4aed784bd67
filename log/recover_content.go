package log

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// Content is what a log of unlinkable leaves cannot give back: an event, and
// the opening of its commitment.
type Content struct {
	Body    []byte       // the encoded Event
	Opening name.Opening // zero: unknown
}

// Missing says which events cannot be rebuilt, since nobody gave their bodies.
type Missing struct{ Positions []uint64 }

func (m *Missing) Error() string {
	return fmt.Sprintf("the bodies of %d events are missing, the first at position %d: the log cannot go on without them, since their accounts could not", len(m.Positions), m.Positions[0])
}

// known is what is known of an index: an event, or that it may have been erased.
type known struct {
	account name.AccountID
	seq     uint32
	content *Content // nil: none is needed, if an ERASE of the account was logged after it
	erase   bool     // the event is an ERASE
}

func (k known) opens(leaf name.Commitment) bool {
	return commitment.Commit(k.content.Opening, k.account.Label(), k.seq, k.content.Body) == leaf
}

// index finds out by the VRF key which leaf each content may be of.
func (r *recovery) index(content []Content) error {
	content = slices.Clone(content)
	for p, err := range r.cfg.Store.Pending() {
		if err != nil {
			return fmt.Errorf("reading the promised events: %w", err)
		}
		content = append(content, Content{Body: p.Body, Opening: p.Opening})
	}
	var alphas [][]byte
	var all []known
	for i := range content {
		e, err := event.Parse(content[i].Body)
		if err != nil {
			return fmt.Errorf("content %d: %w", i, err)
		}
		from := e.Seq
		if e.Type == event.Erase { // what lies before it may be gone
			if from, err = r.unlogged(e); err != nil {
				return err
			}
			if uint64(e.Seq-from) > r.target.Size-r.done.From {
				continue // more events than there are: another log's, or nobody's
			}
		}
		for seq := from; seq <= e.Seq; seq++ {
			k := known{account: e.Account, seq: seq}
			if seq == e.Seq {
				k.content, k.erase = &content[i], e.Type == event.Erase
			}
			all, alphas = append(all, k), append(alphas, e.Account.Label().VRFInput(seq))
		}
	}
	r.known = make(map[name.Index]known, len(all))
	for i, index := range r.cfg.VRF.EvaluateAll(alphas) {
		have, ok := r.known[index]
		if !ok || have.content == nil || all[i].content != nil && have.content.Opening == (name.Opening{}) {
			r.known[index] = all[i]
		}
	}
	return nil
}

// unlogged is the first event of an account, before one of it, that the store does not
// have. It may have more than the account's row knows of, which events without content
// leave as it is: those of an earlier Recover that was cut off.
func (r *recovery) unlogged(e *event.Event) (seq uint32, err error) {
	at, err := r.committed(e.Account)
	if err != nil {
		return 0, err
	}
	for seq = min(at.Next, e.Seq); seq < e.Seq; seq++ {
		_, err := r.cfg.Store.Position(r.cfg.VRF.Evaluate(e.Account.Label().VRFInput(seq)))
		if errors.Is(err, store.ErrNotFound) {
			break
		} else if err != nil {
			return 0, err
		}
	}
	return seq, nil
}

// complete looks, before anything is written, whether every event is known.
func (r *recovery) complete(ctx context.Context) error {
	type place struct {
		known
		position uint64
	}
	var missing []uint64
	var bare, wrong []place
	erased := make(map[name.AccountID]uint32) // by the newest ERASE that was logged
	position := r.seq.state.Size
	for data, err := range r.tree.Leaves(ctx, position) {
		if err != nil {
			return err
		}
		l, err := leaf.Parse(data)
		if err != nil {
			return fmt.Errorf("leaf %d of the published log: %w", position, err)
		}
		if e, ok := l.(*leaf.Event); ok {
			k, ok := r.known[e.Index]
			switch {
			case !ok:
				missing = append(missing, position)
			case k.content == nil:
				bare = append(bare, place{k, position})
			case k.content.Opening != (name.Opening{}) && !k.opens(e.Commitment):
				wrong = append(wrong, place{k, position})
			case k.erase:
				erased[k.account] = max(erased[k.account], k.seq)
			}
		}
		position++
	}
	for _, p := range bare {
		if p.seq >= erased[p.account] { // the ERASE that was given was never logged
			missing = append(missing, p.position)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return &Missing{missing}
	}
	for _, p := range wrong {
		if p.seq >= erased[p.account] {
			return fmt.Errorf("the content given for position %d, seq %d of account %s, is not what was logged there", p.position, p.seq, p.account)
		}
	}
	// Whoever kept what was erased must not bring it back.
	for index, k := range r.known {
		if k.seq < erased[k.account] {
			k.content = nil
			r.known[index] = k
		}
	}
	return nil
}
