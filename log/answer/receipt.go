package answer

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
)

// Wait is what a submitter waits for (protocol section 8.3).
type Wait uint8

const (
	WaitPublished Wait = 0 // until the event is logged under a published checkpoint
	WaitDurable   Wait = 1 // until the log has promised, with its signature, to log it
)

// Want is what a submitter wants of the events of one call.
type Want struct {
	Wait    Wait
	Receipt bool // a Published with each that is logged; a promise comes always
}

// Outcome is what became of one submitted event: accepted when Refused and
// Err are both nil.
type Outcome struct {
	Seq      uint32
	Promised bool   // with WaitDurable: accepted and not logged yet
	Position uint64 // of its EVENT leaf; 0 while it is only promised
	Event    name.EventID
	Receipt  []byte // a Durable if promised; else a Published, if asked for

	Refused *event.Error // the event breaks a rule; sending it again will not help
	Err     error        // it could not be logged now; send it again. Unavailable, or a fault of the log
}

// Unavailable says why an event could not be logged now, in words for whoever
// sent it: an error that wraps one is told as it reads. Any other error of an
// Outcome is the log's own fault. Its words may name files and accounts, and are
// for the log's operator alone.
type Unavailable string

func (u Unavailable) Error() string { return string(u) }

// Fault is all that a caller learns of a fault of the log.
const Fault Unavailable = "the log has a fault; its operator finds the cause in the server's log"

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

// Durable is the answer to an event that is accepted and not yet logged: the
// log's signed promise, with what shows that it is about this event (protocol
// section 9.1). The same event gets the same bytes until it is logged.
type Durable struct {
	Seq     uint32
	Proof   vrf.Proof
	Opening name.Opening
	Note    []byte // the receipt: checkpoint.OpenReceipt reads it
}

// Bytes is
//
//	u32 seq || vrf_proof[80] || opening[16] || receipt<1..2^16-1>
func (d *Durable) Bytes() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint32(d.Seq)
	b.AddBytes(d.Proof[:])
	b.AddBytes(d.Opening[:])
	add16(b, d.Note)
	return b.Bytes()
}

// ParseDurable reads a Durable; it checks the form alone.
func ParseDurable(data []byte) (*Durable, error) {
	s := cryptobyte.String(data)
	d := new(Durable)
	var note cryptobyte.String
	if !s.ReadUint32(&d.Seq) || !s.CopyBytes(d.Proof[:]) || !s.CopyBytes(d.Opening[:]) ||
		!s.ReadUint16LengthPrefixed(&note) || !s.Empty() || len(note) == 0 || d.Seq == noSeq {
		return nil, fmt.Errorf("malformed promise of %d bytes", len(data))
	}
	d.Note = note
	return d, nil
}
