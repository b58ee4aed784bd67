package vrf_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
)

func newKeys(t testing.TB, seed byte) (*vrf.PrivateKey, *vrf.PublicKey) {
	t.Helper()
	private := vrf.NewPrivateKey([32]byte{seed})
	public, err := vrf.ParsePublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func alphaOf(seq uint32) []byte {
	return name.Identifier("+15550000000").AccountID().Label().VRFInput(seq)
}

func TestProveVerify(t *testing.T) {
	private, public := newKeys(t, 1)
	seen := map[name.Index]uint32{}
	for seq := range uint32(64) {
		alpha := alphaOf(seq)
		proof, proved := private.Prove(alpha)
		got, err := public.Verify(alpha, &proof)
		if err != nil {
			t.Fatalf("seq %d: %v", seq, err)
		}
		if got != proved || got != private.Evaluate(alpha) {
			t.Errorf("seq %d: Verify %v, Prove %v, Evaluate %v", seq, got, proved, private.Evaluate(alpha))
		}
		if again, _ := private.Prove(alpha); again != proof {
			t.Errorf("seq %d: two proofs of one input", seq)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("seq %d and %d share an index", seq, other)
		}
		seen[got] = seq
	}
}

// Many inputs at once have the index that each has in its proof, in order.
func TestEvaluateAll(t *testing.T) {
	private, _ := newKeys(t, 1)
	if got := private.EvaluateAll(nil); len(got) != 0 {
		t.Errorf("no inputs have %d indexes", len(got))
	}
	var alphas [][]byte
	var want []name.Index
	for seq := range uint32(20) {
		_, index := private.Prove(alphaOf(seq % 7)) // some of them twice
		alphas, want = append(alphas, alphaOf(seq%7)), append(want, index)
		if got := private.EvaluateAll(alphas); !slices.Equal(got, want) {
			t.Fatalf("%d inputs: %v, want %v", len(alphas), got, want)
		}
	}
}

func TestEveryBitOfAProofCounts(t *testing.T) {
	private, public := newKeys(t, 2)
	alpha := alphaOf(3)
	proof, _ := private.Prove(alpha)
	for i := range proof {
		for bit := range 8 {
			bad := proof
			bad[i] ^= 1 << bit
			if _, err := public.Verify(alpha, &bad); err == nil {
				t.Errorf("byte %d, bit %d flipped: accepted", i, bit)
			}
		}
	}
}

func TestRefusedProofs(t *testing.T) {
	private, public := newKeys(t, 3)
	other, otherPublic := newKeys(t, 4)
	alpha := alphaOf(0)
	proof, _ := private.Prove(alpha)
	ofOtherKey, _ := other.Prove(alpha)
	ofOtherSeq, _ := private.Prove(alphaOf(1))
	notAPoint := proof
	copy(notAPoint[:32], append([]byte{2}, make([]byte, 31)...)) // y = 2 is not on the curve

	for _, c := range []struct {
		name  string
		key   *vrf.PublicKey
		alpha []byte
		proof vrf.Proof
		want  string
	}{
		{"another input", public, alphaOf(1), proof, "does not fit"},
		{"empty input", public, nil, proof, "does not fit"},
		{"another key", otherPublic, alpha, proof, "does not fit"},
		{"proof by another key", public, alpha, ofOtherKey, "does not fit"},
		{"proof of another seq", public, alpha, ofOtherSeq, "does not fit"},
		{"s + L", public, alpha, addL(t, proof), "group order"},
		{"Gamma off the curve", public, alpha, notAPoint, "Gamma"},
		{"zeros", public, alpha, vrf.Proof{}, "does not fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			index, err := c.key.Verify(c.alpha, &c.proof)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if index != (name.Index{}) {
				t.Errorf("index %v beside an error", index)
			}
		})
	}
}

// addL writes the proof's s as s + L, the same number modulo the group order.
func addL(t *testing.T, p vrf.Proof) vrf.Proof {
	t.Helper()
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	b := slices.Clone(p[48:])
	slices.Reverse(b)
	s := new(big.Int).SetBytes(b)
	s.Add(s, l).FillBytes(b)
	slices.Reverse(b)
	copy(p[48:], b)
	return p
}

