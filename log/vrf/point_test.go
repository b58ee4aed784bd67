package vrf

import (
	"testing"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/point"
)

// torsion is a point of order 8.
func torsion(t *testing.T) *edwards25519.Point {
	t.Helper()
	p, err := point.Decode([32]byte(unhex(t, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")))
	if err != nil {
		t.Fatal(err)
	}
	four := new(edwards25519.Point).Add(p, p)
	if isIdentity(four.Add(four, four)) || !isIdentity(four.Add(four, four)) {
		t.Fatal("not of order 8")
	}
	return p
}

// A prover who adds a point of order 8 to Gamma gets a proof past the equations
// whenever 8 divides c: then it must give the same index, or one event could
// stand at two places.
func TestTorsionGivesNoSecondIndex(t *testing.T) {
	k := NewPrivateKey([32]byte{7})
	public, err := ParsePublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	alpha := []byte("alpha")
	h := encodeToCurve(&k.public, alpha)
	gamma := new(edwards25519.Point).ScalarMult(k.x(), h)
	gamma.Add(gamma, torsion(t))

	accepted, refused := 0, 0
	for i := range byte(64) {
		nonce := k.nonce([32]byte{i})
		u := new(edwards25519.Point).ScalarBaseMult(nonce)
		v := new(edwards25519.Point).ScalarMult(nonce, h)
		p := point.Encode(h, gamma, u, v)
		c := hashPoints(k.public, p[0], p[1], p[2], p[3])
		s := edwards25519.NewScalar().MultiplyAdd(c.scalar(), k.x(), nonce)
		proof := Proof(append(append(gamma.Bytes(), c[:]...), s.Bytes()...))
		got, err := public.Verify(alpha, &proof)
		switch {
		case err != nil:
			refused++
		case got != k.Evaluate(alpha):
			t.Fatalf("a second index %v of one alpha", got)
		default:
			accepted++
		}
	}
	if accepted == 0 || refused == 0 {
		t.Errorf("accepted %d, refused %d: want some of both", accepted, refused)
	}
	t.Logf("count refused %d", refused)
}

// A valid key times a point of order 8 is not of small order: RFC 9381 takes
// it, and the factor 8 in the output keeps its indexes single. The eight points
// of small order are no keys.
func TestSmallOrderKeys(t *testing.T) {
	small := torsion(t)
	p := edwards25519.NewIdentityPoint()
	for i := range 8 {
		if _, err := ParsePublicKey([32]byte(p.Bytes())); err == nil {
			t.Errorf("%d times the point of order 8 is accepted as a key", i)
		}
		p.Add(p, small)
	}
	mixed := new(edwards25519.Point).Add(edwards25519.NewGeneratorPoint(), small)
	if _, err := ParsePublicKey([32]byte(mixed.Bytes())); err != nil {
		t.Errorf("key with a part of small order: %v", err)
	}
}
