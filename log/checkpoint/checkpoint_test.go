package checkpoint_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
)

const origin = "keys.example.org/log1"

func seed(b byte) (s [32]byte) {
	for i := range s {
		s[i] = b
	}
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newLog() *checkpoint.Signer { return must(checkpoint.NewSigner(origin, seed(1))) }

func newCosigner(i int) *checkpoint.Cosigner {
	return must(checkpoint.NewCosigner(checkpoint.Cosignature, fmt.Sprintf("w%d.example.net", i), seed(byte(10+i))))
}

func at(size uint64) checkpoint.Checkpoint {
	return checkpoint.Checkpoint{Origin: origin, Size: size, Root: sha256.Sum256([]byte{byte(size)})}
}

// x/mod is another implementation of signed notes: it opens ours, under the
// vkey that we print, and we read and verify what it signs with our key file.
func TestSameNotesAsXMod(t *testing.T) {
	log := newLog()
	verifier, err := note.NewVerifier(log.Key().String())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(log.Text())
	if err != nil {
		t.Fatal(err)
	}
	policy := must(checkpoint.ParsePolicy([]byte("log " + log.Key().String() + "\nquorum none\n")))
	for _, size := range []uint64{0, 1, 2, 255, 70000, 1<<63 - 1} {
		c := at(size)
		ours := log.Sign(c)
		opened, err := note.Open(ours, note.VerifierList(verifier))
		if err != nil || len(opened.Sigs) != 1 || opened.Text != c.Text() {
			t.Errorf("size %d: x/mod opens ours: %v", size, err)
		}
		theirs, err := note.Sign(&note.Note{Text: c.Text()}, signer)
		if err != nil || string(theirs) != string(ours) {
			t.Errorf("size %d: x/mod signs %q, we sign %q: %v", size, theirs, ours, err)
		}
		parsed, err := checkpoint.Parse(theirs)
		if err != nil || parsed.Checkpoint != c {
			t.Fatalf("size %d: we read %+v: %v", size, parsed, err)
		}
		if v, err := policy.Verify(parsed, epoch, 0); err != nil || v.Trust != checkpoint.Unwitnessed {
			t.Errorf("size %d: we verify: %+v %v", size, v, err)
		}
	}
}

// A cosignature is a note signature to x/mod, which a verifier of our making
// lets it open; the message is written out here a second time.
func TestCosignatureMessage(t *testing.T) {
	w := newCosigner(1)
	text := at(7).Text()
	line := w.Cosign(text, 1_800_000_000)
	message := "cosignature/v1\ntime 1800000000\n" + text
	if len(line.Signature) != 72 || !ed25519.Verify(w.Key().Public, []byte(message), line.Signature[8:]) {
		t.Error("the cosignature is not over the message of C2SP tlog-cosignature")
	}
	if got, err := w.Key().Verify(text, line); err != nil || got != 1_800_000_000 {
		t.Errorf("verified time %d: %v", got, err)
	}
	if _, err := newCosigner(2).Key().Verify(text, line); err == nil {
		t.Error("another cosigner's key verifies it")
	}
	for name, change := range map[string]func(*checkpoint.Line){
		"another name":   func(l *checkpoint.Line) { l.Name = "other.example" },
		"another key id": func(l *checkpoint.Line) { l.ID++ },
		"no bytes":       func(l *checkpoint.Line) { l.Signature = nil },
		"half a time":    func(l *checkpoint.Line) { l.Signature = l.Signature[:4] },
	} {
		bad := line
		change(&bad)
		if _, err := w.Key().Verify(text, bad); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestSameTextAsTlog(t *testing.T) {
	for _, size := range []uint64{0, 2, 70000, 1<<63 - 1} {
		tree := tlog.Tree{N: int64(size), Hash: tlog.Hash(at(size).Root)}
		c := at(size)
		c.Origin = "go.sum" // x/mod wants its own origin; only that line differs
		text := strings.Replace(c.Text(), "go.sum\n", "go.sum database tree\n", 1)
		if got, err := tlog.ParseTree([]byte(text)); err != nil || got != tree {
			t.Errorf("x/mod reads %+v: %v", got, err)
		}
		theirs := strings.Replace(string(tlog.FormatTree(tree)), "go.sum database tree\n", "go.sum\n", 1)
		if got, err := checkpoint.ParseText(theirs); err != nil || got != c {
			t.Errorf("we read %+v: %v", got, err)
		}
	}
}

func TestParseTextIsExactlyThreeLines(t *testing.T) {
	good := at(7).Text()
	for name, text := range map[string]string{"empty": "", "cut": good[:len(good)-1], "extension": good + "x\n", "empty line": good + "\n", "signed": good + "\n— x"} {
		t.Run(name, func(t *testing.T) {
			if _, err := checkpoint.ParseText(text); err == nil {
				t.Error("accepted")
			}
		})
	}
	if c, err := checkpoint.ParseText(good); err != nil || c != at(7) {
		t.Errorf("good: %+v %v", c, err)
	}
}

func TestSignerRefusesWhatIsNotItsLog(t *testing.T) {
	for name, c := range map[string]checkpoint.Checkpoint{
		"another origin": {Origin: name.Origin("keys.example.org/log2"), Size: 2},
		"size 2^63":      {Origin: origin, Size: 1 << 63},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("signed")
				}
			}()
			newLog().Sign(c)
		})
	}
}

