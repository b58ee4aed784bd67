package answer_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

const origin = name.Origin("keys.example.org/log1")

// smallLog has an account with some history, one that was erased, and one
// that is unknown.
func smallLog() (l *liar.Log, ids []name.AccountID) {
	l = liar.New(origin, 1_790_000_000_000)
	alice, bob := liar.NewPhone(origin, "alice", 1_790_000_000_000), liar.NewPhone(origin, "bob", 1_790_000_000_000)
	for _, body := range [][]byte{alice.Register(), alice.Add(), alice.Add(), alice.Confirm(), alice.LogOut(1)} {
		l.Append(alice.Account(), body)
	}
	l.Seal()
	for _, body := range [][]byte{bob.Register(), bob.Add(), bob.Erase(), bob.Reregister(false), bob.Add()} {
		l.Append(bob.Account(), body)
	}
	l.Seal()
	return l, []name.AccountID{alice.Account(), bob.Account(), name.Identifier("nobody").AccountID()}
}

func ask3(ids []name.AccountID, kind answer.Kind, k, most uint32) []answer.Ask {
	var asks []answer.Ask
	for _, id := range ids {
		asks = append(asks, answer.Ask{Account: id, Kind: kind, Seq: k, Most: most})
	}
	return asks
}

// What is opened follows from the kind of the question, and pages from most.
func TestAssembleOpens(t *testing.T) {
	l, ids := smallLog()
	for _, c := range []struct {
		name     string
		kind     answer.Kind
		k, most  uint32
		account  int
		from, to uint32
		devices  int
	}{
		{"first lookup opens from the anchor", answer.First, 0, 190, 0, 3, 5, 2},
		{"first lookup after an erasure", answer.First, 0, 190, 1, 4, 5, 1},
		{"first lookup of nobody", answer.First, 0, 190, 2, 0, 0, 0},
		{"a page of a first lookup", answer.First, 0, 1, 0, 3, 4, 2},
		{"returning opens what is newer", answer.Returning, 1, 190, 0, 2, 5, 0},
		{"returning, a page", answer.Returning, 1, 2, 0, 2, 4, 0},
		{"returning, nothing new", answer.Returning, 4, 190, 0, 5, 5, 0},
		{"returning from before an erasure", answer.Returning, 0, 190, 1, 2, 5, 0},
		{"history", answer.History, 0, 190, 0, 0, 5, 0},
		{"history from an erasure", answer.History, 0, 190, 1, 2, 5, 0},
	} {
		a, err := l.Answer(&answer.Request{Asks: ask3(ids[c.account:c.account+1], c.kind, c.k, c.most)})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := a.Accounts[0]
		if got.From != c.from || got.To != c.to || len(got.Devices) != c.devices {
			t.Errorf("%s: opens %d to %d with %d devices, want %d to %d with %d", c.name, got.From, got.To, len(got.Devices), c.from, c.to, c.devices)
		}
	}
}

func TestAssembleRefusesWhoKnowsMore(t *testing.T) {
	l, ids := smallLog()
	for name, r := range map[string]*answer.Request{
		"a later seq":         {Asks: ask3(ids[:1], answer.Returning, 5, 1)},
		"of nobody":           {Asks: ask3(ids[2:], answer.Returning, 0, 1)},
		"a larger checkpoint": {Size: uint64(len(l.Leaves)) + 1, GenesisKnown: true, Asks: ask3(ids[:1], answer.First, 0, 1)},
	} {
		if _, err := l.Answer(r); err == nil {
			t.Errorf("%s: answered", name)
		}
	}
	// A body that an erasure took while the answer was on its way.
	l.Records[ids[0]][4].Event = nil
	if _, err := l.Answer(&answer.Request{Asks: ask3(ids[:1], answer.First, 0, 190)}); err == nil {
		t.Error("an erased event was opened")
	}
}

