package vrf

import (
	"crypto/sha512"
	"fmt"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/point"
)

// PrivateKey maps inputs to indexes. Whoever learns it can find accounts in
// the public log by trial, but cannot forge a place. It prints as REDACTED.
//
// All work on x and k is in constant time.
type PrivateKey struct {
	// In closures, because fmt prints an unexported field of somebody's struct
	// without asking its methods, and a wrong verb there follows pointers too.
	x      func() *edwards25519.Scalar // secret scalar
	prefix func() [32]byte             // secret, keys the nonce

	public [32]byte // Y = x*B, encoded
}

// NewPrivateKey derives a key from 32 random bytes, as RFC 8032 section 5.1.5
// does for Ed25519. A seed serves the VRF alone: it signs nothing.
func NewPrivateKey(seed [32]byte) *PrivateKey {
	hash := sha512.Sum512(seed[:])
	x, err := edwards25519.NewScalar().SetBytesWithClamping(hash[:32])
	if err != nil {
		panic(err) // 32 bytes are what it takes
	}
	prefix := [32]byte(hash[32:])
	y := new(edwards25519.Point).ScalarBaseMult(x)
	return &PrivateKey{
		x:      func() *edwards25519.Scalar { return x },
		prefix: func() [32]byte { return prefix },
		public: [32]byte(y.Bytes()),
	}
}

// Public is the public key, as in the GENESIS leaf.
func (k *PrivateKey) Public() [32]byte { return k.public }

// Evaluate is the index of alpha without a proof, at less than half the cost.
func (k *PrivateKey) Evaluate(alpha []byte) name.Index {
	return k.EvaluateAll([][]byte{alpha})[0]
}

// EvaluateAll is Evaluate of each alpha. It saves an inversion for all but the
// first, a fifteenth of the work.
func (k *PrivateKey) EvaluateAll(alphas [][]byte) []name.Index {
	cleared := make([]*edwards25519.Point, len(alphas))
	for i, alpha := range alphas {
		h := encodeToCurve(&k.public, alpha)
		cleared[i] = clearCofactor(h.ScalarMult(k.x(), h))
	}
	indexes := make([]name.Index, len(alphas))
	for i, c := range point.Encode(cleared...) {
		indexes[i] = index(c)
	}
	return indexes
}

// Prove is the index of alpha and the proof of it (RFC 9381 section 5.1). It
// is deterministic: one alpha has one proof, which can be kept for ever.
func (k *PrivateKey) Prove(alpha []byte) (Proof, name.Index) {
	h := encodeToCurve(&k.public, alpha)
	gamma := new(edwards25519.Point).ScalarMult(k.x(), h)
	first := point.Encode(h, gamma, clearCofactor(gamma))
	hBytes, gammaBytes, cleared := first[0], first[1], first[2]

	nonce := k.nonce(hBytes)
	u := new(edwards25519.Point).ScalarBaseMult(nonce)
	v := new(edwards25519.Point).ScalarMult(nonce, h)
	uv := point.Encode(u, v)
	c := hashPoints(k.public, hBytes, gammaBytes, uv[0], uv[1])
	s := edwards25519.NewScalar().MultiplyAdd(c.scalar(), k.x(), nonce) // s = k + c*x mod L

	var p Proof
	pGamma, pC, pS := p.parts()
	copy(pGamma, gammaBytes[:])
	copy(pC, c[:])
	copy(pS, s.Bytes())
	return p, index(cleared)
}

// nonce is RFC 9381 section 5.4.2.2: two proofs that shared a nonce but not a
// challenge would give x away, so it is drawn from H and a secret, never at random.
//
//	k = SHA-512(second half of SHA-512(seed) || H) mod L
func (k *PrivateKey) nonce(h [32]byte) *edwards25519.Scalar {
	prefix := k.prefix()
	b := make([]byte, 0, 64)
	b = append(b, prefix[:]...)
	b = append(b, h[:]...)
	hash := sha512.Sum512(b)
	s, err := edwards25519.NewScalar().SetUniformBytes(hash[:])
	if err != nil {
		panic(err) // 64 bytes are what it takes
	}
	return s
}

const redacted = "REDACTED"

// The methods below keep the key out of logs and dumps. They have value
// receivers, so a copy is covered too.

func (PrivateKey) String() string               { return redacted }
func (PrivateKey) GoString() string             { return redacted }
func (PrivateKey) Format(s fmt.State, _ rune)   { fmt.Fprint(s, redacted) }
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (PrivateKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
