package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/verifier/device"
)

func linkCommand(g *globals) *cobra.Command {
	f := new(agentFlags)
	c := &cobra.Command{
		Use: "link ID", Short: "Link a new device to an account", Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.act(cmd.Context(), args[0], f, action{ofType(event.AddDevice), (*agent).link})
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
			return g.act(cmd.Context(), args[0], f, action{
				same: func(p event.Payload) bool { return p.Type == event.RemoveDevice && p.KeyIndex == index },
				draft: func(a *agent, s *device.Standing) (*device.Draft, error) {
					return a.unlink(s, index)
				},
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
	has := func(d event.Device) bool { return d.KeyIndex == index }
	if !slices.ContainsFunc(s.Found().Devices, has) {
		return nil, fmt.Errorf("%s has no device %d: `muster devices %s` shows which there are", a.id, index, a.id)
	}
	d, err := s.Head.RemoveDevice(index, event.Primary, time.Now())
	if err != nil {
		return nil, err
	}
	return d, a.sign(d, event.Primary, s.Found().Primary)
}
