package device

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Journal keeps, for each account of each log, what was signed and may still
// be logged. The application owns it; statefile.Journal is one in files.
type Journal interface {
	// Load returns the entry last stored; nil if there is none. An entry that
	// is lost or damaged is an error, never nil.
	Load(log name.LogID, account name.AccountID) ([]byte, error)

	// Swap puts next in the place of old and returns when that is durable. If
	// the entry is not old, somebody else was here: verifier.ErrConflict. A nil
	// old means that there is none; a nil next removes it.
	Swap(log name.LogID, account name.AccountID, old, next []byte) error
}

// Pending is what a signer has signed for one seq of one account, and of which
// at most one can be logged.
type Pending struct {
	Drafts []*Draft // 1 or more, in the order signed: the last is what the signer wants now
}

// Seq is the one that all of them are for.
func (p *Pending) Seq() uint32 { return p.Drafts[0].payload.Seq }

// Wanted is the last that was signed; what comes before it was given up.
func (p *Pending) Wanted() *Draft { return p.Drafts[len(p.Drafts)-1] }

// find is the draft of an event; nil if it is not this signer's.
func (p *Pending) find(id name.EventID) *Draft {
	for _, d := range p.Drafts {
		if d.ID() == id {
			return d
		}
	}
	return nil
}

// with is p and d, wanted now.
func (p *Pending) with(d *Draft) (*Pending, error) {
	next := new(Pending)
	if p != nil {
		if d.payload.Seq != p.Seq() {
			return nil, fmt.Errorf("%w at seq %d, this one is for seq %d: refresh first", ErrPending, p.Seq(), d.payload.Seq)
		}
		next.Drafts = slices.Clone(p.Drafts)
	}
	// The same event with another signature is no other event.
	next.Drafts = slices.DeleteFunc(next.Drafts, func(o *Draft) bool { return o.ID() == d.ID() })
	if len(next.Drafts) == maxPending {
		return nil, fmt.Errorf("%w: %d events for seq %d already, send one of them", ErrPending, maxPending, p.Seq())
	}
	next.Drafts = append(next.Drafts, d)
	return next, nil
}

const pendingVersion = 1

var errPending = errors.New("damaged journal entry")

// Bytes is a journal entry:
//
//	u8 version=1 || drafts, each: Draft draft<1..2^16-1>
func (p *Pending) Bytes() []byte {
	var b cryptobyte.Builder
	b.AddUint8(pendingVersion)
	for _, d := range p.Drafts {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(d.Bytes()) })
	}
	return b.BytesOrPanic() // a draft is smaller than maxDraft
}

// ParsePending reads a journal entry of one account.
func ParsePending(data []byte, log name.LogID, account name.AccountID) (*Pending, error) {
	s := cryptobyte.String(data)
	var version uint8
	if !s.ReadUint8(&version) || version != pendingVersion {
		return nil, fmt.Errorf("%w: version %d, this client reads %d", errPending, version, pendingVersion)
	}
	p := new(Pending)
	for !s.Empty() {
		var body cryptobyte.String
		if len(p.Drafts) == maxPending {
			return nil, fmt.Errorf("%w: over %d events", errPending, maxPending)
		}
		if !s.ReadUint16LengthPrefixed(&body) {
			return nil, fmt.Errorf("%w: cut short", errPending)
		}
		d, err := ParseDraft(body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPending, err)
		}
		if d.payload.Log != log || d.payload.Account != account {
			return nil, fmt.Errorf("%w: an event of another account", errPending)
		}
		if len(p.Drafts) > 0 && (d.payload.Seq != p.Seq() || p.find(d.ID()) != nil) {
			return nil, fmt.Errorf("%w: another seq, or an event twice", errPending)
		}
		p.Drafts = append(p.Drafts, d)
	}
	if len(p.Drafts) == 0 {
		return nil, fmt.Errorf("%w: no event", errPending)
	}
	return p, nil
}

// ErrPending says that a signed event may still be logged: resend it, replace
// it, or cancel it, before anything else is signed.
var ErrPending = errors.New("a signed event is pending: resend it or cancel it")

// TakenError says that the seq an event was signed for is not its own to have.
type TakenError struct {
	Seq       uint32
	Published bool         // a verified lookup shows the seq held; else only the log says so, and the event stays pending
	Holder    name.EventID // once published: what holds the seq; zero if it was erased since
	Ours      *Draft       // the holder, if this signer signed that one too (what was to be replaced or cancelled)
	Head      *event.Event // until published: what the log claims to be the newest event; may be nil
}

func (e *TakenError) Error() string {
	switch {
	case !e.Published:
		return fmt.Sprintf("the log says that seq %d is taken, and has not published by what: refresh in a few seconds", e.Seq)
	case e.Ours != nil:
		return fmt.Sprintf("seq %d went to the %s that was signed before: sign the next event", e.Seq, e.Ours.payload.Type)
	}
	return fmt.Sprintf("seq %d went to another event (%s): look at the device list as it is now, and sign again", e.Seq, e.Holder)
}
