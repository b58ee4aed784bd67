package answer

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/musterlog/muster/log/name"
)

// ProofFile carries one account's verified devices to who has no network
// (protocol section 5.7).
type ProofFile struct {
	Identifier name.Identifier
	Answer     []byte // to ProofRequest, opening everything
}

const proofHeader = "muster-proof/v1"

// ProofRequest is the request that a proof file answers: a first lookup by
// who holds nothing.
func ProofRequest(account name.AccountID) *Request {
	return &Request{Asks: []Ask{{Account: account, Kind: First, Most: MaxOpened}}}
}

// Bytes is
//
//	"muster-proof/v1" "\n" identifier "\n" base64(Answer) "\n"
func (f *ProofFile) Bytes() []byte {
	return fmt.Appendf(nil, "%s\n%s\n%s\n", proofHeader, f.Identifier, base64.StdEncoding.EncodeToString(f.Answer))
}

var errProofFile = errors.New("malformed proof file")

// ParseProofFile reads a proof file of at most MaxProofFile bytes. It checks
// the form of the file; of the Answer inside, package verifier judges all.
func ParseProofFile(data []byte) (*ProofFile, error) {
	if len(data) > MaxProofFile {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", errProofFile, len(data), MaxProofFile)
	}
	lines := strings.Split(string(data), "\n")
	if lines[0] != proofHeader {
		return nil, fmt.Errorf("%w: the first line is %.40q, want %q", errProofFile, lines[0], proofHeader)
	}
	if len(lines) != 4 || lines[3] != "" {
		return nil, fmt.Errorf("%w: want three lines, each with its line break", errProofFile)
	}
	id, err := name.ParseIdentifier(lines[1])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProofFile, err)
	}
	f := &ProofFile{Identifier: id}
	if f.Answer, err = base64.StdEncoding.Strict().DecodeString(lines[2]); err != nil {
		return nil, fmt.Errorf("%w: the third line: %w", errProofFile, err)
	}
	if !bytes.Equal(f.Bytes(), data) { // DecodeString skips carriage returns
		return nil, fmt.Errorf("%w: want standard padded base64", errProofFile)
	}
	return f, nil
}
