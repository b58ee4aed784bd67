// Package name holds the names of muster: what a log, an account and each
// hash is called, and the one form in which each of them is written. Every
// format may import it; it imports none of them.
//
// The messaging service calls an account by its identifier, for example a
// phone number. The log never sees that: it knows only the account_id, a hash.
package name

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// The 32-byte names and hashes, one type for each meaning, so that the
// compiler refuses a root of one tree where another one's is due.
type (
	LogID       [32]byte // H(origin): names one log for ever (section 1)
	AccountID   [32]byte // names one account in every log (section 1)
	EventID     [32]byte // names one account event; signatures excluded (section 3)
	DevicesHash [32]byte // commits to a device list (section 3)
	Index       [32]byte // VRF output: where (account, seq) lies in the prefix tree (section 4)
	Commitment  [32]byte // hides an event until it is opened (section 4)
	Value       [32]byte // what the prefix tree holds for an index (section 4)
	PrefixRoot  [32]byte // root of the prefix tree (section 4)
	TreeRoot    [32]byte // root of the log's RFC 6962 tree
)

// Opening is the random key of one commitment; deleting it erases the content.
type Opening [16]byte

// Label is what the VRF is evaluated on, with a seq: 01 || account_id. The
// first byte leaves room for other labels, such as aliases.
type Label [33]byte

const (
	maxOrigin     = 255 // an origin travels behind a one-byte length
	maxIdentifier = 256 // covers E.164, UUID, e-mail addresses and URIs
)

// Origin is the one name of a log: its checkpoints' origin line, its key name
// and the origin in its GENESIS leaf, all equal (section 1).
type Origin string

// ParseOrigin accepts 1..255 bytes, each 21..7E hex, without "+", that do not
// begin with "muster/" (which would meet muster's own labels).
func ParseOrigin(s string) (Origin, error) {
	if len(s) == 0 || len(s) > maxOrigin {
		return "", fmt.Errorf("origin of %d bytes: want 1 to %d", len(s), maxOrigin)
	}
	if !visible(s) || strings.Contains(s, "+") {
		return "", fmt.Errorf("origin %q: want visible ASCII without spaces and without \"+\", such as keys.example.org/log1", s)
	}
	if strings.HasPrefix(s, "muster/") {
		return "", fmt.Errorf("origin %q: must not begin with \"muster/\"", s)
	}
	return Origin(s), nil
}

// LogID is H(origin).
func (o Origin) LogID() LogID { return sha256.Sum256([]byte(o)) }

// Identifier is an account as its messaging service names it.
type Identifier string

// ParseIdentifier accepts 1..256 bytes, each 21..7E hex. It never normalises:
// two spellings are two accounts, so a service settles on one (section 1).
func ParseIdentifier(s string) (Identifier, error) {
	if len(s) == 0 || len(s) > maxIdentifier {
		return "", fmt.Errorf("identifier of %d bytes: want 1 to %d", len(s), maxIdentifier)
	}
	if !visible(s) {
		return "", fmt.Errorf("identifier %q: want visible ASCII without spaces, such as +15550000000", s)
	}
	return Identifier(s), nil
}

// AccountID is H("muster/v1 account" 00 || identifier): a pseudonym, not a
// secret, since a phone number falls to trial.
func (i Identifier) AccountID() AccountID {
	return sha256.Sum256([]byte("muster/v1 account\x00" + string(i)))
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// Label is 01 || account_id.
func (a AccountID) Label() (l Label) {
	l[0] = 1
	copy(l[1:], a[:])
	return l
}

// VRFInput is alpha of section 4, the KEYTRANS VrfInput: label<0..2^8-1> || u32 seq.
func (l Label) VRFInput(seq uint32) []byte {
	b := append([]byte{byte(len(l))}, l[:]...)
	return binary.BigEndian.AppendUint32(b, seq)
}

func (h LogID) String() string       { return hex.EncodeToString(h[:]) }
func (h AccountID) String() string   { return hex.EncodeToString(h[:]) }
func (h EventID) String() string     { return hex.EncodeToString(h[:]) }
func (h DevicesHash) String() string { return hex.EncodeToString(h[:]) }
func (h Index) String() string       { return hex.EncodeToString(h[:]) }
func (h Commitment) String() string  { return hex.EncodeToString(h[:]) }
func (h Value) String() string       { return hex.EncodeToString(h[:]) }
func (h PrefixRoot) String() string  { return hex.EncodeToString(h[:]) }
func (h TreeRoot) String() string    { return hex.EncodeToString(h[:]) }
