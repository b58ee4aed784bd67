//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package statefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// Where neither the owner of a file nor a lock on it is to be had, nothing is
// kept: a state that others can change would be trusted wrongly.

const openFlags = 0

func mine(fs.FileInfo) bool { return false }

func flock(*os.File) error {
	return fmt.Errorf("file locks on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
