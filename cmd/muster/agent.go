package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/device"
	"github.com/musterlog/muster/verifier/statefile"
)

// agent acts for one account: it holds all of the account's keys, phone and
// companions alike, which no real device does.
type agent struct {
	*globals
	*device.Agent
	id   name.Identifier
	keys keyDir
	typ  string
}

type agentFlags struct{ keys, typ string }

func (f *agentFlags) add(c *cobra.Command, makesKey bool) {
	c.Flags().StringVar(&f.keys, "keys", "", "`DIR` of the private keys; default: keys in the state folder")
	if makesKey {
		c.Flags().StringVar(&f.typ, "type", "ed25519", "kind of the new key: ed25519 or curve25519")
	}
}

func (g *globals) agent(id string, f *agentFlags) (*agent, error) {
	ids, err := identifiers([]string{id})
	if err != nil {
		return nil, err
	}
	r, err := g.reader()
	if err != nil {
		return nil, err
	}
	dir, err := g.stateDir()
	if err != nil {
		return nil, err
	}
	journal, err := statefile.OpenJournal(dir)
	if err != nil {
		return nil, err
	}
	a := &agent{globals: g, id: ids[0], keys: keyDir(f.keys), typ: f.typ}
	if f.keys == "" {
		a.keys = keyDir(filepath.Join(dir, "keys"))
	}
	a.Agent = &device.Agent{
		Account: ids[0].AccountID(), Verifier: device.FromClient(r.Client),
		Submitter: &patient{Client: r.source, say: g.say}, Journal: journal, Now: time.Now,
	}
	return a, nil
}

// ready is where the account stands once nothing of this agent's is pending:
// what was signed before and may not have arrived is sent again first. The
// draft is what turned out to have arrived, or was sent again; else nil.
func (a *agent) ready(ctx context.Context) (*device.Standing, *device.Draft, error) {
	s, err := a.refresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s.Settled != nil {
		return s, s.Settled.Won, nil
	}
	if s.Pending == nil {
		return s, nil, nil
	}
	d := s.Pending.Wanted()
	a.say("a %s signed earlier, seq %d, may not have arrived: sending it again", d.Payload().Type, d.Payload().Seq)
	if _, err := a.Resend(ctx); err != nil {
		return nil, nil, a.explain(err, s)
	}
	s, err = a.refresh(ctx)
	return s, d, err
}

// refresh looks the account up, and tells what became of an event that was
// pending.
func (a *agent) refresh(ctx context.Context) (*device.Standing, error) {
	s, err := a.Refresh(ctx)
	if err != nil || s.Settled == nil {
		return s, err
	}
	p := s.Settled.Pending.Wanted().Payload()
	if won := s.Settled.Won; won != nil && won.ID() == p.ID() {
		a.say("the %s signed earlier arrived: it is in force at seq %d", p.Type, p.Seq)
	} else {
		a.say("the %s signed earlier is void: seq %d went to another event", p.Type, p.Seq)
	}
	return s, nil
}

// sign adds a role's signature with the private key of a public one.
func (a *agent) sign(d *device.Draft, role event.Role, public event.Key) error {
	k, err := a.keys.load(a.Account, public)
	if err != nil {
		return err
	}
	return d.Sign(role, k)
}

type sentJSON struct {
	AccountID string       `json:"account_id"`
	Type      string       `json:"type"`
	Seq       uint32       `json:"seq"`
	EventID   string       `json:"event_id"`
	KeyIndex  uint32       `json:"key_index"`
	Key       string       `json:"key"`
	Devices   []deviceJSON `json:"devices"`
}

// explain says what can be done about an event that did not get through. What
// makes an account cannot be taken back.
func (a *agent) explain(err error, s *device.Standing) error {
	if !errors.Is(err, device.ErrPending) {
		return err
	}
	err = fmt.Errorf("%w; nothing is lost: run the command again, it sends the same event again", err)
	if s.Found().Primary.IsZero() {
		return err
	}
	return fmt.Errorf("%w, or `muster confirm %s`, which takes it back", err, a.id)
}

func (a *agent) show(d *device.Draft, s *device.Standing) error {
	p := d.Payload()
	if a.json {
		out := sentJSON{
			AccountID: p.Account.String(), Type: p.Type.String(), Seq: p.Seq, EventID: d.ID().String(),
			KeyIndex: p.KeyIndex, Devices: []deviceJSON{},
		}
		if key := p.About(); !key.IsZero() {
			out.Key = key.String()
		}
		for _, dev := range s.Found().Devices {
			out.Devices = append(out.Devices, deviceJSON{dev.KeyIndex, dev.Key.String()})
		}
		return a.printJSON(out)
	}
	a.print("%s is in force at seq %d\n", p.Type, p.Seq)
	a.printDevices(a.id, s.Found())
	return nil
}

// action is what an agent's command wants.
type action struct {
	// same says whether an event is what this command makes. One that was still
	// pending when the command is run again is its outcome, not one more.
	same  func(event.Payload) bool
	draft func(*agent, *device.Standing) (*device.Draft, error)
}

func ofType(t event.Type) func(event.Payload) bool {
	return func(p event.Payload) bool { return p.Type == t }
}

// act is what the agent's commands have in common: where the account stands,
// a signed draft from there, and the draft in force.
func (g *globals) act(ctx context.Context, id string, f *agentFlags, do action) error {
	a, err := g.agent(id, f)
	if err != nil {
		return err
	}
	s, earlier, err := a.ready(ctx)
	if err != nil {
		return err
	}
	if earlier != nil && do.same(earlier.Payload()) {
		return a.show(earlier, s)
	}
	d, err := do.draft(a, s)
	if err != nil {
		return err
	}
	after, err := a.Send(ctx, d)
	if err != nil {
		return a.explain(err, s)
	}
	return a.show(d, after)
}

// mustBeRegistered refuses an account without a primary key.
func (a *agent) mustBeRegistered(s *device.Standing) error {
	switch s.Found().Status {
	case verifier.Unknown:
		return fmt.Errorf("%s is not registered: `muster register %s`", a.id, a.id)
	case verifier.Erased:
		return fmt.Errorf("%s was erased: `muster reregister %s` begins anew", a.id, a.id)
	}
	return nil
}

func keyIndex(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, usage("key index %q: want the number that `muster devices` shows", text)
	}
	return uint32(n), nil
}
