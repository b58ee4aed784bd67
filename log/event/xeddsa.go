package event

import (
	"crypto/sha512"
	"fmt"

	"filippo.io/edwards25519"
)

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
	b := make([]byte, 0, 512) // what an event's signature hashes stays on the stack
	for _, p := range parts {
		b = append(b, p...)
	}
	hash := sha512.Sum512(b)
	s, err := edwards25519.NewScalar().SetUniformBytes(hash[:])
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
