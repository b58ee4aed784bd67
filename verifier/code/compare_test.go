package code_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier/code"
)

// Alice reads what Bob's phone shows.
var (
	alice5, alice6 = head("alice", 5), head("alice", 6)
	bob7, bob8     = head("bob", 7), head("bob", 8)
)

func TestCompareAgrees(t *testing.T) {
	mine := payload(alice5, bob7, 1000)
	same, larger, smaller := payload(bob7, alice5, 1000), payload(bob7, alice5, 1001), payload(bob7, alice5, 999)
	bobKnowsMore := payload(bob8, alice6, 1000)
	iKnowMore := payload(alice6, bob8, 1000)
	crossed := payload(bob8, alice5, 1000) // of himself he knows the newest event, of Alice not
	for _, c := range []struct {
		name         string
		mine, theirs *code.QR
		want         code.Comparison
	}{
		{"the same", mine, same, code.Comparison{}},
		{"theirs is newer", mine, larger, code.Comparison{Smaller: mine, Larger: larger}},
		{"mine is newer", mine, smaller, code.Comparison{Smaller: smaller, Larger: mine}},
		{"both chains longer there", mine, bobKnowsMore, code.Comparison{Chains: []code.Chain{
			{Shorter: alice5, Longer: alice6, Fetch: true}, {Shorter: bob7, Longer: bob8, Fetch: true},
		}}},
		{"both chains longer here", iKnowMore, same, code.Comparison{Chains: []code.Chain{
			{Shorter: alice5, Longer: alice6}, {Shorter: bob7, Longer: bob8},
		}}},
		{"one longer on each side", payload(alice6, bob7, 1000), crossed, code.Comparison{Chains: []code.Chain{
			{Shorter: alice5, Longer: alice6}, {Shorter: bob7, Longer: bob8, Fetch: true},
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := code.Compare(c.mine, c.theirs)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if settled := len(c.want.Chains) == 0 && c.want.Smaller == nil; got.Settled() != settled {
				t.Errorf("settled %v, want %v", got.Settled(), settled)
			}
		})
	}
}

func TestCompareContradictions(t *testing.T) {
	mine := payload(alice5, bob7, 1000)
	for _, c := range []struct {
		name    string
		change  func(theirs *code.QR)
		want    code.Mismatch
		account name.Identifier
	}{
		{"another log", func(q *code.QR) { q.Log[0] ^= 1 }, code.MismatchLog, ""},
		{"another account of theirs", func(q *code.QR) { q.Mine.Account = name.Identifier("carol").AccountID() }, code.MismatchAccount, "bob"},
		{"made for another reader", func(q *code.QR) { q.Yours.Account = name.Identifier("carol").AccountID() }, code.MismatchAccount, "alice"},
		{"sides not swapped", func(q *code.QR) { q.Mine, q.Yours = q.Yours, q.Mine }, code.MismatchAccount, "alice"},
		{"another root", func(q *code.QR) { q.Root[5] ^= 1 }, code.MismatchRoot, ""},
		{"they re-registered", func(q *code.QR) { q.Mine.Generation++ }, code.MismatchGeneration, "bob"},
		{"they re-registered later", func(q *code.QR) { q.Mine.Generation++; q.Mine.Seq++ }, code.MismatchGeneration, "bob"},
		{"I re-registered", func(q *code.QR) { q.Yours.Generation-- }, code.MismatchGeneration, "alice"},
		{"another event of theirs", func(q *code.QR) { q.Mine.Event[9] ^= 1 }, code.MismatchHead, "bob"},
		{"another event of mine", func(q *code.QR) { q.Yours.Event[9] ^= 1 }, code.MismatchHead, "alice"},
		{"other devices of theirs", func(q *code.QR) { q.Mine.Devices[9] ^= 1 }, code.MismatchHead, "bob"},
		{"other devices of mine", func(q *code.QR) { q.Yours.Devices[9] ^= 1 }, code.MismatchHead, "alice"},
		{"root and event: what is provable first", func(q *code.QR) { q.Root[5] ^= 1; q.Mine.Event[9] ^= 1 }, code.MismatchRoot, ""},
		{"event at another size", func(q *code.QR) { q.Size++; q.Mine.Event[9] ^= 1 }, code.MismatchHead, "bob"},
	} {
		t.Run(c.name, func(t *testing.T) {
			theirs := payload(bob7, alice5, 1000)
			c.change(theirs)
			sign(theirs) // even where the log itself lies
			got, err := code.Compare(mine, theirs)
			var mismatch *code.Error
			if !errors.As(err, &mismatch) || mismatch.Mismatch != c.want {
				t.Fatalf("error %v, want mismatch %q", err, c.want)
			}
			if c.account != "" && mismatch.Account != c.account.AccountID() {
				t.Errorf("mismatch of account %v, want %s", mismatch.Account, c.account)
			}
			if !reflect.DeepEqual(got, code.Comparison{}) {
				t.Errorf("%+v beside an error", got)
			}
		})
	}
}

// Among three people, a payload settles for the one pair that it is about.
func TestPayloadOfAnotherPair(t *testing.T) {
	heads := []code.QRSide{head("alice", 5), head("bob", 5), head("carol", 5)}
	for a := range heads {
		for b := range heads {
			for c := range heads {
				for d := range heads {
					if a == b || c == d {
						continue
					}
					_, err := code.Compare(payload(heads[a], heads[b], 9), payload(heads[c], heads[d], 9))
					if want := a == d && b == c; (err == nil) != want {
						t.Errorf("%d reads %d by what %d shows for %d: error %v", a, b, c, d, err)
					}
				}
			}
		}
	}
}

// Whatever single character of a scanned payload is another one, the payload is
// refused, contradicts the reader's, or leaves a head to be found that no
// honest history holds.
func TestEveryCharacterCounts(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	mine, theirs := payload(alice5, bob7, 1000), payload(bob7, alice5, 1000)
	text := []byte(theirs.String())
	if c, err := code.Compare(mine, theirs); err != nil || !c.Settled() {
		t.Fatalf("unchanged: %+v, %v", c, err)
	}
	refused, mismatched, unfound := 0, 0, 0
	for i, was := range text {
		for _, r := range []byte(alphabet + "=+/\n ") {
			if r == was {
				continue
			}
			text[i] = r
			q, err := code.ParseQR(string(text))
			if err != nil || q.VerifySignature(logPublic()) != nil {
				refused++
				continue
			}
			c, err := code.Compare(mine, q)
			switch {
			case err != nil:
				mismatched++
			case len(c.Chains) > 0: // only a seq can differ, and no event has the same event_id at another
				unfound++
			default:
				t.Fatalf("character %d as %q is not noticed", i, r)
			}
		}
		text[i] = was
	}
	if refused == 0 || mismatched == 0 || unfound == 0 {
		t.Errorf("refused %d, mismatched %d, to be found %d: want some of each", refused, mismatched, unfound)
	}
}
