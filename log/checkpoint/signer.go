package checkpoint

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/musterlog/muster/log/name"
)

// redacted is embedded in every type that holds a private key: what prints or
// marshals it gets this one word. Where fmt asks no method (%p, a value in
// another struct's private field) it meets a closure and prints an address; a
// pointer it follows when the verb is wrong. That is why the keys below are held
// by closures.
type redacted struct{}

const redaction = "REDACTED"

func (redacted) String() string               { return redaction }
func (redacted) GoString() string             { return redaction }
func (redacted) Format(f fmt.State, _ rune)   { f.Write([]byte(redaction)) }
func (redacted) MarshalText() ([]byte, error) { return []byte(redaction), nil }
func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + redaction + `"`), nil }

// Signer holds a log's private key. It signs whatever checkpoint it is given:
// that a log never signs two histories is its owner's duty (protocol section 8).
type Signer struct {
	redacted
	key     Key
	private func() ed25519.PrivateKey
}

// NewSigner makes the Signer of the log with this origin from an Ed25519 seed.
func NewSigner(origin string, seed [32]byte) (*Signer, error) {
	if _, err := name.ParseOrigin(origin); err != nil {
		return nil, fmt.Errorf("making log key: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed[:])
	key, err := newKey(origin, Ed25519, private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("making log key: %w", err)
	}
	return &Signer{key: key, private: func() ed25519.PrivateKey { return private }}, nil
}

// Key is the public key.
func (s *Signer) Key() Key { return s.key }

// Sign is the checkpoint as a note with the log's signature. Equal checkpoints
// give equal bytes, so signing again after a crash repeats what was said.
//
//	signature = Ed25519(text)                                     (C2SP tlog-checkpoint)
//
// It panics if the checkpoint is of another origin or its size is 2^63 or
// more: then the caller does not know what it is signing, and must stop.
func (s *Signer) Sign(c Checkpoint) []byte {
	if string(c.Origin) != s.key.Name || c.Size > maxSize {
		panic(fmt.Sprintf("checkpoint: the key of log %q is asked to sign size %d of %q", s.key.Name, c.Size, c.Origin))
	}
	text := c.Text()
	return Append([]byte(text+"\n"), Line{Name: s.key.Name, ID: s.key.ID, Signature: ed25519.Sign(s.private(), []byte(text))})
}

const privatePrefix = "PRIVATE+KEY+"

// Text is the private key as a key file holds it, in the form of
// golang.org/x/mod/sumdb/note. It is the secret itself.
//
//	"PRIVATE+KEY+" name "+" id in 8 hexadecimal digits "+" base64(01 || seed)
func (s *Signer) Text() string {
	b := append([]byte{byte(Ed25519)}, s.private().Seed()...)
	return fmt.Sprintf("%s%s+%08x+%s", privatePrefix, s.key.Name, s.key.ID, base64.StdEncoding.EncodeToString(b))
}

// ParseSigner reads Text, without a line break at its end. Its errors never
// quote what was read: it may be a secret with a typing error.
func ParseSigner(text string) (*Signer, error) {
	rest, ok := strings.CutPrefix(text, privatePrefix)
	parts := strings.SplitN(rest, "+", 3)
	if !ok || len(parts) != 3 || len(text) > maxKeyText {
		return nil, errors.New("reading log key: want PRIVATE+KEY+name+id+base64")
	}
	b, err := parseBase64(parts[2])
	if err != nil || len(b) != 1+ed25519.SeedSize || KeyType(b[0]) != Ed25519 {
		return nil, fmt.Errorf("reading log key: want base64 of type 01 and a seed of %d bytes after the key id", ed25519.SeedSize)
	}
	s, err := NewSigner(parts[0], [32]byte(b[1:]))
	if err != nil {
		return nil, fmt.Errorf("reading log key: %w", err)
	}
	if parts[1] != fmt.Sprintf("%08x", s.key.ID) {
		return nil, errors.New("reading log key: its name, key id and seed do not belong together")
	}
	return s, nil
}
