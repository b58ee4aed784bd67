package event

import (
	"golang.org/x/crypto/cryptobyte"
)

// Signature is one party's signature over Payload.SignedBytes(Role).
type Signature struct {
	Role  Role
	Bytes [SignatureSize]byte
}

// Event is a payload and the signatures that authorise it, in ascending role.
type Event struct {
	Payload
	Signatures []Signature
}

// Bytes is the event's one encoding (section 3), at most 355 bytes:
//
//	Payload || Signature signatures<0..2^16-1>,  Signature = u8 role || signature<0..2^16-1>
func (e *Event) Bytes() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 384))
	b.AddBytes(e.Payload.append(make([]byte, 0, 256)))
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for i := range e.Signatures {
			s := &e.Signatures[i]
			b.AddUint8(uint8(s.Role))
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.Bytes[:]) })
		}
	})
	return b.BytesOrPanic()
}

// Parse reads an event's structure, and only that: no key is admitted, no
// signature verified. Errors are *Error: RuleStructure, or RuleNewer for the
// reserved types 8 to 15, of which the fields are read and nothing more (their
// keys and signatures may have any length).
func Parse(b []byte) (*Event, error) {
	if len(b) > MaxSize {
		return nil, broken(RuleStructure, "%d bytes, want at most %d", len(b), MaxSize)
	}
	var (
		e                           Event
		typ                         uint8
		primary, subject, signature cryptobyte.String
	)
	s := cryptobyte.String(b)
	if !s.ReadUint8(&typ) {
		return nil, broken(RuleStructure, "no bytes")
	}
	e.Type = Type(typ)
	if e.Type == 0 || e.Type > lastReserved {
		return nil, broken(RuleStructure, "unknown type %d", typ)
	}
	if !s.CopyBytes(e.Log[:]) || !s.CopyBytes(e.Account[:]) ||
		!s.ReadUint32(&e.Generation) || !s.ReadUint32(&e.Seq) || !s.CopyBytes(e.Prev[:]) ||
		!s.ReadUint64(&e.TimeMs) || !s.ReadUint32(&e.KeyIndex) ||
		!s.ReadUint16LengthPrefixed(&primary) || !s.ReadUint16LengthPrefixed(&subject) ||
		!s.CopyBytes(e.DevicesHash[:]) || !s.ReadUint16LengthPrefixed(&signature) {
		return nil, broken(RuleStructure, "%d bytes end inside a field", len(b))
	}
	if !s.Empty() {
		return nil, broken(RuleStructure, "%d bytes after the event", len(s))
	}
	reserved := e.Type > Confirm
	if err := e.parseSignatures(signature, reserved); err != nil {
		return nil, err
	}
	if reserved {
		return nil, broken(RuleNewer, "type %d is of a newer protocol: update this client", typ)
	}
	var err error
	if e.Primary, err = parseOptionalKey(primary); err != nil {
		return nil, broken(RuleStructure, "primary: %v", err)
	}
	if e.Subject, err = parseOptionalKey(subject); err != nil {
		return nil, broken(RuleStructure, "subject: %v", err)
	}
	return &e, nil
}

// parseSignatures reads the list. Roles ascend strictly, so that there is one
// order, and a role signs once.
func (e *Event) parseSignatures(s cryptobyte.String, reserved bool) error {
	for !s.Empty() {
		var role uint8
		var raw cryptobyte.String
		if !s.ReadUint8(&role) || !s.ReadUint16LengthPrefixed(&raw) {
			return broken(RuleStructure, "signatures end inside one")
		}
		if reserved {
			continue
		}
		if Role(role) > Subject {
			return broken(RuleStructure, "signature of unknown role %d", role)
		}
		if len(raw) != SignatureSize {
			return broken(RuleStructure, "signature of %d bytes, want %d", len(raw), SignatureSize)
		}
		if n := len(e.Signatures); n > 0 && Role(role) <= e.Signatures[n-1].Role {
			return broken(RuleStructure, "signature roles do not ascend")
		}
		e.Signatures = append(e.Signatures, Signature{Role: Role(role), Bytes: [SignatureSize]byte(raw)})
	}
	return nil
}

func parseOptionalKey(b []byte) (Key, error) {
	if len(b) == 0 {
		return Key{}, nil
	}
	return ParseKey(b)
}
