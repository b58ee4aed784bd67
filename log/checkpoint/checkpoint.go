// Package checkpoint is what a log signs and its cosigners confirm: the
// checkpoint, the signed note around it, the keys, and the policy that says
// whose word is enough (protocol sections 6 and 7). The forms are C2SP's
// signed-note, tlog-checkpoint, tlog-cosignature and tlog-policy.
//
// A signed checkpoint is text, an empty line, and signature lines: here the
// log's own and one witness's cosignature.
//
//	keys.example.org/log1
//	2
//	AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
//
//	— keys.example.org/log1 Nt1fTJikGA6DJrWKTYJFfJsRC854mLyeB4gAes0AscOldqhm5NZh2oFnsP1Hw+NtZLraQ7wMBvjlTa+ulMZ/0DwVIgk=
//	— w1.example.net qZwXWgAAAABrSdIAgsjp0kWICNVbYP1eMEQwtY2Y85xCO4k5+/4l3Eokk9Qqli9ZLQd5/TJEx/JD4Enll5oyowbYGnDMgQq2z0lVCw==
//
// Everything has one encoding. What another implementation might read
// differently is refused: two parties who keep the same bytes must have
// accepted the same statement.
package checkpoint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/musterlog/muster/log/name"
)

// Checkpoint names one state of one log: its first Size leaves.
type Checkpoint struct {
	Origin name.Origin
	Size   uint64 // number of leaves, below 2^63
	Root   name.TreeRoot
}

// Text is the three lines that are signed: origin, size, root.
//
//	origin "\n" decimal size "\n" base64(root) "\n"
func (c Checkpoint) Text() string {
	return string(c.Origin) + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseText reads exactly three lines: extension lines, which C2SP allows and
// advises against, are refused (protocol section 4). Whether a size makes
// sense is for the caller: an empty tree with a wrong root passes here.
func ParseText(text string) (Checkpoint, error) {
	c, err := parseText(text)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading checkpoint: %w", err)
	}
	return c, nil
}

func parseText(text string) (c Checkpoint, err error) {
	f, err := parseForeign(text)
	if err != nil {
		return c, err
	}
	if f.Extended {
		return c, errors.New("want exactly three lines: origin, size, root")
	}
	if c.Origin, err = name.ParseOrigin(f.Origin); err != nil {
		return c, err
	}
	c.Size, c.Root = f.Size, f.Root
	return c, nil
}

// Foreign is a checkpoint of any C2SP log, as a witness meets it: its origin
// need not be one of ours, and extension lines may follow the root.
type Foreign struct {
	Origin   string // non-empty, of any characters that a note may hold
	Size     uint64 // below 2^63
	Root     name.TreeRoot
	Extended bool // extension lines follow; a cosigner says nothing about them
}

// ParseForeign reads the text of a checkpoint as C2SP tlog-checkpoint has it.
// It is as strict as ParseText but for the origin and the extension lines,
// none of which is empty.
func ParseForeign(text string) (Foreign, error) {
	f, err := parseForeign(text)
	if err != nil {
		return Foreign{}, fmt.Errorf("reading checkpoint: %w", err)
	}
	return f, nil
}

func parseForeign(text string) (f Foreign, err error) {
	body, ended := strings.CutSuffix(text, "\n")
	lines := strings.SplitN(body, "\n", 4)
	if !ended || len(lines) < 3 {
		return f, errors.New("want exactly three lines: origin, size, root")
	}
	if f.Origin = lines[0]; f.Origin == "" {
		return f, errors.New("the origin is empty")
	}
	if f.Size, err = parseDecimal(lines[1]); err != nil {
		return f, fmt.Errorf("size: %w", err)
	}
	root, err := parseBase64(lines[2])
	if err != nil {
		return f, fmt.Errorf("root: %w", err)
	}
	if len(root) != len(f.Root) {
		return f, fmt.Errorf("root of %d bytes: want %d", len(root), len(f.Root))
	}
	f.Root = name.TreeRoot(root)
	if len(lines) == 4 {
		f.Extended = true
		if lines[3] == "" || strings.HasPrefix(lines[3], "\n") || strings.HasSuffix(lines[3], "\n") || strings.Contains(lines[3], "\n\n") {
			return f, errors.New("an extension line is empty")
		}
	}
	return f, nil
}

// parseDecimal accepts one form of each number below 2^63: no sign, no
// leading zero, no space.
func parseDecimal(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%.24q: want a decimal number below 2^63 without sign and leading zeros", s)
	}
	return n, nil
}

// parseBase64 accepts one form of each byte string. The decoder alone, even
// when strict, skips line breaks; encoding again does not.
func parseBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, fmt.Errorf("%.64q: want standard padded base64", s)
	}
	return b, nil
}
