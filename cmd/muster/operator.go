package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

func operatorCommand(g *globals) *cobra.Command {
	c := groupCommand("operator", "What an operator may do to an account: take away, never add", "remove or erase")
	c.AddCommand(
		&cobra.Command{
			Use: "remove ID KEY_INDEX", Short: "Remove a device, for example one that was idle too long", Args: takes(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				index, err := keyIndex(args[1])
				if err != nil {
					return err
				}
				return g.operate(cmd.Context(), args[0], event.OperatorRemove, index)
			},
		},
		&cobra.Command{
			Use: "erase ID", Short: "Erase an account: its keys, devices and history go for good", Args: takes(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return g.operate(cmd.Context(), args[0], event.Erase, 0)
			},
		},
	)
	return c
}

// operate makes the event that nobody signs from the verified account.
func (g *globals) operate(ctx context.Context, arg string, t event.Type, index uint32) error {
	ids, err := identifiers([]string{arg})
	if err != nil {
		return err
	}
	r, err := g.reader()
	if err != nil {
		return err
	}
	question := verifier.Question{Account: ids[0].AccountID()}
	result, err := r.Lookup(ctx, question)
	if err != nil {
		return err
	}
	f := &result.Accounts[0]
	if f.Primary.IsZero() {
		return fmt.Errorf("%s is %s", ids[0], headline(f))
	}
	e, err := operatorEvent(result.Checkpoint.Origin, f, t, index)
	if err != nil {
		return err
	}
	log := &patient{Client: r.source, say: g.say}
	outcomes, err := log.Submit(ctx, [][]byte{e.Bytes()}, answer.Want{})
	if err != nil {
		return err
	}
	if o := outcomes[0]; o.Refused != nil {
		return fmt.Errorf("the log refuses %s: %w", t, o.Refused)
	} else if o.Err != nil {
		return fmt.Errorf("%s: %w; nothing is lost: once the log publishes again, `muster devices %s` shows whether it is in force; if not, run the command again", t, o.Err, ids[0])
	}
	if result, err = r.Lookup(ctx, question); err != nil {
		return err
	}
	if g.json {
		return g.printJSON(foundJSON(ids[0], result, &result.Accounts[0]))
	}
	g.print("%s is in force at seq %d\n", t, e.Seq)
	g.printDevices(ids[0], &result.Accounts[0])
	return nil
}

func operatorEvent(origin name.Origin, f *verifier.Found, t event.Type, index uint32) (*event.Event, error) {
	p := event.Payload{
		Type: t, Log: origin.LogID(), Account: f.ID, Generation: f.Generation, Seq: f.Seq + 1,
		Prev: f.Event, TimeMs: uint64(time.Now().UnixMilli()), KeyIndex: index,
	}
	var after []event.Device
	if t == event.OperatorRemove {
		i := slices.IndexFunc(f.Devices, func(d event.Device) bool { return d.KeyIndex == index })
		if i < 0 {
			return nil, errors.New("no such device: `muster devices` shows the key indexes")
		}
		p.Primary, p.Subject = f.Primary, f.Devices[i].Key
		after = slices.Delete(slices.Clone(f.Devices), i, i+1)
	}
	p.DevicesHash = event.DevicesHash(p.Log, p.Account, p.Generation, p.Primary, after)
	return &event.Event{Payload: p}, nil
}
