package verifier_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// An answer that proves all that it says, of one account fewer or more than was
// asked about.
func TestAccountsFewerOrMore(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "bob.", "carol.")
	other := first("carol").Account
	for name, ask := range map[string]func(*answer.Request){
		"one fewer": func(r *answer.Request) { r.Asks = r.Asks[:1] },
		"one more": func(r *answer.Request) {
			more := r.Asks[0]
			more.Account = other
			r.Asks = append(slices.Clone(r.Asks), more)
		},
	} {
		_, _, err := w.look(twisted{log: w.log, ask: ask}, nil, first("alice"), first("bob"))
		if verifier.FailedCheck(err) != verifier.CheckAsked {
			t.Errorf("%s: %v, want check %q", name, err, verifier.CheckAsked)
		}
	}
}

// nothingKept is the store of a client that never looked.
type nothingKept struct{ verifier.Store }

func (nothingKept) Load(name.LogID, []name.AccountID) (*verifier.State, verifier.Token, error) {
	return nil, verifier.Token{}, nil
}

// A question that cannot be asked is the caller's to hear of, before anybody is.
func TestClientAsksNothingWrong(t *testing.T) {
	w := newWorld(t)
	c := &verifier.Client{Verifier: w.verifier(), Store: nothingKept{}, Now: time.Now}
	if _, err := c.Lookup(context.Background()); err == nil {
		t.Error("no question was answered")
	}
}
