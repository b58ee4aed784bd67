// Package durabletest has disks in memory that lose what was not synced when
// the power goes, for tests of what must survive that.
package durabletest

import "github.com/cockroachdb/pebble/v2/vfs"

// Hook is a file system that tells of every change before it happens.
// Pebble compares file systems, so it is used by its pointer.
type Hook struct {
	vfs.FS
	Before func(op, path string)
}

// Create tells of "create".
func (h *Hook) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	h.Before("create", path)
	return h.file(path)(h.FS.Create(path, category))
}

// ReuseForWrite is done in its two steps: MemFS's own takes a read lock twice,
// and hangs for ever when CrashClone asks for the write lock in between.
func (h *Hook) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := h.Rename(from, to); err != nil {
		return nil, err
	}
	return h.file(to)(h.FS.OpenReadWrite(to, category))
}

// OpenDir is a folder whose Sync is told of.
func (h *Hook) OpenDir(path string) (vfs.File, error) { return h.file(path)(h.FS.OpenDir(path)) }

// Remove tells of "remove".
func (h *Hook) Remove(path string) error {
	h.Before("remove", path)
	return h.FS.Remove(path)
}

// Rename tells of "rename", and the new name.
func (h *Hook) Rename(from, to string) error {
	h.Before("rename", to)
	return h.FS.Rename(from, to)
}

// Link tells of "link", and the new name.
func (h *Hook) Link(from, to string) error {
	h.Before("link", to)
	return h.FS.Link(from, to)
}

// Unwrap is the file system below.
func (h *Hook) Unwrap() vfs.FS { return h.FS }

func (h *Hook) file(path string) func(vfs.File, error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		return hookFile{f, h, path}, nil
	}
}

type hookFile struct {
	vfs.File
	hook *Hook
	path string
}

func (f hookFile) Write(p []byte) (int, error) {
	f.hook.Before("write", f.path)
	return f.File.Write(p)
}

func (f hookFile) Sync() error {
	f.hook.Before("sync", f.path)
	return f.File.Sync()
}

func (f hookFile) SyncData() error {
	f.hook.Before("sync", f.path)
	return f.File.SyncData()
}
