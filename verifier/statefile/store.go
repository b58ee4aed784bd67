package statefile

import (
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// Store is a verifier.Store in a folder: one file for each log, log_id in hex
// and ".state", with the canonical State (protocol section 6). Any number of
// goroutines and processes may use one folder.
type Store struct{ folder folder }

// Open makes the folder if there is none; one that others can read is refused.
func Open(dir string) (*Store, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	return &Store{f}, nil
}

func stateFile(log name.LogID) string { return log.String() + ".state" }

// Load is verifier.Store's. The state is nil only if there is no file.
func (s *Store) Load(log name.LogID, accounts []name.AccountID) (*verifier.State, verifier.Token, error) {
	state, token, err := s.load(log)
	return state.Restrict(accounts), token, err
}

func (s *Store) load(log name.LogID) (*verifier.State, verifier.Token, error) {
	data, token, err := s.folder.read(stateFile(log))
	if err != nil || data == nil {
		return nil, verifier.Token{}, err
	}
	state, err := verifier.ParseState(data)
	if err == nil && state.Origin.LogID() != log {
		err = fmt.Errorf("it is of log %q", state.Origin)
	}
	if err != nil {
		return nil, verifier.Token{}, damaged(s.folder.path(stateFile(log)), err)
	}
	return state, token, nil
}

// Save is verifier.Store's.
func (s *Store) Save(next *verifier.State, loaded verifier.Token) error {
	log := next.Origin.LogID()
	unlock, err := s.folder.lock(stateFile(log))
	if err != nil {
		return err
	}
	defer unlock()
	kept, token, err := s.load(log)
	if err != nil {
		return err
	}
	if token != loaded {
		return verifier.ErrConflict
	}
	data, err := next.Merge(kept).Bytes()
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	// What could not be read back must not take the place of what can.
	if _, err := verifier.ParseState(data); err != nil {
		return fmt.Errorf("refusing to store: %w", err)
	}
	if len(data) > maxFile-len(token) {
		return errors.New("the state is too large for one file: keep fewer accounts in it")
	}
	return s.folder.replace(stateFile(log), data)
}
