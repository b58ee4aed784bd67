// Package code is what two people compare to know that no one stands between
// them: the security code, 60 digits to read aloud, and the QR payload, which
// phones compare (protocol section 10).
//
// The code is over the two primary keys alone. It equals Signal's safety number
// for the same identifiers and keys, and changes exactly when a side
// re-registers. It cannot show a removal that is withheld, or a log that shows
// the two sides different histories: the QR payload does.
package code

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// iterations is the number of SHA-512 calls in a half, Signal's number: it makes
// the search for keys that give another half 2^12.3 times dearer (two
// milliseconds each). The halves equal Signal's only with this number.
const iterations = 5200

// Side is one of two accounts, as the caller's verifier knows it.
type Side struct {
	Identifier name.Identifier
	Primary    event.Key      // zero: unknown or erased
	Devices    []event.Device // companions; only Extended reads them
}

// Half is one side's 30 digits, Signal's NumericFingerprint. Keys are type || raw.
//
//	h = SHA-512(00 00 || keys || identifier || keys); 5199 times h = SHA-512(h || keys)
//	h[0:30] as six big-endian numbers of 5 bytes, each modulo 100000, five digits
func Half(identifier, keys []byte) string {
	first := make([]byte, 0, 2+len(keys)+len(identifier)+len(keys))
	first = append(first, 0, 0)
	first = append(first, keys...)
	first = append(first, identifier...)
	first = append(first, keys...)
	h := sha512.Sum512(first)

	next := make([]byte, len(h)+len(keys)) // h || keys: the keys stay, h changes
	copy(next[len(h):], keys)
	for range iterations - 1 {
		copy(next, h[:])
		h = sha512.Sum512(next)
	}

	var digits strings.Builder
	for i := 0; i < 30; i += 5 {
		group := uint64(h[i])<<32 | uint64(binary.BigEndian.Uint32(h[i+1:]))
		fmt.Fprintf(&digits, "%05d", group%100000)
	}
	return digits.String()
}

// Code is the security code between a and b: 60 digits, the same for both
// sides. It is empty while one side has no primary key, that is, when the
// account is unknown or erased: digits over no key would vouch for nothing.
func Code(a, b Side) string { return join(a, b, primary) }

// Extended is the code over all live keys of both sides. It changes with every
// device, so an app shows it on request and never warns about it. It is empty
// where Code is.
func Extended(a, b Side) string { return join(a, b, allKeys) }

// join puts the smaller half first, so that both sides read the same digits.
func join(a, b Side, keys func(Side) []byte) string {
	if a.Primary.IsZero() || b.Primary.IsZero() {
		return ""
	}
	x := Half([]byte(a.Identifier), keys(a))
	y := Half([]byte(b.Identifier), keys(b))
	return min(x, y) + max(x, y)
}

func primary(s Side) []byte { return s.Primary[:] }

// allKeys is the primary key and the companions', sorted bytewise and joined.
func allKeys(s Side) []byte {
	keys := [][]byte{s.Primary[:]}
	for _, d := range s.Devices {
		keys = append(keys, d.Key[:])
	}
	slices.SortFunc(keys, bytes.Compare)
	return bytes.Join(keys, nil)
}

// Group writes a code as people read it: groups of five digits, a space between.
func Group(code string) string {
	var b strings.Builder
	for i := 0; i < len(code); i += 5 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(code[i:min(i+5, len(code))])
	}
	return b.String()
}
