//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package pebble

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes the store for this process until the file is closed, which the
// kernel also does when the process dies.
//
// flock(2) belongs to the open file. Pebble's own lock is a POSIX one, which
// belongs to the process and vanishes as soon as anything in the process, a
// backup for example, opens and closes the file; then a second process opens
// the live store and two logs sign with one key.
//
// The file is never removed: a process that waits to open it would lock a name
// that nobody else can see.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s is held: the store is open in another process; stop that first", path)
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}
