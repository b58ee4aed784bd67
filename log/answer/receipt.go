package answer

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
)

// Outcome is what became of one submitted event: accepted when Refused and
// Err are both nil.
type Outcome struct {
	Seq      uint32
	Position uint64 // of its EVENT leaf
	Event    name.EventID
	Receipt  []byte // a Published, if asked for

	Refused *event.Error // the event breaks a rule; sending it again will not help
	Err     error        // it could not be logged now; send it again
}

// Published proves that one event is logged, under a checkpoint that meets
// the log's policy (protocol section 8). The same event gets the same bytes.
type Published struct {
	Seq      uint32
	Position uint64
	Proof    vrf.Proof
	Opening  name.Opening
	Note     []byte
	Path     []leaf.Hash // RFC 6962 inclusion, leaf to root
}

// Bytes is
//
//	u32 seq || u64 position || vrf_proof[80] || opening[16] || note<1..2^16-1> || path<0..2^16-1>
func (p *Published) Bytes() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint32(p.Seq)
	b.AddUint64(p.Position)
	b.AddBytes(p.Proof[:])
	b.AddBytes(p.Opening[:])
	add16(b, p.Note)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addHashes(b, p.Path) })
	return b.Bytes()
}

// ParsePublished reads a Published; it checks the form alone.
func ParsePublished(data []byte) (*Published, error) {
	s := cryptobyte.String(data)
	p := new(Published)
	var note, path cryptobyte.String
	if !s.ReadUint32(&p.Seq) || !s.ReadUint64(&p.Position) || !s.CopyBytes(p.Proof[:]) || !s.CopyBytes(p.Opening[:]) ||
		!s.ReadUint16LengthPrefixed(&note) || !s.ReadUint16LengthPrefixed(&path) || !s.Empty() ||
		len(note) == 0 || p.Position >= leaf.MaxCount || p.Seq == noSeq {
		return nil, fmt.Errorf("malformed receipt of %d bytes", len(data))
	}
	p.Note = note
	var err error
	p.Path, err = readHashes(path)
	return p, err
}
