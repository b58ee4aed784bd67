// Package durable writes small files that survive a power cut: keys, heads,
// states. When a function returns nil its effect is on the disk, and a crash
// before that leaves the file as it was or as it was to be, never in between.
//
// What it cannot do is notice a disk that lies about having written. Who must
// know reads elsewhere: a log asks its witnesses.
package durable

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Create writes a file that must not exist yet. A crash may leave it behind
// empty or cut short.
func (d Disk) Create(path string, data []byte, mode fs.FileMode) error {
	if err := d.write(path, data, mode); err != nil {
		return err
	}
	return d.syncFolder(path)
}

// Replace puts data in the place of a file, or makes it, readable by its
// owner alone. A link goes: it is never written through, since somebody else
// could have made it; see Behind. One writer at a time: the temporary file beside it has one name.
func (d Disk) Replace(path string, data []byte) error {
	temp := path + ".new"
	// A crashed writer's, or something else that is in the way: it is never
	// written into, since it could be a link.
	if err := d.on().Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A crash from here leaves the old file in force and a stray temporary one,
	// whole or not, which nobody reads and the next Replace removes.
	if err := d.write(temp, data, 0o600); err != nil {
		return err
	}
	if err := d.on().Rename(temp, path); err != nil {
		return err
	}
	// After a crash before this line the folder has the old file or the new
	// one: nobody has been told yet that it is the new one.
	return d.syncFolder(path)
}

// Behind is the file that a path names in the end: what is behind its links, or
// would be, or the path itself. Only for folders where nobody else can make a
// link; what is done to a file there is atomic and durable where it really lies.
func (d Disk) Behind(path string) (string, error) {
	for at, links := path, 0; links < maxLinks; links++ {
		info, err := d.on().Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return at, nil
		}
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return at, err
		}
		if at, err = d.on().Readlink(at); err != nil {
			return "", fmt.Errorf("following the link %s: %w", path, err)
		}
	}
	return "", fmt.Errorf("%s leads over more than %d links: make it one to a file", path, maxLinks)
}

// maxLinks ends a circle of links; Linux follows as many.
const maxLinks = 40

// Remove removes a file, if it is there. A crash before it returns may bring
// the file back.
func (d Disk) Remove(path string) error {
	if err := d.on().Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.syncFolder(path)
}

// Keep writes a file whose name follows from its content, readable by its
// owner alone, and leaves one that is there as it is. It may run many times at
// once: each has a temporary file of its own, and a crash leaves at most that.
func (d Disk) Keep(path string, data []byte) error {
	if old, err := d.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return d.syncFolder(path)
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()+".new")
	defer d.on().Remove(temp)
	if err := d.write(temp, data, 0o600); err != nil {
		return err
	}
	if err := d.on().Rename(temp, path); err != nil {
		return err
	}
	return d.syncFolder(path)
}

// MakeFolder makes a folder and what is missing above it, each durably and
// for its owner alone: a file in a folder that a power cut takes away again
// would not be there. A folder that exists stays as it is.
func (d Disk) MakeFolder(dir string) error {
	if _, err := d.on().Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.MakeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := d.on().Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.syncFolder(dir)
}

func (d Disk) write(path string, data []byte, mode fs.FileMode) error {
	f, err := d.on().Create(path, mode)
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
func (d Disk) syncFolder(path string) error { return d.on().SyncFolder(filepath.Dir(path)) }
