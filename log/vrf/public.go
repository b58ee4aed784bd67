package vrf

import (
	"errors"
	"fmt"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/point"
)

// PublicKey checks proofs. It is the vrf_public_key of the GENESIS leaf, so
// everything here is public and runs in variable time.
type PublicKey struct {
	encoded [32]byte
	minusY  edwards25519.Point // -Y, which is what Verify multiplies
}

// ParsePublicKey reads and validates a key (RFC 9381 sections 5.4.5 and 7.1).
// It refuses second encodings and points of small order: under such a key the
// log could prove two indexes for one input.
func ParsePublicKey(b [32]byte) (*PublicKey, error) {
	y, err := point.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("VRF public key: %w", err)
	}
	if isIdentity(new(edwards25519.Point).MultByCofactor(y)) {
		return nil, errors.New("VRF public key: point of small order")
	}
	k := &PublicKey{encoded: b}
	k.minusY.Negate(y)
	return k, nil
}

// Verify checks that p proves the index of alpha, and gives it (RFC 9381
// section 5.3). There is one index for an alpha, whatever the proof.
//
//	U = s*B - c*Y,  V = s*H - c*Gamma,  and c must be the challenge of them
func (k *PublicKey) Verify(alpha []byte, p *Proof) (name.Index, error) {
	gammaBytes, cBytes, sBytes := p.parts()
	gamma, err := point.Decode([32]byte(gammaBytes))
	if err != nil {
		return name.Index{}, fmt.Errorf("VRF proof: Gamma: %w", err)
	}
	c := challenge(cBytes)
	s, err := edwards25519.NewScalar().SetCanonicalBytes(sBytes)
	if err != nil { // s + L would be a second proof of the same index
		return name.Index{}, errors.New("VRF proof: s is not below the group order")
	}

	h := encodeToCurve(&k.encoded, alpha)
	minusGamma := new(edwards25519.Point).Negate(gamma)
	cScalar := c.scalar()
	u := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(cScalar, &k.minusY, s)
	v := new(edwards25519.Point).VarTimeMultiScalarMult(
		[]*edwards25519.Scalar{s, cScalar}, []*edwards25519.Point{h, minusGamma})

	encoded := point.Encode(h, u, v, clearCofactor(gamma))
	if hashPoints(k.encoded, encoded[0], [32]byte(gammaBytes), encoded[1], encoded[2]) != c {
		return name.Index{}, errors.New("VRF proof: does not fit the key and the input")
	}
	return index(encoded[3]), nil
}
