package log

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/musterlog/muster/log/durable"
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

// Store replaces the file. A crash leaves the old head or the new one; if the
// old one, the store is an epoch ahead, and Open signs the same bytes again.
func (f HeadFile) Store(note []byte) error {
	if err := durable.Replace(string(f), note); err != nil {
		return fmt.Errorf("writing the signed head: %w", err)
	}
	return nil
}
