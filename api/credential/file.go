package credential

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/musterlog/muster/log/durable"
)

const (
	// maxCredentials is far more than the servers, auditors and operators of one
	// log; each request's token is looked for among them.
	maxCredentials = 10_000

	// maxName holds the name of a machine or a person.
	maxName = 100
)

// List is what the file holds, in the order in which it was added;
// fs.ErrNotExist if there is no file.
func List(path string) ([]Credential, error) {
	data, err := durable.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	all, err := parse(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// Add makes a token and writes its hash into the file, which it makes if there
// is none. The token is nowhere else. A running server knows it at once.
func Add(path string, scope Scope, name string, now time.Time) (Token, Credential, error) {
	if len(name) > maxName || strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return Token{}, Credential{}, fmt.Errorf("name %q: want at most %d visible ASCII characters", name, maxName)
	}
	t := NewToken()
	c := Credential{Hash: t.Hash(), Scope: scope, Added: now.UTC().Truncate(time.Second), Name: name}
	err := change(path, func(all []Credential) ([]Credential, error) {
		if len(all) >= maxCredentials {
			return nil, fmt.Errorf("%d credentials, the most there may be: revoke some", len(all))
		}
		return append(all, c), nil
	})
	if err != nil {
		return Token{}, c, err
	}
	return t, c, nil
}

// Revoke takes a credential out of the file, by its ID. When it returns a
// running server refuses its token. The file stays, also when it holds none.
func Revoke(path, id string) (Credential, error) {
	var gone Credential
	err := change(path, func(all []Credential) ([]Credential, error) {
		for i := range all {
			if all[i].ID() == id {
				gone = all[i]
				return append(all[:i], all[i+1:]...), nil
			}
		}
		return nil, fmt.Errorf("no credential %q: `muster token list` shows them", id)
	})
	return gone, err
}

// change replaces the file by what do makes of it. A crash leaves the one or
// the other.
func change(path string, do func([]Credential) ([]Credential, error)) error {
	// Two that write at once would each lose the other's change, and a lost
	// revocation lets somebody in.
	lock, err := durable.Lock(path + ".lock")
	if errors.Is(err, durable.ErrLocked) {
		return errors.New("another `muster token` is changing the credentials: try again")
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	all, err := List(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if all, err = do(all); err != nil {
		return err
	}
	text := header + "\n"
	for i := range all {
		text += all[i].line() + "\n"
	}
	if err := durable.Replace(path, []byte(text)); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	return nil
}
