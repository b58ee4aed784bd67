package verifier_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

const (
	origin = name.Origin("keys.example.org/log1")
	start  = uint64(1_790_000_000_000)
)

// world is a log, some accounts on it, and a time.
type world struct {
	t      testing.TB
	log    *liar.Log
	phones map[string]*liar.Phone
	trust  *checkpoint.Policy // policy's, if it was asked for once and stays
}

func newWorld(t testing.TB) *world {
	return &world{t: t, log: liar.New(origin, start), phones: map[string]*liar.Phone{}}
}

func (w *world) phone(id string) *liar.Phone {
	if w.phones[id] == nil {
		w.phones[id] = liar.NewPhone(origin, name.Identifier(id), start)
	}
	return w.phones[id]
}

// plays logs a story, an epoch an event: "alice+ alice+ alice-1" and so on.
//
//	alice.  registers       alice+  adds a device       alice-3  removes device 3
//	alice=  confirms        alice_3 device 3 logs out   alice/3  the operator removes device 3
//	alice*  re-registers    alice!  the same, endorsed  alice#   is erased
//	|       closes the epoch
func (w *world) plays(story ...string) {
	w.t.Helper()
	for _, step := range story {
		if step == "|" {
			w.log.Seal()
			continue
		}
		at := bytes.IndexAny([]byte(step), ".+-=_/*!#")
		p := w.phone(step[:at])
		var index uint32
		fmt.Sscan(step[at+1:], &index)
		var body []byte
		switch step[at] {
		case '.':
			body = p.Register()
		case '+':
			body = p.Add()
		case '-':
			body = p.Remove(index)
		case '_':
			body = p.LogOut(index)
		case '/':
			body = p.OperatorRemove(index)
		case '=':
			body = p.Confirm()
		case '*':
			body = p.Reregister(false)
		case '!':
			body = p.Reregister(true)
		case '#':
			body = p.Erase()
		}
		w.log.Append(p.Account(), body)
	}
	w.log.Seal()
}

func (w *world) now() time.Time { return time.UnixMilli(int64(w.log.TimeMs)).Add(time.Second) }

func (w *world) policy() *checkpoint.Policy {
	w.t.Helper()
	if w.trust != nil {
		return w.trust
	}
	text := "log " + w.log.Signer.Key().String() + "\n"
	if len(w.log.Cosigners) == 0 {
		return parsePolicy(w.t, text+"quorum none\n")
	}
	group := fmt.Sprintf("group all-of-them %d", len(w.log.Cosigners))
	for i, c := range w.log.Cosigners {
		text += fmt.Sprintf("witness w%d %s\n", i, c.Key())
		group += fmt.Sprintf(" w%d", i)
	}
	return parsePolicy(w.t, text+group+"\nquorum all-of-them\n")
}

