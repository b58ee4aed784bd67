package evidence

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

const header = "muster-evidence/v1"

var kinds = []Kind{E1, E2, E3, E4a, E4b, E4c, E5, E6, E7, WE1, WE2, AE4a, AE4b, AE4c, AE5}

// Name is the file's name in a folder of evidence: it follows from the content,
// so that no file is ever written over.
//
//	hex(SHA-256(bytes)) ".evidence"
func (f *File) Name() string { return named(f.Bytes(), ".evidence") }

// NoteName is the name there of a signed checkpoint that convicts nobody yet:
//
//	hex(SHA-256(note)) ".note"
func NoteName(note []byte) string { return named(note, ".note") }

func named(content []byte, end string) string {
	h := sha256.Sum256(content)
	return hex.EncodeToString(h[:]) + end
}

// Bytes is the file's one encoding (protocol section 9.4):
//
//	"muster-evidence/v1" "\n" "kind " kind "\n" "origin " origin "\n" and each line with "\n"
func (f *File) Bytes() []byte {
	b := fmt.Appendf(nil, "%s\nkind %s\norigin %s\n", header, f.Kind, f.Origin)
	for _, l := range f.Lines {
		b = append(appendLine(b, l), '\n')
	}
	return b
}

func appendLine(b []byte, l Line) []byte {
	switch l := l.(type) {
	case Note:
		return appendWords(b, "note", []byte(l))
	case Root:
		return appendWords(b, "root", l[:])
	case Consistency:
		return appendWords(b, "consistency", join(l))
	case Member:
		return appendWords(b, "member", l.Index[:], l.Position, l.Commitment[:])
	case Leaf:
		return appendWords(b, "leaf", l.Position, l.Bytes, join(l.Path))
	case Prefix:
		return appendWords(b, "prefix", l.Proof.Bytes())
	case Open:
		return appendWords(b, "open", l.Position, l.Label[:], uint64(l.Seq), l.Opening[:], l.Event)
	case VRF:
		return appendWords(b, "vrf", l.Label[:], uint64(l.Seq), l.Proof[:])
	case Receipt:
		return appendWords(b, "receipt", []byte(l))
	}
	panic(fmt.Sprintf("evidence: a line of type %T", l))
}

// appendWords writes numbers in decimal and bytes in base64.
func appendWords(b []byte, word string, values ...any) []byte {
	b = append(b, word...)
	for _, v := range values {
		b = append(b, ' ')
		switch v := v.(type) {
		case uint64:
			b = strconv.AppendUint(b, v, 10)
		case []byte:
			b = base64.StdEncoding.AppendEncode(b, v)
		default:
			panic(fmt.Sprintf("evidence: a word of type %T", v))
		}
	}
	return b
}

// Parse reads an evidence file of at most MaxSize bytes. It judges the form of
// each line only: Verify judges whether the lines are those of the kind, and
// whether they prove anything.
func Parse(data []byte) (*File, error) {
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading evidence: %w", err)
	}
	return f, nil
}

func parse(data []byte) (*File, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%d bytes: want at most %d", len(data), MaxSize)
	}
	rest := string(data)
	next := func() (string, error) {
		line, after, ended := strings.Cut(rest, "\n")
		if !ended {
			return "", errors.New("the last line does not end with a line break")
		}
		rest = after
		return line, nil
	}
	first, err := next()
	if err != nil || first != header {
		return nil, fmt.Errorf("first line %.40q: want %s", first, header)
	}
	f := new(File)
	if f.Kind, err = parseKind(next); err != nil {
		return nil, err
	}
	if f.Origin, err = parseOrigin(next); err != nil {
		return nil, err
	}
	for n := 4; rest != ""; n++ {
		if len(f.Lines) == maxLines {
			return nil, fmt.Errorf("over %d lines", maxLines)
		}
		line, err := next()
		if err != nil {
			return nil, err
		}
		l, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		f.Lines = append(f.Lines, l)
	}
	return f, nil
}

func parseKind(next func() (string, error)) (Kind, error) {
	line, err := next()
	if err != nil {
		return "", err
	}
	kind, ok := strings.CutPrefix(line, "kind ")
	if !ok || !slices.Contains(kinds, Kind(kind)) {
		return "", fmt.Errorf("line %.40q: want a kind that this version knows, %q", line, kinds)
	}
	return Kind(kind), nil
}

