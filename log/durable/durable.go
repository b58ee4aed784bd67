// Package durable writes small files that survive a power cut: keys, heads,
// states. When a function returns nil its effect is on the disk, and a crash
// before that leaves the file as it was or as it was to be, never in between.
//
// What it cannot do is notice a disk that lies about having written. Who must
// know reads elsewhere: a log asks its witnesses.
package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a file that must not exist yet. A crash may leave it behind
// empty or cut short.
func Create(path string, data []byte, mode fs.FileMode) error {
	if err := write(path, data, mode); err != nil {
		return err
	}
	return syncFolder(path)
}

// Replace puts data in the place of a file, or makes it, readable by its
// owner alone. One writer at a time: the temporary file beside it has one name.
func Replace(path string, data []byte) error {
	temp := path + ".new"
	// A crashed writer's, or something else that is in the way: it is never
	// written into, since it could be a link.
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A crash from here leaves the old file in force and a stray temporary one,
	// whole or not, which nobody reads and the next Replace removes.
	if err := write(temp, data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	// After a crash before this line the folder has the old file or the new
	// one: nobody has been told yet that it is the new one.
	return syncFolder(path)
}

// Remove removes a file, if it is there. A crash before it returns may bring
// the file back.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncFolder(path)
}

// Keep writes a file whose name follows from its content, readable by its
// owner alone, and leaves one that is there as it is. It may run many times at
// once: each has a temporary file of its own, and a crash leaves at most that.
func Keep(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return syncFolder(path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(path)
}

// MakeFolder makes a folder and what is missing above it, each durably and
// for its owner alone: a file in a folder that a power cut takes away again
// would not be there. A folder that exists stays as it is.
func MakeFolder(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := MakeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(dir)
}

func write(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	// Without it a rename could become durable before the bytes do.
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// syncFolder makes a name durable: creating, renaming and removing are
// changes of the folder, not of the file.
func syncFolder(path string) error {
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
