package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

func devicesCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "devices ID",
		Short: "Show an account's verified devices",
		Args:  takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := identifiers(args)
			if err != nil {
				return err
			}
			r, err := g.reader()
			if err != nil {
				return err
			}
			result, err := r.Lookup(cmd.Context(), verifier.Question{Account: ids[0].AccountID()})
			if err != nil {
				return err
			}
			if g.json {
				return g.printJSON(foundJSON(ids[0], result, &result.Accounts[0]))
			}
			g.printDevices(ids[0], &result.Accounts[0])
			g.say("%s", vouch(result, time.Now()))
			return nil
		},
	}
}

func (t *terminal) printDevices(id name.Identifier, f *verifier.Found) {
	t.print("%s  %s\n", id, headline(f))
	if f.Primary.IsZero() {
		return
	}
	t.print("  generation %d, seq %d\n", f.Generation, f.Seq)
	t.print("  %-10s %s\n", "primary", f.Primary)
	for _, d := range f.Devices {
		t.print("  device %-3d %s\n", d.KeyIndex, d.Key)
	}
	if len(f.Devices) == 0 {
		t.print("  no other devices\n")
	}
}
