package main

import (
	"crypto/rand"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
)

func newSeed() (seed [32]byte) {
	rand.Read(seed[:]) // ends the process rather than fail
	return seed
}

func initCommand(g *globals) *cobra.Command {
	var dir, origin, predecessor string
	var mldsa bool
	c := &cobra.Command{
		Use:   "init --dir DIR --origin ORIGIN",
		Short: "Make the keys and the empty log",
		Args:  takes(0),
		RunE: func(*cobra.Command, []string) error {
			if mldsa && dir != "" && origin == "" && predecessor == "" {
				return g.addMLDSA(logDir(dir))
			}
			if dir == "" || origin == "" {
				return usage("init needs --dir DIR and --origin ORIGIN, the log's name for ever, such as keys.example.org/log1")
			}
			if err := g.initLog(logDir(dir), origin, predecessor); err != nil || !mldsa {
				return err
			}
			return g.addMLDSA(logDir(dir))
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "`DIR` for the log; made if needed")
	c.Flags().StringVar(&origin, "origin", "", "the log's name for ever, for example keys.example.org/log1")
	c.Flags().StringVar(&predecessor, "predecessor", "", "`FILE` with the last checkpoint of the sealed log that this one continues, as muster seal prints it")
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

func (g *globals) initLog(dir logDir, text, predecessor string) error {
	origin, err := name.ParseOrigin(text)
	if err != nil {
		return usageError{err}
	}
	before, err := readPredecessor(predecessor, origin)
	if err != nil {
		return err
	}
	if err := dir.create(origin, before); err != nil {
		return err
	}
	g.say("made log %s in %s", origin, dir)
	g.say("clients trust it by %s: its quorum is none, which is no protection against the log itself", dir.path("policy"))
	g.say("keep %s and %s secret; who has them can sign as this log and link its entries to accounts", dir.path("log.key"), dir.path("vrf.key"))
	return nil
}

// readPredecessor reads the text of a sealed log's last checkpoint from a file
// that holds it, with its signatures or without. That the log is sealed there
// is for its readers to verify; here a file that is none must not get into a
// leaf that can never be changed.
func readPredecessor(path string, origin name.Origin) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the predecessor: %w", err)
	}
	text := string(data)
	if note, err := checkpoint.Parse(data); err == nil {
		text = note.Text
	}
	c, err := checkpoint.ParseText(text)
	if err != nil {
		return "", fmt.Errorf("%s is no checkpoint, as `muster seal` prints it: %w", path, err)
	}
	if c.Origin == origin {
		return "", usage("%s is a checkpoint of %s itself: a log that continues another one has another origin", path, origin)
	}
	return text, nil
}
