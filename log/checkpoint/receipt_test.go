package checkpoint_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/musterlog/muster/log/checkpoint"
)

// What the log's key signed, and is no receipt of this log.
func TestReceiptsRefused(t *testing.T) {
	log := newLog()
	signer := must(note.NewSigner(log.Text()))
	hash := base64.StdEncoding.EncodeToString(make([]byte, 32))
	text := func(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
	open := func(text string) error {
		_, err := checkpoint.OpenReceipt(log.Key(), must(note.Sign(&note.Note{Text: text}, signer)))
		return err
	}
	if err := open(text("muster/v1 receipt", origin, hash, hash, "7")); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"another first line":      text("muster/v2 receipt", origin, hash, hash, "7"),
		"a line less":             text("muster/v1 receipt", origin, hash, hash),
		"a line more":             text("muster/v1 receipt", origin, hash, hash, "7", "7"),
		"another log's name":      text("muster/v1 receipt", "other.example/log", hash, hash, "7"),
		"an index of 31 bytes":    text("muster/v1 receipt", origin, base64.StdEncoding.EncodeToString(make([]byte, 31)), hash, "7"),
		"a commitment of 33":      text("muster/v1 receipt", origin, hash, base64.StdEncoding.EncodeToString(make([]byte, 33)), "7"),
		"an index in no base64":   text("muster/v1 receipt", origin, "*", hash, "7"),
		"a commitment in none":    text("muster/v1 receipt", origin, hash, "*", "7"),
		"a time with a zero":      text("muster/v1 receipt", origin, hash, hash, "07"),
		"a time that is no time":  text("muster/v1 receipt", origin, hash, hash, "soon"),
		"a time beyond all times": text("muster/v1 receipt", origin, hash, hash, "9223372036854775808"),
	} {
		if open(text) == nil {
			t.Errorf("%s: it is a receipt", what)
		}
	}
	cosigner := newCosigner(0)
	if _, err := checkpoint.OpenReceipt(cosigner.Key(), must(note.Sign(&note.Note{Text: text("muster/v1 receipt", origin, hash, hash, "7")}, signer))); err == nil {
		t.Error("a receipt by a cosigner's key")
	}
}

// What cosigners and witnesses answer: lines alone, sizes, notes of any log.
func TestAnswersOfCosignersRefused(t *testing.T) {
	line := newCosigner(0).Cosign(at(9).Text(), 1).String() + "\n"
	if lines, err := checkpoint.ParseLines([]byte(line)); err != nil || len(lines) != 1 {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"nothing": "", "no line": "x\n", "a line without its end": line[:len(line)-1], "more than a note may have": strings.Repeat(line, 65536/len(line)+1),
	} {
		if _, err := checkpoint.ParseLines([]byte(text)); err == nil {
			t.Errorf("lines: %s", what)
		}
	}
	for _, text := range []string{"", "7", "x\n", "07\n", "7\n7\n", "9223372036854775808\n"} {
		if c, err := checkpoint.ParseConflict([]byte(text)); err == nil {
			t.Errorf("conflict %q: %+v", text, c)
		}
	}
	good := newLog().Sign(at(9))
	if _, _, err := checkpoint.ParseSigned(good); err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{
		"a control character": bytes.Replace(good, []byte("\n9\n"), []byte("\n9\x07\n"), 1),
		"no UTF-8":            bytes.Replace(good, []byte("\n9\n"), []byte("\n9\xff\n"), 1),
		"no signature":        good[:bytes.Index(good, []byte("\n\n"))+1],
		"nothing":             nil,
	} {
		if text, _, err := checkpoint.ParseSigned(bad); err == nil {
			t.Errorf("%s: it says %q", what, text)
		}
	}
	if _, err := checkpoint.ParseSigner(strings.Repeat("x", 1<<20)); err == nil {
		t.Error("a signer of a megabyte")
	}
}
