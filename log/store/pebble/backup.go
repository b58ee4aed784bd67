package pebble

import (
	"errors"
	"fmt"
)

// Backup makes a store in the folder dir, which has none, of what was committed
// when it began; commits go on meanwhile. On one file system the copy shares
// files with the store, which neither ever changes: it is not safe from a disk
// that fails before it was carried elsewhere.
//
// Only the engine may do this: another reader of the folder would see files come
// and go, and lose the engine's own lock.
func (s *Store) Backup(dir string) error {
	copied := Config{Dir: dir, FS: s.fs}
	err := copied.check()
	if err == nil {
		err = s.backup(&copied)
	}
	if err != nil {
		return fmt.Errorf("copying the store to %s: %w", dir, err)
	}
	return nil
}

func (s *Store) backup(to *Config) error {
	if ok, err := to.exists(); err != nil {
		return err
	} else if ok {
		return errors.New("there is a store already: choose another folder")
	}
	if err := to.FS.MkdirAll(to.Dir, 0o700); err != nil {
		return err
	}
	// A crash before it returns leaves a folder that may not open; the caller
	// checks the copy before it believes in it.
	if err := s.db.Checkpoint(to.folder()); err != nil {
		return err
	}
	return errors.Join(syncDir(to.FS, to.Dir), syncDir(to.FS, to.FS.PathDir(to.Dir)))
}
