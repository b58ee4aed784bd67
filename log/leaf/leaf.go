// Package leaf is the bytes of the log's leaves: GENESIS, EVENT, EPOCH and
// SEAL (protocol section 4). The log is one RFC 6962 tree over them.
package leaf

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/name"
)

// Kind is the first byte of a leaf.
type Kind uint8

const (
	KindGenesis Kind = 0
	KindEvent   Kind = 1
	KindEpoch   Kind = 2
	KindSeal    Kind = 3
)

const (
	// Version and Suite are the only values of GENESIS that this code speaks:
	// suite 2 is KEYTRANS KT_128_SHA256_Ed25519.
	Version = 1
	Suite   = 2

	// EventSize is the length of every EVENT leaf: all are alike, so a leaf's
	// length tells nothing about the event.
	EventSize = 1 + 32 + 32

	// MaxSize bounds a leaf: C2SP entry bundles carry at most 65,535 bytes each.
	MaxSize = 65535

	// MaxCount is the first size and position that is out of range (section 0).
	MaxCount = 1 << 63
)

// Leaf is one of *Genesis, *Event, *Epoch (which is also SEAL).
type Leaf interface {
	Kind() Kind
	// Bytes is the leaf's one encoding.
	Bytes() []byte
}

// Genesis is leaf 0 and nowhere else. What it fixes lies under every
// checkpoint and can never change.
type Genesis struct {
	Origin      name.Origin
	VRFKey      [32]byte // RFC 9381 public key; its validation is package vrf's
	Predecessor string   // empty, or the text of the sealed log's last checkpoint
}

// Event is the leaf of one account event.
type Event struct {
	Index      name.Index
	Commitment name.Commitment
}

// Epoch closes a batch of events; a sealed one ends the log for ever.
type Epoch struct {
	Epoch      uint64 // 0, 1, 2, …
	TimeMs     uint64 // POSIX milliseconds, strictly increasing
	First      uint64 // the position after the previous EPOCH
	Keys       uint64 // EVENT leaves in the log so far
	PrefixRoot name.PrefixRoot

	Sealed    bool        // a SEAL, not an EPOCH
	Successor name.Origin // of a SEAL: empty, or where the log goes on
}

func (*Genesis) Kind() Kind { return KindGenesis }
func (*Event) Kind() Kind   { return KindEvent }
func (e *Epoch) Kind() Kind {
	if e.Sealed {
		return KindSeal
	}
	return KindEpoch
}

// Position is 1 + keys + epoch, where this EPOCH must stand. Every client
// checks it: without it a proof for the last leaf does not bind the size,
// because RFC 6962 proofs of different sizes can have one shape.
func (e *Epoch) Position() uint64 { return 1 + e.Keys + e.Epoch }

// 00 || u16 version=1 || u16 suite=2 || origin<1..2^8-1> || vrf_public_key[32] || predecessor<0..2^16-1>
func (g *Genesis) Bytes() []byte {
	var b cryptobyte.Builder
	b.AddUint8(uint8(KindGenesis))
	b.AddUint16(Version)
	b.AddUint16(Suite)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(g.Origin)) })
	b.AddBytes(g.VRFKey[:])
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(g.Predecessor)) })
	return b.BytesOrPanic()
}

// 01 || index[32] || commitment[32]
func (e *Event) Bytes() []byte {
	b := make([]byte, 0, EventSize)
	b = append(b, byte(KindEvent))
	b = append(b, e.Index[:]...)
	return append(b, e.Commitment[:]...)
}

// 02 || u64 epoch || u64 time_ms || u64 first || u64 keys || prefix_root[32]
// 03 || the same || successor<0..2^8-1>
func (e *Epoch) Bytes() []byte {
	var b cryptobyte.Builder
	b.AddUint8(uint8(e.Kind()))
	b.AddUint64(e.Epoch)
	b.AddUint64(e.TimeMs)
	b.AddUint64(e.First)
	b.AddUint64(e.Keys)
	b.AddBytes(e.PrefixRoot[:])
	if e.Sealed {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(e.Successor)) })
	}
	return b.BytesOrPanic()
}

var errForm = errors.New("malformed leaf")

// Parse reads a leaf, which has exactly one encoding. Errors say which form
// was broken; none is evidence by itself unless the leaf is included in a
// signed tree.
func Parse(data []byte) (Leaf, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("leaf of %d bytes: want at most %d", len(data), MaxSize)
	}
	s := cryptobyte.String(data)
	var kind uint8
	if !s.ReadUint8(&kind) {
		return nil, fmt.Errorf("%w: empty", errForm)
	}
	switch Kind(kind) {
	case KindGenesis:
		return parseGenesis(s)
	case KindEvent:
		e := new(Event)
		if !s.CopyBytes(e.Index[:]) || !s.CopyBytes(e.Commitment[:]) || !s.Empty() {
			return nil, fmt.Errorf("%w: EVENT of %d bytes, want %d", errForm, len(data), EventSize)
		}
		return e, nil
	case KindEpoch, KindSeal:
		return parseEpoch(s, Kind(kind) == KindSeal)
	}
	return nil, fmt.Errorf("%w: unknown kind %d", errForm, kind)
}

func parseGenesis(s cryptobyte.String) (Leaf, error) {
	g := new(Genesis)
	var version, suite uint16
	var origin, predecessor cryptobyte.String
	if !s.ReadUint16(&version) || !s.ReadUint16(&suite) || !s.ReadUint8LengthPrefixed(&origin) ||
		!s.CopyBytes(g.VRFKey[:]) || !s.ReadUint16LengthPrefixed(&predecessor) || !s.Empty() {
		return nil, fmt.Errorf("%w: GENESIS", errForm)
	}
	if version != Version || suite != Suite {
		return nil, fmt.Errorf("GENESIS version %d, suite %d: this client speaks version %d, suite %d", version, suite, Version, Suite)
	}
	var err error
	if g.Origin, err = name.ParseOrigin(string(origin)); err != nil {
		return nil, fmt.Errorf("%w: GENESIS: %w", errForm, err)
	}
	g.Predecessor = string(predecessor)
	return g, nil
}

func parseEpoch(s cryptobyte.String, sealed bool) (Leaf, error) {
	e := &Epoch{Sealed: sealed}
	if !s.ReadUint64(&e.Epoch) || !s.ReadUint64(&e.TimeMs) || !s.ReadUint64(&e.First) ||
		!s.ReadUint64(&e.Keys) || !s.CopyBytes(e.PrefixRoot[:]) {
		return nil, fmt.Errorf("%w: EPOCH", errForm)
	}
	if sealed {
		var successor cryptobyte.String
		if !s.ReadUint8LengthPrefixed(&successor) {
			return nil, fmt.Errorf("%w: SEAL", errForm)
		}
		if len(successor) > 0 {
			var err error
			if e.Successor, err = name.ParseOrigin(string(successor)); err != nil {
				return nil, fmt.Errorf("%w: SEAL: %w", errForm, err)
			}
		}
	}
	if !s.Empty() {
		return nil, fmt.Errorf("%w: bytes after an EPOCH", errForm)
	}
	// Bounded one by one, so that their sum in Position cannot wrap.
	if e.Epoch >= MaxCount/2 || e.Keys >= MaxCount/2 || e.First >= MaxCount {
		return nil, fmt.Errorf("%w: EPOCH counts out of range", errForm)
	}
	return e, nil
}
