// Package commitment hides an account event until it is opened: the EVENT leaf
// holds a commitment, which anyone may see, and whoever is shown the opening
// and the event can check that they are what the log took in (protocol
// section 4). Without the opening a commitment tells nothing; once every copy
// of an opening is deleted, what it hid is erased, though the leaf stays.
package commitment

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/musterlog/muster/log/name"
)

// key is Kc, d821f8790d97709796b4d7903357c3f5: a fixed public constant that
// draft-ietf-keytrans-protocol gives for its cipher suites. It makes HMAC a hash
// of its own domain; the secret is the opening inside the message.
var key = [16]byte{
	0xd8, 0x21, 0xf8, 0x79, 0x0d, 0x97, 0x70, 0x97,
	0x96, 0xb4, 0xd7, 0x90, 0x33, 0x57, 0xc3, 0xf5,
}

// Commit is the commitment of section 4, KEYTRANS's CommitmentValue:
//
//	HMAC-SHA256(Kc, opening[16] || label<0..2^8-1> || u32 seq || u32 len || Event)
//
// The event is shorter than 2^32 bytes. The opening is 16 random bytes, drawn for
// this event alone: were it shared, who is shown one event could guess at the other.
func Commit(o name.Opening, l name.Label, seq uint32, event []byte) name.Commitment {
	b := make([]byte, 0, len(o)+1+len(l)+4+4)
	b = append(b, o[:]...)
	b = append(b, byte(len(l)))
	b = append(b, l[:]...)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, uint32(len(event)))

	h := hmac.New(sha256.New, key[:])
	h.Write(b)
	h.Write(event)
	return name.Commitment(h.Sum(nil))
}

var errOpens = errors.New("commitment does not open to this event, label and seq")

// Verify checks that c opens to the event of l at seq.
func Verify(c name.Commitment, o name.Opening, l name.Label, seq uint32, event []byte) error {
	if Commit(o, l, seq, event) != c { // nothing here is secret from who verifies
		return errOpens
	}
	return nil
}