// The total that one answer opens is shared, and nobody goes empty.
func TestAssembleSharesTheTotal(t *testing.T) {
	l := liar.New(origin, 1_790_000_000_000)
	var asks []answer.Ask
	for i := range 30 {
		p := liar.NewPhone(origin, name.Identifier(string(rune('a'+i))), 1_790_000_000_000)
		l.Append(p.Account(), p.Register())
		for range answer.MaxOpened {
			l.Append(p.Account(), p.Confirm())
		}
		asks = append(asks, answer.Ask{Account: p.Account(), Kind: answer.History, Most: 1000})
	}
	l.Seal()
	a, err := l.Answer(&answer.Request{Asks: asks})
	if err != nil {
		t.Fatal(err)
	}
	total := uint32(0)
	for _, account := range a.Accounts {
		opened := account.To - account.From
		if opened == 0 || opened > answer.MaxOpened {
			t.Errorf("%d events opened for one account", opened)
		}
		total += opened
	}
	if total != answer.MaxOpenedTotal {
		t.Errorf("%d events opened in all, want %d", total, answer.MaxOpenedTotal)
	}
}

func FuzzParse(f *testing.F) {
	l, ids := smallLog()
	for _, r := range []*answer.Request{
		{Asks: ask3(ids, answer.First, 0, 190)},
		{Asks: ask3(ids[:2], answer.History, 0, 2)},
		{Size: 2, GenesisKnown: true, Asks: ask3(ids[:1], answer.Returning, 1, 190)},
	} {
		data, err := l.Lookup(context.Background(), r.Bytes())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := answer.Parse(data)
		if err != nil {
			return
		}
		if again, err := a.Bytes(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x encodes to %x, %v", data, again, err)
		}
	})
}

// Form errors that no verifier gets to see, since Parse stops them.
func TestParseRefuses(t *testing.T) {
	l, ids := smallLog()
	good := func() *answer.Answer {
		a, err := l.Answer(&answer.Request{Asks: ask3(ids, answer.First, 0, 190)})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, change := range map[string]func(*answer.Answer){
		"no checkpoint":     func(a *answer.Answer) { a.Note = nil },
		"no EPOCH":          func(a *answer.Answer) { a.Epoch = nil },
		"no account":        func(a *answer.Answer) { a.Accounts, a.Proofs = nil, nil },
		"an account twice":  func(a *answer.Answer) { a.Accounts[1].ID = a.Accounts[0].ID },
		"from above to":     func(a *answer.Answer) { a.Accounts[0].From = a.Accounts[0].To + 1 },
		"to above events":   func(a *answer.Answer) { a.Accounts[0].To = a.Accounts[0].Events + 1 },
		"versions descend":  func(a *answer.Answer) { v := a.Accounts[0].Versions; v[0].Seq, v[1].Seq = v[1].Seq, v[0].Seq },
		"a version twice":   func(a *answer.Answer) { v := a.Accounts[0].Versions; v[1].Seq = v[0].Seq },
		"a huge position":   func(a *answer.Answer) { a.Accounts[0].Versions[0].Position = leaf.MaxCount },
		"no prefix proof":   func(a *answer.Answer) { a.Proofs = nil },
		"a proof too many":  func(a *answer.Answer) { a.Proofs = append(a.Proofs, a.Proofs[0]) },
		"a result too many": func(a *answer.Answer) { p := a.Proofs[0]; p.Results = append(p.Results, p.Results[0]) },
		"a result too few":  func(a *answer.Answer) { p := a.Proofs[0]; p.Results = p.Results[1:] },
		"a key of no type":  func(a *answer.Answer) { a.Accounts[0].Devices[0].Key[0] = 9 },
		"an unknown form":   func(a *answer.Answer) { a.Accounts[0].Versions[0].Form = 3 },
		"too many accounts": func(a *answer.Answer) {
			a.Accounts, a.Proofs = make([]answer.Account, answer.MaxAccounts+1), nil
			for i := range a.Accounts {
				a.Accounts[i].ID = name.AccountID{byte(i >> 8), byte(i)}
			}
		},
		"an unknown kind":     func(a *answer.Answer) { a.Proofs[0].Results[0].Kind = 4 },
		"another proof cut":   func(a *answer.Answer) { p := *a.Proofs[0]; p.Results = p.Results[:1]; a.Proofs = append(a.Proofs, &p) },
		"a missing last node": nil,
	} {
		t.Run(name, func(t *testing.T) {
			a := good()
			if change != nil {
				change(a)
			}
			data, err := a.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if change == nil {
				data = data[:len(data)-1]
			}
			if _, err := answer.Parse(data); err == nil {
				t.Error("parsed")
			}
		})
	}
	if data, err := good().Bytes(); err != nil {
		t.Error(err)
	} else if _, err := answer.Parse(data); err != nil {
		t.Errorf("the answer that all of these change: %v", err)
	}
}
