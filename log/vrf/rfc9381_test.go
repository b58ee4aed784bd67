package vrf

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/point"
)

// example is one of RFC 9381 appendix B.3, Examples 16 to 18; fields in hex.
type example struct {
	Example int
	SK      string
	PK      string
	Alpha   string
	H, U, V string
	K       string `json:"k_string"` // the nonce before it is reduced
	Pi      string
	Beta    string
}

func examples(t testing.TB) []example {
	t.Helper()
	data, err := os.ReadFile("../../testdata/ecvrf/ecvrf.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ TAI []example }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.TAI) != 3 {
		t.Fatalf("%d examples, want 3", len(file.TAI))
	}
	return file.TAI
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRFC9381(t *testing.T) {
	for _, ex := range examples(t) {
		alpha := unhex(t, ex.Alpha)
		want := func(what string, got []byte, hexWant string) {
			t.Helper()
			if !bytes.Equal(got, unhex(t, hexWant)) {
				t.Errorf("example %d: %s = %x, want %s", ex.Example, what, got, hexWant)
			}
		}
		k := NewPrivateKey([32]byte(unhex(t, ex.SK)))
		want("PK", k.public[:], ex.PK)

		h := encodeToCurve(&k.public, alpha)
		want("H", h.Bytes(), ex.H)
		nonce, err := edwards25519.NewScalar().SetUniformBytes(unhex(t, ex.K))
		if err != nil {
			t.Fatal(err)
		}
		want("nonce", k.nonce([32]byte(h.Bytes())).Bytes(), hex.EncodeToString(nonce.Bytes()))
		want("U", new(edwards25519.Point).ScalarBaseMult(nonce).Bytes(), ex.U)
		want("V", new(edwards25519.Point).ScalarMult(nonce, h).Bytes(), ex.V)

		proof, proved := k.Prove(alpha)
		want("pi", proof[:], ex.Pi)
		gamma, c, _ := proof.parts()
		got := hashPoints(k.public, bytes32(t, ex.H), [32]byte(gamma), bytes32(t, ex.U), bytes32(t, ex.V))
		want("challenge", got[:], hex.EncodeToString(c))

		g, err := point.Decode([32]byte(gamma))
		if err != nil {
			t.Fatal(err)
		}
		beta := output([32]byte(clearCofactor(g).Bytes()))
		want("beta", beta[:], ex.Beta)
		want("index of Prove", proved[:], ex.Beta[:64])
		evaluated := k.Evaluate(alpha)
		want("index of Evaluate", evaluated[:], ex.Beta[:64])

		public, err := ParsePublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		verified, err := public.Verify(alpha, &proof)
		if err != nil {
			t.Errorf("example %d: %v", ex.Example, err)
		}
		want("index of Verify", verified[:], ex.Beta[:64])
	}
}

// Example 17 needs a second try; the other two do not. Without it the counter
// in the hash would be untested.
func TestSecondTry(t *testing.T) {
	ex := examples(t)[1]
	public := [32]byte(unhex(t, ex.PK))
	h := encodeToCurve(&public, unhex(t, ex.Alpha))
	if !bytes.Equal(h.Bytes(), unhex(t, ex.H)) {
		t.Errorf("H = %x, want %s", h.Bytes(), ex.H)
	}
}

func bytes32(t *testing.T, s string) [32]byte { return [32]byte(unhex(t, s)) }
