package event

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// plainEdwards is section 2.2's y of a key, with the sign, by its formula.
func plainEdwards(k Key, sign byte) ([32]byte, error) {
	if k[0] == KeyEd25519 {
		return [32]byte(k[1:]), nil
	}
	if k[0] != KeyCurve25519 {
		return [32]byte{}, errors.New("unknown type")
	}
	u, err := new(field.Element).SetBytes(k[1:])
	if err != nil || !bytes.Equal(u.Bytes(), k[1:]) {
		return [32]byte{}, errors.New("not canonical")
	}
	y, plus := new(field.Element).Subtract(u, feOne), new(field.Element).Add(u, feOne)
	if plus.Equal(new(field.Element)) == 1 {
		return [32]byte{}, errors.New("u = -1")
	}
	encoded := [32]byte(y.Multiply(y, plus.Invert(plus)).Bytes())
	encoded[31] |= sign
	return encoded, nil
}

// plainAdmit is admission as the protocol defines it (section 2.2), by the
// slowest and shortest way: encode again and compare, multiply by L and compare.
func plainAdmit(k Key) error {
	encoded, err := plainEdwards(k, 0)
	if err != nil {
		return err
	}
	p, err := new(edwards25519.Point).SetBytes(encoded[:])
	if err != nil {
		return err
	}
	if !bytes.Equal(p.Bytes(), encoded[:]) {
		return errors.New("not canonical")
	}
	if isIdentity(new(edwards25519.Point).MultByCofactor(p)) {
		return errors.New("small order")
	}
	if !isIdentity(multL(p)) {
		return errors.New("torsion")
	}
	return nil
}

func sameAsPlain(t testing.TB, k Key) (admitted bool) {
	t.Helper()
	fast, plain := Admit(k), plainAdmit(k)
	if (fast == nil) != (plain == nil) {
		t.Fatalf("Admit(%s): %v, by the plain definition: %v", k, fast, plain)
	}
	return fast == nil
}

// plainVerify is the rule of section 2.4 by crypto/ed25519.
func plainVerify(k Key, message []byte, sig [64]byte) bool {
	encoded, err := plainEdwards(k, sig[63]&0x80)
	if err != nil {
		return false
	}
	if k[0] == KeyCurve25519 {
		sig[63] &= 0x7f
	}
	return ed25519.Verify(encoded[:], message, sig[:])
}

func sameVerdict(t testing.TB, k Key, message []byte, sig [64]byte) (accepted bool) {
	t.Helper()
	got, want := VerifySignature(k, message, sig), plainVerify(k, message, sig)
	if got != want {
		t.Fatalf("key %s, message %x, signature %x: accepted %t, by crypto/ed25519 %t", k, message, sig, got, want)
	}
	return got
}

// scalarBytes are S that matter: 0, 1, L-1, and what is not canonical: L, L+1,
// 2^253, the top bits.
func scalarBytes() (all [][32]byte) {
	l := [32]byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	below, above := l, l
	below[0]--
	above[0]++
	return append(all, [32]byte{}, [32]byte{1}, below, l, above, [32]byte{31: 0x20}, [32]byte{31: 0x40}, [32]byte{31: 0x80}, [32]byte{1, 31: 0x80})
}

// encodings are all byte strings that the library decodes to a point of small
// order, the ones that are not canonical too.
func encodings(t testing.TB) (all [][32]byte) {
	for _, s := range smallOrder(t) {
		all = append(all, [32]byte(s.Bytes()))
	}
	for i := range 20 { // y from p-1 on, and the signs of x = 0
		b := [32]byte(bytes.Repeat([]byte{0xff}, 32))
		b[0] = byte(0xec + i)
		for _, sign := range []byte{0, 0x80} {
			b[31] = 0x7f | sign
			if p, err := new(edwards25519.Point).SetBytes(b[:]); err == nil && isIdentity(p.MultByCofactor(p)) {
				all = append(all, b)
			}
		}
	}
	return append(all, [32]byte{0: 1, 31: 0x80})
}

// Small-order keys and small-order R in every spelling, with every S that
// matters: the signatures on which the world's verifiers disagree.
func TestVerifyIsCryptoEd25519OnSmallOrder(t *testing.T) {
	accepted := 0
	for _, a := range encodings(t) {
		keys := []Key{Key(append([]byte{KeyEd25519}, a[:]...))}
		if p, err := new(edwards25519.Point).SetBytes(a[:]); err == nil {
			keys = typed(p)
			keys[0] = Key(append([]byte{KeyEd25519}, a[:]...)) // in this spelling
		}
		for _, k := range keys {
			for i, r := range encodings(t) {
				for _, s := range scalarBytes() {
					if sameVerdict(t, k, []byte{byte(i)}, [64]byte(slices.Concat(r[:], s[:]))) {
						accepted++
					}
				}
			}
		}
	}
	if accepted < 20 {
		t.Errorf("%d signatures are accepted: this test shows little", accepted)
	}
}

