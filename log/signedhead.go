package log

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// SignedHead remembers, apart from the store, the newest checkpoint that was
// signed. A store that lost its tail looks like a shorter log in good order,
// and a log that goes on from there signs a fork; this file is what notices.
type SignedHead interface {
	// Load returns the note last stored; nil if none ever was.
	Load() ([]byte, error)
	// Store replaces the note and returns when that is durable.
	Store(note []byte) error
}

// HeadFile is a SignedHead in one file, best on another disk than the store.
type HeadFile string

// Load reads the file.
func (f HeadFile) Load() ([]byte, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Store writes the note beside the file and renames it over. A crash before
// the rename leaves the old head and perhaps a stray temporary file, which the
// next Store overwrites; after it, the new head.
func (f HeadFile) Store(note []byte) error {
	temp := string(f) + ".new"
	if err := writeSynced(temp, note); err != nil {
		return fmt.Errorf("writing the signed head: %w", err)
	}
	if err := os.Rename(temp, string(f)); err != nil {
		return fmt.Errorf("writing the signed head: %w", err)
	}
	// The rename itself is durable only once its folder is.
	dir, err := os.Open(filepath.Dir(string(f)))
	if err != nil {
		return fmt.Errorf("syncing the signed head's folder: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("syncing the signed head's folder: %w", err)
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
