package checkpoint

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrRepeated is a note with two signature lines of one name and key id.
// Readers differ on which of the two counts ("good then bad" passes where the
// first wins), so neither does. C2SP tlog-witness answers it with 403.
var ErrRepeated = errors.New("two signature lines of one name and key id")

// Line is one signature line of a note.
type Line struct {
	Name      string
	ID        uint32 // of the key (see Key)
	Signature []byte // what follows the key id: 64 bytes for Ed25519, 8 of time and 64 for a cosignature
}

// String is the line as it stands in a note, without its line break.
//
//	"— " name " " base64(u32 id || signature)
func (l Line) String() string {
	sig := append(binary.BigEndian.AppendUint32(nil, l.ID), l.Signature...)
	return dash + l.Name + " " + base64.StdEncoding.EncodeToString(sig)
}

const dash = "\u2014 " // an em dash and one space

// Note is a signed checkpoint. That it was parsed says nothing about its
// signatures: Policy.Verify does.
type Note struct {
	Checkpoint
	Text  string // what is signed: equal to Checkpoint.Text()
	Lines []Line // in the order in which they stand, 1..100
}

// Parse reads a signed checkpoint of at most 65,535 bytes. It checks the form
// of every line, also of those by unknown keys, and refuses two lines of one
// name and key id (ErrRepeated). It verifies no signature.
func Parse(b []byte) (*Note, error) {
	n, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("reading signed checkpoint: %w", err)
	}
	return n, nil
}

func parse(b []byte) (*Note, error) {
	text, lines, err := split(b)
	if err != nil {
		return nil, err
	}
	if err := checkRepeated(lines); err != nil {
		return nil, err
	}
	c, err := parseText(text)
	if err != nil {
		return nil, err
	}
	return &Note{Checkpoint: c, Text: text, Lines: lines}, nil
}

// Bytes is the note as it was parsed.
func (n *Note) Bytes() []byte { return Append([]byte(n.Text+"\n"), n.Lines...) }

// Append adds signature lines to a signed checkpoint. The caller sees to it
// that none is of a name and key id that already has a line.
func Append(note []byte, lines ...Line) []byte {
	b := append([]byte(nil), note...)
	for _, l := range lines {
		b = append(b, l.String()...)
		b = append(b, '\n')
	}
	return b
}

// checkRepeated refuses two lines of one name and key id.
func checkRepeated(lines []Line) error {
	type signer struct {
		name string
		id   uint32
	}
	seen := make(map[signer]bool)
	for i, l := range lines {
		if seen[signer{l.Name, l.ID}] {
			return fmt.Errorf("signature line %d: %w: %s %08x", i+1, ErrRepeated, l.Name, l.ID)
		}
		seen[signer{l.Name, l.ID}] = true
	}
	return nil
}

// ParseSigned reads any signed note of at most 65,535 bytes (C2SP
// signed-note): its text, which ends with a line break and may be anything
// that a note can hold, and its 1..100 signature lines, repeated ones
// included. It verifies no signature. A log's checkpoint goes through Parse.
func ParseSigned(b []byte) (text string, lines []Line, err error) {
	text, lines, err = split(b)
	if err == nil {
		err = checkCharacters(text)
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading signed note: %w", err)
	}
	return text, lines, nil
}

// checkCharacters is C2SP's rule for the text of a note.
func checkCharacters(text string) error {
	bad := func(r rune) bool { return r < 0x20 && r != '\n' }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, bad) {
		return errors.New("want UTF-8 without control characters")
	}
	return nil
}

// ParseLines reads signature lines alone, one or more, each with its line
// break: what a cosigner answers to add-checkpoint (C2SP tlog-witness).
func ParseLines(b []byte) ([]Line, error) {
	if len(b) > maxNote {
		return nil, fmt.Errorf("reading signature lines: %d bytes: want at most %d", len(b), maxNote)
	}
	lines, err := parseLines(string(b))
	if err != nil {
		return nil, fmt.Errorf("reading signature lines: %w", err)
	}
	return lines, nil
}

// split parts a signed note into its text and its signature lines. C2SP's rule
// for the whole, UTF-8 without control characters, holds once each part has
// been read: a checkpoint's text is ASCII, and so is a line but for its name.
func split(b []byte) (text string, lines []Line, err error) {
	if len(b) > maxNote {
		return "", nil, fmt.Errorf("note of %d bytes: want at most %d", len(b), maxNote)
	}
	note := string(b)
	// The last empty line, since the text of a note may hold others: after the
	// first one a signer's own text could be taken for signatures.
	i := strings.LastIndex(note, "\n\n")
	if i < 0 {
		return "", nil, errors.New("note has no empty line between text and signatures")
	}
	lines, err = parseLines(note[i+2:])
	return note[:i+1], lines, err
}

func parseLines(rest string) (lines []Line, err error) {
	if rest == "" {
		return nil, errors.New("note has no signature line")
	}
	for rest != "" {
		var line string
		var ended bool
		if line, rest, ended = strings.Cut(rest, "\n"); !ended {
			return nil, errors.New("note does not end with a line break")
		}
		if len(lines) == maxLines {
			return nil, fmt.Errorf("note has over %d signature lines", maxLines)
		}
		l, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("signature line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func parseLine(line string) (Line, error) {
	rest, ok := strings.CutPrefix(line, dash)
	name, encoded, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 {
		return Line{}, fmt.Errorf("%.80q: want an em dash, a name and base64, one space between", line)
	}
	if err := checkName(name); err != nil {
		return Line{}, err
	}
	sig, err := parseBase64(encoded)
	if err != nil {
		return Line{}, err
	}
	if len(sig) < 5 {
		return Line{}, fmt.Errorf("%d bytes: want a key id of 4 and a signature", len(sig))
	}
	return Line{Name: name, ID: binary.BigEndian.Uint32(sig), Signature: sig[4:]}, nil
}

// checkName is C2SP's rule for the name of a key. A space or a plus would move
// the borders of a signature line or of a vkey.
func checkName(name string) error {
	bad := func(r rune) bool { return r == '+' || r < 0x20 || unicode.IsSpace(r) }
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("key name %.80q: want UTF-8 without spaces, control characters and \"+\"", name)
	}
	return nil
}
