package store

import (
	"errors"
	"fmt"
	"iter"
)

// Chain yields an account's events from its newest back to seq 0: each is found
// where the one after it, or the account, says that it is. eventAt is a store's
// EventAt.
//
// A chain that is broken ends with an error: nothing stands at a position (which
// is no ErrNotFound here, but a store that lost a row), another account's event
// does, or another seq; or an event says that the one before it is not below it,
// or that there is one before seq 0. So a walk ends, whatever the rows say.
func Chain(eventAt func(position uint64) (*Event, error), a *Account) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		position := a.Position
		for seq := a.Next; seq > 0; {
			seq--
			e, err := eventAt(position)
			if err == nil && (e.Account != a.ID || e.Seq != seq) {
				err = fmt.Errorf("seq %d of %v is there", e.Seq, e.Account)
			}
			if errors.Is(err, ErrNotFound) {
				err = errors.New("it is lost, or what leads to it was changed")
			}
			if err != nil {
				yield(nil, fmt.Errorf("seq %d of account %v should be at position %d: %w", seq, a.ID, position, err))
				return
			}
			if !yield(e, nil) {
				return
			}
			if seq > 0 && e.Previous >= position || seq == 0 && e.Previous != 0 {
				yield(nil, fmt.Errorf("seq %d of account %v, at position %d, says that the event before it is at position %d", seq, a.ID, position, e.Previous))
				return
			}
			position = e.Previous
		}
	}
}
