package event

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"filippo.io/edwards25519/field"
)

// Key is a public key, u8 type || raw[32] (section 2). The zero Key means "no
// key", and its encoding is empty.
type Key [KeySize]byte

// The key types. 0x10 is reserved for Ed25519 with ML-DSA-44.
const (
	KeyEd25519    = 1 // raw is a point of RFC 8032: y and the sign of x
	KeyCurve25519 = 5 // raw is u; 05 || u is Signal's own serialisation. It signs by XEdDSA
)

// ParseKey accepts 33 bytes of a known type. Before the key is used it must
// also pass Admit.
func ParseKey(b []byte) (Key, error) {
	if len(b) != KeySize {
		return Key{}, fmt.Errorf("key of %d bytes, want %d", len(b), KeySize)
	}
	if b[0] != KeyEd25519 && b[0] != KeyCurve25519 {
		return Key{}, fmt.Errorf("key type %d, want %d (Ed25519) or %d (Curve25519)", b[0], KeyEd25519, KeyCurve25519)
	}
	return Key(b), nil
}

// IsZero reports whether k is "no key".
func (k Key) IsZero() bool { return k == Key{} }

// String is the key in hex, 66 digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// opaque key<0..2^16-1>
func (k *Key) append(b []byte) []byte {
	if k.IsZero() {
		return append(b, 0, 0)
	}
	return append(append(b, 0, KeySize), k[:]...)
}

// Coordinate is u, by which keys are compared (section 3): one point under two
// types, or its negative, has one u and is one key. Otherwise a removed device
// could come back in another dress. It fails for a key that is not canonical
// or has no u; such a key is never admitted.
//
//	type 1: u = (1+y)/(1-y)      type 5: u
func (k Key) Coordinate() ([32]byte, error) {
	switch k[0] {
	case KeyCurve25519:
		_, err := canonical([32]byte(k[1:]))
		return [32]byte(k[1:]), err
	case KeyEd25519:
		raw := [32]byte(k[1:])
		raw[31] &= 0x7f // the sign of x: a point and its negative share y
		y, err := canonical(raw)
		if err != nil {
			return [32]byte{}, err
		}
		one := new(field.Element).One()
		if y.Equal(one) == 1 {
			return [32]byte{}, errors.New("the identity has no u coordinate")
		}
		u := new(field.Element).Subtract(one, y)
		u.Multiply(one.Add(one, y), u.Invert(u))
		return [32]byte(u.Bytes()), nil
	}
	return [32]byte{}, fmt.Errorf("unknown key type %d", k[0])
}

// Admit is section 2's admission, due before a key's first use: canonical, on
// the curve, not of small order, torsion-free. Without it anyone can forge
// signatures of a small-order key, and the owner of one secret has eight public
// keys with eight u coordinates, seven of them with a torsion part.
func Admit(k Key) error {
	p, err := k.decode()
	if err != nil {
		return err
	}
	_, err = p.admit()
	return err
}

var errNotCanonical = errors.New("not canonical")

// canonical decodes a field element: below p, top bit clear.
func canonical(b [32]byte) (*field.Element, error) {
	e, err := new(field.Element).SetBytes(b[:])
	if err != nil || !bytes.Equal(e.Bytes(), b[:]) {
		return nil, errNotCanonical
	}
	return e, nil
}
