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
	lines := strings.SplitN(text, "\n", 5)
	if len(lines) != 4 || lines[3] != "" {
		return c, errors.New("want exactly three lines: origin, size, root")
	}
	if c.Origin, err = name.ParseOrigin(lines[0]); err != nil {
		return c, err
	}
	if c.Size, err = parseDecimal(lines[1]); err != nil {
		return c, fmt.Errorf("size: %w", err)
	}
	root, err := parseBase64(lines[2])
	if err != nil {
		return c, fmt.Errorf("root: %w", err)
	}
	if len(root) != len(c.Root) {
		return c, fmt.Errorf("root of %d bytes: want %d", len(root), len(c.Root))
	}
	c.Root = name.TreeRoot(root)
	return c, nil
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
