package vrf

import (
	"testing"

	"filippo.io/edwards25519"
)

// encoding is a little-endian y with the given first and last byte between
// bytes of fill, which writes the small and the near-p values in a line.
func encoding(first, fill, last byte) [32]byte {
	var b [32]byte
	for i := range b {
		b[i] = fill
	}
	b[0], b[31] = first, last
	return b
}

func TestDecodePoint(t *testing.T) {
	for _, c := range []struct {
		name string
		in   [32]byte
		ok   bool
	}{
		{"identity, y = 1", encoding(0x01, 0, 0), true},
		{"identity with the sign of x = 0", encoding(0x01, 0, 0x80), false},
		{"y = p+1", encoding(0xee, 0xff, 0x7f), false},
		{"y = p+1 with the sign", encoding(0xee, 0xff, 0xff), false},
		{"order 2, y = -1", encoding(0xec, 0xff, 0x7f), true},
		{"order 2 with the sign of x = 0", encoding(0xec, 0xff, 0xff), false},
		{"order 4, y = 0", encoding(0x00, 0, 0), true},
		{"order 4, y = 0, negative x", encoding(0x00, 0, 0x80), true},
		{"y = p", encoding(0xed, 0xff, 0x7f), false},
		{"y = p with the sign", encoding(0xed, 0xff, 0xff), false},
		{"not on the curve, y = 2", encoding(0x02, 0, 0), false},
		{"base point", [32]byte(edwards25519.NewGeneratorPoint().Bytes()), true},
	} {
		var p edwards25519.Point
		err := decodePoint(&p, c.in[:])
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v, want accepted %v", c.name, err, c.ok)
		}
		if err == nil && [32]byte(p.Bytes()) != c.in {
			t.Errorf("%s: decodes to %x", c.name, p.Bytes())
		}
	}
	if decodePoint(new(edwards25519.Point), make([]byte, 31)) == nil {
		t.Error("31 bytes were taken for a point")
	}
}

// Every y in p .. 2^255-1 that is a point under its reduced value is refused.
func TestDecodePointNotReduced(t *testing.T) {
	points := 0
	for y := range byte(19) {
		var p edwards25519.Point
		small, large := encoding(y, 0, 0), encoding(0xed+y, 0xff, 0x7f)
		if decodePoint(&p, small[:]) == nil {
			points++
		}
		if decodePoint(&p, large[:]) == nil {
			t.Errorf("y = p+%d is accepted", y)
		}
	}
	if points < 5 {
		t.Errorf("only %d of the reduced values are points: the test shows little", points)
	}
}

// torsion gives a point of order 8: L times a point with a full small part.
func torsion(t *testing.T) *edwards25519.Point {
	t.Helper()
	lMinus1 := edwards25519.NewScalar() // L-1 = -1 mod L
	one := [32]byte{1}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(one[:])
	if err != nil {
		t.Fatal(err)
	}
	lMinus1.Negate(s)
	for y := byte(2); y < 255; y++ {
		var p edwards25519.Point
		b := encoding(y, 0, 0)
		if decodePoint(&p, b[:]) != nil {
			continue
		}
		small := new(edwards25519.Point).ScalarMult(lMinus1, &p)
		small.Add(small, &p) // (L-1)*P + P = L*P
		four := new(edwards25519.Point).Add(small, small)
		if four.Add(four, four); !isIdentity(four) {
			return small
		}
	}
	t.Fatal("no point of order 8")
	return nil
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
	gamma := new(edwards25519.Point).ScalarMult(k.x, &h)
	gamma.Add(gamma, torsion(t))

	accepted, refused := 0, 0
	for i := range byte(64) {
		nonce := k.nonce([]byte{i})
		u := new(edwards25519.Point).ScalarBaseMult(nonce)
		v := new(edwards25519.Point).ScalarMult(nonce, &h)
		c := hashPoints(k.public[:], h.Bytes(), gamma.Bytes(), u.Bytes(), v.Bytes())
		s := edwards25519.NewScalar().MultiplyAdd(c.scalar(), k.x, nonce)
		p := Proof(append(append(gamma.Bytes(), c[:]...), s.Bytes()...))
		got, err := public.Verify(alpha, &p)
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
