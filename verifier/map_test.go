package verifier_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/verifier"
)

// VRF proofs are verified beside each other; what is reported is the first
// failure in the order of the answer all the same.
func TestFirstFailureOfManyAccounts(t *testing.T) {
	const accounts = 7
	w := newWorld(t)
	var questions []verifier.Question
	for i := range accounts {
		id := fmt.Sprint("account", i)
		w.plays(id + ".")
		questions = append(questions, first(id))
	}
	forged := func(a *answer.Account) { a.Versions[1].Proof[40] ^= 1 }
	other := func(a *answer.Account) { a.Versions[1].Seq = 9 } // than is required
	for _, c := range []struct {
		name   string
		first  func(*answer.Account)
		second func(*answer.Account)
		want   verifier.Check
	}{
		{"forged, forged", forged, forged, verifier.CheckVRF},
		{"forged, other", forged, other, verifier.CheckVRF},
		{"other, forged", other, forged, verifier.CheckRequired},
	} {
		for i := range accounts {
			for j := i + 1; j < accounts; j++ {
				_, _, err := w.look(twisted{log: w.log, twist: func(a *answer.Answer) {
					c.first(&a.Accounts[i])
					c.second(&a.Accounts[j])
				}}, nil, questions...)
				var f *verifier.Failure
				if !errors.As(err, &f) || f.Check != c.want || f.Account == nil || *f.Account != questions[i].Account {
					t.Errorf("%s, of accounts %d and %d: %v, want %s of account %d", c.name, i, j, err, c.want, i)
				}
			}
		}
	}
}
