package credential

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/musterlog/muster/log/durable"
)

// Set is a file of credentials as a running server sees it: each question sees
// what the file says now, so that a revoked token is refused at once.
type Set struct {
	path string

	mu     sync.Mutex
	file   *os.File // what was read: while it is open no other file has its inode
	info   os.FileInfo
	known  map[Hash]*Credential
	broken error // why the file there is now cannot be read; it lets nobody in
}

// ErrUnknown is a token that the log does not know, or knows no more.
var ErrUnknown = errors.New("the log knows no such token")

// Open reads a file of credentials. If there is none, and as long as none is
// made, everybody may do everything.
func Open(path string) (*Set, error) {
	s := &Set{path: path}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.refresh()
}

// Required says whether callers have to show a token.
func (s *Set) Required() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh()
	return s.info != nil || s.broken != nil
}

// Find is the credential of a token, if the log knows it now: ErrUnknown if it
// does not. Any other error is a file that cannot be read, and lets nobody in.
// Without a file it is an operator's, whatever the token.
func (s *Set) Find(h Hash) (Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return Credential{}, err
	}
	if s.info == nil {
		return Credential{Scope: Operator}, nil
	}
	if c, ok := s.known[h]; ok {
		return *c, nil
	}
	return Credential{}, ErrUnknown
}

// refresh reads the file if it is not the one that was read: a microsecond if
// it is. What replaced it has another inode; who wrote into it changed its time
// or size.
func (s *Set) refresh() error {
	now, err := os.Lstat(s.path)
	if errors.Is(err, fs.ErrNotExist) && s.info == nil && s.broken == nil {
		return nil // nobody has made one yet
	}
	if err != nil {
		// One that is gone does not open the log to everybody.
		s.broken = fmt.Errorf("credentials: %w: restore the file, or start the server again without it", err)
		return s.broken
	}
	if was := s.info; s.broken == nil && was != nil && os.SameFile(now, was) &&
		now.Mode() == was.Mode() && now.ModTime().Equal(was.ModTime()) && now.Size() == was.Size() {
		return nil
	}
	s.broken = s.read()
	return s.broken
}

func (s *Set) read() error {
	f, data, err := durable.OpenSecret(s.path)
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	info, err := f.Stat()
	var all []Credential
	if err == nil {
		all, err = parse(string(data))
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("credentials: %s: %w", s.path, err)
	}
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.info, s.known = f, info, make(map[Hash]*Credential, len(all))
	for i := range all {
		s.known[all[i].Hash] = &all[i]
	}
	return nil
}
