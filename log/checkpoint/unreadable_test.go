package checkpoint_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"

	"github.com/musterlog/muster/log/checkpoint"
)

// What is too large is refused before it is read: the error says how large.
func TestTooLarge(t *testing.T) {
	long := checkpoint.Line{Name: "w.example.net", ID: 1, Signature: make([]byte, 50_000)}
	second := func(_ any, err error) error { return err }
	for what, err := range map[string]error{
		"vkey":   second(checkpoint.ParseKey(strings.Repeat("x", 1<<20))),
		"policy": second(checkpoint.ParsePolicy(bytes.Repeat([]byte("#\n"), 1<<20))),
		"note":   second(checkpoint.Parse(checkpoint.Append(newLog().Sign(at(9)), long))),
		"lines":  second(checkpoint.ParseLines([]byte(long.String() + "\n"))),
	} {
		if err == nil || !strings.Contains(err.Error(), " bytes: want at most ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Signatures alone are no note of an empty text.
func TestNoteWithoutText(t *testing.T) {
	line := newCosigner(0).Cosign(at(9).Text(), 1).String() + "\n"
	for _, b := range []string{line, "x" + line, "\n" + line} {
		if text, lines, err := checkpoint.ParseSigned([]byte(b)); err == nil {
			t.Errorf("%q: text %q and %d lines", b, text, len(lines))
		}
	}
}

// An ML-DSA-44 key that once signed no bytes at all has cosigned nothing: least of
// all a text of which its cosignature would leave something out.
func TestMLDSASignatureOfNothing(t *testing.T) {
	key, s := newMLDSA(t).Key(), seed(9)
	private := must(mldsa.NewPrivateKey(mldsa.MLDSA44(), s[:]))
	if !bytes.Equal(private.PublicKey().Bytes(), key.Public) {
		t.Fatal("not the cosigner's key")
	}
	signature := must(private.SignDeterministic(nil, crypto.Hash(0)))
	l := checkpoint.Line{Name: key.Name, ID: key.ID, Signature: append(make([]byte, 8), signature...)}
	for what, text := range map[string]string{"extension lines": at(9).Text() + "more\n", "no checkpoint": "text\n"} {
		if time, err := key.Verify(text, l); err == nil {
			t.Errorf("%s: cosigned at %d", what, time)
		}
	}
}

// A receipt is a log's: signed as a log signs, by a key that a log may have.
func TestReceiptOfNoLog(t *testing.T) {
	hash := base64.StdEncoding.EncodeToString(make([]byte, 32))
	text := func(origin string) string {
		return "muster/v1 receipt\n" + origin + "\n" + hash + "\n" + hash + "\n7\n"
	}

	cosigner, s := must(checkpoint.NewCosigner(checkpoint.Cosignature, origin, seed(3))), seed(3)
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(s[:]), []byte("cosignature/v1\ntime 1\n"+text(origin)))
	l := checkpoint.Line{Name: origin, ID: cosigner.Key().ID, Signature: append(binary.BigEndian.AppendUint64(nil, 1), signature...)}
	if _, err := cosigner.Key().Verify(text(origin), l); err != nil {
		t.Fatal(err)
	}
	if r, err := checkpoint.OpenReceipt(cosigner.Key(), checkpoint.Append([]byte(text(origin)+"\n"), l)); err == nil {
		t.Errorf("cosigned under the log's name: %+v", r)
	}

	const name = "muster/v1" // no origin, since texts of other kinds begin so
	private, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signed := must(note.Sign(&note.Note{Text: text(name)}, must(note.NewSigner(private))))
	if r, err := checkpoint.OpenReceipt(must(checkpoint.ParseKey(vkey)), signed); err == nil {
		t.Errorf("of a log that is none: %+v", r)
	}
}
