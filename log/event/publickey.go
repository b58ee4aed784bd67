package event

import (
	"errors"
	"fmt"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"

	"github.com/musterlog/muster/log/point"
)

// publicKey is a Key decoded, once for its admission and its signatures.
type publicKey struct {
	typ     byte
	point   *edwards25519.Point // type 5, whose sign is not in the key: the point with even x
	encoded [32]byte            // of the point. Type 1: as it came, canonical or not
	u       *[32]byte           // its coordinate, once it was admitted
}

// decode reads k as section 2.4 does, which leaves it to admission to refuse a
// type 1 key that is not canonical.
func (k Key) decode() (*publicKey, error) {
	raw := [32]byte(k[1:])
	switch k[0] {
	case KeyEd25519:
		p, err := new(edwards25519.Point).SetBytes(raw[:])
		if err != nil {
			return nil, errNotOnCurve
		}
		return &publicKey{typ: KeyEd25519, point: p, encoded: raw}, nil
	case KeyCurve25519:
		u, err := canonical(raw)
		if err != nil {
			return nil, err
		}
		p, encoded, err := fromMontgomery(u)
		if err != nil {
			return nil, err
		}
		return &publicKey{typ: KeyCurve25519, point: p, encoded: encoded}, nil
	}
	return nil, fmt.Errorf("unknown key type %d", k[0])
}

var errNotOnCurve = errors.New("not on the curve")

// fromMontgomery is the point of coordinate u with even x, and its encoding:
//
//	y = (u-1)/(u+1),  x = cu/v,  v² = u(u²+Au+1),  c² = -(A+2)
//
// An inverse and a square root for one exponentiation: from e = 1/(v(u+1)) follow
// 1/v = e(u+1) and 1/(u+1) = e²v²(u+1), where v² needs no v.
func fromMontgomery(u *field.Element) (*edwards25519.Point, [32]byte, error) {
	var v2, u1, e, x, y, t field.Element
	v2.Add(u, feA).Multiply(&v2, u).Add(&v2, feOne).Multiply(&v2, u)
	u1.Add(u, feOne)
	if u.Equal(&t) == 1 { // t is still 0, and v = 0 has no inverse: (0,-1), of order 2
		y.Negate(feOne)
	} else {
		// u is on no point, also u = -1: then e is asked of 0, and there is none.
		if _, square := e.SqrtRatio(feOne, t.Multiply(&v2, &u1).Multiply(&t, &u1)); square == 0 {
			return nil, [32]byte{}, errNotOnCurve
		}
		t.Multiply(&e, &u1) // 1/v
		x.Multiply(feC, u).Multiply(&x, &t).Absolute(&x)
		y.Multiply(&t, &e).Multiply(&y, &v2) // 1/(u+1)
		y.Multiply(&y, t.Subtract(u, feOne))
	}
	p, err := new(edwards25519.Point).SetExtendedCoordinates(&x, &y, feOne, t.Multiply(&x, &y))
	if err != nil {
		return nil, [32]byte{}, errNotOnCurve // cannot be, for what is above
	}
	return p, [32]byte(y.Bytes()), nil
}

// admit is Admit. It gives the key's coordinate too, which comes along. A key
// that was admitted stays so.
func (k *publicKey) admit() (*[32]byte, error) {
	if k.u != nil {
		return k.u, nil
	}
	if !point.Canonical(k.encoded) {
		return nil, errNotCanonical
	}
	if new(edwards25519.Point).MultByCofactor(k.point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, errors.New("a point of small order")
	}
	coordinate, ok := torsionFree(k.point)
	if !ok {
		return nil, errors.New("a point with a torsion part")
	}
	k.u = (*[32]byte)(coordinate.Bytes())
	return k.u, nil
}

// signed is the R that a signature of message must begin with, byte for byte,
// to be valid; false if there is none:
//
//	R = [S]B - [h]A,  h = SHA512(first half of sig || A || message)
//
// Variable time is fine: all of it is public.
func (k *publicKey) signed(message []byte, sig *[64]byte) (*edwards25519.Point, bool) {
	a, encoded, s := new(edwards25519.Point).Negate(k.point), k.encoded, [32]byte(sig[32:])
	if k.typ == KeyCurve25519 {
		// The sign of A travels in the last bit. That bits 5 and 6 of that byte
		// are zero follows from S < L, which is below 2^253.
		if sign := s[31] & 0x80; sign != 0 {
			a.Set(k.point)
			encoded[31] |= sign
			s[31] ^= sign
		}
	}
	var S edwards25519.Scalar
	if _, err := S.SetCanonicalBytes(s[:]); err != nil {
		return nil, false
	}
	h, err := hashToScalar(sig[:32], encoded[:], message)
	if err != nil {
		return nil, false // cannot be
	}
	return a.VarTimeDoubleScalarBaseMult(h, a, &S), true
}

// VerifySignature reports whether sig is k's signature of message, by the one
// strict rule of section 2.4: canonical S, byte-equal R, no cofactor. k must have
// been admitted: a small-order key has signatures that nobody made.
//
// It is exactly the rule of crypto/ed25519, which would decode a key again for
// each signature. Batch verification is not that rule: it is cofactored, and
// verifiers who disagree about one event disagree about an account for ever.
func VerifySignature(k Key, message []byte, sig [64]byte) bool {
	public, err := k.decode()
	if err != nil {
		return false
	}
	r, ok := public.signed(message, &sig)
	return ok && point.Encode(r)[0] == [32]byte(sig[:32])
}
