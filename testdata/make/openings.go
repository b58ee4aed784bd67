package main

import (
	"bytes"
	"math/big"
	"slices"
	"strings"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

type openingFile struct {
	Origins     []nameCase    `json:"origins"`
	Identifiers []nameCase    `json:"identifiers"`
	Keys        []vrfKeyCase  `json:"vrf_keys"`
	Indexes     []indexCase   `json:"indexes"`
	Proofs      []badProof    `json:"vrf_refused"`
	Openings    []openingCase `json:"openings"`
	Refused     []openingCase `json:"openings_refused"`
}

type nameCase struct {
	Name string `json:"name"`
	Why  string `json:"why,omitempty"`
	Text string `json:"text"`
	ID   hexed  `json:"id,omitempty"`
}

type vrfKeyCase struct {
	Name   string `json:"name"`
	Why    string `json:"why,omitempty"`
	Secret hexed  `json:"secret,omitempty"`
	Public hexed  `json:"public"`
	OK     bool   `json:"ok"`
}

type indexCase struct {
	Name    string `json:"name"`
	Secret  hexed  `json:"vrf_secret"`
	Public  hexed  `json:"vrf_public"`
	Account hexed  `json:"account_id"`
	Seq     uint32 `json:"seq"`
	Alpha   hexed  `json:"alpha"`
	Proof   hexed  `json:"vrf_proof"`
	Index   hexed  `json:"index"`
}

type badProof struct {
	Name   string `json:"name"`
	Why    string `json:"why"`
	Public hexed  `json:"vrf_public"`
	Alpha  hexed  `json:"alpha"`
	Proof  hexed  `json:"vrf_proof"`
}

type openingCase struct {
	Name       string  `json:"name"`
	Why        string  `json:"why,omitempty"`
	Account    hexed   `json:"account_id"`
	Seq        uint32  `json:"seq"`
	Opening    hexed   `json:"opening"`
	Event      based   `json:"event"`
	Commitment hexed   `json:"commitment"`
	Index      hexed   `json:"index,omitempty"`
	Position   *uint64 `json:"position,omitempty,string"`
	Value      hexed   `json:"value,omitempty"`
	PrefixLeaf hexed   `json:"prefix_leaf,omitempty"`
	LeafHash   hexed   `json:"leaf_hash,omitempty"`
}

func openings() (f openingFile) {
	f.names()
	secret := seed("vrf", string(origin))
	key := vrf.NewPrivateKey(secret)
	f.vrf(secret, key)

	p := liar.NewPhone(origin, "alice", start)
	account := p.Account()
	for i, body := range [][]byte{p.Register(), p.Add(), p.Reregister(true), p.Erase()} {
		seq, position, o := uint32(i), uint64(2+3*i), opening(i)
		c := commitment.Commit(o, account.Label(), seq, body)
		index := key.Evaluate(account.Label().VRFInput(seq))
		v := prefix.Value(position, c)
		pl, lh := prefix.LeafHash(index, v), leaf.HashOf((&leaf.Event{Index: index, Commitment: c}).Bytes())
		f.Openings = append(f.Openings, openingCase{
			Name: []string{"REGISTER", "ADD_DEVICE", "REREGISTER, endorsed", "ERASE"}[i], Account: account[:], Seq: seq, Opening: o[:], Event: body,
			Commitment: c[:], Index: index[:], Position: &position, Value: v[:], PrefixLeaf: pl[:], LeafHash: lh[:],
		})
	}
	good := f.Openings[1]
	refuse := func(label, why string, change func(c *openingCase)) {
		c := openingCase{Name: label, Why: why, Account: bytes.Clone(good.Account), Seq: good.Seq, Opening: bytes.Clone(good.Opening),
			Event: bytes.Clone(good.Event), Commitment: bytes.Clone(good.Commitment)}
		change(&c)
		err := commitment.Verify(name.Commitment(c.Commitment), name.Opening(c.Opening), name.AccountID(c.Account).Label(), c.Seq, c.Event)
		agree(err != nil, "opening %q is accepted", label)
		f.Refused = append(f.Refused, c)
	}
	refuse("another opening", "the opening is inside", func(c *openingCase) { c.Opening[15] ^= 1 })
	refuse("another account", "the label is inside", func(c *openingCase) { c.Account[0] ^= 1 })
	refuse("another seq", "seq is inside", func(c *openingCase) { c.Seq++ })
	refuse("another event", "the event is inside", func(c *openingCase) { c.Event[70] ^= 1 })
	refuse("the event without its last byte", "its length is inside", func(c *openingCase) { c.Event = c.Event[:len(c.Event)-1] })
	refuse("another commitment", "all 32 bytes count", func(c *openingCase) { c.Commitment[31] ^= 0x80 })
	return f
}

// opening is made up for the i-th event of a file.
func opening(i int) name.Opening {
	s := seed("opening", string(rune('a'+i)))
	return name.Opening(s[:16])
}

func (f *openingFile) names() {
	id := func(s string) hexed { h := name.Origin(s).LogID(); return h[:] }
	for _, c := range [][2]string{
		{"a log", string(origin)}, {"one byte", "a"}, {"the longest", strings.Repeat("~", 255)}, {"muster without a slash", "muster"},
		{"muster/ inside", "x.example/muster/log"}, {"all punctuation but the plus", "!\"#$%&'()*,-./:;<=>?@[\\]^_`{|}~"},
	} {
		f.Origins = append(f.Origins, nameCase{Name: c[0], Text: c[1], ID: id(c[1])})
	}
	for _, c := range [][3]string{
		{"empty", "1 to 255 bytes", ""}, {"256 bytes", "1 to 255 bytes", strings.Repeat("a", 256)},
		{"a plus", "no +", "keys.example.org/log+1"}, {"a space", "bytes 21 to 7E", "keys.example.org/log 1"},
		{"a line break", "bytes 21 to 7E", "keys.example.org/log1\n"}, {"DEL", "bytes 21 to 7E", "keys.example.org/\u007f"},
		{"an umlaut", "bytes 21 to 7E", "schlüssel.example"}, {"muster/", "must not begin with muster/", "muster/v1"},
	} {
		_, err := name.ParseOrigin(c[2])
		agree(err != nil, "origin %q is accepted", c[0])
		f.Origins = append(f.Origins, nameCase{Name: c[0], Why: c[1], Text: c[2]})
	}
	id = func(s string) hexed { h := name.Identifier(s).AccountID(); return h[:] }
	for _, c := range [][2]string{
		{"a phone number", "+15550000000"}, {"a UUID", "7f4d1c0a-5b6e-4a53-9d0c-3a1a0f3a2b11"}, {"one byte", "!"},
		{"the longest", strings.Repeat("~", 256)}, {"not normalised: lower case", "alice@example.org"}, {"not normalised: upper case", "Alice@example.org"},
	} {
		f.Identifiers = append(f.Identifiers, nameCase{Name: c[0], Text: c[1], ID: id(c[1])})
	}
	for _, c := range [][3]string{
		{"empty", "1 to 256 bytes", ""}, {"257 bytes", "1 to 256 bytes", strings.Repeat("a", 257)},
		{"a space", "bytes 21 to 7E", "+1 555 000 0000"}, {"a line break", "bytes 21 to 7E", "+15550000000\n"},
		{"an umlaut", "bytes 21 to 7E", "jürgen"}, {"a zero byte", "bytes 21 to 7E", "alice\x00"},
	} {
		_, err := name.ParseIdentifier(c[2])
		agree(err != nil, "identifier %q is accepted", c[0])
		f.Identifiers = append(f.Identifiers, nameCase{Name: c[0], Why: c[1], Text: c[2]})
	}
}

func (f *openingFile) vrf(secret [32]byte, key *vrf.PrivateKey) {
	public := key.Public()
	f.Keys = append(f.Keys, vrfKeyCase{Name: "a key", Secret: secret[:], Public: public[:], OK: true})
	keyCase := func(label, why string, b [32]byte) {
		_, err := vrf.ParsePublicKey(b)
		agree(err != nil, "VRF key %q is accepted", label)
		f.Keys = append(f.Keys, vrfKeyCase{Name: label, Why: why, Public: b[:]})
	}
	keyCase("the identity", "a point of small order", [32]byte{1})
	keyCase("order 2", "a point of small order", littleEndian(new(big.Int).Sub(prime(), big.NewInt(1))))
	keyCase("order 4", "a point of small order", [32]byte{})
	keyCase("order 8", "a point of small order", orderEight())
	keyCase("y above p", "y is below p", noncanonical())
	keyCase("y = p + 1", "y is below p; and a point of small order", littleEndian(new(big.Int).Add(prime(), big.NewInt(1))))
	keyCase("the identity with the sign bit", "x = 0 has no sign", [32]byte{0: 1, 31: 0x80})
	keyCase("no point", "not on the curve", offCurve())

	for _, c := range []struct {
		label, id string
		seq       uint32
	}{{"seq 0", "alice", 0}, {"seq 1", "alice", 1}, {"another account", "bob", 0}, {"the greatest rung", "alice", 1<<32 - 1}} {
		account := name.Identifier(c.id).AccountID()
		alpha := account.Label().VRFInput(c.seq)
		proof, index := key.Prove(alpha)
		f.Indexes = append(f.Indexes, indexCase{c.label, secret[:], public[:], account[:], c.seq, alpha, proof[:], index[:]})
	}
	good := f.Indexes[0]
	other := vrf.NewPrivateKey(seed("another VRF key")).Public()
	refuse := func(label, why string, public [32]byte, alpha []byte, change func(p []byte)) {
		p := slices.Clone(good.Proof)
		change(p)
		k := must(vrf.ParsePublicKey(public))
		_, err := k.Verify(alpha, (*vrf.Proof)(p))
		agree(err != nil, "VRF proof %q is accepted", label)
		f.Proofs = append(f.Proofs, badProof{label, why, public[:], alpha, p})
	}
	nothing := func([]byte) {}
	refuse("another seq", "a proof is of one input", public, f.Indexes[1].Alpha, nothing)
	refuse("another account", "a proof is of one input", public, f.Indexes[2].Alpha, nothing)
	refuse("another key", "a proof is by one key", other, good.Alpha, nothing)
	refuse("a bit of c", "c is the challenge", public, good.Alpha, func(p []byte) { p[32] ^= 1 })
	refuse("a bit of s", "s answers the challenge", public, good.Alpha, func(p []byte) { p[48] ^= 1 })
	refuse("s + L", "s is below L: else a second proof of the same index", public, good.Alpha, func(p []byte) {
		s := littleEndian(new(big.Int).Add(bigEndian([32]byte(p[48:])), order()))
		copy(p[48:], s[:])
	})
	refuse("Gamma of another input", "Gamma is in the challenge", public, good.Alpha, func(p []byte) { copy(p, f.Indexes[1].Proof[:32]) })
	refuse("Gamma not on the curve", "points decode by RFC 8032", public, good.Alpha, func(p []byte) { b := offCurve(); copy(p, b[:]) })
	refuse("Gamma with y above p", "points decode by RFC 8032 to the letter", public, good.Alpha, func(p []byte) { b := noncanonical(); copy(p, b[:]) })
	refuse("Gamma with a small-order part", "Gamma is in the challenge", public, good.Alpha, func(p []byte) {
		g := must(new(edwards25519.Point).SetBytes(p[:32]))
		t := littleEndian(new(big.Int).Sub(prime(), big.NewInt(1)))
		copy(p, g.Add(g, must(new(edwards25519.Point).SetBytes(t[:]))).Bytes())
	})
}

// Numbers and points of edwards25519 (protocol section 0).

func prime() *big.Int {
	p := new(big.Int).Lsh(big.NewInt(1), 255)
	return p.Sub(p, big.NewInt(19))
}

func order() *big.Int {
	l := new(big.Int).Lsh(big.NewInt(1), 252)
	c, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	return l.Add(l, c)
}

func littleEndian(n *big.Int) (b [32]byte) {
	n.FillBytes(b[:])
	slices.Reverse(b[:])
	return b
}

func bigEndian(b [32]byte) *big.Int {
	slices.Reverse(b[:])
	return new(big.Int).SetBytes(b[:])
}

// noncanonical is p + y for the least y >= 2 of a point: the same point as y,
// of full order.
func noncanonical() [32]byte {
	for y := int64(2); y < 19; y++ {
		if _, err := new(edwards25519.Point).SetBytes(slices.Concat([]byte{byte(y)}, make([]byte, 31))); err == nil {
			return littleEndian(new(big.Int).Add(prime(), big.NewInt(y)))
		}
	}
	panic("no y below 19 is of a point")
}

// offCurve is the least y that is of no point.
func offCurve() (b [32]byte) {
	for b[0] = 2; ; b[0]++ {
		if _, err := new(edwards25519.Point).SetBytes(b[:]); err != nil {
			return b
		}
	}
}

// orderEight is a point of order 8: L times some point that has such a part.
func orderEight() [32]byte {
	l := littleEndian(new(big.Int).Sub(order(), big.NewInt(1)))
	minusOne := must(edwards25519.NewScalar().SetCanonicalBytes(l[:]))
	for y := byte(2); ; y++ {
		p, err := new(edwards25519.Point).SetBytes(slices.Concat([]byte{y}, make([]byte, 31)))
		if err != nil {
			continue
		}
		q := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(minusOne, p, edwards25519.NewScalar())
		q.Add(q, p) // [L]p
		four := new(edwards25519.Point).Add(q, q)
		four.Add(four, four)
		if four.Equal(edwards25519.NewIdentityPoint()) != 1 {
			return [32]byte(q.Bytes())
		}
	}
}

// minus is p - n, little-endian.
func minus(n int64) [32]byte { return littleEndian(new(big.Int).Sub(prime(), big.NewInt(n))) }

// mixed is the base point and a point of order 8.
func mixed() [32]byte {
	e := orderEight()
	t := must(new(edwards25519.Point).SetBytes(e[:]))
	return [32]byte(t.Add(t, edwards25519.NewGeneratorPoint()).Bytes())
}

// plusOrder gives a signature its second form.
func plusOrder(sig *[64]byte) {
	s := littleEndian(new(big.Int).Add(bigEndian([32]byte(sig[32:])), order()))
	copy(sig[32:], s[:])
}
