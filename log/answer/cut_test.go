package answer_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// parts are an answer's fields as they stand in its bytes, so that a list can be cut
// short with the right length around it.
type parts struct {
	head                    []byte // version, checkpoint, consistency, GENESIS and EPOCH
	accounts, nodes, proofs []byte
}

func split(t *testing.T, data []byte) (p parts) {
	t.Helper()
	s := cryptobyte.String(data)
	var field cryptobyte.String
	ok := s.Skip(2)
	for range 4 {
		ok = ok && s.ReadUint16LengthPrefixed(&field)
	}
	p.head = data[:len(data)-len(s)]
	var n uint32
	ok = ok && s.ReadUint32(&n) && s.ReadBytes(&p.accounts, int(n))
	var nodes, proofs cryptobyte.String
	if !ok || !s.ReadUint24LengthPrefixed(&nodes) || !s.ReadUint24LengthPrefixed(&proofs) || !s.Empty() {
		t.Fatal("not an answer")
	}
	p.nodes, p.proofs = nodes, proofs
	return p
}

func (p parts) bytes() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddBytes(p.head)
	b.AddUint32LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.accounts) })
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.nodes) })
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.proofs) })
	return b.BytesOrPanic()
}

// Every message, and every list within one, is refused at each length below its own.
func TestCutShort(t *testing.T) {
	l, ids := smallLog()
	a, err := l.Answer(&answer.Request{Asks: ask3(ids[:1], answer.First, 0, 190)})
	if err != nil {
		t.Fatal(err)
	}
	good, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	whole := split(t, good)
	refused := 0
	parse := func(what string, data []byte) {
		t.Helper()
		if _, err := answer.Parse(data); err == nil {
			t.Errorf("%s: parsed", what)
		}
		refused++
	}
	for n := range good {
		parse("the answer cut short", good[:n])
	}
	for n := range whole.accounts {
		p := whole
		p.accounts = p.accounts[:n]
		parse("the accounts cut short", p.bytes())
	}
	for n := range whole.nodes {
		if n%32 != 0 { // else they are fewer nodes, which the verifier refuses
			p := whole
			p.nodes = p.nodes[:n]
			parse("the nodes cut short", p.bytes())
		}
	}
	// A length beyond what follows: of the consistency proof, which is empty here.
	long := bytes.Clone(good)
	at := 2 + 2 + len(a.Note)
	if long[at] != 0 || long[at+1] != 0 {
		t.Fatal("a first answer has a consistency proof")
	}
	long[at], long[at+1] = 0xff, 0xff
	parse("a consistency proof that is longer than the answer", long)
	const header = 32 + 3*4 // of an account: id, events, from, to; then its versions
	versions := whole.accounts[header+3:]
	versions = versions[:int(whole.accounts[header])<<16|int(whole.accounts[header+1])<<8|int(whole.accounts[header+2])]
	after := whole.accounts[header+3+len(versions):]
	for n := range versions {
		b := cryptobyte.NewBuilder(nil)
		b.AddBytes(whole.accounts[:header])
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(versions[:n]) })
		b.AddBytes(after)
		p := whole
		p.accounts = b.BytesOrPanic()
		parse("the versions cut short", p.bytes())
	}
	t.Logf("count refused %d", refused)

	var published answer.Published
	published.Note, published.Path, published.Seq = []byte("note"), []leaf.Hash{{1}}, 1
	receipt, err := published.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	promise, err := (&answer.Durable{Seq: 1, Note: []byte("note"), Opening: name.Opening{1}}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for what, without := range map[string][]byte{ // fields of fixed lengths left out
		"the proof": slices.Concat(promise[:4], promise[4+80:]), "the opening": slices.Concat(promise[:4+80], promise[4+80+16:]), "seq": promise[4:],
	} {
		if d, err := answer.ParseDurable(without); err == nil {
			t.Errorf("a promise without %s: %+v", what, d)
		}
	}
	for what, c := range map[string]struct {
		good  []byte
		parse func([]byte) error
	}{
		"receipt": {receipt, func(b []byte) error { _, err := answer.ParsePublished(b); return err }},
		"promise": {promise, func(b []byte) error { _, err := answer.ParseDurable(b); return err }},
		"request": {request(2, 1, ask(1, 1, 7, 190)), func(b []byte) error { _, err := answer.ParseRequest(b); return err }},
	} {
		if err := c.parse(c.good); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if c.parse(append(bytes.Clone(c.good), 0)) == nil {
			t.Errorf("%s and a byte: parsed", what)
		}
		for n := range c.good {
			if c.parse(c.good[:n]) == nil {
				t.Errorf("%d of %d bytes are a %s", n, len(c.good), what)
			}
		}
	}
}

