package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
)

// cosignerDir has the keys of a witness or an auditor, the files named by its
// role: for a witness
//
//	witness.key         the seed of its Ed25519 key: "ed25519 NAME HEX"
//	witness.vkey        the verifier key, type 04, for everybody
//	witness-mldsa.key   the seed of its ML-DSA-44 key: "mldsa44 NAME HEX"
//	witness-mldsa.vkey  the verifier key, type 06
type cosignerDir struct{ dir, role string }

// cosignerKeys are the keys of every cosigner: the word in the key file, and
// what follows the role in its name.
var cosignerKeys = []struct {
	typ          checkpoint.KeyType
	word, suffix string
}{
	{checkpoint.Cosignature, "ed25519", ""},
	{checkpoint.MLDSA44, "mldsa44", "-mldsa"},
}

func (d cosignerDir) path(suffix string) string { return filepath.Join(d.dir, d.role+suffix) }

// open reads the keys and, if init is set, makes those that are missing. Its
// name is the one that they have had; a new cosigner's is random if none is given.
func (d cosignerDir) open(name string, init bool) (all []*checkpoint.Cosigner, err error) {
	for _, k := range cosignerKeys {
		path := d.path(k.suffix + ".key")
		c, err := loadCosigner(path, k.typ, k.word)
		if errors.Is(err, fs.ErrNotExist) {
			if !init {
				return nil, fmt.Errorf("there is no %s: a new %s is made with --init --dir %s; one that has lost its folder must not sign again under its old name", path, d.role, d.dir)
			}
			if name == "" {
				seed := newSeed()
				name = "muster-" + d.role + "-" + hex.EncodeToString(seed[:8])
			}
			c, err = createCosigner(path, k.typ, k.word, name)
		}
		if err != nil {
			return nil, err
		}
		have := c.Key().Name
		if name != "" && name != have {
			return nil, usage("%s is of %s, not of %s: choose another --dir for another %s", path, have, name, d.role)
		}
		name = have
		// Made again if it is missing: whoever has the key has the vkey.
		vkey := d.path(k.suffix + ".vkey")
		if err := durable.Create(vkey, []byte(c.Key().String()+"\n"), 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// createCosigner makes a key that is durable before anything is signed with it.
func createCosigner(path string, typ checkpoint.KeyType, word, name string) (*checkpoint.Cosigner, error) {
	seed := newSeed()
	c, err := checkpoint.NewCosigner(typ, name, seed)
	if err != nil {
		return nil, usageError{err}
	}
	if err := durable.MakeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := durable.Create(path, fmt.Appendf(nil, "%s %s %x\n", word, name, seed), 0o600); err != nil {
		return nil, fmt.Errorf("storing the new key: %w", err)
	}
	return c, nil
}

func loadCosigner(path string, typ checkpoint.KeyType, word string) (*checkpoint.Cosigner, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	words := strings.Split(text, " ")
	if len(words) == 3 && words[0] == word {
		if seed, err := hex.DecodeString(words[2]); err == nil && len(seed) == 32 {
			c, err := checkpoint.NewCosigner(typ, words[1], [32]byte(seed))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			return c, nil
		}
	}
	return nil, fmt.Errorf("%s: want a line %q, a name and 64 hex digits; if it is cut short and nothing was signed yet, delete the folder and begin again", path, word)
}
