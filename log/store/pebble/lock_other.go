//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package pebble

import (
	"fmt"
	"os"
)

// lock holds the file open, no more: this system has no flock(2), so only
// Pebble's own lock keeps a second process out.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	return f, nil
}
