package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/cmd/muster/demo"
)

func demoCommand(g *globals) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "demo",
		Short: "See in under a minute how each kind of lie is found, by whom, and with what proof",
		Long: `Runs a log, three witnesses, an auditor, a monitor and a few accounts on loopback,
all in this process: first a normal day, then every lie that an operator who has
all of the log's keys can tell. Each shows who noticed, after how long, the
evidence file and the verdict of the offline verifier once the log is gone. It
exits with 0 only if everything was caught. The files are kept.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.demo(cmd.Context(), out) },
	}
	c.Flags().StringVar(&out, "out", "", "`DIR` for the evidence files; default a new temporary one")
	return c
}

func (g *globals) demo(ctx context.Context, out string) (err error) {
	if out == "" {
		out, err = os.MkdirTemp("", "muster-demo-")
	} else {
		out, err = filepath.Abs(out)
	}
	if err != nil {
		return fmt.Errorf("making a folder for the evidence: %w: choose one with --out", err)
	}
	cfg := demo.Config{Out: out}
	p := &demo.Printer{Out: g.out, Style: isTerminal(g.out)}
	if !g.json {
		cfg.Part, cfg.Step, cfg.Attack = p.Heading, p.Step, p.Attack
	}
	r, err := demo.Run(ctx, cfg)
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted: run it again to see the rest")
	}
	if err != nil {
		return err
	}
	if g.json {
		err = g.printJSON(r)
	} else {
		p.End(r)
	}
	if !r.Caught {
		err = errors.Join(err, errors.New("not everything was caught as it should be: see above"))
	}
	return err
}
