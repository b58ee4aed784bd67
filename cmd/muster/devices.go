package main

import (
	"context"
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
			id, result, err := g.lookup(cmd.Context(), args[0], false)
			if err != nil {
				return err
			}
			if g.json {
				return g.printJSON(foundJSON(id, result, &result.Accounts[0]))
			}
			g.printDevices(id, &result.Accounts[0])
			g.say("%s", vouch(result, time.Now()))
			return nil
		},
	}
}

// lookup asks about one account named on the command line.
func (g *globals) lookup(ctx context.Context, arg string, history bool) (name.Identifier, *verifier.Result, error) {
	ids, err := identifiers([]string{arg})
	if err != nil {
		return "", nil, err
	}
	r, err := g.reader()
	if err != nil {
		return "", nil, err
	}
	result, err := r.Lookup(ctx, verifier.Question{Account: ids[0].AccountID(), History: history})
	return ids[0], result, err
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
