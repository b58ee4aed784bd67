package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/store/pebble"
)

func backupCommand(g *globals) *cobra.Command {
	var dir, to string
	c := &cobra.Command{
		Use:   "backup --dir DIR --to DIR2",
		Short: "Copy a log's store, served or not, and check the copy",
		Long: `backup makes DIR2, with a copy of the store of the log in DIR, and recomputes all
of the copy as fsck does before it says that it is done. The log may be served
meanwhile.

The copy has no keys: keep those apart, on paper for example. It has no signed
head either, since what was signed after the backup is what a restored log must
not sign again: a log with a restored store signs nothing before muster recover
has found out where it stood.

On one file system the copy shares files with the store. Carry it to another
machine.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" || to == "" {
				return usage("backup needs --dir DIR, the log's folder, and --to DIR2, a new folder")
			}
			return g.backup(cmd.Context(), logDir(dir), logDir(to))
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "`DIR` of the log")
	c.Flags().StringVar(&to, "to", "", "`DIR` of the copy; must not exist")
	return c
}

func (g *globals) backup(ctx context.Context, dir, to logDir) error {
	cfg, err := dir.checked()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(string(to)); err == nil {
		return fmt.Errorf("%s is there already: name a new folder", to)
	}
	absolute, err := filepath.Abs(to.path("store"))
	if err != nil {
		return err
	}
	if err := durable.MakeFolder(filepath.Clean(string(to))); err != nil {
		return err
	}
	if err := dir.copyStore(ctx, absolute); err != nil {
		return err
	}
	s, err := pebble.OpenReadOnly(to.storeConfig())
	if err != nil {
		return err
	}
	cfg.Store, cfg.Head = s, nil // the log has signed on since
	if err := errors.Join(g.checkStore(ctx, to, cfg), s.Close()); err != nil {
		return err
	}
	// Written last: a folder without it is no backup.
	if err := durable.Create(to.path("log.vkey"), []byte(cfg.Key.String()+"\n"), 0o644); err != nil {
		return err
	}
	g.say("%s is a checked copy of the store of %s; it has no keys", to, cfg.Origin)
	return nil
}

// copyStore asks the server that has the folder, or takes the folder itself.
func (d logDir) copyStore(ctx context.Context, to string) error {
	err := d.askBackup(ctx, to)
	if !errors.Is(err, errNotServed) {
		return err
	}
	s, err := pebble.Open(d.storeConfig())
	if err != nil {
		return err
	}
	return errors.Join(s.Backup(to), s.Close())
}
