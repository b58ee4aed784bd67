package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
)

// logDir is a log's folder:
//
//	log.key      the log's signing key, in the form of golang.org/x/mod/sumdb/note
//	vrf.key      the VRF key's seed, hex
//	log.vkey     the verifier key, for everybody
//	log-mldsa.key, log-mldsa.vkey
//	             a second signing key, ML-DSA-44, if wanted: seed in hex, verifier key
//	policy       a trust policy for clients: this log and no cosigner
//	credentials  who may do what, by the hashes of their tokens; without it, everybody everything
//	signed-head  the newest checkpoint that was signed (better on another disk: a link will do)
//	store/       the embedded store
//	control      a socket, while the log is served: muster backup asks there
//	evidence/    what convicts this log, if its key was used twice
type logDir string

func (d logDir) path(file string) string { return filepath.Join(string(d), file) }

// exists says whether a log was made here, even if that was interrupted.
func (d logDir) exists() (bool, error) {
	_, err := os.Lstat(d.path("log.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (d logDir) credentials() string { return d.path("credentials") }

func (d logDir) storeConfig() pebble.Config { return pebble.Config{Dir: d.path("store")} }

// create makes keys and an empty log. The signing key is written last of the
// keys and before the store: a crash in between leaves a folder that open
// refuses and that can be deleted, since nothing was signed with the key yet.
func (d logDir) create(origin name.Origin, predecessor string) error {
	if ok, err := d.exists(); err != nil {
		return err
	} else if ok {
		return fmt.Errorf("%s has a log already: `muster serve --dir %s` runs it", d, d)
	}
	if err := durable.MakeFolder(filepath.Clean(string(d))); err != nil {
		return err
	}
	signer, err := checkpoint.NewSigner(string(origin), newSeed())
	if err != nil {
		return err
	}
	vrfSeed := newSeed()
	vkey := signer.Key().String()
	policy := fmt.Sprintf("# Trusts the log alone: quorum none is no protection against the log itself.\nlog %s\nquorum none\n", vkey)
	for _, f := range []struct {
		name, text string
		mode       fs.FileMode
	}{
		{"vrf.key", hex.EncodeToString(vrfSeed[:]) + "\n", 0o600},
		{"log.vkey", vkey + "\n", 0o644},
		{"policy", policy, 0o644},
		{"log.key", signer.Text() + "\n", 0o600},
	} {
		if err := durable.Create(d.path(f.name), []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	s, err := pebble.Create(d.storeConfig())
	if err != nil {
		return err
	}
	defer s.Close()
	return log.Create(log.Config{Origin: origin, Signer: signer, VRF: vrf.NewPrivateKey(vrfSeed), Store: s, Head: log.HeadFile(d.path("signed-head")), Predecessor: predecessor})
}

// signer reads the log's signing key.
func (d logDir) signer() (*checkpoint.Signer, error) {
	if ok, err := d.exists(); err != nil || !ok {
		return nil, errors.Join(err, fmt.Errorf("%s has no log: make one with `muster init --dir %s --origin ORIGIN`, or add --init --origin ORIGIN here", d, d))
	}
	text, err := readSecret(d.path("log.key"))
	if err != nil {
		return nil, err
	}
	s, err := checkpoint.ParseSigner(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path("log.key"), err)
	}
	return s, nil
}

// open reads the keys and opens the store; the caller completes the Config. The
// function, if any, hears of damaged files.
func (d logDir) open(corrupted func(error)) (cfg log.Config, _ *pebble.Store, err error) {
	if cfg.Signer, err = d.signer(); err != nil {
		return cfg, nil, err
	}
	if cfg.Origin, err = name.ParseOrigin(cfg.Signer.Key().Name); err != nil {
		return cfg, nil, fmt.Errorf("%s: %w", d.path("log.key"), err)
	}
	seed, err := readSeed(d.path("vrf.key"))
	if err != nil {
		return cfg, nil, err
	}
	cfg.VRF = vrf.NewPrivateKey(seed)
	if cfg.MLDSA, err = d.openMLDSA(cfg.Origin); err != nil {
		return cfg, nil, err
	}
	cfg.Head = log.HeadFile(d.path("signed-head"))
	at := d.storeConfig()
	at.Corrupted = corrupted
	s, err := pebble.Open(at)
	if err != nil {
		return cfg, nil, err
	}
	cfg.Store = s
	return cfg, s, nil
}

// createMLDSA makes the second signing key of a log that has none. The key
// itself is written last: before, the log signs without it.
func (d logDir) createMLDSA(origin name.Origin) error {
	if _, err := os.Lstat(d.path("log-mldsa.key")); err == nil {
		return fmt.Errorf("%s has an ML-DSA-44 key already: it stays", d)
	}
	seed := newSeed()
	key, err := checkpoint.NewCosigner(checkpoint.MLDSA44, string(origin), seed)
	if err != nil {
		return err
	}
	// One may be left of an attempt that ended here.
	if err := durable.Remove(d.path("log-mldsa.vkey")); err != nil {
		return err
	}
	if err := durable.Create(d.path("log-mldsa.vkey"), []byte(key.Key().String()+"\n"), 0o644); err != nil {
		return err
	}
	return durable.Create(d.path("log-mldsa.key"), []byte(hex.EncodeToString(seed[:])+"\n"), 0o600)
}

// openMLDSA reads the second signing key; nil if there is none.
func (d logDir) openMLDSA(origin name.Origin) (*checkpoint.Cosigner, error) {
	seed, err := readSeed(d.path("log-mldsa.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return checkpoint.NewCosigner(checkpoint.MLDSA44, string(origin), seed)
}

// keepEvidence writes what convicts this log, named by its hash.
func (d logDir) keepEvidence(m *evidence.Misbehaviour) (path string, err error) {
	if err := durable.MakeFolder(d.path("evidence")); err != nil {
		return "", err
	}
	path = filepath.Join(d.path("evidence"), m.File.Name())
	return path, durable.Keep(path, m.File.Bytes())
}

// readSeed reads a secret of 32 bytes in hex.
func readSeed(path string) (seed [32]byte, err error) {
	text, err := readSecret(path)
	if err != nil {
		return seed, err
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(seed) {
		return seed, fmt.Errorf("%s: want 64 hex digits", path)
	}
	return [32]byte(b), nil
}

// readSecret refuses a secret that others on this machine could read.
func readSecret(path string) (string, error) {
	b, err := durable.ReadSecret(path)
	return strings.TrimSuffix(string(b), "\n"), err
}
