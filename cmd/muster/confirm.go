package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/verifier/device"
)

func confirmCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	c := &cobra.Command{
		Use: "confirm ID", Short: "Sign the device list anew; also takes back what is pending", Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := g.agent(args[0], f)
			if err != nil {
				return err
			}
			s, err := a.refresh(cmd.Context())
			if err != nil {
				return err
			}
			if s.Pending != nil {
				return a.cancel(cmd.Context(), s)
			}
			return g.act(cmd.Context(), args[0], f, action{ofType(event.Confirm), (*agent).confirm})
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
	after, err := a.Cancel(ctx, k)
	if err != nil {
		return a.explain(err, s)
	}
	a.print("took back the %s that was pending at seq %d\n", pending.Type, pending.Seq)
	a.printDevices(a.id, after.Found())
	return nil
}
