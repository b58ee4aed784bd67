// Package vrf is the verifiable random function that hides where an account
// lies in the log: ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381 (suite 03), as
// KEYTRANS suite KT_128_SHA256_Ed25519 asks (protocol section 4).
//
// The holder of the private key maps an input (alpha, of name.Label.VRFInput)
// to an index that looks random to everyone else, and can prove that it is the
// only index of that input. So nobody finds an account by trial, and the log
// cannot keep two places for one (account, seq).
//
// Keys are safe for concurrent use. Names in this package are RFC 9381's:
// x is the secret scalar, Y the public key, H the input as a point, Gamma x*H,
// c the challenge, k the nonce and s the response.
package vrf

import (
	"crypto/sha512"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/point"
)

// Proof is Gamma[32] || c[16] || s[32] (RFC 9381 section 5.5).
type Proof [80]byte

const (
	suite = 0x03 // ECVRF-EDWARDS25519-SHA512-TAI

	// The second byte of each hash keeps the three apart.
	domainEncode    = 0x01
	domainChallenge = 0x02
	domainOutput    = 0x03
)

// challenge bytes: half the security level in bits, as RFC 9381 section 5.5 has it.
type challenge [16]byte

func (p *Proof) parts() (gamma, c, s []byte) { return p[:32], p[32:48], p[48:] }

// encodeToCurve hashes alpha to a point by try and increment (RFC 9381 section
// 5.4.1.1). The least ctr wins that gives a point whose multiple is not the identity:
//
//	H = 8 * point(first 32 bytes of SHA-512(03 || 01 || Y || alpha || u8 ctr || 00))
//
// The number of tries, so the time, tells a little about alpha: never about x.
func encodeToCurve(public *[32]byte, alpha []byte) *edwards25519.Point {
	b := make([]byte, 0, 128) // alpha of the protocol is 38 bytes: stays on the stack
	b = append(b, suite, domainEncode)
	b = append(b, public[:]...)
	b = append(b, alpha...)
	b = append(b, 0, 0)
	for ctr := range 256 {
		b[len(b)-2] = byte(ctr)
		hash := sha512.Sum512(b)
		h, err := point.Decode([32]byte(hash[:32]))
		if err != nil {
			continue
		}
		if h.MultByCofactor(h); !isIdentity(h) {
			return h
		}
	}
	panic("vrf: 256 hashes in a row are no points") // each is one with probability 1/2
}

// hashPoints is RFC 9381 section 5.4.3, the challenge:
//
//	c = first 16 bytes of SHA-512(03 || 02 || Y || H || Gamma || U || V || 00)
func hashPoints(points ...[32]byte) challenge {
	b := make([]byte, 0, 2+5*32+1)
	b = append(b, suite, domainChallenge)
	for _, p := range points {
		b = append(b, p[:]...)
	}
	b = append(b, 0)
	hash := sha512.Sum512(b)
	return challenge(hash[:16])
}

func (c challenge) scalar() *edwards25519.Scalar {
	var b [32]byte
	copy(b[:], c[:])
	s, err := edwards25519.NewScalar().SetCanonicalBytes(b[:])
	if err != nil {
		panic(err) // 128 bits are always below the group order
	}
	return s
}

// clearCofactor is 8*Gamma. The factor takes a small-order part out of Gamma, which its
// prover could otherwise vary to get two outputs for one input.
func clearCofactor(gamma *edwards25519.Point) *edwards25519.Point {
	return new(edwards25519.Point).MultByCofactor(gamma)
}

// output is RFC 9381 section 5.2, proof_to_hash, of clearCofactor(Gamma) encoded:
//
//	beta = SHA-512(03 || 03 || 8*Gamma || 00)
func output(cleared [32]byte) [64]byte {
	b := make([]byte, 0, 2+32+1)
	b = append(b, suite, domainOutput)
	b = append(b, cleared[:]...)
	b = append(b, 0)
	return sha512.Sum512(b)
}

// index is the first 32 bytes of the output (protocol section 4).
func index(cleared [32]byte) name.Index {
	beta := output(cleared)
	return name.Index(beta[:32])
}

func isIdentity(p *edwards25519.Point) bool {
	return p.Equal(edwards25519.NewIdentityPoint()) == 1
}
