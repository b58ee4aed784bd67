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
		Submitter: r.source, Journal: journal, Now: time.Now,
	}
	return a, nil
}

// ready is where the account stands once nothing of this agent's is pending:
// what was signed before and may not have arrived is sent again first.
func (a *agent) ready(ctx context.Context) (*device.Standing, error) {
	s, err := a.Refresh(ctx)
	if err != nil || s.Pending == nil {
		return s, err
	}
	wanted := s.Pending.Wanted().Payload()
	a.say("a %s signed earlier, seq %d, may not have arrived: sending it again", wanted.Type, wanted.Seq)
	if _, err := a.Resend(ctx); err != nil {
		return nil, fmt.Errorf("%w (`muster confirm %s` takes it back)", err, a.id)
	}
	return a.Refresh(ctx)
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

func (a *agent) explain(err error) error {
	if errors.Is(err, device.ErrPending) {
		return fmt.Errorf("%w: run the command again to send it again, or `muster confirm %s` to take it back", err, a.id)
	}
	return err
}

func (a *agent) show(d *device.Draft, s *device.Standing) error {
	p := d.Payload()
	if a.json {
		out := sentJSON{
			AccountID: p.Account.String(), Type: p.Type.String(), Seq: p.Seq, EventID: d.ID().String(),
			KeyIndex: p.KeyIndex, Devices: []deviceJSON{},
		}
		if key := subject(&event.Event{Payload: p}); !key.IsZero() {
			out.Key = key.String()
		}
		for _, dev := range d.Devices() {
			out.Devices = append(out.Devices, deviceJSON{dev.KeyIndex, dev.Key.String()})
		}
		return a.printJSON(out)
	}
	a.print("%s is in force at seq %d\n", p.Type, p.Seq)
	a.printDevices(a.id, s.Found())
	return nil
}

// act is what the agent's commands have in common: where the account stands,
// a signed draft from there, and the draft in force.
func (g *globals) act(ctx context.Context, id string, f *agentFlags, draft func(*agent, *device.Standing) (*device.Draft, error)) error {
	a, err := g.agent(id, f)
	if err != nil {
		return err
	}
	s, err := a.ready(ctx)
	if err != nil {
		return err
	}
	d, err := draft(a, s)
	if err != nil {
		return err
	}
	if s, err = a.Send(ctx, d); err != nil {
		return a.explain(err)
	}
	return a.show(d, s)
}

func registerCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	c := &cobra.Command{
		Use: "register ID", Short: "Register an account with a new primary key", Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.act(cmd.Context(), args[0], f, (*agent).register)
		},
	}
	f.add(c, true)
	return c
}

func (a *agent) register(s *device.Standing) (*device.Draft, error) {
	if s.Found().Status != verifier.Unknown {
		return nil, fmt.Errorf("%s is registered already: `muster devices %s` shows it, `muster reregister %s` gives it a new primary key", a.id, a.id, a.id)
	}
	k, err := a.keys.generate(a.Account, a.typ)
	if err != nil {
		return nil, err
	}
	d, err := s.Head.Register(k.Public(), time.Now())
	if err != nil {
		return nil, err
	}
	return d, d.Sign(event.Primary, k)
}

func linkCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	c := &cobra.Command{
		Use: "link ID", Short: "Link a new device to an account", Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.act(cmd.Context(), args[0], f, (*agent).link)
		},
	}
	f.add(c, true)
	return c
}

func (a *agent) link(s *device.Standing) (*device.Draft, error) {
	if err := a.mustBeRegistered(s); err != nil {
		return nil, err
	}
	k, err := a.keys.generate(a.Account, a.typ)
	if err != nil {
		return nil, err
	}
	d, err := s.Head.AddDevice(k.Public(), time.Now())
	if err != nil {
		return nil, err
	}
	if err := d.Sign(event.Subject, k); err != nil {
		return nil, err
	}
	return d, a.sign(d, event.Primary, s.Found().Primary)
}

func unlinkCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	c := &cobra.Command{
		Use: "unlink ID KEY_INDEX", Short: "Remove a device from an account", Args: takes(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			index, err := keyIndex(args[1])
			if err != nil {
				return err
			}
			return g.act(cmd.Context(), args[0], f, func(a *agent, s *device.Standing) (*device.Draft, error) {
				return a.unlink(s, index)
			})
		},
	}
	f.add(c, false)
	return c
}

func (a *agent) unlink(s *device.Standing, index uint32) (*device.Draft, error) {
	if err := a.mustBeRegistered(s); err != nil {
		return nil, err
	}
	d, err := s.Head.RemoveDevice(index, event.Primary, time.Now())
	if err != nil {
		return nil, err
	}
	return d, a.sign(d, event.Primary, s.Found().Primary)
}

func reregisterCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	var endorse bool
	c := &cobra.Command{
		Use: "reregister ID", Short: "Give an account a new primary key, dropping all devices", Args: takes(1),
		Long: `Gives an account a new primary key. All devices are dropped, and the security
code changes for every contact. With --endorse the old key signs too, so that
contacts see that its owner did it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.act(cmd.Context(), args[0], f, func(a *agent, s *device.Standing) (*device.Draft, error) {
				return a.reregister(s, endorse)
			})
		},
	}
	f.add(c, true)
	c.Flags().BoolVar(&endorse, "endorse", false, "sign with the old primary key too")
	return c
}

func (a *agent) reregister(s *device.Standing, endorse bool) (*device.Draft, error) {
	if s.Found().Status == verifier.Unknown {
		return nil, a.mustBeRegistered(s)
	}
	k, err := a.keys.generate(a.Account, a.typ)
	if err != nil {
		return nil, err
	}
	d, err := s.Head.Reregister(k.Public(), endorse, time.Now())
	if err != nil {
		return nil, err
	}
	if endorse {
		if err := a.sign(d, event.Subject, s.Found().Primary); err != nil {
			return nil, err
		}
	}
	return d, d.Sign(event.Primary, k)
}

func confirmCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	c := &cobra.Command{
		Use: "confirm ID", Short: "Sign the device list anew; also takes back what is pending", Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := g.agent(args[0], f)
			if err != nil {
				return err
			}
			s, err := a.Refresh(cmd.Context())
			if err != nil {
				return err
			}
			if s.Pending != nil {
				return a.cancel(cmd.Context(), s)
			}
			return g.act(cmd.Context(), args[0], f, (*agent).confirm)
		},
	}
	f.add(c, false)
	return c
}

func (a *agent) confirm(s *device.Standing) (*device.Draft, error) {
	if err := a.mustBeRegistered(s); err != nil {
		return nil, err
	}
	d, err := s.Head.Confirm(time.Now())
	if err != nil {
		return nil, err
	}
	return d, a.sign(d, event.Primary, s.Found().Primary)
}

// cancel puts a CONFIRM in the place of what is pending.
func (a *agent) cancel(ctx context.Context, s *device.Standing) error {
	if err := a.mustBeRegistered(s); err != nil {
		return err
	}
	k, err := a.keys.load(a.Account, s.Found().Primary)
	if err != nil {
		return err
	}
	pending := s.Pending.Wanted().Payload()
	if s, err = a.Cancel(ctx, k); err != nil {
		return a.explain(err)
	}
	a.print("took back the %s that was pending at seq %d\n", pending.Type, pending.Seq)
	a.printDevices(a.id, s.Found())
	return nil
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
