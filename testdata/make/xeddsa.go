package main

import (
	"crypto/ed25519"
	"crypto/sha512"
	"slices"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/event"
)

// signer holds a key of either type, and signs the same bytes the same way
// each time: XEdDSA's Z is a hash of the message, which no real signer does.
type signer struct {
	typ  uint8
	seed [32]byte
}

func (s signer) public() event.Key {
	return must(event.NewPrivateKey(s.typ, s.seed)).Public()
}

// sign is protocol section 2.4.
func (s signer) sign(message []byte) [64]byte {
	if s.typ == event.KeyEd25519 {
		return [64]byte(ed25519.Sign(ed25519.NewKeyFromSeed(s.seed[:]), message))
	}
	k := s.seed
	k[0] &= 248
	k[31] = k[31]&127 | 64
	scalar := must(edwards25519.NewScalar().SetBytesWithClamping(k[:]))
	a := new(edwards25519.Point).ScalarBaseMult(scalar).Bytes()
	z := sha512.Sum512(message)
	prefix := slices.Concat([]byte{0xfe}, slices.Repeat([]byte{0xff}, 31))
	r := reduced(prefix, k[:], message, z[:])
	point := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	h := reduced(point, a, message)
	answer := edwards25519.NewScalar().MultiplyAdd(h, scalar, r).Bytes()
	answer[31] |= a[31] & 0x80
	return [64]byte(slices.Concat(point, answer))
}

func reduced(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.Sum512(slices.Concat(parts...))
	return must(edwards25519.NewScalar().SetUniformBytes(h[:]))
}
