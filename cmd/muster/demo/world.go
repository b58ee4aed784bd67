package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/code"
	"github.com/musterlog/muster/verifier/statefile"
)

// place is one log on loopback and the people who use it.
type place struct {
	dir    string // of all that is kept here
	url    string
	policy *checkpoint.Policy
	people map[name.Identifier]*person
}

// person is an account's owner, with the phone that signs and the app that
// verifies.
type person struct {
	id    name.Identifier
	phone *liar.Phone
	app   *verifier.Client
	log   *client.Client
}

// called is a person's name as people write it.
func called(id name.Identifier) string {
	return strings.ToUpper(string(id[:1])) + string(id[1:])
}

// person is somebody by name; who is new is met here.
func (p *place) person(id name.Identifier) (*person, error) {
	if known := p.people[id]; known != nil {
		return known, nil
	}
	log, err := client.New(client.Config{URL: p.url})
	if err != nil {
		return nil, err
	}
	states, err := statefile.Open(filepath.Join(p.dir, "app-of-"+string(id)))
	if err != nil {
		return nil, err
	}
	who := &person{
		id: id, log: log,
		phone: liar.NewPhone(name.Origin(p.policy.Log.Name), id, now()),
		app:   &verifier.Client{Verifier: &verifier.Verifier{Policy: p.policy}, Store: states, Source: log, Now: time.Now},
	}
	if p.people == nil {
		p.people = make(map[name.Identifier]*person)
	}
	p.people[id] = who
	return who, nil
}

// moves has somebody's app ask another server, as a network can have it.
func (who *person) moves(url string) error {
	log, err := client.New(client.Config{URL: url})
	if err != nil {
		return err
	}
	who.log, who.app.Source = log, log
	return nil
}

// state is what the app has accepted.
func (who *person) state() (*verifier.State, error) {
	log := name.Origin(who.app.Verifier.Policy.Log.Name).LogID()
	state, _, err := who.app.Store.Load(log, []name.AccountID{who.phone.Account()})
	return state, err
}

// now leaves a phone a minute for the events that it will sign: each is a
// second later than the one before.
func now() uint64 { return uint64(time.Now().Add(-time.Minute).UnixMilli()) }

// send has an event logged.
func (who *person) send(ctx context.Context, body []byte) (answer.Outcome, error) {
	outcomes, err := who.log.Submit(ctx, [][]byte{body}, answer.Want{})
	if err != nil {
		return answer.Outcome{}, err
	}
	if o := outcomes[0]; o.Err != nil {
		return o, o.Err
	} else if o.Refused != nil {
		return o, fmt.Errorf("%s's event is refused: %w", who.id, o.Refused)
	}
	return outcomes[0], nil
}

// look is what the app of one person verifies of another.
func (who *person) look(ctx context.Context, whom *person) (*verifier.Result, error) {
	return who.app.Lookup(ctx, verifier.Question{Account: whom.phone.Account()})
}

// code is the security code between two people, from verified keys.
func (who *person) code(ctx context.Context, whom *person) (string, error) {
	r, err := who.app.Lookup(ctx, verifier.Question{Account: who.phone.Account()}, verifier.Question{Account: whom.phone.Account()})
	if err != nil {
		return "", err
	}
	return code.Group(code.Code(
		code.Side{Identifier: who.id, Primary: r.Accounts[0].Primary},
		code.Side{Identifier: whom.id, Primary: r.Accounts[1].Primary},
	)), nil
}

// policyOf is what an operator publishes and clients trust: two of three
// witnesses, and an auditor if there is one.
func policyOf(log checkpoint.Key, witnesses []*watcher, auditor *watcher) (*checkpoint.Policy, error) {
	var text, names strings.Builder
	fmt.Fprintf(&text, "log %s\n", log)
	for _, w := range witnesses {
		fmt.Fprintf(&text, "witness %s %s %s\n", w.name, w.key, w.url)
		fmt.Fprintf(&names, " %s", w.name)
	}
	fmt.Fprintf(&text, "group witnesses 2%s\n", &names)
	if auditor == nil {
		fmt.Fprintf(&text, "quorum witnesses\n")
		return checkpoint.ParsePolicy([]byte(text.String()))
	}
	fmt.Fprintf(&text, "witness %s %s %s\n", auditor.name, auditor.key, auditor.url)
	fmt.Fprintf(&text, "group auditors 1 %s\ngroup both all witnesses auditors\nquorum both\n", auditor.name)
	return checkpoint.ParsePolicy([]byte(text.String()))
}
