package main

import (
	"math/rand/v2"
	"testing"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// owner is an account whose events one writer makes, and what became of them.
type owner struct {
	phone  *liar.Phone
	rng    *rand.Rand
	events []*made
}

// made is an event that was submitted at least once.
type made struct {
	body     []byte
	id       name.EventID
	acked    bool
	position uint64 // once acked, or seen in a verified history
	placed   bool   // position is known
}

// make signs the account's next event, of any kind that an owner signs.
func (o *owner) make() {
	body := o.phone.Any(o.rng) // which moves the head
	o.events = append(o.events, &made{body: body, id: o.phone.At.Head})
}

// open lists what was never acknowledged, in order.
func (o *owner) open() (open []*made) {
	for _, e := range o.events {
		if !e.acked {
			open = append(open, e)
		}
	}
	return open
}

// submit sends what is open, and notes what is acknowledged. false: the log
// does not take events any more.
func (o *owner) submit(t *testing.T, c *client.Client) bool {
	events := o.open()
	if len(events) == 0 {
		return true
	}
	var bodies [][]byte
	for _, e := range events {
		bodies = append(bodies, e.body)
	}
	outcomes, err := c.Submit(t.Context(), bodies, answer.Want{})
	if err != nil {
		return false
	}
	first := len(o.events) - len(events)
	for i, got := range outcomes {
		e := events[i]
		switch {
		case got.Refused != nil:
			t.Errorf("%s, seq %d: %v", o.phone.Identifier, first+i, got.Refused)
			return false
		case got.Err != nil:
			return false
		case got.Event != e.id || got.Seq != uint32(first+i):
			t.Errorf("%s: event %s is acknowledged at seq %d, want %s at %d", o.phone.Identifier, got.Event, got.Seq, e.id, first+i)
		case e.placed && e.position != got.Position:
			t.Errorf("%s, seq %d: acknowledged at position %d, was at %d", o.phone.Identifier, got.Seq, got.Position, e.position)
		}
		e.acked, e.placed, e.position = true, true, got.Position
	}
	return true
}

// held compares an account's verified history with what its owner signed: a
// beginning of it, with all that was acknowledged, where it was acknowledged.
func (o *owner) held(t *testing.T, history []verifier.Logged) {
	t.Helper()
	if len(history) > len(o.events) {
		t.Fatalf("%s signed %d events, its history has %d", o.phone.Identifier, len(o.events), len(history))
	}
	for seq, e := range o.events {
		if seq >= len(history) {
			if e.acked {
				t.Errorf("%s, seq %d: acknowledged at position %d, and lost", o.phone.Identifier, seq, e.position)
			}
			continue
		}
		got := history[seq]
		if got.ID() != e.id || got.Seq != uint32(seq) {
			t.Errorf("%s, seq %d: event %s is logged, %s was signed", o.phone.Identifier, seq, got.ID(), e.id)
		}
		if e.placed && got.Position != e.position {
			t.Errorf("%s, seq %d: at position %d, was at %d", o.phone.Identifier, seq, got.Position, e.position)
		}
		e.placed, e.position = true, got.Position
	}
}
