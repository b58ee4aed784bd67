package verifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/musterlog/muster/log/name"
)

// Source is where answers come from; it is not trusted. The answer's bytes
// may come from a server, through the messaging service, or from a file.
type Source interface {
	Lookup(ctx context.Context, request []byte) (answer []byte, err error)
}

// Store keeps the client's state of each log.
type Store interface {
	// Load returns the state of a log with at least the accounts named, and a
	// token for Save. The state is nil if nothing was ever kept: a store that
	// lost or cannot read its state returns an error instead, since a client
	// that starts over trusts the log on first use again.
	Load(log name.LogID, accounts []name.AccountID) (*State, Token, error)

	// Save keeps the accounts of s and its checkpoint, leaving other accounts
	// as they are, if nothing was saved since the Load that gave the token;
	// else it returns ErrConflict. It returns when the state is durable.
	Save(s *State, loaded Token) error
}

// Token names what a Load read.
type Token [32]byte

// ErrConflict says that somebody else saved in between.
var ErrConflict = errors.New("the client's state changed meanwhile")

// Client asks, verifies, remembers, and only then tells.
type Client struct {
	Verifier *Verifier
	Store    Store
	Source   Source
	Now      func() time.Time
}

// maxTries bounds how often a question is asked again because another
// goroutine or process saved its answer first.
const maxTries = 8

// Lookup returns what may be believed of the accounts asked about. A failed
// check is a *Failure; other errors say that no answer could be had.
func (c *Client) Lookup(ctx context.Context, questions ...Question) (*Result, error) {
	for range maxTries {
		result, conflict, err := c.try(ctx, questions)
		if !conflict {
			return result, err
		}
	}
	return nil, fmt.Errorf("%w %d times in a row: try again", ErrConflict, maxTries)
}

func (c *Client) try(ctx context.Context, questions []Question) (_ *Result, conflict bool, _ error) {
	var accounts []name.AccountID
	for _, q := range questions {
		accounts = append(accounts, q.Account)
	}
	log := name.Origin(c.Verifier.Policy.Log.Name).LogID()
	state, token, err := c.Store.Load(log, accounts)
	if err != nil {
		return nil, false, fmt.Errorf("reading the client's state: %w", err)
	}
	lookup, err := c.Verifier.Lookup(state, questions...)
	if err != nil {
		return nil, false, err
	}
	for {
		request := lookup.Request()
		if request == nil {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		data, err := c.Source.Lookup(ctx, request)
		if err != nil {
			return nil, false, err
		}
		if err := lookup.Answer(data, c.Now()); err != nil {
			return nil, false, err
		}
	}
	result, next, err := lookup.Result()
	if err != nil {
		return nil, false, err
	}
	// A crash before this line leaves the old state: the next lookup asks the
	// same again. A crash after it has told nobody yet, and the next lookup will
	// call it unchanged: who must not miss a re-registration compares Primary
	// with the one that was shown to the user.
	if err := c.Store.Save(next, token); err != nil {
		return nil, errors.Is(err, ErrConflict), fmt.Errorf("storing the client's state: %w", err)
	}
	return result, false, nil
}
