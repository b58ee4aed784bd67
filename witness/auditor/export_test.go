package auditor

import "github.com/musterlog/muster/log/durable/durabletest"

// OpenOn opens an auditor whose folder and map lie on this disk.
func OpenOn(cfg Config, d durabletest.Disk) (*Auditor, error) {
	cfg.Disk, cfg.store.FS, cfg.store.MemTableBytes = d.Files, d.FS, 64<<10
	return Open(cfg)
}
