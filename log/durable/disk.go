package durable

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Disk is where files lie. The zero Disk is the operating system's, and so is
// what the functions of this package work on.
type Disk struct{ fs FS }

// On is a Disk of another file system.
func On(fs FS) Disk { return Disk{fs} }

// FS is a file system, as far as this package needs one. Tests have one that
// loses what was not synced. Errors are those of package os.
type FS interface {
	Open(path string) (io.ReadCloser, error)
	Lstat(path string) (fs.FileInfo, error)
	Readlink(path string) (string, error)               // what a link names, from here
	Create(path string, mode fs.FileMode) (File, error) // fs.ErrExist if it exists
	Rename(from, to string) error
	Remove(path string) error
	Mkdir(path string) error // for its owner alone
	SyncFolder(path string) error
	Lock(path string) (io.Closer, error) // see Lock
}

// File is one that is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

func (d Disk) on() FS {
	if d.fs == nil {
		return system{}
	}
	return d.fs
}

// Open reads a file. The caller closes it.
func (d Disk) Open(path string) (io.ReadCloser, error) { return d.on().Open(path) }

// ReadFile is all of a file.
func (d Disk) ReadFile(path string) ([]byte, error) {
	f, err := d.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Lock takes a folder by a lock file in it, as the function of that name does.
func (d Disk) Lock(path string) (io.Closer, error) { return d.on().Lock(path) }

// Create is Disk.Create on the operating system's.
func Create(path string, data []byte, mode fs.FileMode) error { return Disk{}.Create(path, data, mode) }

// Replace is Disk.Replace on the operating system's.
func Replace(path string, data []byte) error { return Disk{}.Replace(path, data) }

// Remove is Disk.Remove on the operating system's.
func Remove(path string) error { return Disk{}.Remove(path) }

// Keep is Disk.Keep on the operating system's.
func Keep(path string, data []byte) error { return Disk{}.Keep(path, data) }

// MakeFolder is Disk.MakeFolder on the operating system's.
func MakeFolder(dir string) error { return Disk{}.MakeFolder(dir) }

// system is the operating system's file system.
type system struct{}

func (system) Open(path string) (io.ReadCloser, error) { return os.Open(path) }
func (system) Lstat(path string) (fs.FileInfo, error)  { return os.Lstat(path) }
func (system) Rename(from, to string) error            { return os.Rename(from, to) }
func (system) Remove(path string) error                { return os.Remove(path) }
func (system) Mkdir(path string) error                 { return os.Mkdir(path, 0o700) }

// Readlink looks the folder up: lexically, ".." behind a linked folder would
// lead back to where that link is.
func (system) Readlink(path string) (string, error) {
	to, err := os.Readlink(path)
	if err != nil {
		return "", err
	}
	folder, file := filepath.Split(to)
	if !filepath.IsAbs(to) {
		here, _ := filepath.Split(path)
		folder = here + folder
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return "", err
	}
	return filepath.Join(folder, file), nil
}

func (system) Create(path string, mode fs.FileMode) (File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

func (system) SyncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (system) Lock(path string) (io.Closer, error) { return Lock(path) }
