package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/evidence"
)

func FuzzParse(f *testing.F) {
	w := newWorld()
	key := w.key()
	for _, s := range samples() {
		if m := new(evidence.Misbehaviour); errors.As(evidence.Convict(s.key, s.file), &m) && len(m.File.Bytes()) < 10_000 {
			f.Add(m.File.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := evidence.Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(file.Bytes(), data) {
			t.Errorf("%q is written as %q", data, file.Bytes())
		}
		_, _ = file.Verify(key)
	})
}

func TestNameIsTheContents(t *testing.T) {
	f := treeSamples()[0].file
	h := sha256.Sum256(f.Bytes())
	if want := hex.EncodeToString(h[:]) + ".evidence"; f.Name() != want {
		t.Errorf("%s, want %s", f.Name(), want)
	}
}

// Whoever finds two notes in another order makes the same file.
func TestOneFileForTwoRoots(t *testing.T) {
	a, b := forked()
	if evidence.TwoRoots(a.Note, b.Note).Name() != evidence.TwoRoots(b.Note, a.Note).Name() {
		t.Error("the order of the notes makes two files")
	}
}

const zeros32 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

func TestParseRefuses(t *testing.T) {
	head := "muster-evidence/v1\nkind E1\norigin keys.example.org/log1\n"
	if f, err := evidence.Parse([]byte(head + "leaf 0  \nconsistency \nroot " + zeros32 + "\n")); err != nil || len(f.Lines) != 3 {
		t.Fatalf("empty words: %v", err)
	}
	for name, text := range map[string]string{
		"empty":                      "",
		"another version":            strings.Replace(head, "v1", "v2", 1),
		"no kind":                    "muster-evidence/v1\norigin a\n",
		"unknown kind":               strings.Replace(head, "E1", "E8", 1),
		"kind of no kind":            strings.Replace(head, "E1", "W E3", 1),
		"kind in small letters":      strings.Replace(head, "E1", "e1", 1),
		"kind with a space":          strings.Replace(head, "E1", "E1 ", 1),
		"a kind without its word":    strings.Replace(head, "kind ", "", 1),
		"an origin without its word": strings.Replace(head, "origin ", "", 1),
		"no origin":                  "muster-evidence/v1\nkind E1\n",
		"bad origin":                 strings.Replace(head, "keys", "ke ys", 1),
		"no last line break":         strings.TrimSuffix(head, "\n"),
		"CR LF":                      strings.ReplaceAll(head, "\n", "\r\n"),
		"empty line":                 head + "\n",
		"unknown line":               head + "comment AA==\n",
		"word alone":                 head + "note\n",
		"two spaces":                 head + "note  AA==\n",
		"space at the end":           head + "note AA== \n",
		"space at the beginning":     head + " note AA==\n",
		"base64 without padding":     head + "note AA\n",
		"base64 with stray bits":     head + "note AB==\n",
		"base64 in URL alphabet":     head + "note _w==\n",
		"base64 with CR":             head + "note AA==\r\n",
		"root too short":             head + "root AA==\n",
		"hashes of 31 bytes":         head + "consistency " + zeros32[:40] + "AA==\n",
		"leading zero":               head + "leaf 00  \n",
		"sign":                       head + "leaf +1  \n",
		"position 2^63":              head + "leaf 9223372036854775808  \n",
		"seq 2^32":                   head + "vrf " + strings.Repeat("A", 44) + " 4294967296 " + strings.Repeat("A", 106) + "w==\n",
		"leaf without path":          head + "leaf 0 \n",
		"prefix cut short":           head + "prefix AQ==\n",
		"prefix and more":            head + "prefix AQMAAAAA\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := evidence.Parse([]byte(text)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// A line more or less, or in another place, is refused, for every kind.
func TestLinesAreThoseOfTheKind(t *testing.T) {
	for _, s := range samples() {
		f := convicted(t, s.key, s.file).File
		if len(f.Lines) > 30 {
			continue
		}
		refused := func(what string, lines []evidence.Line) {
			g := &evidence.File{Kind: f.Kind, Origin: f.Origin, Lines: lines}
			if reflect.DeepEqual(g, f) {
				return
			}
			if _, err := g.Verify(s.key); err == nil {
				t.Errorf("%s: convicts with %s", s.name, what)
			}
		}
		for i := range f.Lines {
			refused("a line less", append(append([]evidence.Line{}, f.Lines[:i]...), f.Lines[i+1:]...))
			for j := range f.Lines {
				refused("a line more", append(append(append([]evidence.Line{}, f.Lines[:i]...), f.Lines[j]), f.Lines[i:]...))
				swapped := append([]evidence.Line{}, f.Lines...)
				swapped[i], swapped[j] = swapped[j], swapped[i]
				if f.Kind != evidence.E1 && f.Kind != evidence.WE1 && f.Kind != evidence.E3 { // E1 and E3 are symmetric
					refused("lines swapped", swapped)
				}
			}
			refused("a line at the end", append(append([]evidence.Line{}, f.Lines...), f.Lines[i]))
		}
	}
}

// What is too large is refused at once, and before it costs memory.
func TestHostileFiles(t *testing.T) {
	huge := make([]byte, evidence.MaxSize+1)
	copy(huge, "muster-evidence/v1\nkind E1\norigin a\nnote ")
	many := []byte("muster-evidence/v1\nkind E4c\norigin a\n" + strings.Repeat("leaf 0  \n", 1<<21))
	key := newWorld().key()
	for name, data := range map[string][]byte{"too large": huge, "too many lines": many} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := evidence.Parse(data)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > evidence.MaxSize {
			t.Errorf("%s: took %d bytes to refuse", name, grown)
		}
	}
	// The largest that is read: every line is looked at once, and the first wrong
	// one ends it.
	s := mapSamples()[7]
	large := convicted(t, s.key, s.file).File
	for len(large.Lines) < 1<<16 {
		large.Lines = append(large.Lines, large.Lines[len(large.Lines)-1])
	}
	f, err := evidence.Parse(large.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Verify(key); err == nil {
		t.Error("convicts")
	}
}

// What no stranger could read convicts nobody.
func TestConvictUnreadable(t *testing.T) {
	a, b := forked()
	f := evidence.Fork(a.Note, b.Note, at(b.Log, size), nil)
	f.Kind = "E0"
	if err := evidence.Convict(a.key(), f); err == nil || !strings.Contains(err.Error(), "convicting") || errors.As(err, new(*evidence.Misbehaviour)) {
		t.Errorf("error %v, want one that says why nobody is convicted", err)
	}
}
