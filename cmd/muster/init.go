package main

import (
	"crypto/rand"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/name"
)

func newSeed() (seed [32]byte) {
	rand.Read(seed[:]) // ends the process rather than fail
	return seed
}

func initCommand(g *globals) *cobra.Command {
	var dir, origin string
	var mldsa bool
	c := &cobra.Command{
		Use:   "init --dir DIR --origin ORIGIN",
		Short: "Make the keys and the empty log",
		Args:  takes(0),
		RunE: func(*cobra.Command, []string) error {
			if mldsa && dir != "" && origin == "" {
				return g.addMLDSA(logDir(dir))
			}
			if dir == "" || origin == "" {
				return usage("init needs --dir DIR and --origin ORIGIN, the log's name for ever, such as keys.example.org/log1")
			}
			if err := g.initLog(logDir(dir), origin); err != nil || !mldsa {
				return err
			}
			return g.addMLDSA(logDir(dir))
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "`DIR` for the log; made if needed")
	c.Flags().StringVar(&origin, "origin", "", "the log's name for ever, for example keys.example.org/log1")
	c.Flags().BoolVar(&mldsa, "mldsa", false, "sign with ML-DSA-44 too; without --origin: add such a key to the log in DIR")
	return c
}

// addMLDSA gives a log its second key. It may come at any time, and old
// checkpoints stay as they are.
func (g *globals) addMLDSA(dir logDir) error {
	signer, err := dir.signer()
	if err != nil {
		return err
	}
	if err := dir.createMLDSA(name.Origin(signer.Key().Name)); err != nil {
		return err
	}
	g.say("made an ML-DSA-44 key in %s: checkpoints carry its signature too once the log is started again", dir)
	return nil
}

func (g *globals) initLog(dir logDir, text string) error {
	origin, err := name.ParseOrigin(text)
	if err != nil {
		return usageError{err}
	}
	if err := dir.create(origin); err != nil {
		return err
	}
	g.say("made log %s in %s", origin, dir)
	g.say("clients trust it by %s: its quorum is none, which is no protection against the log itself", dir.path("policy"))
	g.say("keep %s and %s secret; who has them can sign as this log and link its entries to accounts", dir.path("log.key"), dir.path("vrf.key"))
	return nil
}
