package verifier_test

import (
	"context"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/verifier"
)

// twisted is a log whose answers are changed after they were assembled.
type twisted struct {
	log   *liar.Log
	twist func(*answer.Answer)
}

func (s twisted) Lookup(_ context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	a, err := s.log.Answer(r)
	if err != nil {
		return nil, err
	}
	s.twist(a)
	return a.Bytes()
}

// victim says what a lie is told to.
type victim struct {
	source verifier.Source
	state  *verifier.State
	asks   verifier.Question
	more   []verifier.Question
}

// A new key of the log, or another VRF key in the state, is another log.
func TestStateNamesOneLog(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	_, seen := w.mustLook(nil, first("alice"))
	seed := liar.Seed("second log key")
	w.log.Signer, _ = checkpoint.NewSigner(string(origin), seed)
	w.log.Seal()
	_, _, err := w.look(w.log, seen, first("alice"))
	if verifier.FailedCheck(err) != verifier.CheckGenesis {
		t.Errorf("another log key: %v", err)
	}
}

func cosigner(t testing.TB, id string) *checkpoint.Cosigner {
	t.Helper()
	c, err := checkpoint.NewCosigner(id+".example", liar.Seed("cosigner", id))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// withoutNewest is the log hiding an account's newest event from answers,
// while the map still holds it.
func (w *world) withoutNewest(id string) *liar.Log {
	f := w.log.Fork()
	account := w.phone(id).Account()
	f.Records[account] = f.Records[account][:len(f.Records[account])-1]
	return f
}

// move claims another position for a version, in the map too.
func (w *world) move(id string, seq int, position uint64) {
	account := w.phone(id).Account()
	r := &w.log.Records[account][seq]
	_, index, _ := w.log.VRF(account, uint32(seq))
	r.Position = position
	w.log.Map[index] = liar.Entry{Value: prefix.Value(position, r.Commitment), Position: position}
	w.log.Seal()
}

// notBehind answers a returning client though it has less than that knows.
type notBehind struct {
	log     *liar.Log
	account name.AccountID
}

func (s notBehind) Lookup(_ context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	for i := range r.Asks {
		if r.Asks[i].Account == s.account {
			r.Asks[i].Seq = uint32(len(s.log.Records[s.account]) - 1)
		}
	}
	a, err := s.log.Answer(r)
	if err != nil {
		return nil, err
	}
	return a.Bytes()
}

// forgetful answers from an old tree as if the client had never been here.
type forgetful struct{ log *liar.Log }

func (s forgetful) Lookup(_ context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	r.Size = 0
	a, err := s.log.Answer(r)
	if err != nil {
		return nil, err
	}
	return a.Bytes()
}

// swapped answers about another account.
type swapped struct {
	log     *liar.Log
	account name.AccountID
}

func (s swapped) Lookup(_ context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	r.Asks[0].Account = s.account
	a, err := s.log.Answer(r)
	if err != nil {
		return nil, err
	}
	return a.Bytes()
}

// generous opens more than it was asked for.
type generous struct{ log *liar.Log }

func (s generous) Lookup(_ context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	a, err := s.log.Answer(r)
	if err != nil {
		return nil, err
	}
	a.Accounts[0].Events, a.Accounts[0].To = 1000, 1000
	return a.Bytes()
}

func forgetProofs(l *liar.Log) *liar.Log {
	l.ForgetProofs()
	return l
}
