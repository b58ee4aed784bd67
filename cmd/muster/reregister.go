package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/device"
)

func reregisterCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	var endorse bool
	c := &cobra.Command{
		Use: "reregister ID", Short: "Give an account a new primary key, dropping all devices", Args: takes(1),
		Long: `Gives an account a new primary key. All devices are dropped, and the security
code changes for every contact. With --endorse the old key signs too, so that
contacts see that its owner did it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.act(cmd.Context(), args[0], f, action{
				same: func(p event.Payload) bool { return p.Type == event.Reregister && p.Subject.IsZero() != endorse },
				draft: func(a *agent, s *device.Standing) (*device.Draft, error) {
					return a.reregister(s, endorse)
				},
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
