package durabletest

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Crashable is a disk in memory that clones of can be made, as a power cut would leave
// it, while others link files on it. Pebble's own takes a lock twice for each Link, and
// waits for ever if a clone is asked for in between.
type Crashable struct {
	*vfs.MemFS
	linking sync.Mutex
}

// NewCrashable is an empty disk.
func NewCrashable() *Crashable { return &Crashable{MemFS: vfs.NewCrashableMem()} }

// Link is vfs.FS's.
func (c *Crashable) Link(from, to string) error {
	c.linking.Lock()
	defer c.linking.Unlock()
	return c.MemFS.Link(from, to)
}

// CrashClone is the disk after a power cut.
func (c *Crashable) CrashClone(cfg vfs.CrashCloneCfg) *vfs.MemFS {
	c.linking.Lock()
	defer c.linking.Unlock()
	return c.MemFS.CrashClone(cfg)
}