func parseOrigin(next func() (string, error)) (name.Origin, error) {
	line, err := next()
	if err != nil {
		return "", err
	}
	origin, ok := strings.CutPrefix(line, "origin ")
	if !ok {
		return "", fmt.Errorf("line %.40q: want the origin of the log", line)
	}
	return name.ParseOrigin(origin)
}

// parseLine reads one line: as many words as its first word asks for.
func parseLine(line string) (Line, error) {
	word, rest, _ := strings.Cut(line, " ")
	w := words{rest: rest, more: len(word) < len(line)}
	var l Line
	switch word {
	case "note":
		l = Note(w.bytes())
	case "root":
		l = Root(w.fixed(32))
	case "consistency":
		l = Consistency(w.hashes())
	case "member":
		l = Member{Index: name.Index(w.fixed(32)), Position: w.number(63), Commitment: name.Commitment(w.fixed(32))}
	case "leaf":
		l = Leaf{Position: w.number(63), Bytes: w.bytes(), Path: w.hashes()}
	case "prefix":
		l = Prefix{w.proof()}
	case "open":
		l = Open{Position: w.number(63), Label: name.Label(w.fixed(33)), Seq: uint32(w.number(32)), Opening: name.Opening(w.fixed(16)), Event: w.bytes()}
	case "vrf":
		l = VRF{Label: name.Label(w.fixed(33)), Seq: uint32(w.number(32)), Proof: vrf.Proof(w.fixed(80))}
	case "receipt":
		l = Receipt(w.bytes())
	default:
		return nil, fmt.Errorf("unknown line %.40q", word)
	}
	if w.err == nil && w.more {
		w.err = errors.New("too many words")
	}
	if w.err != nil {
		return nil, fmt.Errorf("%s: %w", word, w.err)
	}
	return l, nil
}

// words takes a line's words one after the other, and keeps the first error.
type words struct {
	rest string
	more bool // a space precedes rest, so there is one more word, maybe an empty one
	err  error
}

func (w *words) word() string {
	if !w.more {
		w.fail("too few words")
		return ""
	}
	word := ""
	word, w.rest, w.more = strings.Cut(w.rest, " ")
	return word
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// bytes is standard padded base64 in its one form; the decoder alone, even when
// strict, skips line breaks.
func (w *words) bytes() []byte {
	word := w.word()
	b, err := base64.StdEncoding.Strict().DecodeString(word)
	if err != nil || base64.StdEncoding.EncodedLen(len(b)) != len(word) {
		w.fail("%.40q: want standard padded base64", word)
		return nil
	}
	return b
}

// fixed is exactly n bytes, also after an error.
func (w *words) fixed(n int) []byte {
	b := w.bytes()
	if len(b) != n {
		w.fail("%d bytes: want %d", len(b), n)
		return make([]byte, n)
	}
	return b
}

func (w *words) number(bits int) uint64 {
	word := w.word()
	n, err := strconv.ParseUint(word, 10, bits)
	if err != nil || strconv.FormatUint(n, 10) != word {
		w.fail("%.24q: want a decimal number below 2^%d without sign and leading zeros", word, bits)
	}
	return n
}

func (w *words) hashes() []leaf.Hash {
	b := w.bytes()
	if len(b)%32 != 0 {
		w.fail("%d bytes of hashes: want a multiple of 32", len(b))
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	hashes := make([]leaf.Hash, len(b)/32)
	for i := range hashes {
		hashes[i] = leaf.Hash(b[32*i:])
	}
	return hashes
}

func (w *words) proof() *prefix.Proof {
	s := cryptobyte.String(w.bytes())
	p, err := prefix.ReadProof(&s)
	if err == nil && !s.Empty() {
		err = errors.New("bytes after the prefix proof")
	}
	if err != nil {
		w.fail("%w", err)
	}
	return p
}

// join is hashes one after the other.
func join(hashes []leaf.Hash) []byte {
	b := make([]byte, 0, 32*len(hashes))
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}
