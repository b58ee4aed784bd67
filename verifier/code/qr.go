package code

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"math"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
)

const (
	magic      = "MST1" // the form's name and version
	sideSize   = 32 + 4 + 4 + 32 + 32
	qrSize     = len(magic) + 32 + 2*sideSize + 8 + 32 + ed25519.SignatureSize // 348 bytes
	qrTextSize = qrSize / 3 * 4                                                // 464 characters: 348 is a multiple of 3
)

// QR is what one phone shows and the other scans. Who shows it vouches for
// every field: all come from what its own verifier accepted, at one checkpoint.
type QR struct {
	Log         name.LogID
	Mine, Yours QRSide // the account of who shows it, and the reader's as seen from there
	Size        uint64 // of the checkpoint, in leaves
	Root        name.TreeRoot
	Signature   [64]byte // the log's Ed25519 signature of the checkpoint
}

// QRSide is the head of one account.
type QRSide struct {
	Account    name.AccountID
	Generation uint32
	Seq        uint32 // of the newest event
	Event      name.EventID
	Devices    name.DevicesHash // the device list after that event
}

// String is the payload as a QR code carries it: base64url without padding of
//
//	"MST1" || log_id[32] || mine || yours || u64 size || root[32] || signature[64]
//	side = account_id[32] || u32 generation || u32 seq || event_id[32] || devices_hash[32]
func (q *QR) String() string {
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, qrSize))
	b.AddBytes([]byte(magic))
	b.AddBytes(q.Log[:])
	q.Mine.add(b)
	q.Yours.add(b)
	b.AddUint64(q.Size)
	b.AddBytes(q.Root[:])
	b.AddBytes(q.Signature[:])
	return base64.RawURLEncoding.EncodeToString(b.BytesOrPanic())
}

func (s *QRSide) add(b *cryptobyte.Builder) {
	b.AddBytes(s.Account[:])
	b.AddUint32(s.Generation)
	b.AddUint32(s.Seq)
	b.AddBytes(s.Event[:])
	b.AddBytes(s.Devices[:])
}

var errForm = errors.New("not a muster QR payload")

// ParseQR reads a payload, which has exactly one form. Anyone can print one:
// VerifySignature and Compare say whether it is worth anything.
func ParseQR(text string) (*QR, error) {
	if len(text) != qrTextSize {
		return nil, fmt.Errorf("%w: %d characters, want %d", errForm, len(text), qrTextSize)
	}
	data, err := base64.RawURLEncoding.DecodeString(text) // 464 characters leave no spare bits
	if err != nil {
		return nil, fmt.Errorf("%w: want base64url without padding", errForm)
	}
	s := cryptobyte.String(data)
	var form [len(magic)]byte
	q := new(QR)
	// The decoder skips line breaks, so the data may be too short in spite of
	// the check above: then a field is missing here.
	if !s.CopyBytes(form[:]) || !s.CopyBytes(q.Log[:]) || !q.Mine.read(&s) || !q.Yours.read(&s) ||
		!s.ReadUint64(&q.Size) || !s.CopyBytes(q.Root[:]) || !s.CopyBytes(q.Signature[:]) || !s.Empty() {
		return nil, fmt.Errorf("%w: %d bytes, want %d", errForm, len(data), qrSize)
	}
	if string(form[:]) != magic {
		return nil, fmt.Errorf("%w: want %q at the beginning", errForm, magic)
	}
	if q.Size < 2 || q.Size > math.MaxInt64 { // every checkpoint holds GENESIS and an EPOCH (section 4)
		return nil, fmt.Errorf("%w: size %d, want 2 to 2^63-1", errForm, q.Size)
	}
	if q.Mine.Seq == math.MaxUint32 || q.Yours.Seq == math.MaxUint32 { // no event has it (section 1)
		return nil, fmt.Errorf("%w: seq 2^32-1", errForm)
	}
	return q, nil
}

func (s *QRSide) read(from *cryptobyte.String) bool {
	return from.CopyBytes(s.Account[:]) && from.ReadUint32(&s.Generation) && from.ReadUint32(&s.Seq) &&
		from.CopyBytes(s.Event[:]) && from.CopyBytes(s.Devices[:])
}

// VerifySignature checks that the log that the reader trusts, whose key is
// given, signed the payload's checkpoint. Without it a payload that someone
// made up could accuse an honest log of a second root.
func (q *QR) VerifySignature(log checkpoint.Key) error {
	origin := name.Origin(log.Name) // a log's key name is its origin (section 1)
	if origin.LogID() != q.Log {
		return &Error{Mismatch: MismatchLog}
	}
	if log.Type != checkpoint.Ed25519 || len(log.Public) != ed25519.PublicKeySize {
		return fmt.Errorf("key of log %s: want an Ed25519 key", origin)
	}
	text := checkpoint.Checkpoint{Origin: origin, Size: q.Size, Root: q.Root}.Text()
	if !ed25519.Verify(log.Public, []byte(text), q.Signature[:]) {
		return fmt.Errorf("QR payload: checkpoint of size %d is not signed by log %s", q.Size, origin)
	}
	return nil
}
