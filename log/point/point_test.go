package point_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/point"
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

func TestDecode(t *testing.T) {
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
		p, err := point.Decode(c.in)
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v, want accepted %v", c.name, err, c.ok)
		}
		if err == nil && [32]byte(p.Bytes()) != c.in {
			t.Errorf("%s: decodes to %x", c.name, p.Bytes())
		}
	}
}

// Every y in p .. 2^255-1 that is a point under its reduced value is refused.
func TestNotReduced(t *testing.T) {
	points := 0
	for y := range byte(19) {
		if _, err := point.Decode(encoding(y, 0, 0)); err == nil {
			points++
		}
		if _, err := point.Decode(encoding(0xed+y, 0xff, 0x7f)); err == nil {
			t.Errorf("y = p+%d is accepted", y)
		}
	}
	if points < 5 {
		t.Errorf("only %d of the reduced values are points: the test shows little", points)
	}
}

// Many at once are what each is alone, in order, whatever is among them.
func TestEncode(t *testing.T) {
	if got := point.Encode(); len(got) != 0 {
		t.Errorf("no points: %x", got)
	}
	r := rand.NewChaCha8([32]byte{1})
	special := []*edwards25519.Point{edwards25519.NewIdentityPoint(), edwards25519.NewGeneratorPoint()}
	for _, b := range [][32]byte{encoding(0xec, 0xff, 0x7f), encoding(0, 0, 0), encoding(0, 0, 0x80)} {
		p, err := point.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		special = append(special, p)
	}
	for n := range 40 {
		var points []*edwards25519.Point
		for i := range n {
			var wide [64]byte
			r.Read(wide[:])
			s, err := edwards25519.NewScalar().SetUniformBytes(wide[:])
			if err != nil {
				t.Fatal(err)
			}
			p := new(edwards25519.Point).ScalarBaseMult(s) // with a Z of its own
			if i%3 == 0 {
				p.Subtract(p, p).Add(p, special[i%len(special)]) // a special one, by a long way
			}
			points = append(points, p)
		}
		for i, got := range point.Encode(points...) {
			if !bytes.Equal(got[:], points[i].Bytes()) {
				t.Fatalf("%d of %d: %x, want %x", i, n, got, points[i].Bytes())
			}
		}
	}
}

// FuzzDecode: what decodes has the encoding it came from; the rest is no point
// to the library either, or has another encoding.
func FuzzDecode(f *testing.F) {
	f.Add(edwards25519.NewGeneratorPoint().Bytes())
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 32 {
			return
		}
		lax, err := new(edwards25519.Point).SetBytes(b)
		want := err == nil && bytes.Equal(lax.Bytes(), b)
		p, err := point.Decode([32]byte(b))
		if (err == nil) != want {
			t.Fatalf("%x: %v, want decoded: %t", b, err, want)
		}
		if want && point.Encode(p)[0] != [32]byte(b) {
			t.Fatalf("%x encodes as %x", b, point.Encode(p))
		}
	})
}