func parsePolicy(t testing.TB, text string) *checkpoint.Policy {
	t.Helper()
	p, err := checkpoint.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func first(id string) verifier.Question {
	return verifier.Question{Account: name.Identifier(id).AccountID()}
}

func history(id string) verifier.Question {
	return verifier.Question{Account: name.Identifier(id).AccountID(), History: true}
}

// look asks an honest or lying log, verifies, and gives the new state.
func (w *world) look(log verifier.Source, state *verifier.State, questions ...verifier.Question) (*verifier.Result, *verifier.State, error) {
	v := &verifier.Verifier{Policy: w.policy()}
	l, err := v.Lookup(state, questions...)
	if err != nil {
		return nil, nil, err
	}
	for request := l.Request(); request != nil; request = l.Request() {
		data, err := log.Lookup(context.Background(), request)
		if err != nil {
			return nil, nil, err
		}
		if err := l.Answer(data, w.now()); err != nil {
			return nil, nil, err
		}
	}
	return l.Result()
}

func (w *world) mustLook(state *verifier.State, questions ...verifier.Question) (*verifier.Result, *verifier.State) {
	w.t.Helper()
	r, s, err := w.look(w.log, state, questions...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r, s
}

func sameDevices(a, b []event.Device) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Whatever happens to an account, a stranger, its contact and its owner see
// the account as its own phone does.
func TestHonestLog(t *testing.T) {
	w := newWorld(t)
	var contact, owner *verifier.State
	w.plays("bob.", "bob+") // somebody else in the tree
	for _, step := range []struct {
		story    string
		status   verifier.Status
		endorsed any
	}{
		{"alice.", verifier.New, nil},
		{"alice+", verifier.Changed, nil},
		{"alice+", verifier.Changed, nil},
		{"|", verifier.Unchanged, nil},
		{"alice-1", verifier.Changed, nil},
		{"alice_2", verifier.Changed, nil},
		{"alice+", verifier.Changed, nil},
		{"alice/5", verifier.Changed, nil},
		{"alice=", verifier.Changed, nil},
		{"alice!", verifier.Reregistered, true},
		{"alice+", verifier.Changed, nil},
		{"alice*", verifier.Reregistered, false},
		{"alice+", verifier.Changed, nil},
		{"alice#", verifier.Erased, nil},
		{"|", verifier.Erased, nil},
		{"alice*", verifier.Reregistered, false},
		{"alice+", verifier.Changed, nil},
	} {
		w.plays(step.story)
		at := w.phone("alice").At
		stranger, _ := w.mustLook(nil, first("alice"))
		var seen, own *verifier.Result
		seen, contact = w.mustLook(contact, first("alice"), first("bob"))
		own, owner = w.mustLook(owner, history("alice"))
		for who, r := range map[string]*verifier.Result{"stranger": stranger, "contact": seen, "owner": own} {
			f := r.Accounts[0]
			if f.Seq != at.Next-1 || f.Event != at.Head || f.Primary != at.Primary || !sameDevices(f.Devices, at.Devices) || f.Generation != at.Generation {
				t.Errorf("after %s the %s sees %+v, the phone is at %+v", step.story, who, f, at)
			}
			if who == "stranger" {
				continue
			}
			if f.Status != step.status {
				t.Errorf("after %s the %s sees status %s, want %s", step.story, who, f.Status, step.status)
			}
			if (f.Endorsed == nil) != (step.endorsed == nil) || f.Endorsed != nil && *f.Endorsed != step.endorsed {
				t.Errorf("after %s the %s sees endorsed %v, want %v", step.story, who, f.Endorsed, step.endorsed)
			}
		}
	}
}

func TestUnknownAccount(t *testing.T) {
	w := newWorld(t)
	w.plays("bob.")
	r, s := w.mustLook(nil, first("alice"), history("carol"))
	for _, f := range r.Accounts {
		if f.Status != verifier.Unknown {
			t.Errorf("status %s, want unknown", f.Status)
		}
	}
	if len(s.Accounts) != 0 {
		t.Errorf("the state remembers %d accounts that do not exist", len(s.Accounts))
	}
	w.plays("alice.")
	if r, _ := w.mustLook(s, first("alice")); r.Accounts[0].Status != verifier.New {
		t.Errorf("status %s, want new", r.Accounts[0].Status)
	}
}

// A contact who was away sees each re-registration on the way, and is told
// "endorsed" only if every one was.
func TestEndorsedOverManySteps(t *testing.T) {
	for _, c := range []struct {
		story []string
		want  any
	}{
		{[]string{"alice!", "alice+", "alice!"}, true},
		{[]string{"alice!", "alice*"}, false},
		{[]string{"alice*", "alice!"}, false},
		{[]string{"alice#", "alice*", "alice!"}, false},
		{[]string{"alice+"}, nil},
	} {
		w := newWorld(t)
		w.plays("alice.")
		_, s := w.mustLook(nil, first("alice"))
		w.plays(c.story...)
		for _, q := range []verifier.Question{first("alice"), history("alice")} {
			r, _ := w.mustLook(s, q)
			f := r.Accounts[0]
			if (f.Endorsed == nil) != (c.want == nil) || f.Endorsed != nil && *f.Endorsed != c.want {
				t.Errorf("%v: endorsed %v, want %v", c.story, f.Endorsed, c.want)
			}
		}
	}
}

// Long histories come in pages; the result is the same.
func TestPages(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "bob.")
	_, s := w.mustLook(nil, first("alice"))
	for range 2*verifier.MostOpened + 7 {
		w.log.Append(w.phone("alice").Account(), w.phone("alice").Confirm())
	}
	w.plays("alice+")
	for _, c := range []struct {
		name  string
		state *verifier.State
		ask   verifier.Question
		want  int
	}{
		{"history", nil, history("alice"), 2*verifier.MostOpened + 9},
		{"history beside a state", s, history("alice"), 2*verifier.MostOpened + 9},
		{"returning", s, first("alice"), 2*verifier.MostOpened + 8},
		{"first", nil, first("alice"), 1},
	} {
		r, state := w.mustLook(c.state, c.ask, first("bob"))
		f := r.Accounts[0]
		if len(f.Events) != c.want || f.Seq != w.phone("alice").At.Next-1 || !sameDevices(f.Devices, w.phone("alice").At.Devices) {
			t.Errorf("%s: %d events to seq %d, want %d to %d", c.name, len(f.Events), f.Seq, c.want, w.phone("alice").At.Next-1)
		}
		if r.Accounts[1].Status == verifier.Unknown || state.Account(w.phone("bob").Account()) == nil {
			t.Errorf("%s: the account beside it is lost", c.name)
		}
		for i, e := range f.Events[1:] {
			if e.Seq != f.Events[i].Seq+1 {
				t.Errorf("%s: seq %d after %d", c.name, e.Seq, f.Events[i].Seq)
			}
		}
	}
}

// Two hundred accounts share one answer.
func TestBatch(t *testing.T) {
	w := newWorld(t)
	var questions []verifier.Question
	for i := range 200 {
		id := fmt.Sprintf("a%03d", i)
		if i%7 != 0 {
			w.log.Append(w.phone(id).Account(), w.phone(id).Register())
		}
		questions = append(questions, first(id))
	}
	w.log.Seal()
	r, s := w.mustLook(nil, questions...)
	for i, f := range r.Accounts {
		if known := i%7 != 0; (f.Status == verifier.New) != known {
			t.Errorf("account %d: %s", i, f.Status)
		}
	}
	r, _ = w.mustLook(s, questions...)
	for i, f := range r.Accounts {
		if known := i%7 != 0; (f.Status == verifier.Unchanged) != known {
			t.Errorf("account %d, again: %s", i, f.Status)
		}
	}
}
