package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/name"
)

func sealCommand(g *globals) *cobra.Command {
	var dir, successor string
	var v vouched
	c := &cobra.Command{
		Use:   "seal --dir DIR [--successor ORIGIN]",
		Short: "End a log for good",
		Long: `seal ends the log in DIR, which must not be served meanwhile: it appends a SEAL
leaf, signs the last checkpoint, has it cosigned if --policy is given, as a log
that was cosigned needs it, and prints it. That can never be taken back. Clients
then say that the log is sealed, and where it goes on. Serve it on for as long as
anybody should look things up.

The next log is begun with init --predecessor FILE, where FILE is what seal
printed. To interrupt seal does no harm: run it again.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usage("seal needs --dir DIR, the log's folder")
			}
			origin := name.Origin("")
			if successor != "" {
				var err error
				if origin, err = name.ParseOrigin(successor); err != nil {
					return usageError{err}
				}
			}
			return g.seal(cmd.Context(), logDir(dir), origin, cmd.Flags().Changed("policy"), v)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "`DIR` of the log")
	v.flags(c)
	c.Flags().StringVar(&successor, "successor", "", "`ORIGIN` of the log that continues this one")
	return c
}

func (g *globals) seal(ctx context.Context, dir logDir, successor name.Origin, cosigned bool, v vouched) (err error) {
	cfg, s, err := dir.open(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	v.set(&cfg)
	if cosigned {
		if err := g.addCosigners(&cfg); err != nil {
			return err
		}
	}
	l, err := log.Open(cfg)
	if err != nil {
		return fmt.Errorf("opening the log in %s: %w", dir, err)
	}
	if _, sealed := l.Sealed(); sealed {
		g.say("%s has ended already", cfg.Origin)
	} else if cosigned {
		g.say("asking the cosigners of %s", g.policy)
	}
	if err := l.Seal(ctx, successor); err != nil {
		return err
	}
	g.say("%s has ended for good; this is its last checkpoint", cfg.Origin)
	g.print("%s", l.Published())
	return nil
}