func TestRefusedKeys(t *testing.T) {
	p := func(first, fill, last byte) (b [32]byte) {
		for i := range b {
			b[i] = fill
		}
		b[0], b[31] = first, last
		return b
	}
	for _, c := range []struct {
		name string
		key  [32]byte
		want string
	}{
		{"identity", p(1, 0, 0), "small order"},
		{"order 2", p(0xec, 0xff, 0x7f), "small order"},
		{"order 4", p(0, 0, 0), "small order"},
		{"order 4, negative", p(0, 0, 0x80), "small order"},
		{"y = p+3, a point of large order at y = 3", p(0xf0, 0xff, 0x7f), "not canonical"},
		{"x = 0 with the sign", p(1, 0, 0x80), "not canonical"},
		{"off the curve", p(2, 0, 0), "not on the curve"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := vrf.ParsePublicKey(c.key); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if _, err := vrf.ParsePublicKey(p(3, 0, 0)); err != nil {
		t.Errorf("y = 3: %v", err)
	}
}

// FuzzVerify changes honest proofs: what is accepted has the one index.
func FuzzVerify(f *testing.F) {
	f.Add([]byte("seed"), alphaOf(0), []byte{})
	f.Add([]byte{}, []byte{}, []byte{1})
	f.Add([]byte("seed"), alphaOf(1), append(make([]byte, 79), 0x80))
	f.Add([]byte("seed"), alphaOf(1<<32-2), append(make([]byte, 31), 0x80))
	f.Fuzz(func(t *testing.T, seed, alpha, flips []byte) {
		var s [32]byte
		copy(s[:], seed)
		private := vrf.NewPrivateKey(s)
		public, err := vrf.ParsePublicKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		proof, index := private.Prove(alpha)
		changed := false
		for i := range min(len(flips), len(proof)) {
			proof[i] ^= flips[i]
			changed = changed || flips[i] != 0
		}
		got, err := public.Verify(alpha, &proof)
		if (err == nil) == changed {
			t.Fatalf("changed %v: error %v", changed, err)
		}
		if err == nil && (got != index || got != private.Evaluate(alpha)) {
			t.Fatalf("index %v, want %v", got, index)
		}
	})
}

// FuzzVerifyAny throws bytes at key and proof: no panic, and nothing but an
// honest proof is accepted under an honest key.
func FuzzVerifyAny(f *testing.F) {
	private, _ := newKeys(f, 6)
	proof, _ := private.Prove(alphaOf(0))
	key := private.Public()
	f.Add(key[:], alphaOf(0), proof[:])
	f.Add(make([]byte, 32), []byte{}, make([]byte, 80))
	f.Fuzz(func(t *testing.T, keyBytes, alpha, proofBytes []byte) {
		var k [32]byte
		var p vrf.Proof
		copy(k[:], keyBytes)
		copy(p[:], proofBytes)
		public, err := vrf.ParsePublicKey(k)
		if err != nil {
			return
		}
		index, err := public.Verify(alpha, &p)
		if err == nil && k == key && index != private.Evaluate(alpha) {
			t.Fatalf("a second index %v", index)
		}
	})
}

// benchAlphas are some inputs: the tries that an input needs differ, 2 on average.
func benchAlphas() (alphas [][]byte) {
	for seq := range uint32(64) {
		alphas = append(alphas, alphaOf(seq))
	}
	return alphas
}

func BenchmarkEvaluate(b *testing.B) {
	private, _ := newKeys(b, 1)
	alphas := benchAlphas()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		private.Evaluate(alphas[i%len(alphas)])
	}
}

func BenchmarkEvaluateAll(b *testing.B) {
	private, _ := newKeys(b, 1)
	alphas := benchAlphas()
	for b.Loop() {
		private.EvaluateAll(alphas)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(alphas)), "ns/input")
}

func BenchmarkProve(b *testing.B) {
	private, _ := newKeys(b, 1)
	alpha := alphaOf(0)
	b.ReportAllocs()
	for b.Loop() {
		private.Prove(alpha)
	}
}

func BenchmarkVerify(b *testing.B) {
	private, public := newKeys(b, 1)
	alpha := alphaOf(0)
	proof, _ := private.Prove(alpha)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := public.Verify(alpha, &proof); err != nil {
			b.Fatal(err)
		}
	}
}
