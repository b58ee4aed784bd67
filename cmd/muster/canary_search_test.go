package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/liar"
)

// canary is a value that occurs nowhere else, so that wherever it turns up it
// came from here.
type canary struct {
	kind  string // "log key", "opening", …
	owner string // the account that it belongs to; empty: none
	value []byte // 16 bytes or more
}

// sighting is a canary in some bytes, and how it was written there.
type sighting struct {
	*canary
	spelling string
}

// shapes are what may be made of a value before it is written. 16 bytes are
// enough to know it by: whoever prints a part of a key has printed it.
var shapes = []struct {
	name string
	make func(value []byte) [][]byte
}{
	{"", parts},
	{"reversed ", func(v []byte) [][]byte {
		v = bytes.Clone(v)
		slices.Reverse(v)
		return parts(v)
	}},
	{"SHA-256, ", func(v []byte) [][]byte {
		sum := sha256.Sum256(v)
		return [][]byte{sum[:]}
	}},
}

// parts overlap: %q may join bytes at an end of one with their neighbours to a
// rune, and all three are hidden so one time in some thousands.
func parts(v []byte) [][]byte {
	n := min(len(v), 16)
	middle := (len(v) - n) / 2
	return [][]byte{v[:n], v[middle : middle+n], v[len(v)-n:]}
}

// spellings are how bytes are written, in files, on the wire, by fmt and in the
// traces of a Go program.
var spellings = []struct {
	name  string
	write func([]byte) string
}{
	{"raw", func(b []byte) string { return string(b) }},
	{"hex", hex.EncodeToString},
	{"HEX", func(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }},
	{"base64 at 0", base64At(base64.StdEncoding, 0)},
	{"base64 at 1", base64At(base64.StdEncoding, 1)},
	{"base64 at 2", base64At(base64.StdEncoding, 2)},
	{"URL base64 at 0", base64At(base64.URLEncoding, 0)},
	{"URL base64 at 1", base64At(base64.URLEncoding, 1)},
	{"URL base64 at 2", base64At(base64.URLEncoding, 2)},
	{"%v", func(b []byte) string { return strings.Trim(fmt.Sprintf("%v", b), "[]") }},
	{"% x", func(b []byte) string { return fmt.Sprintf("% x", b) }},
	// A trace shows no more than the first five bytes of an array.
	{"trace", func(b []byte) string { return strings.TrimSuffix(fmt.Sprintf("%#v", b[:5])[len("[]byte{"):], "}") }},
	{"%q", func(b []byte) string { s := fmt.Sprintf("%q", b); return s[1 : len(s)-1] }},
}

// base64At is what is sure to stand in the base64 of anything that has b so many
// bytes after a multiple of three.
func base64At(e *base64.Encoding, at int) func([]byte) string {
	return func(b []byte) string {
		text := e.EncodeToString(append(make([]byte, at), b...))
		from, to := (at*8+5)/6, (at+len(b))*8/6
		return text[from:to]
	}
}

// search finds canaries in one pass over any bytes.
type search map[[8]byte][]needle

type needle struct {
	sighting
	text string
}

func newSearch(canaries []*canary) search {
	s := search{}
	for _, c := range canaries {
		for _, shape := range shapes {
			for _, b := range shape.make(c.value) {
				for _, spelling := range spellings {
					text := spelling.write(b)
					start := [8]byte([]byte(text))
					s[start] = append(s[start], needle{sighting{c, shape.name + spelling.name}, text})
				}
			}
		}
	}
	return s
}

// in gives each sighting once, with where it was first.
func (s search) in(data []byte) map[sighting]int {
	found := map[sighting]int{}
	for i := 0; i+8 <= len(data); i++ {
		for _, n := range s[[8]byte(data[i:])] {
			if bytes.HasPrefix(data[i:], []byte(n.text)) {
				if _, again := found[n.sighting]; !again {
					found[n.sighting] = i
				}
			}
		}
	}
	return found
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// TestSearchSeesPlantedLeaks: each spelling of each shape of a canary, planted
// in noise, is found there under its name; a half of it too. Without one the
// noise is clean.
func TestSearchSeesPlantedLeaks(t *testing.T) {
	seed := liar.Seed("a canary")
	planted := &canary{kind: "planted", value: seed[:]}
	s := newSearch([]*canary{planted, {kind: "elsewhere", value: randomBytes(16)}})
	noise := func() []byte { return randomBytes(100 + mathrand.IntN(1000)) }
	if found := s.in(noise()); len(found) != 0 {
		t.Errorf("in noise: %v", found)
	}
	sum := sha256.Sum256(planted.value)
	backwards := bytes.Clone(planted.value)
	slices.Reverse(backwards)
	leaks := map[string][]byte{}
	for shape, v := range map[string][]byte{"": planted.value, "reversed ": backwards, "SHA-256, ": sum[:]} {
		leaks[shape+"raw"] = v
		leaks[shape+"hex"] = fmt.Appendf(nil, "%x", v)
		leaks[shape+"HEX"] = fmt.Appendf(nil, "%X", v)
		for at := range 3 {
			longer := append(append(make([]byte, 3+at), v...), "more"...)
			leaks[fmt.Sprint(shape, "base64 at ", at)] = []byte(base64.StdEncoding.EncodeToString(longer))
			leaks[fmt.Sprint(shape, "URL base64 at ", at)] = []byte(base64.RawURLEncoding.EncodeToString(longer))
		}
		leaks[shape+"%v"] = fmt.Append(nil, v)
		leaks[shape+"% x"] = fmt.Appendf(nil, "% x", v)
		leaks[shape+"%q"] = fmt.Appendf(nil, "%q", v)
		leaks[shape+"trace"] = fmt.Appendf(nil, "main.f({%#x, %#x, %#x, %#x, %#x, ...})", v[0], v[1], v[2], v[3], v[4])
	}
	if len(leaks) != len(shapes)*len(spellings) {
		t.Errorf("%d leaks for %d shapes and %d spellings", len(leaks), len(shapes), len(spellings))
	}
	leaks["raw"] = planted.value[:16]
	leaks["hex"] = fmt.Appendf(nil, "%x", planted.value[16:])
	for want, leak := range leaks {
		found := s.in(slices.Concat(noise(), leak, noise()))
		if _, ok := found[sighting{planted, want}]; !ok {
			t.Errorf("%s was not found in %q", want, leak)
		}
		for other := range found {
			if other.canary != planted {
				t.Errorf("%s: found %s", want, other.kind)
			}
		}
	}
}
