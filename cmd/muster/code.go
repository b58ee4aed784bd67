package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/code"
)

type codeJSON struct {
	Code     string   `json:"code"`
	Extended string   `json:"extended"`
	Between  []string `json:"between"`
}

func codeCommand(g *globals) *cobra.Command {
	var extended bool
	c := &cobra.Command{
		Use:   "code ID ID",
		Short: "Show the security code between two accounts, from verified keys",
		Long: `Shows the security code that two people compare once: 60 digits over both
primary keys. It changes exactly when one of them re-registers. The extended
code covers every device and changes with each.`,
		Args: takes(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := identifiers(args)
			if err != nil {
				return err
			}
			if ids[0] == ids[1] {
				return usage("a security code is between two accounts: %s was given twice", ids[0])
			}
			r, err := g.reader()
			if err != nil {
				return err
			}
			result, err := r.Lookup(cmd.Context(), verifier.Question{Account: ids[0].AccountID()}, verifier.Question{Account: ids[1].AccountID()})
			if err != nil {
				return err
			}
			sides := make([]code.Side, 2)
			for i, f := range result.Accounts {
				if f.Primary.IsZero() {
					return fmt.Errorf("no code: %s is %s", ids[i], headline(&f))
				}
				sides[i] = code.Side{Identifier: ids[i], Primary: f.Primary, Devices: f.Devices}
			}
			out := codeJSON{
				Code:     code.Code(sides[0], sides[1]),
				Extended: code.Extended(sides[0], sides[1]),
				Between:  []string{string(ids[0]), string(ids[1])},
			}
			switch {
			case g.json:
				return g.printJSON(out)
			case extended:
				g.print("%s\n", code.Group(out.Extended))
			default:
				g.print("%s\n", code.Group(out.Code))
			}
			g.say("%s", vouch(result, time.Now()))
			return nil
		},
	}
	c.Flags().BoolVar(&extended, "extended", false, "the code over every device's key")
	return c
}
