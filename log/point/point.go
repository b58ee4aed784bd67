// Package point is what edwards25519 leaves to its callers: one encoding for
// each point, by RFC 8032 to the letter, and many encodings for little more than
// the price of one.
package point

import (
	"errors"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

var errNotCanonical = errors.New("not canonical")
var errNotOnCurve = errors.New("not on the curve")

// Decode is RFC 8032 section 5.1.3. The library alone also takes what Canonical
// refuses, which would give some points a second encoding.
func Decode(b [32]byte) (*edwards25519.Point, error) {
	if !Canonical(b) {
		return nil, errNotCanonical
	}
	p, err := new(edwards25519.Point).SetBytes(b[:])
	if err != nil {
		return nil, errNotOnCurve
	}
	return p, nil
}

// Canonical reports whether b, if it is a point at all, is that point's one
// encoding: y < p, and no sign for x = 0.
func Canonical(b [32]byte) bool {
	y, err := new(field.Element).SetBytes(b[:]) // ignores the sign and reduces
	if err != nil {
		return false // cannot be: 32 bytes are what it takes
	}
	sign := b[31] & 0x80
	b[31] ^= sign
	if [32]byte(y.Bytes()) != b {
		return false
	}
	return sign == 0 || y.Square(y).Equal(new(field.Element).One()) == 0 // x = 0 exactly where y = 1 or y = -1
}

// Encode is RFC 8032 section 5.1.2 for each of the points. They share one
// inversion, which is by far the most of it (Montgomery's trick): 1/Z of each is
// the inverse of the product of all Z, times the other Z. A point's Z is never 0,
// so none can spoil the others. The time depends on how many there are only.
func Encode(points ...*edwards25519.Point) [][32]byte {
	if len(points) == 0 {
		return nil // an inversion of nothing costs as much as one of many
	}
	before := make([]field.Element, len(points)) // the product of Z of the points before each
	product := new(field.Element).One()
	for i, p := range points {
		before[i].Set(product)
		_, _, z, _ := p.ExtendedCoordinates()
		product.Multiply(product, z)
	}
	encoded := make([][32]byte, len(points))
	inverse := product.Invert(product) // of the product of Z up to the one at hand
	for i := len(points) - 1; i >= 0; i-- {
		x, y, z, _ := points[i].ExtendedCoordinates()
		zInverse := before[i].Multiply(&before[i], inverse)
		inverse.Multiply(inverse, z)
		encoded[i] = [32]byte(y.Multiply(y, zInverse).Bytes())
		encoded[i][31] |= byte(x.Multiply(x, zInverse).IsNegative() << 7)
	}
	return encoded
}
