package verifier

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/name"
)

// Tag is what a client puts into the encrypted messages that it sends: where
// it stands, for its own account (protocol section 10.3). Two people who
// write to each other so find out whether the log shows both the same, at 49
// bytes a message and without asking anybody. The message authenticates it.
type Tag struct {
	Generation uint32 // of the sender's account
	Seq        uint32 // of its newest event that the sender has verified
	Event      Prefix // of that event's event_id
	Size       uint64 // of the checkpoint that the sender holds, at least 2
	Root       Prefix // of its root
}

// Prefix is the first half of a hash. A quarter would do against chance, but
// not against an operator: who chooses both views looks for two that agree in
// so many bits, which costs half of them.
type Prefix [16]byte

const (
	tagVersion = 1

	// TagSize is the length of a Tag's bytes.
	TagSize = 1 + 4 + 4 + len(Prefix{}) + 8 + len(Prefix{})
)

func prefixOf[T ~[32]byte](h T) Prefix { return Prefix(h[:len(Prefix{})]) }

// Tag is what a client says of its own account. The state must hold it.
func (s *State) Tag(own name.AccountID) (Tag, error) {
	a := s.Account(own)
	if a == nil {
		return Tag{}, fmt.Errorf("making a message tag: account %s is not in this client's state: look it up first", own)
	}
	note, err := s.checkpoint()
	if err != nil {
		return Tag{}, fmt.Errorf("making a message tag: %w", err)
	}
	return Tag{
		Generation: a.Generation, Seq: a.Seq, Event: prefixOf(a.Event),
		Size: note.Size, Root: prefixOf(note.Root),
	}, nil
}

// Bytes is
//
//	u8 version = 1 || u32 generation || u32 seq || event_id[:16] || u64 size || root[:16]
func (t Tag) Bytes() []byte {
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, TagSize))
	b.AddUint8(tagVersion)
	b.AddUint32(t.Generation)
	b.AddUint32(t.Seq)
	b.AddBytes(t.Event[:])
	b.AddUint64(t.Size)
	b.AddBytes(t.Root[:])
	return b.BytesOrPanic()
}

var errTag = errors.New("malformed message tag")

// ParseTag reads a tag; it checks the form alone. A tag of another version is
// an error that says so: the application tells it apart from no tag at all.
func ParseTag(data []byte) (Tag, error) {
	var t Tag
	var version uint8
	s := cryptobyte.String(data)
	if !s.ReadUint8(&version) {
		return Tag{}, fmt.Errorf("%w: empty", errTag)
	}
	if version != tagVersion {
		return Tag{}, fmt.Errorf("%w: version %d, this client reads %d", errTag, version, tagVersion)
	}
	if !s.ReadUint32(&t.Generation) || !s.ReadUint32(&t.Seq) || !s.CopyBytes(t.Event[:]) ||
		!s.ReadUint64(&t.Size) || !s.CopyBytes(t.Root[:]) || !s.Empty() {
		return Tag{}, fmt.Errorf("%w: %d bytes, want %d", errTag, len(data), TagSize)
	}
	if t.Size < 2 || t.Size >= 1<<63 || t.Seq == 1<<32-1 {
		return Tag{}, fmt.Errorf("%w: seq %d under %d leaves, which no log has", errTag, t.Seq, t.Size)
	}
	return t, nil
}
