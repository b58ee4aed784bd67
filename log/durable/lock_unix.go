//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock takes a folder for this process by a lock file in it, until the file
// is closed, which the kernel also does when the process dies. If it is taken
// the error is ErrLocked: it does not wait.
//
// flock(2) belongs to the open file. A POSIX lock, such as Pebble's own,
// belongs to the process and vanishes as soon as anything in the process, a
// backup for example, opens and closes the file; then a second process opens
// the live folder and two of them sign with one key.
//
// The file is never removed: a process that waits to open it would lock a name
// that nobody else can see.
func Lock(path string) (*os.File, error) {
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
		return nil, fmt.Errorf("%s: %w", path, ErrLocked)
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}
