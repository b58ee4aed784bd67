//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package durable

import (
	"os"
	"syscall"
)

// noFollow refuses a link, and does not wait for who writes into a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func ours(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}
