package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// Verifier is all that an Agent believes: what was verified and stored.
// FromClient makes one.
type Verifier interface {
	// Lookup is verifier.Client's.
	Lookup(ctx context.Context, questions ...verifier.Question) (*verifier.Result, error)
	// Receipt verifies a log's answer to a submitted event.
	Receipt(e *event.Event, receipt []byte) (*answer.Published, error)
}

// FromClient is a Verifier of the client's log, policy and state.
func FromClient(c *verifier.Client) Verifier { return client{c} }

type client struct{ *verifier.Client }

func (c client) Receipt(e *event.Event, receipt []byte) (*answer.Published, error) {
	log := name.Origin(c.Verifier.Policy.Log.Name).LogID()
	state, _, err := c.Store.Load(log, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the client's state: %w", err)
	}
	if state == nil {
		return nil, errors.New("no state of this log: look the account up first")
	}
	return c.Verifier.Receipt(state.VRFKey, e, receipt, c.Now())
}
