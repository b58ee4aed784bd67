package event

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/musterlog/muster/log/name"
)

// Type says what happened.
type Type uint8

const (
	Register       Type = 1 // the account begins; seq 0 only
	AddDevice      Type = 2 // primary and companion both sign
	RemoveDevice   Type = 3 // the primary takes a device away, or it logs itself out
	Reregister     Type = 4 // new primary, empty list; the one before may endorse it
	OperatorRemove Type = 5 // unsigned: an operator can only take away
	Erase          Type = 6 // unsigned: what came before is deleted for good
	Confirm        Type = 7 // the primary signs the list anew

	lastReserved Type = 15 // 8 to 15 are for newer clients
)

// String is the protocol's name, such as "ADD_DEVICE".
func (t Type) String() string {
	switch t {
	case Register:
		return "REGISTER"
	case AddDevice:
		return "ADD_DEVICE"
	case RemoveDevice:
		return "REMOVE_DEVICE"
	case Reregister:
		return "REREGISTER"
	case OperatorRemove:
		return "OPERATOR_REMOVE"
	case Erase:
		return "ERASE"
	case Confirm:
		return "CONFIRM"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Role says which key of the payload makes a signature. It is signed too, so
// that no signature passes for one of the other role.
type Role uint8

const (
	Primary Role = 0 // by the key in Payload.Primary
	Subject Role = 1 // by the key in Payload.Subject
)

func (r Role) String() string {
	switch r {
	case Primary:
		return "primary"
	case Subject:
		return "subject"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// Payload is what is signed and hashed: everything but the signatures.
type Payload struct {
	Type        Type
	Log         name.LogID
	Account     name.AccountID
	Generation  uint32       // one more at each REREGISTER
	Seq         uint32       // position in the account's history, at most 2^32-2
	Prev        name.EventID // of event Seq-1; zero at seq 0
	TimeMs      uint64       // the signer's clock, POSIX milliseconds; advisory, no rule here reads it
	KeyIndex    uint32       // seq of the event that introduced the key it is about
	Primary     Key          // in force after the event; zero after ERASE
	Subject     Key          // the other key the event is about, or zero
	DevicesHash name.DevicesHash
}

// Bytes is the payload's one encoding (section 3):
//
//	u8 type || log_id[32] || account_id[32] || u32 generation || u32 seq || prev[32] || u64 time_ms
//	|| u32 key_index || primary<0..2^16-1> || subject<0..2^16-1> || devices_hash[32]
func (p *Payload) Bytes() []byte {
	return p.append(make([]byte, 0, 256))
}

// Not by a cryptobyte.Builder, which allocates: this is on the way of every hash
// and signature.
func (p *Payload) append(b []byte) []byte {
	b = append(b, byte(p.Type))
	b = append(b, p.Log[:]...)
	b = append(b, p.Account[:]...)
	b = binary.BigEndian.AppendUint32(b, p.Generation)
	b = binary.BigEndian.AppendUint32(b, p.Seq)
	b = append(b, p.Prev[:]...)
	b = binary.BigEndian.AppendUint64(b, p.TimeMs)
	b = binary.BigEndian.AppendUint32(b, p.KeyIndex)
	b = p.Primary.append(b)
	b = p.Subject.append(b)
	return append(b, p.DevicesHash[:]...)
}

// ID is the event_id, what the next event's Prev must be (section 3):
//
//	H("muster/v1 event id" 00 || Payload)
func (p *Payload) ID() name.EventID {
	b := append(make([]byte, 0, 256), "muster/v1 event id\x00"...)
	return sha256.Sum256(p.append(b))
}

// SignedBytes is the message that role r signs (section 3):
//
//	"muster/v1 account event" 00 || role || Payload
//
// Its first byte, "m", begins nothing that Signal or WhatsApp identity keys
// sign, so that these keys can sign events and no signature serves twice.
func (p *Payload) SignedBytes(r Role) []byte {
	return p.appendSigned(make([]byte, 0, 256), r)
}

func (p *Payload) appendSigned(b []byte, r Role) []byte {
	b = append(b, "muster/v1 account event\x00"...)
	return p.append(append(b, byte(r)))
}
