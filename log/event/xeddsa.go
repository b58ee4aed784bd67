package event

import (
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// VerifySignature reports whether sig is k's signature of message, by the one
// strict rule of section 2: canonical S, byte-equal R, no cofactor. k must have
// been admitted: a small-order key has signatures that nobody made.
//
// crypto/ed25519 is exactly that rule. Batch verification is not: it is
// cofactored, and verifiers who disagree about one event disagree about an
// account for ever.
func VerifySignature(k Key, message []byte, sig [64]byte) bool {
	switch k[0] {
	case KeyEd25519:
		return ed25519.Verify(k[1:], message, sig[:])
	case KeyCurve25519:
		// The sign of the Edwards point travels in the last bit. That bits 5 and
		// 6 of that byte are zero follows from S < L, which is below 2^253.
		a, err := edwards([32]byte(k[1:]), sig[63]&0x80)
		if err != nil {
			return false
		}
		sig[63] &= 0x7f
		return ed25519.Verify(a[:], message, sig[:])
	}
	return false
}

// edwards is the Edwards form of a Curve25519 key, encoded as RFC 8032 does
// (sign is 0 or 0x80):
//
//	y = (u-1)/(u+1)
//
// It does not look whether y is on the curve.
func edwards(u [32]byte, sign byte) ([32]byte, error) {
	e, err := canonical(u)
	if err != nil {
		return [32]byte{}, err
	}
	one := new(field.Element).One()
	denominator := new(field.Element).Add(e, one)
	if denominator.Equal(new(field.Element).Zero()) == 1 {
		return [32]byte{}, errors.New("u = -1 has no Edwards form")
	}
	y := e.Subtract(e, one)
	y.Multiply(y, denominator.Invert(denominator))
	out := [32]byte(y.Bytes())
	out[31] |= sign
	return out, nil
}

// signXEdDSA is XEdDSA as libsignal makes it: the private scalar a is used as
// it is, whatever the sign of A = [a]B, and that sign travels in the top bit of
// the signature. z is fresh randomness; should it ever repeat or fail, r still
// depends on a and message, so a is not lost.
//
//	r = SHA512(FE FF^31 || k || message || z) mod L      k: the clamped private key's bytes, a = k mod L
//	R = [r]B, h = SHA512(R || A || message) mod L, S = r + ha
//
// All that touches k, a or r is constant-time.
func signXEdDSA(k [32]byte, message []byte, z [64]byte) (sig [64]byte, err error) {
	a, err := edwards25519.NewScalar().SetBytesWithClamping(k[:])
	if err != nil {
		return sig, fmt.Errorf("reading the private scalar: %w", err)
	}
	A := new(edwards25519.Point).ScalarBaseMult(a).Bytes()

	// FE FF^31 is no encoding of a point: this hash never meets the one below.
	prefix := [32]byte{0xfe}
	for i := 1; i < len(prefix); i++ {
		prefix[i] = 0xff
	}
	k = clamp(k)
	r, err := hashToScalar(prefix[:], k[:], message, z[:])
	if err != nil {
		return sig, err
	}
	R := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	h, err := hashToScalar(R, A, message)
	if err != nil {
		return sig, err
	}
	S := edwards25519.NewScalar().MultiplyAdd(h, a, r)
	copy(sig[:32], R)
	copy(sig[32:], S.Bytes())
	sig[63] |= A[31] & 0x80
	return sig, nil
}

// hashToScalar is SHA512(parts, joined) mod L, little-endian.
func hashToScalar(parts ...[]byte) (*edwards25519.Scalar, error) {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("reducing a hash: %w", err)
	}
	return s, nil
}

// clamp is X25519's (RFC 7748 section 5).
func clamp(k [32]byte) [32]byte {
	k[0] &= 248
	k[31] &= 127
	k[31] |= 64
	return k
}