// mixed signs message under A + a point of small order, with R + another: the
// eight and eight points and the type of the key are in the bits of mode.
func mixed(t testing.TB, small [8]*edwards25519.Point, message []byte, mode byte) (Key, [64]byte) {
	t.Helper()
	a, err := hashToScalar([]byte("secret"), []byte{mode}, message)
	if err != nil {
		t.Fatal(err)
	}
	A := new(edwards25519.Point).ScalarBaseMult(a)
	A.Add(A, small[mode&7])
	R := new(edwards25519.Point).ScalarBaseMult(a) // any r will do
	R.Add(R, small[mode>>3&7])
	h, err := hashToScalar(R.Bytes(), A.Bytes(), message)
	if err != nil {
		t.Fatal(err)
	}
	k, sig := typed(A)[mode>>6&1], [64]byte(append(R.Bytes(), edwards25519.NewScalar().MultiplyAdd(h, a, a).Bytes()...))
	if k[0] == KeyCurve25519 {
		sig[63] |= A.Bytes()[31] & 0x80
	}
	return k, sig
}

// Of such a signature the small parts may cancel, or not: that is where cofactored
// verifiers disagree with ours.
func TestVerifyIsCryptoEd25519OnMixedOrder(t *testing.T) {
	small := smallOrder(t)
	accepted := 0
	for i := range 8 {
		for mode := range byte(128) {
			k, sig := mixed(t, small, []byte{byte(i)}, mode)
			if sameVerdict(t, k, []byte{byte(i)}, sig) {
				accepted++
			} else if mode&0x3f == 0 {
				t.Fatalf("an honest signature of %s is refused", k)
			}
		}
	}
	if accepted < 64 || accepted > 512 {
		t.Errorf("%d of 1024 accepted, want some that are not honest, and not all", accepted)
	}
}

// Honest signatures of both types, and each with one bit flipped anywhere in the
// key, the message or the signature.
func TestVerifyIsCryptoEd25519OnHonest(t *testing.T) {
	r := rand.New(rand.NewChaCha8([32]byte{3}))
	accepted := 0
	for i := range 200 {
		typ := []byte{KeyEd25519, KeyCurve25519}[i%2]
		private, err := NewPrivateKey(typ, [32]byte{byte(i), typ})
		if err != nil {
			t.Fatal(err)
		}
		message := make([]byte, r.IntN(300)+1)
		sig, err := private.Sign(message)
		if err != nil {
			t.Fatal(err)
		}
		k := private.Public()
		if sameVerdict(t, k, message, sig) {
			accepted++
		}
		for _, b := range [][]byte{k[1:], message, sig[:], sig[:32], sig[32:], sig[63:]} {
			bit := r.IntN(8 * len(b))
			b[bit/8] ^= 1 << (bit % 8)
			if sameVerdict(t, k, message, sig) {
				t.Fatalf("accepted with a bit flipped: key %s, message %x, signature %x", k, message, sig)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
	if accepted != 200 {
		t.Errorf("%d of 200 honest signatures accepted", accepted)
	}
}

// FuzzVerify: one verdict with crypto/ed25519, whatever the bytes, and whatever
// small parts are in a signature that comes past the hash.
func FuzzVerify(f *testing.F) {
	small := smallOrder(f)
	f.Add(append([]byte{KeyEd25519}, small[4].Bytes()...), []byte("message"), append(small[4].Bytes(), make([]byte, 32)...), byte(0))
	f.Add(make([]byte, KeySize), []byte{}, make([]byte, 64), byte(0xff))
	f.Add(append([]byte{KeyCurve25519}, make([]byte, 32)...), []byte{1}, append([]byte{1}, make([]byte, 63)...), byte(0))
	f.Fuzz(func(t *testing.T, key, message, sig []byte, mode byte) {
		if len(key) != KeySize || len(sig) != SignatureSize {
			return
		}
		sameVerdict(t, Key(key), message, [64]byte(sig))
		k, s := mixed(t, small, message, mode)
		sameVerdict(t, k, message, s)
	})
}

func BenchmarkVerifySignature(b *testing.B) {
	for _, c := range []struct {
		name   string
		typ    byte
		verify func(Key, []byte, [64]byte) bool
	}{
		{"ed25519", KeyEd25519, VerifySignature},
		{"ed25519,plain", KeyEd25519, plainVerify},
		{"curve25519", KeyCurve25519, VerifySignature},
		{"curve25519,plain", KeyCurve25519, plainVerify},
	} {
		private, err := NewPrivateKey(c.typ, [32]byte{c.typ})
		if err != nil {
			b.Fatal(err)
		}
		message := make([]byte, 230)
		sig, err := private.Sign(message)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if !c.verify(private.Public(), message, sig) {
					b.Fatal("refused")
				}
			}
		})
	}
}
