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

// twisted is a log that answers another question than it was asked, or
// changes its answers after they were assembled. Both may be nil.
type twisted struct {
	log   *liar.Log
	ask   func(*answer.Request)
	twist func(*answer.Answer)
}

func (s twisted) Lookup(_ context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	if s.ask != nil {
		s.ask(r)
	}
	a, err := s.log.Answer(r)
	if err != nil {
		return nil, err
	}
	if s.twist != nil {
		s.twist(a)
	}
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
	c, err := checkpoint.NewCosigner(checkpoint.Cosignature, id+".example", liar.Seed("cosigner", id))
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
func notBehind(l *liar.Log, account name.AccountID) twisted {
	return twisted{log: l, ask: func(r *answer.Request) {
		for i := range r.Asks {
			if r.Asks[i].Account == account {
				r.Asks[i].Seq = uint32(len(l.Records[account]) - 1)
			}
		}
	}}
}

// forgetful answers from an old tree as if the client had never been here.
func forgetful(l *liar.Log) twisted {
	return twisted{log: l, ask: func(r *answer.Request) { r.Size = 0 }}
}

// swapped answers about another account.
func swapped(l *liar.Log, account name.AccountID) twisted {
	return twisted{log: l, ask: func(r *answer.Request) { r.Asks[0].Account = account }}
}

// generous opens more than it was asked for.
func generous(l *liar.Log) twisted {
	return twisted{log: l, twist: func(a *answer.Answer) { a.Accounts[0].Events, a.Accounts[0].To = 1000, 1000 }}
}

func forgetProofs(l *liar.Log) *liar.Log {
	l.ForgetProofs()
	return l
}
