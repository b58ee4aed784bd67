package checkpoint

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/musterlog/muster/log/name"
)

// Receipt is a log's promise to have an event in an EPOCH whose time_ms is at
// most MergeBy (protocol section 9.1). Signed, it is a note by the log's key.
type Receipt struct {
	Origin     name.Origin
	Index      name.Index
	Commitment name.Commitment
	MergeBy    uint64 // POSIX milliseconds
}

// receiptLine begins every receipt. No origin begins so, hence no checkpoint
// can be read as a receipt, nor a receipt as a checkpoint.
const receiptLine = "muster/v1 receipt"

// Text is what the log signs.
//
//	"muster/v1 receipt" "\n" origin "\n" base64(index) "\n" base64(commitment) "\n" decimal(merge_by) "\n"
func (r Receipt) Text() string {
	return receiptLine + "\n" + string(r.Origin) + "\n" + base64.StdEncoding.EncodeToString(r.Index[:]) + "\n" +
		base64.StdEncoding.EncodeToString(r.Commitment[:]) + "\n" + strconv.FormatUint(r.MergeBy, 10) + "\n"
}

// SignReceipt is the receipt as a note with the log's signature; equal
// receipts give equal bytes. It panics for another log's.
func (s *Signer) SignReceipt(r Receipt) []byte {
	if string(r.Origin) != s.key.Name || r.MergeBy > maxSize {
		panic(fmt.Sprintf("checkpoint: the key of log %q is asked to sign a receipt of %q for %d ms", s.key.Name, r.Origin, r.MergeBy))
	}
	text := r.Text()
	return Append([]byte(text+"\n"), Line{Name: s.key.Name, ID: s.key.ID, Signature: ed25519.Sign(s.private(), []byte(text))})
}

// OpenReceipt reads a receipt and verifies that this log's key signed it,
// exactly once. Every other line is refused: a receipt has one encoding.
func OpenReceipt(log Key, note []byte) (Receipt, error) {
	r, err := openReceipt(log, note)
	if err != nil {
		return Receipt{}, fmt.Errorf("reading receipt: %w", err)
	}
	return r, nil
}

func openReceipt(log Key, note []byte) (r Receipt, err error) {
	text, lines, err := split(note)
	if err != nil {
		return r, err
	}
	if len(lines) != 1 || log.Type != Ed25519 {
		return r, fmt.Errorf("%d signature lines: want the log's Ed25519 one", len(lines))
	}
	if _, err := log.Verify(text, lines[0]); err != nil {
		return r, err
	}
	words := strings.Split(text, "\n")
	if len(words) != 6 || words[0] != receiptLine || words[5] != "" {
		return r, errors.New("want five lines, the first " + receiptLine)
	}
	if words[1] != log.Name {
		return r, fmt.Errorf("it is of log %q, not of %q", words[1], log.Name)
	}
	if r.Origin, err = name.ParseOrigin(words[1]); err != nil {
		return r, err
	}
	index, err := parseBase64(words[2])
	if err != nil {
		return r, err
	}
	commitment, err := parseBase64(words[3])
	if err != nil {
		return r, err
	}
	if len(index) != 32 || len(commitment) != 32 {
		return r, fmt.Errorf("index and commitment of %d and %d bytes: want 32", len(index), len(commitment))
	}
	r.Index, r.Commitment = name.Index(index), name.Commitment(commitment)
	r.MergeBy, err = parseDecimal(words[4])
	return r, err
}
