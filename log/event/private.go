package event

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	"filippo.io/edwards25519"
)

const redacted = "REDACTED"

// PrivateKey signs events. It is for agents and tests: a phone keeps its key in
// a key store that signs SignedBytes itself. Whatever prints or encodes it gets
// the word REDACTED.
type PrivateKey struct {
	// In a closure, because fmt prints the unexported fields of whatever struct
	// holds a PrivateKey without asking its methods, through pointers too when
	// the verb is wrong.
	seed   func() [32]byte
	public Key
}

// GenerateKey draws a new key of type KeyEd25519 or KeyCurve25519.
func GenerateKey(typ uint8) (*PrivateKey, error) {
	var seed [32]byte
	rand.Read(seed[:]) // never fails: the runtime ends the program if it would
	return NewPrivateKey(typ, seed)
}

// NewPrivateKey is the key of a seed: an Ed25519 seed (RFC 8032), or a
// Curve25519 private key, which is clamped as X25519 does.
func NewPrivateKey(typ uint8, seed [32]byte) (*PrivateKey, error) {
	k := &PrivateKey{seed: func() [32]byte { return seed }}
	k.public[0] = typ
	switch typ {
	case KeyEd25519:
		copy(k.public[1:], ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
	case KeyCurve25519:
		a, err := edwards25519.NewScalar().SetBytesWithClamping(seed[:])
		if err != nil {
			return nil, fmt.Errorf("reading the private scalar: %w", err)
		}
		copy(k.public[1:], new(edwards25519.Point).ScalarBaseMult(a).BytesMontgomery())
	default:
		return nil, fmt.Errorf("key type %d, want %d (Ed25519) or %d (Curve25519)", typ, KeyEd25519, KeyCurve25519)
	}
	return k, nil
}

// Public is the key that goes into events.
func (k *PrivateKey) Public() Key { return k.public }

// Seed is the secret, for key files.
func (k *PrivateKey) Seed() [32]byte { return k.seed() }

// Sign signs message, which is a Payload's SignedBytes. Ed25519 signatures are
// deterministic; XEdDSA ones differ each time.
func (k *PrivateKey) Sign(message []byte) ([64]byte, error) {
	seed := k.seed()
	if k.public[0] == KeyEd25519 {
		return [64]byte(ed25519.Sign(ed25519.NewKeyFromSeed(seed[:]), message)), nil
	}
	var z [64]byte
	rand.Read(z[:])
	return signXEdDSA(seed, message, z)
}

func (PrivateKey) String() string               { return redacted }
func (PrivateKey) GoString() string             { return redacted }
func (PrivateKey) Format(f fmt.State, _ rune)   { fmt.Fprint(f, redacted) }
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (PrivateKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
