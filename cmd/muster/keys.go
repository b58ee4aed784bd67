package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// keyTypes are the names of --type.
var keyTypes = map[string]uint8{"ed25519": event.KeyEd25519, "curve25519": event.KeyCurve25519}

// keyDir holds the private keys of the accounts that this agent acts for: one
// file a key, in a folder an account, named by the public key.
type keyDir string

func (d keyDir) path(account name.AccountID, public event.Key) string {
	return filepath.Join(string(d), account.String(), public.String()+".key")
}

// generate makes a key that is durable before anything is signed with it: a
// key that is lost after it entered the log cannot be taken out again.
func (d keyDir) generate(account name.AccountID, typ string) (*event.PrivateKey, error) {
	t, ok := keyTypes[typ]
	if !ok {
		return nil, usage("--type %s: want ed25519 or curve25519", typ)
	}
	k, err := event.GenerateKey(t)
	if err != nil {
		return nil, err
	}
	path := d.path(account, k.Public())
	if err := durable.MakeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	seed := k.Seed()
	if err := durable.Create(path, []byte(typ+" "+hex.EncodeToString(seed[:])+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("storing the new key: %w", err)
	}
	return k, nil
}

// load finds the private key of a public one.
func (d keyDir) load(account name.AccountID, public event.Key) (*event.PrivateKey, error) {
	path := d.path(account, public)
	text, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no private key for %s in %s: this agent cannot sign for it; pass --keys DIR if it lies elsewhere", public, d)
	}
	if err != nil {
		return nil, err
	}
	typ, digits, _ := strings.Cut(text, " ")
	seed, err := hex.DecodeString(digits)
	if t, ok := keyTypes[typ]; ok && err == nil && len(seed) == 32 {
		k, err := event.NewPrivateKey(t, [32]byte(seed))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if k.Public() != public {
			return nil, fmt.Errorf("%s holds another key than its name says", path)
		}
		return k, nil
	}
	return nil, fmt.Errorf("%s: want a line \"ed25519\" or \"curve25519\" and 64 hex digits", path)
}
