package witness

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
)

// request is the body of add-checkpoint (protocol section 7.1).
//
//	"old " decimal(old) LF, then 0..63 times base64(hash) LF, LF, signed checkpoint
type request struct {
	old   uint64 // below 2^63
	proof []leaf.Hash
	text  string            // of the checkpoint, as it was signed
	lines []checkpoint.Line // all of them: also unknown and repeated ones
	checkpoint.Foreign
}

// parse accepts one spelling of each request. Implementations that take "+5",
// "05" or a line feed too many cosign what others cannot read.
func parse(body []byte) (*request, error) {
	// The first empty line: no line of the head is empty, while the text of a
	// note might be.
	head, note, ok := strings.Cut(string(body), "\n\n")
	if !ok {
		return nil, errors.New("want an empty line between the proof and the checkpoint")
	}
	lines := strings.Split(head, "\n")
	old, ok := strings.CutPrefix(lines[0], "old ")
	if !ok {
		return nil, fmt.Errorf("line 1: %.40q: want \"old \" and a size", lines[0])
	}
	r := new(request)
	var err error
	if r.old, err = parseDecimal(old); err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	if len(lines)-1 > maxProof {
		return nil, fmt.Errorf("a proof of %d hashes: want at most %d", len(lines)-1, maxProof)
	}
	for i, line := range lines[1:] {
		h, err := parseHash(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		r.proof = append(r.proof, h)
	}
	if r.text, r.lines, err = checkpoint.ParseSigned([]byte(note)); err != nil {
		return nil, err
	}
	r.Foreign, err = checkpoint.ParseForeign(r.text)
	return r, err
}

func parseDecimal(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%.24q: want a decimal number below 2^63 without sign and leading zeros", s)
	}
	return n, nil
}

// parseHash accepts one spelling of each hash. The decoder skips line breaks,
// but of 44 characters it needs every one to give 32 bytes.
func parseHash(s string) (h leaf.Hash, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(s) != len(hashLine)-1 || len(b) != len(h) {
		return h, fmt.Errorf("%.64q: want a hash of 32 bytes in standard padded base64", s)
	}
	return leaf.Hash(b), nil
}