func TestKeyFiles(t *testing.T) {
	text := newLog().Text()
	if s, err := checkpoint.ParseSigner(text); err != nil || s.Text() != text || string(s.Sign(at(2))) != string(newLog().Sign(at(2))) {
		t.Fatalf("read again: %v", err)
	}
	parts := strings.SplitN(text, "+", 5) // PRIVATE KEY name id base64
	secret := parts[4]
	for name, bad := range map[string]string{
		"empty":            "",
		"public":           newLog().Key().String(),
		"no prefix":        strings.TrimPrefix(text, "PRIVATE+KEY+"),
		"line break":       text + "\n",
		"another name":     strings.Replace(text, parts[2], "other.example", 1),
		"another id":       strings.Replace(text, parts[3], "00000000", 1),
		"id in capitals":   strings.Replace(text, parts[3], strings.ToUpper(parts[3]), 1),
		"no origin":        strings.Replace(text, parts[2], "muster/v1", 1),
		"short seed":       strings.Replace(text, secret, secret[:40], 1),
		"cosigner's type":  strings.Replace(text, secret, "BA"+secret[2:], 1),
		"another seed":     strings.Replace(text, secret, secret[:len(secret)-1]+"A", 1),
		"three parts only": "PRIVATE+KEY+" + parts[2] + "+" + parts[3],
	} {
		_, err := checkpoint.ParseSigner(bad)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
}

func TestNamesOfNewKeys(t *testing.T) {
	for _, bad := range []string{"", "a b", "a\u2003b", "a+b", "a\xff", "a\x01", strings.Repeat("a", 256)} {
		if _, err := checkpoint.NewSigner(bad, seed(1)); err == nil {
			t.Errorf("log key named %q", bad)
		}
		if _, err := checkpoint.NewCosigner(checkpoint.Cosignature, bad, seed(1)); err == nil {
			t.Errorf("cosigner named %q", bad)
		}
	}
	if _, err := checkpoint.NewSigner("muster/v1", seed(1)); err == nil {
		t.Error("log key whose name is no origin")
	}
}

// Why keys of small order are refused: the neutral element "signed" every message.
func TestSmallOrderKeyWouldSignAnything(t *testing.T) {
	key := append([]byte{1}, make([]byte, 31)...)
	if !ed25519.Verify(key, []byte("any"), append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)) {
		t.Fatal("the library refuses it by itself now: is the check still needed?")
	}
	vkey := checkpoint.Key{Name: "x", Type: checkpoint.Ed25519, Public: key}
	if _, err := checkpoint.ParseKey(vkey.String()); err == nil || !strings.Contains(err.Error(), "small order") {
		t.Errorf("ParseKey: %v", err)
	}
}

func TestVerifyLineOfUnusableKeys(t *testing.T) {
	mldsa := checkpoint.Key{Name: "w", Type: checkpoint.MLDSA44, Public: make([]byte, 1312)}
	for name, k := range map[string]checkpoint.Key{"zero": {}, "short": {Type: checkpoint.Ed25519, Public: make([]byte, 31)}, "ML-DSA-44": mldsa} {
		if _, err := k.Verify(at(2).Text(), checkpoint.Line{Name: k.Name, ID: k.ID, Signature: make([]byte, 64)}); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestAppendLeavesItsNoteAlone(t *testing.T) {
	b := newLog().Sign(at(2))
	roomy := append(make([]byte, 0, 4096), b...)
	one := checkpoint.Append(roomy, newCosigner(1).Cosign(at(2).Text(), 1))
	two := checkpoint.Append(roomy, newCosigner(2).Cosign(at(2).Text(), 2))
	if n, err := checkpoint.Parse(one); err != nil || n.Lines[1].Name != "w1.example.net" {
		t.Errorf("the first was overwritten by the second: %v", err)
	}
	if n, err := checkpoint.Parse(two); err != nil || len(n.Lines) != 2 || n.Lines[1].Name != "w2.example.net" {
		t.Errorf("the second: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range table[noteCase](f, "notes.json") {
		f.Add(c.bytes())
	}
	verifier := must(note.NewVerifier(newLog().Key().String()))
	policy := must(checkpoint.ParsePolicy([]byte("log " + newLog().Key().String() + "\nquorum none\n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := checkpoint.Parse(b)
		if err != nil {
			return
		}
		if string(n.Bytes()) != string(b) {
			t.Fatalf("read and written again: %q", n.Bytes())
		}
		// What we verify, the laxer implementation opens with the same text.
		if _, err := policy.Verify(n, epoch, 0); err == nil {
			opened, err := note.Open(b, note.VerifierList(verifier))
			if err != nil || opened.Text != n.Text {
				t.Fatalf("x/mod: %v", err)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, c := range table[vkeyCase](f, "vkeys.json") {
		f.Add(c.Vkey)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := checkpoint.ParseKey(s)
		if err != nil {
			return
		}
		if k.String() != s {
			t.Fatalf("read and written again: %q", k)
		}
		if _, err := note.NewVerifier(s); err != nil && k.Type == checkpoint.Ed25519 {
			t.Fatalf("x/mod refuses it: %v", err)
		}
	})
}

func FuzzParseSigner(f *testing.F) {
	f.Add(newLog().Text())
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := checkpoint.ParseSigner(s); err == nil && k.Text() != s {
			t.Fatal("read and written again differently")
		}
	})
}
