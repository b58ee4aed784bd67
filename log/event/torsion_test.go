package event

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// multL is [L]p as [L-1]p + p: L itself is no reduced scalar.
func multL(p *edwards25519.Point) *edwards25519.Point {
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		panic(err)
	}
	q := new(edwards25519.Point).ScalarMult(one.Negate(one), p)
	return q.Add(q, p)
}

func isIdentity(p *edwards25519.Point) bool {
	return p.Equal(edwards25519.NewIdentityPoint()) == 1
}

// randomPoint is any point of the curve, of any order.
func randomPoint(r *rand.ChaCha8) *edwards25519.Point {
	var b [32]byte
	for {
		r.Read(b[:])
		if p, err := new(edwards25519.Point).SetBytes(b[:]); err == nil {
			return p
		}
	}
}

// smallOrder are the eight points of small order, in the order 0, T, 2T, ... 7T.
func smallOrder(t testing.TB) (all [8]*edwards25519.Point) {
	r := rand.NewChaCha8([32]byte{8})
	for {
		p := multL(randomPoint(r))
		for i := range all {
			all[i] = edwards25519.NewIdentityPoint()
			if i > 0 {
				all[i].Add(all[i-1], p)
			}
		}
		if !isIdentity(all[4]) {
			return all
		}
	}
}

// typed gives the two keys of a point: as Ed25519, as Curve25519.
func typed(p *edwards25519.Point) []Key {
	return []Key{Key(append([]byte{KeyEd25519}, p.Bytes()...)), Key(append([]byte{KeyCurve25519}, p.BytesMontgomery()...))}
}

// What the proof at torsionFree takes for granted of its constants.
func TestTorsionConstants(t *testing.T) {
	isSquare := func(e *field.Element) bool {
		_, square := new(field.Element).SqrtRatio(e, feOne)
		return square == 1
	}
	mul := func(a, b *field.Element) *field.Element { return new(field.Element).Multiply(a, b) }
	minusOne := new(field.Element).Negate(feOne)
	i, _ := new(field.Element).SqrtRatio(minusOne, feOne)
	for name, ok := range map[string]bool{
		"s² = n":              mul(feS, feS).Equal(feN) == 1,
		"c² = -n":             mul(feC, feC).Equal(mul(minusOne, feN)) == 1,
		"i² = -1":             mul(i, i).Equal(minusOne) == 1,
		"i is no square":      !isSquare(i),
		"s(s+2) is no square": !isSquare(mul(feS, feL)),
	} {
		if !ok {
			t.Errorf("%s: does not hold", name)
		}
	}
}

// Random points of every order, each with every small part added: one in eight
// is admitted, and it is the right one.
func TestAdmitIsThePlainDefinition(t *testing.T) {
	small := smallOrder(t)
	r := rand.NewChaCha8([32]byte{1})
	points := 100
	if !testing.Short() {
		points = 1000
	}
	for range points {
		p, free := randomPoint(r), 0
		for _, s := range small {
			q := new(edwards25519.Point).Add(p, s)
			for _, k := range typed(q) {
				if sameAsPlain(t, k) {
					free++
				}
			}
		}
		if free != 2 {
			t.Fatalf("%d keys of the coset of %x are admitted, want one of each type", free, p.Bytes())
		}
	}
}

// Of P and its seven sums with points of small order, P a multiple of 8, only P
// is torsion-free. The plain definition is not asked, so that these can be many.
func TestTorsionFreeCosets(t *testing.T) {
	small := smallOrder(t)
	r := rand.NewChaCha8([32]byte{2})
	points := 200
	if !testing.Short() {
		points = 15000
	}
	for range points {
		p := randomPoint(r)
		p.MultByCofactor(p)
		for i, s := range small {
			q := new(edwards25519.Point).Add(p, s)
			if u, free := torsionFree(q); free != (i == 0) || free && !bytes.Equal(u.Bytes(), q.BytesMontgomery()) {
				t.Fatalf("%x plus %d times the point of order 8: torsion-free: %t", p.Bytes(), i, free)
			}
		}
	}
}

// Every encoding near 0 and near p, under both signs and both types: all points
// of order 1, 2 and 4, and all that is not canonical. And the rest of the small
// order, in all its forms.
func TestAdmitEdges(t *testing.T) {
	admitted := 0
	try := func(raw [32]byte) {
		for _, sign := range []byte{0, 0x80} {
			for _, typ := range []byte{KeyEd25519, KeyCurve25519} {
				raw[31] = raw[31]&0x7f | sign
				if sameAsPlain(t, Key(append([]byte{typ}, raw[:]...))) {
					admitted++
				}
			}
		}
	}
	for i := range 256 {
		low, high := [32]byte{byte(i)}, [32]byte(bytes.Repeat([]byte{0xff}, 32))
		high[0] = byte(i) // p is ed ff .. ff 7f, so this is p-237 to 2^255-1
		try(low)
		try(high)
	}
	if admitted == 0 {
		t.Error("none is admitted: this test shows little")
	}
	for _, s := range smallOrder(t) {
		if _, free := torsionFree(s); free {
			t.Errorf("a point of small order is torsion-free: %x", s.Bytes())
		}
		for _, k := range typed(s) {
			try([32]byte(k[1:]))
			if Admit(k) == nil {
				t.Errorf("%s is of small order and admitted", k)
			}
		}
	}
}

// FuzzAdmit: whatever the bytes, admission is the plain definition; and if they
// are a point, so it is for its sums with points of small order.
func FuzzAdmit(f *testing.F) {
	small := smallOrder(f)
	for i, s := range small {
		f.Add(typed(s)[i%2][:], byte(i))
	}
	f.Add(append([]byte{KeyEd25519}, edwards25519.NewGeneratorPoint().Bytes()...), byte(3))
	f.Fuzz(func(t *testing.T, b []byte, i byte) {
		if len(b) != KeySize {
			return
		}
		k := Key(b)
		sameAsPlain(t, k)
		if p, err := k.decode(); err == nil {
			for _, k := range typed(p.point.Add(p.point, small[i%8])) {
				sameAsPlain(t, k)
			}
		}
	})
}

func BenchmarkAdmit(b *testing.B) {
	for _, c := range []struct {
		name string
		typ  byte
	}{{"ed25519", KeyEd25519}, {"curve25519", KeyCurve25519}} {
		k, err := NewPrivateKey(c.typ, [32]byte{c.typ})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := Admit(k.Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+",plain", func(b *testing.B) {
			for b.Loop() {
				if err := plainAdmit(k.Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
