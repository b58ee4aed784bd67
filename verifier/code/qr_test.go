package code_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier/code"
)

const origin name.Origin = "keys.example.org/log1"

var logKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func logPublic() checkpoint.Key {
	return checkpoint.Key{Name: string(origin), Type: checkpoint.Ed25519, Public: logKey.Public().(ed25519.PublicKey)}
}

// head makes up the newest event of an account.
func head(account name.Identifier, seq uint32) code.QRSide {
	s := code.QRSide{Account: account.AccountID(), Generation: 1, Seq: seq}
	s.Event[0], s.Event[31] = byte(seq), 1
	s.Devices[0], s.Devices[31] = byte(seq), 2
	return s
}

// payload is a QR under the log's honest checkpoint of a size.
func payload(mine, yours code.QRSide, size uint64) *code.QR {
	q := &code.QR{Log: origin.LogID(), Mine: mine, Yours: yours, Size: size}
	q.Root[0] = byte(size)
	sign(q)
	return q
}

func sign(q *code.QR) {
	text := checkpoint.Checkpoint{Origin: origin, Size: q.Size, Root: q.Root}.Text()
	copy(q.Signature[:], ed25519.Sign(logKey, []byte(text)))
}

func TestQRBytes(t *testing.T) {
	q := payload(head("alice", 5), head("bob", 7), 1000)
	side := func(s code.QRSide, seq string) string {
		return s.Account.String() + "00000001" + seq + s.Event.String() + s.Devices.String()
	}
	want := "4d535431" + q.Log.String() + side(q.Mine, "00000005") + side(q.Yours, "00000007") +
		"00000000000003e8" + q.Root.String() + hex.EncodeToString(q.Signature[:])
	got, err := base64.RawURLEncoding.DecodeString(q.String())
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(got) != want || len(got) != 348 {
		t.Errorf("%d bytes %x, want %s", len(got), got, want)
	}
	back, err := code.ParseQR(q.String())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, q) {
		t.Errorf("read back %+v, want %+v", back, q)
	}
}

func TestParseQRRefuses(t *testing.T) {
	good := payload(head("alice", 5), head("bob", 7), 1000)
	text := good.String()
	changed := func(change func(*code.QR)) string {
		q := *good
		change(&q)
		return q.String()
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "characters"},
		{"a character short", text[:463], "characters"},
		{"a character more", text + "A", "characters"},
		{"padding", text + "==", "characters"},
		{"a URL", "https://example.org/" + text[20:], "base64url"},
		{"standard base64", text[:100] + "+" + text[101:], "base64url"},
		{"a space", text[:100] + " " + text[101:], "base64url"},
		{"a line break inside", text[:100] + "\n" + text[101:], "not a muster QR payload"},
		{"four line breaks inside", text[:100] + "\n\r\n\r" + text[104:], "345 bytes"},
		{"four line breaks at the end", text[:460] + "\r\n\r\n", "345 bytes"},
		{"another version", "TVNUMg" + text[6:], `"MST1"`},
		{"size 0", changed(func(q *code.QR) { q.Size = 0 }), "size"},
		{"size 1", changed(func(q *code.QR) { q.Size = 1 }), "size"},
		{"size 2^63", changed(func(q *code.QR) { q.Size = 1 << 63 }), "size"},
		{"seq 2^32-1, mine", changed(func(q *code.QR) { q.Mine.Seq = 1<<32 - 1 }), "seq"},
		{"seq 2^32-1, yours", changed(func(q *code.QR) { q.Yours.Seq = 1<<32 - 1 }), "seq"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, err := code.ParseQR(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || q != nil {
				t.Errorf("%v, error %v: want one with %q", q, err, c.want)
			}
		})
	}
	for _, size := range []uint64{2, 1<<63 - 1} {
		if _, err := code.ParseQR(changed(func(q *code.QR) { q.Size = size })); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

func TestVerifySignature(t *testing.T) {
	q := payload(head("alice", 5), head("bob", 7), 1000)
	if err := q.VerifySignature(logPublic()); err != nil {
		t.Fatal(err)
	}
	other := logPublic()
	other.Public = ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32))).Public().(ed25519.PublicKey)
	cosigner, short := logPublic(), logPublic()
	cosigner.Type = checkpoint.Cosignature
	short.Public = short.Public[:31]
	for _, c := range []struct {
		name   string
		key    checkpoint.Key
		change func(*code.QR)
	}{
		{"another key of that name", other, func(*code.QR) {}},
		{"a cosigner's key", cosigner, func(*code.QR) {}},
		{"half a key", short, func(*code.QR) {}},
		{"another size", logPublic(), func(q *code.QR) { q.Size++ }},
		{"another root", logPublic(), func(q *code.QR) { q.Root[31] ^= 1 }},
		{"another signature", logPublic(), func(q *code.QR) { q.Signature[0] ^= 1 }},
	} {
		bad := *q
		c.change(&bad)
		if bad.VerifySignature(c.key) == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}

	// The signature alone does not hold the log_id: a payload of another log
	// under the same key.
	elsewhere := *q
	elsewhere.Log = name.Origin("keys.example.org/log2").LogID()
	var mismatch *code.Error
	if err := elsewhere.VerifySignature(logPublic()); !errors.As(err, &mismatch) || mismatch.Mismatch != code.MismatchLog {
		t.Errorf("another log: error %v, want MismatchLog", err)
	}
}

// FuzzParseQR: what is read has this one form.
func FuzzParseQR(f *testing.F) {
	f.Add(payload(head("alice", 5), head("bob", 7), 1000).String())
	f.Add(payload(head("bob", 0), head("alice", 1<<32-2), 2).String())
	f.Add((&code.QR{}).String())
	f.Add(strings.Repeat("A", 464))
	f.Add("\n" + strings.Repeat("_", 463))
	f.Fuzz(func(t *testing.T, text string) {
		q, err := code.ParseQR(text)
		if err != nil {
			return
		}
		if got := q.String(); got != text {
			t.Fatalf("%q is read as %q", text, got)
		}
		// A payload that is shown back to its owner's phone is never agreement.
		if _, err := code.Compare(q, q); err == nil && q.Mine.Account != q.Yours.Account {
			t.Fatal("a payload agrees with itself")
		}
	})
}
