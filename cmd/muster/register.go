package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/device"
)

func registerCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	c := &cobra.Command{
		Use: "register ID", Short: "Register an account with a new primary key", Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.act(cmd.Context(), args[0], f, action{ofType(event.Register), (*agent).register})
		},
	}
	f.add(c, true)
	return c
}

func (a *agent) register(s *device.Standing) (*device.Draft, error) {
	switch s.Found().Status {
	case verifier.Unknown:
	case verifier.Erased:
		return nil, a.mustBeRegistered(s)
	default:
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
