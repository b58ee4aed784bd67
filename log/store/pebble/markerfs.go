package pebble

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markerFS makes names durable before a marker file refers to them.
//
// Pebble names its current manifest by creating an empty file,
// marker.manifest.N.MANIFEST-M, and then syncs the folder once for both. A
// power cut in between may keep the marker and lose the manifest that it
// names, and then the store cannot be opened. Syncing the folder first closes
// the gap. To be removed when a release of Pebble does it itself (v2.1.7 does
// not; its issue 5825).
type markerFS struct{ vfs.FS }

func (fs markerFS) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(fs.PathBase(path), "marker.") {
		if err := syncDir(fs.FS, fs.PathDir(path)); err != nil {
			return nil, err
		}
	}
	return fs.FS.Create(path, category)
}

// Unwrap is vfs.FS's; the embedded one would skip a layer.
func (fs markerFS) Unwrap() vfs.FS { return fs.FS }

func syncDir(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		dir.Close()
		return err
	}
	return dir.Close()
}
