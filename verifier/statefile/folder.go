package statefile

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/verifier"
)

// folder holds small files, each replaced as a whole.
type folder string

func (f folder) path(file string) string { return filepath.Join(string(f), file) }

// openFolder makes the folder if there is none.
func openFolder(dir string) (folder, error) {
	if err := durable.MakeFolder(filepath.Clean(dir)); err != nil {
		return "", fmt.Errorf("making the state folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("opening the state folder: %w", err)
	}
	if info.Mode()&fs.ModeSymlink == 0 && !info.IsDir() {
		return "", fmt.Errorf("%s is no folder", dir)
	}
	return folder(dir), checkPrivate(dir, info, 0o700)
}

// checkPrivate refuses what others can read or put in place.
func checkPrivate(path string, info fs.FileInfo, mode fs.FileMode) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link, which may lead anywhere: name the real folder, or put the real file there", path)
	case !mine(info):
		return fmt.Errorf("%s belongs to another user, who can change what this client trusts: if it is yours, run: chown $(id -u) %s", path, path)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to other users (mode %04o): run: chmod %04o %s", path, info.Mode().Perm(), mode, path)
	}
	return nil
}

// read returns a file's data and their SHA-256; nil and zero if there is no
// such file. Damage is an error, never "no such file".
func (f folder) read(file string) ([]byte, verifier.Token, error) {
	var token verifier.Token
	path := f.path(file)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, token, nil
	}
	if err != nil {
		return nil, token, err
	}
	if err := checkFile(path, info); err != nil {
		return nil, token, err
	}
	// The file opened may be another than the one looked at: a rename came in
	// between. It is looked at again, and never through a symbolic link.
	in, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, token, err
	}
	defer in.Close()
	if info, err = in.Stat(); err != nil {
		return nil, token, err
	}
	if err := checkFile(path, info); err != nil {
		return nil, token, err
	}
	all, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, token, err
	}
	if len(all) < len(token) || len(all) > maxFile {
		return nil, token, damaged(path, fmt.Errorf("it has %d bytes", len(all)))
	}
	data := all[:len(all)-len(token)]
	token = sha256.Sum256(data)
	if token != verifier.Token(all[len(data):]) {
		return nil, verifier.Token{}, damaged(path, errors.New("its checksum is wrong"))
	}
	return data, token, nil
}

func checkFile(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("%s is no regular file", path)
	}
	return checkPrivate(path, info, 0o600)
}

func damaged(path string, err error) error {
	return fmt.Errorf("%s is damaged: %w: restore it from a backup; moving it away starts over, and then this client believes the log on first use again "+
		"and forgets what it has compared and what is pending", path, err)
}

// replace puts data in a file's place, or removes the file when data is nil,
// durably. The caller holds the file's lock.
func (f folder) replace(file string, data []byte) error {
	if data == nil {
		return durable.Remove(f.path(file))
	}
	sum := sha256.Sum256(data)
	return durable.Replace(f.path(file), append(bytes.Clone(data), sum[:]...))
}

// lock waits for the file's lock, which unlock or the end of the process
// gives back. The lock is on a file of its own, which is never removed: a lock
// on a file that is replaced would not be the next writer's lock.
func (f folder) lock(file string) (unlock func(), err error) {
	path := f.path(file + ".lock")
	l, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|openFlags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := flock(l); err != nil {
		l.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { l.Close() }, nil
}
