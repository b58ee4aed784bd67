package log

import (
	"errors"
	"fmt"
	"io/fs"

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

// HeadFile is a SignedHead in one file, best on another disk than the store:
// path may be a link to there, also to a file that is not yet, and stays one.
func HeadFile(path string) SignedHead { return headFile{path: path} }

// HeadFileOn is a HeadFile on a disk other than the operating system's.
func HeadFileOn(disk durable.Disk, path string) SignedHead { return headFile{disk, path} }

type headFile struct {
	disk durable.Disk
	path string
}

// Load reads the file.
func (f headFile) Load() ([]byte, error) {
	b, err := f.disk.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Store replaces the file. A crash leaves the old head or the new one; if the
// old one, the store is an epoch ahead, and Open signs the same bytes again.
func (f headFile) Store(note []byte) error {
	// A plain file in the link's place would lie beside the store, and the other
	// disk keep a head that a restored backup of the store forks from.
	path, err := f.disk.Behind(f.path)
	if err == nil {
		err = f.disk.Replace(path, note)
	}
	if err != nil {
		return fmt.Errorf("writing the signed head: %w", err)
	}
	return nil
}