// Receipts and promises that say what no log can.
func TestReceiptsRefused(t *testing.T) {
	for what, p := range map[string]answer.Published{
		"no note":                 {},
		"a seq that no event has": {Note: []byte("n"), Seq: 1<<32 - 1},
		"a huge position":         {Note: []byte("n"), Position: leaf.MaxCount},
	} {
		data, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := answer.ParsePublished(data); err == nil {
			t.Errorf("receipt with %s: parsed", what)
		}
	}
	for what, d := range map[string]answer.Durable{"no note": {}, "a seq that no event has": {Note: []byte("n"), Seq: 1<<32 - 1}} {
		data, err := d.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := answer.ParseDurable(data); err == nil {
			t.Errorf("promise with %s: parsed", what)
		}
	}
}

// What is too large is refused before it is read: the error says how large.
func TestTooLarge(t *testing.T) {
	for what, err := range map[string]error{
		"answer":     second(answer.Parse(make([]byte, answer.MaxAnswer+1))),
		"proof file": second(answer.ParseProofFile(make([]byte, answer.MaxProofFile+1))),
		"request":    second(answer.ParseRequest(make([]byte, 1<<20))),
	} {
		if err == nil || !strings.Contains(err.Error(), " bytes") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// The same of answers in which nothing is missed that would follow what is cut off:
// one whose lists are empty, and one that ends with the version it opens.
func TestCutShortWhereNothingFollows(t *testing.T) {
	bytesOf := func(account answer.Account, proofs ...*prefix.Proof) []byte {
		a := answer.Answer{Note: []byte("n"), Epoch: []byte("e"), Accounts: []answer.Account{account}, Proofs: proofs}
		data, err := a.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := answer.Parse(data); err != nil {
			t.Fatal(err)
		}
		return data
	}
	refused := func(what string, data []byte) {
		t.Helper()
		if _, err := answer.Parse(data); err == nil {
			t.Errorf("%s: parsed", what)
		}
	}
	bare := bytesOf(answer.Account{})
	for n := range bare {
		refused("an answer cut short", bare[:n])
	}
	refused("an answer and a byte", append(bytes.Clone(bare), 0))
	whole := split(t, bare)
	for n := 1; n < len(whole.accounts); n++ {
		p := whole
		p.accounts = p.accounts[:n]
		refused("an account cut short", p.bytes())
	}
	opened := bytesOf(answer.Account{Events: 1, Versions: []answer.Version{{Form: answer.Opened, Event: []byte("event")}}},
		&prefix.Proof{Results: []prefix.Result{{Kind: prefix.Inclusion}}})
	whole = split(t, opened)
	const header = 32 + 3*4
	version := whole.accounts[header+3 : len(whole.accounts)-2] // behind it no devices
	for n := range version {
		b := cryptobyte.NewBuilder(nil)
		b.AddBytes(whole.accounts[:header])
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(version[:n]) })
		b.AddUint16(0)
		p := whole
		p.accounts = b.BytesOrPanic()
		refused("a version cut short", p.bytes())
	}
}

// A consistency proof of 31 bytes, with its length before it.
func TestConsistencyCutShort(t *testing.T) {
	a := answer.Answer{Note: []byte("n"), Epoch: []byte("e"), Accounts: []answer.Account{{}}, Consistency: []leaf.Hash{{}}}
	data, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := answer.Parse(data); err != nil {
		t.Fatal(err)
	}
	const at = 2 + 2 + 1 // behind version and checkpoint
	data[at+1] = 31
	if _, err := answer.Parse(slices.Delete(data, at+2, at+3)); err == nil {
		t.Error("parsed")
	}
}
