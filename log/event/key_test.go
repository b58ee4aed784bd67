package event_test

import (
	"crypto/ed25519"
	"crypto/sha512"
	"math/big"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/event"
)

// order8 is a point of order 8.
func order8(t *testing.T) *edwards25519.Point {
	t.Helper()
	p, err := new(edwards25519.Point).SetBytes(unhex(t, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func edKey(p *edwards25519.Point) event.Key {
	return event.Key(append([]byte{event.KeyEd25519}, p.Bytes()...))
}

func pointOf(t *testing.T, k event.Key) *edwards25519.Point {
	t.Helper()
	p, err := new(edwards25519.Point).SetBytes(k[1:])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAdmitEd25519(t *testing.T) {
	c := newChain(t, "")
	honest := pointOf(t, c.key("phone"))
	double := func(p *edwards25519.Point) *edwards25519.Point { return new(edwards25519.Point).Double(p) }
	raw := func(s string) event.Key { return event.Key(append([]byte{event.KeyEd25519}, unhex(t, s)...)) }
	ff := strings.Repeat("ff", 30)
	tests := []struct {
		name string
		key  event.Key
		want string
	}{
		{"ordinary", edKey(honest), ""},
		{"its negative", edKey(new(edwards25519.Point).Negate(honest)), ""},
		{"order 1", edKey(edwards25519.NewIdentityPoint()), "small order"},
		{"order 2", edKey(double(double(order8(t)))), "small order"},
		{"order 4", edKey(double(order8(t))), "small order"},
		{"order 8", edKey(order8(t)), "small order"},
		{"mixed order 8L", edKey(new(edwards25519.Point).Add(honest, order8(t))), "torsion"},
		{"mixed order 4L", edKey(new(edwards25519.Point).Add(honest, double(order8(t)))), "torsion"},
		{"mixed order 2L", edKey(new(edwards25519.Point).Add(honest, double(double(order8(t))))), "torsion"},
		{"not on the curve", raw("02" + strings.Repeat("00", 31)), "not on the curve"},
		{"y = p", raw("ed" + ff + "7f"), "not canonical"},
		{"y = p+1", raw("ee" + ff + "7f"), "not canonical"},
		{"x = 0 with the sign bit", raw("01" + strings.Repeat("00", 30) + "80"), "not canonical"},
		{"no key", event.Key{}, "unknown key type"},
		{"reserved type", event.Key{0x10}, "unknown key type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := event.Admit(tt.key)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Admit: %v, want %q", err, tt.want)
			}
		})
	}
}

// One point under two types, or its negative, is one key; and it is refused as
// such wherever a key is introduced.
func TestOnePointIsOneKey(t *testing.T) {
	c := newChain(t, "")
	p := pointOf(t, c.key("laptop"))
	forms := map[string]event.Key{
		"itself":     edKey(p),
		"negative":   edKey(new(edwards25519.Point).Negate(p)),
		"Curve25519": event.Key(append([]byte{event.KeyCurve25519}, p.BytesMontgomery()...)),
	}
	other, err := c.key("tv").Coordinate()
	if err != nil {
		t.Fatal(err)
	}
	for form, k := range forms {
		t.Run(form, func(t *testing.T) {
			u, err := k.Coordinate()
			if err != nil || u != [32]byte(p.BytesMontgomery()) || u == other {
				t.Fatalf("coordinate %x (%v), want %x", u, err, p.BytesMontgomery())
			}
			if err := event.Admit(k); err != nil {
				t.Fatal(err)
			}
			c := newChain(t, unlinked)
			d := c.draft("ADD_DEVICE tv")
			d.Subject, d.after[0].Key = k, k
			c.refused(c.sign(d), event.RuleKeyUsed)
			d = c.draft("REREGISTER phone2")
			d.Primary = k
			c.refused(c.sign(d), event.RuleKeyUsed)
		})
	}
}

// A Curve25519 key made from an Ed25519 seed's scalar is the same key too, and
// with it the owner could sign: only the comparison by u stops this.
func TestSameScalarUnderTwoTypes(t *testing.T) {
	c := newChain(t, "")
	seed := [32]byte{1, 2, 3}
	h := sha512.Sum512(seed[:])
	ed := c.own(event.KeyEd25519, seed)
	curve := c.own(event.KeyCurve25519, [32]byte(h[:32]))
	for _, pair := range [][2]event.Key{{ed, curve}, {curve, ed}} {
		c := &chain{t: t, at: event.NewAccount(testLog, testAccount), keys: c.keys}
		c.refused(c.sign(c.draft("REGISTER phone")), "")
		d := c.draft("ADD_DEVICE laptop")
		d.Subject, d.after[0].Key = pair[0], pair[0]
		c.refused(c.sign(d), "")
		d = c.draft("ADD_DEVICE tv")
		d.Subject, d.after[1].Key = pair[1], pair[1]
		c.refused(c.sign(d), event.RuleKeyUsed)
	}
}

func TestCoordinateRefuses(t *testing.T) {
	ff := strings.Repeat("ff", 30)
	for name, k := range map[string]string{
		"u = p":               "05ed" + ff + "7f",
		"u with the top bit":  "0502" + strings.Repeat("00", 30) + "80",
		"y = p":               "01ed" + ff + "7f",
		"y = p, sign bit set": "01ed" + ff + "ff",
		"the identity":        "0101" + strings.Repeat("00", 31),
		"unknown type":        "02" + strings.Repeat("00", 32),
	} {
		if u, err := event.Key(unhex(t, k)).Coordinate(); err == nil {
			t.Errorf("%s: coordinate %x, want an error", name, u)
		}
	}
}

// R = identity, S = 0 is a signature that nobody made: the small-order key that
// it verifies under must not get in. Nor must one of mixed order.
func TestForgeriesNeedAdmission(t *testing.T) {
	c := newChain(t, registered)
	var forged [64]byte
	forged[0] = 1
	for name, k := range map[string]event.Key{
		"Ed25519 identity":   edKey(edwards25519.NewIdentityPoint()),
		"Curve25519 order 2": {event.KeyCurve25519},
	} {
		t.Run(name, func(t *testing.T) {
			for nonce := range uint64(64) {
				d := c.draft("ADD_DEVICE tv")
				d.Subject, d.after[0].Key, d.TimeMs = k, k, nonce
				e := c.sign(d)
				e.Signatures[1].Bytes = forged
				if !event.VerifySignature(k, e.SignedBytes(event.Subject), forged) {
					continue
				}
				c.refused(e, event.RuleNotAdmitted)
				return
			}
			t.Fatal("no forgery verifies: this test shows nothing")
		})
	}

	// The owner of a + torsion can sign: [S]B - [h]A' = R when h = 0 mod 8.
	t.Run("mixed order", func(t *testing.T) {
		seed := [32]byte{9}
		h := sha512.Sum512(seed[:])
		a, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
		if err != nil {
			t.Fatal(err)
		}
		A := new(edwards25519.Point).ScalarBaseMult(a)
		k := edKey(A.Add(A, order8(t)))
		for nonce := range uint64(400) {
			d := c.draft("ADD_DEVICE tv")
			d.Subject, d.after[0].Key, d.TimeMs = k, k, nonce
			e := c.sign(d)
			message := e.SignedBytes(event.Subject)
			r, err := edwards25519.NewScalar().SetUniformBytes(h[:])
			if err != nil {
				t.Fatal(err)
			}
			R := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
			hash := sha512.Sum512(slices.Concat(R, k[1:], message))
			x, err := edwards25519.NewScalar().SetUniformBytes(hash[:])
			if err != nil {
				t.Fatal(err)
			}
			S := edwards25519.NewScalar().MultiplyAdd(x, a, r)
			e.Signatures[1].Bytes = [64]byte(slices.Concat(R, S.Bytes()))
			if !event.VerifySignature(k, message, e.Signatures[1].Bytes) {
				continue
			}
			c.refused(e, event.RuleNotAdmitted)
			return
		}
		t.Fatal("no signature verifies: this test shows nothing")
	})
}

// S+L signs the same for a lax verifier; ours takes one S.
func TestMalleableSignature(t *testing.T) {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	for _, primary := range []string{"phone", "xphone"} {
		c := newChain(t, "REGISTER "+primary)
		e := c.sign(c.draft("CONFIRM"))
		sig := &e.Signatures[0].Bytes
		sign := sig[63] & 0x80
		if primary == "phone" {
			sign = 0
		}
		le := slices.Clone(sig[32:])
		le[31] ^= sign
		slices.Reverse(le)
		s := new(big.Int).SetBytes(le)
		s.Add(s, order).FillBytes(le)
		slices.Reverse(le)
		le[31] |= sign
		copy(sig[32:], le)
		c.refused(e, event.RuleSignature)
	}
}

// A torsion point added to R passes a cofactored (batch) verifier. Verifiers
// must agree, so it is refused.
func TestTorsionedRIsRefused(t *testing.T) {
	seed := [32]byte{7}
	h := sha512.Sum512(seed[:])
	a, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
	if err != nil {
		t.Fatal(err)
	}
	private, err := event.NewPrivateKey(event.KeyEd25519, seed)
	if err != nil {
		t.Fatal(err)
	}
	k, message := private.Public(), []byte("message")
	for _, torsion := range []*edwards25519.Point{edwards25519.NewIdentityPoint(), order8(t)} {
		R := new(edwards25519.Point).ScalarBaseMult(a) // any r will do
		R.Add(R, torsion)
		hash := sha512.Sum512(slices.Concat(R.Bytes(), k[1:], message))
		x, err := edwards25519.NewScalar().SetUniformBytes(hash[:])
		if err != nil {
			t.Fatal(err)
		}
		sig := [64]byte(slices.Concat(R.Bytes(), edwards25519.NewScalar().MultiplyAdd(x, a, a).Bytes()))
		honest := torsion.Equal(edwards25519.NewIdentityPoint()) == 1
		if event.VerifySignature(k, message, sig) != honest {
			t.Errorf("accepted: %t, want %t", !honest, honest)
		}
	}
}

// XEdDSA bits 5 and 6 of the last byte are zero, bit 7 is the sign.
func TestXEdDSASpareBits(t *testing.T) {
	c := newChain(t, "REGISTER xphone")
	e := c.sign(c.draft("CONFIRM"))
	for bit := range 8 {
		spoiled := e.Signatures[0].Bytes
		spoiled[63] ^= 1 << bit
		if event.VerifySignature(c.at.Primary, e.SignedBytes(event.Primary), spoiled) {
			t.Errorf("accepted with bit %d of the last byte flipped", bit)
		}
	}
}

func TestPrivateKeys(t *testing.T) {
	for _, typ := range []uint8{event.KeyEd25519, event.KeyCurve25519} {
		signs := map[byte]bool{}
		for i := range 16 {
			k, err := event.GenerateKey(typ)
			if err != nil {
				t.Fatal(err)
			}
			if err := event.Admit(k.Public()); err != nil {
				t.Fatalf("a generated key is not admitted: %v", err)
			}
			again, err := event.NewPrivateKey(typ, k.Seed())
			if err != nil || again.Public() != k.Public() {
				t.Fatalf("the seed gives key %v (%v), want %s", again.Public(), err, k.Public())
			}
			message := []byte{byte(i)}
			sig, err := k.Sign(message)
			if err != nil {
				t.Fatal(err)
			}
			signs[sig[63]&0x80] = true
			if !event.VerifySignature(k.Public(), message, sig) {
				t.Fatalf("type %d: own signature refused", typ)
			}
			if event.VerifySignature(k.Public(), []byte("other"), sig) {
				t.Fatalf("type %d: signature accepted for another message", typ)
			}
			if raw := k.Public(); typ == event.KeyEd25519 && !ed25519.Verify(raw[1:], message, sig[:]) {
				t.Fatal("not an RFC 8032 signature")
			}
		}
		if typ == event.KeyCurve25519 && len(signs) != 2 {
			t.Error("16 keys of one sign only")
		}
	}
	if _, err := event.NewPrivateKey(0x10, [32]byte{}); err == nil {
		t.Error("a reserved key type makes a key")
	}
	if _, err := event.GenerateKey(0); err == nil {
		t.Error("key type 0 makes a key")
	}
}

func TestParseKey(t *testing.T) {
	c := newChain(t, "")
	for _, word := range []string{"phone", "xphone"} {
		k := c.key(word)
		if got, err := event.ParseKey(k[:]); err != nil || got != k {
			t.Errorf("ParseKey(%s) = %s, %v", k, got, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty":         {},
		"32 bytes":      make([]byte, 32),
		"34 bytes":      append([]byte{1}, make([]byte, 33)...),
		"type 0":        make([]byte, 33),
		"reserved 0x10": append([]byte{0x10}, make([]byte, 32)...),
	} {
		if k, err := event.ParseKey(b); err == nil {
			t.Errorf("%s: parsed as %s", name, k)
		}
	}
}
