package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/fsck"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
)

func fsckCommand(g *globals) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "fsck --dir DIR",
		Short: "Recompute the whole stored log and map",
		Long: `fsck recomputes all that a log has stored: the tree from its leaves, each map
from the tree, the accounts from their events. It changes nothing, and names
each row that is not what follows from the others: exit code 3. It looks at a
log that is not being served, or at a backup.

It cannot know whether the newest epochs are missing as a whole. The signed head
tells, if it lies in DIR, and cosigners do when the log is served.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usage("fsck needs --dir DIR, the log's folder")
			}
			return g.fsck(cmd.Context(), logDir(dir))
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "`DIR` of the log, or of a backup")
	return c
}

// damaged says that a store is not what it should be.
type damaged struct{ error }

// maxShown bounds the differences that are shown: a lost file may hold a
// million rows.
const maxShown = 100

func (g *globals) fsck(ctx context.Context, dir logDir) error {
	cfg, err := dir.checked()
	if err != nil {
		return err
	}
	s, err := pebble.OpenReadOnly(dir.storeConfig())
	if err != nil {
		return err
	}
	cfg.Store = s
	err = g.checkStore(ctx, dir, cfg)
	return errors.Join(err, s.Close())
}

// checkStore is fsck of an open store.
func (g *globals) checkStore(ctx context.Context, dir logDir, cfg fsck.Config) error {
	shown := 0
	cfg.Found = func(d fsck.Difference) {
		if shown++; shown <= maxShown {
			g.say("%s", d)
		}
	}
	r, err := fsck.Check(ctx, cfg)
	if err != nil {
		return err
	}
	if shown > maxShown {
		g.say("and %d more", shown-maxShown)
	}
	g.print("%s\n", lookedAt(cfg, r))
	if r.Differences > 0 {
		return damaged{fmt.Errorf("%s: %d differences: do not serve it; restore a backup that is whole, then `muster recover` brings it up to date", dir, r.Differences)}
	}
	return nil
}

func lookedAt(cfg fsck.Config, r *fsck.Report) string {
	text := fmt.Sprintf("%s: %d leaves, %d epochs with their maps, %d tiles, %d events (%d erased), %d accounts, %d VRF proofs, %d checkpoints, %d promised events",
		cfg.Origin, r.Leaves, r.Epochs, r.Tiles, r.Events, r.Erased, r.Accounts, r.Proofs, r.Notes, r.Reserved)
	if r.Unopened > 0 {
		text += fmt.Sprintf("; %d events have no openings, as after recover", r.Unopened)
	}
	if r.Sealed {
		text += "; it is sealed"
	}
	if cfg.VRF == nil {
		text += "; no VRF key: indexes were checked only where a proof is kept"
	}
	if cfg.Head == nil {
		text += "; no signed head to compare with"
	}
	return text + fmt.Sprintf("; %d differences", r.Differences)
}

// checked is what fsck knows of a log but for its store: from a log's folder or
// a backup's, which has no keys.
func (d logDir) checked() (cfg fsck.Config, err error) {
	vkey, err := os.ReadFile(d.path("log.vkey"))
	if errors.Is(err, fs.ErrNotExist) {
		return cfg, fmt.Errorf("%s has no log and no backup of one: there is no log.vkey", d)
	}
	if err != nil {
		return cfg, err
	}
	if cfg.Key, err = checkpoint.ParseKey(strings.TrimSuffix(string(vkey), "\n")); err != nil {
		return cfg, fmt.Errorf("%s: %w", d.path("log.vkey"), err)
	}
	if cfg.Origin, err = name.ParseOrigin(cfg.Key.Name); err != nil {
		return cfg, fmt.Errorf("%s: %w", filepath.Base(d.path("log.vkey")), err)
	}
	seed, err := readSeed(d.path("vrf.key"))
	if err == nil {
		cfg.VRF = vrf.NewPrivateKey(seed)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return cfg, err
	}
	cfg.Head, err = log.HeadFile(d.path("signed-head")).Load()
	return cfg, err
}
