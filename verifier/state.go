package verifier

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
)

// State is what a client has accepted of one log, and the root of all it will
// accept: protected like a key, since who rolls it back can show an old view.
// Its bytes are the same in every implementation (protocol section 6).
type State struct {
	Origin   name.Origin
	LogKey   string   // the log's vkey
	VRFKey   [32]byte // from GENESIS
	Sealed   bool     // the log has ended and never grows again
	Note     []byte   // the last accepted signed checkpoint, verbatim
	Accounts []Account
}

// Account is what a client has accepted of one account.
type Account struct {
	ID         name.AccountID
	Seq        uint32 // the newest accepted
	Event      name.EventID
	Value      name.Value // what the prefix tree holds for it, for ever
	Position   uint64
	Generation uint32
	Primary    event.Key      // zero: erased
	Devices    []event.Device // ascending key_index
}

const stateVersion = 1

// checkpoint is what the state's note says; ParseState has read it before.
func (s *State) checkpoint() (checkpoint.Checkpoint, error) {
	note, err := checkpoint.Parse(s.Note)
	if err != nil {
		return checkpoint.Checkpoint{}, fmt.Errorf("%w: %w", errState, err)
	}
	return note.Checkpoint, nil
}

// Account finds an account; nil if nothing of it was accepted yet.
func (s *State) Account(id name.AccountID) *Account {
	if s == nil {
		return nil
	}
	i, ok := s.find(id)
	if !ok {
		return nil
	}
	return &s.Accounts[i]
}

func (s *State) find(id name.AccountID) (int, bool) {
	return slices.BinarySearchFunc(s.Accounts, id, func(a Account, id name.AccountID) int {
		return bytes.Compare(a.ID[:], id[:])
	})
}

// Put adds or replaces an account.
func (s *State) Put(a Account) {
	i, ok := s.find(a.ID)
	if ok {
		s.Accounts[i] = a
		return
	}
	s.Accounts = slices.Insert(s.Accounts, i, a)
}

// Merge is s with the accounts that only older has: how a store that handed
// out a few accounts takes them back.
func (s *State) Merge(older *State) *State {
	if older == nil {
		return s
	}
	merged := *s
	merged.Accounts = slices.Clone(older.Accounts)
	for _, a := range s.Accounts {
		merged.Put(a)
	}
	return &merged
}

// Restrict is s with the named accounts alone.
func (s *State) Restrict(accounts []name.AccountID) *State {
	if s == nil {
		return nil
	}
	part := *s
	part.Accounts = nil
	for _, id := range accounts {
		if a := s.Account(id); a != nil {
			part.Put(*a)
		}
	}
	return &part
}

// Bytes is section 6's State.
func (s *State) Bytes() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16(stateVersion)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.Origin)) })
	add16(b, []byte(s.LogKey))
	b.AddBytes(s.VRFKey[:])
	if s.Sealed {
		b.AddUint8(1)
	} else {
		b.AddUint8(0)
	}
	add16(b, s.Note)
	b.AddUint32LengthPrefixed(func(b *cryptobyte.Builder) {
		for i := range s.Accounts {
			s.Accounts[i].add(b)
		}
	})
	return b.Bytes()
}

func (a *Account) add(b *cryptobyte.Builder) {
	b.AddBytes(a.ID[:])
	b.AddUint32(a.Seq)
	b.AddBytes(a.Event[:])
	b.AddBytes(a.Value[:])
	b.AddUint64(a.Position)
	b.AddUint32(a.Generation)
	if a.Primary.IsZero() {
		b.AddUint16(0)
	} else {
		add16(b, a.Primary[:])
	}
	event.AddDevices(b, a.Devices)
}

func add16(b *cryptobyte.Builder, data []byte) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(data) })
}

var errState = errors.New("damaged client state")

// ParseState reads a state; an error means that it is damaged, and that
// starting over would trust the log on first use again.
func ParseState(data []byte) (*State, error) {
	str := cryptobyte.String(data)
	s := new(State)
	var version uint16
	var sealed uint8
	var length uint32
	var origin, vkey, note, list cryptobyte.String
	if !str.ReadUint16(&version) || version != stateVersion {
		return nil, fmt.Errorf("%w: version %d, this client reads %d", errState, version, stateVersion)
	}
	if !str.ReadUint8LengthPrefixed(&origin) || !str.ReadUint16LengthPrefixed(&vkey) || !str.CopyBytes(s.VRFKey[:]) ||
		!str.ReadUint8(&sealed) || sealed > 1 || !str.ReadUint16LengthPrefixed(&note) ||
		!str.ReadUint32(&length) || uint64(length) != uint64(len(str)) {
		return nil, fmt.Errorf("%w: cut short or bytes follow", errState)
	}
	list = str
	var err error
	if s.Origin, err = name.ParseOrigin(string(origin)); err != nil {
		return nil, fmt.Errorf("%w: %w", errState, err)
	}
	s.LogKey, s.Sealed, s.Note = string(vkey), sealed == 1, bytes.Clone(note)
	size, err := s.check()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errState, err)
	}
	for !list.Empty() {
		a, err := readAccount(&list, size)
		if err != nil {
			return nil, err
		}
		if n := len(s.Accounts); n > 0 && bytes.Compare(s.Accounts[n-1].ID[:], a.ID[:]) >= 0 {
			return nil, fmt.Errorf("%w: accounts are not in ascending order", errState)
		}
		s.Accounts = append(s.Accounts, a)
	}
	return s, nil
}

// check holds the state's parts against each other; it gives the size of the
// checkpoint. A checkpoint of size 0 would be extended by any other.
func (s *State) check() (size uint64, err error) {
	key, err := checkpoint.ParseKey(s.LogKey)
	if err != nil {
		return 0, err
	}
	note, err := checkpoint.Parse(s.Note)
	if err != nil {
		return 0, err
	}
	if key.Type != checkpoint.Ed25519 || key.Name != string(s.Origin) || note.Origin != s.Origin || note.Size < 2 {
		return 0, fmt.Errorf("origin %q, key %s and a checkpoint of %q with %d leaves do not fit", s.Origin, key, note.Origin, note.Size)
	}
	_, err = vrf.ParsePublicKey(s.VRFKey)
	return note.Size, err
}

// readAccount reads an account of a log of size leaves.
func readAccount(s *cryptobyte.String, size uint64) (a Account, err error) {
	var primary cryptobyte.String
	if !s.CopyBytes(a.ID[:]) || !s.ReadUint32(&a.Seq) || !s.CopyBytes(a.Event[:]) || !s.CopyBytes(a.Value[:]) ||
		!s.ReadUint64(&a.Position) || !s.ReadUint32(&a.Generation) ||
		!s.ReadUint16LengthPrefixed(&primary) {
		return a, fmt.Errorf("%w: an account is cut short", errState)
	}
	if len(primary) > 0 {
		if a.Primary, err = event.ParseKey(primary); err != nil {
			return a, fmt.Errorf("%w: %w", errState, err)
		}
	}
	if a.Devices, err = event.ReadDevices(s); err != nil {
		return a, fmt.Errorf("%w: %w", errState, err)
	}
	for i, d := range a.Devices {
		if i > 0 && a.Devices[i-1].KeyIndex >= d.KeyIndex {
			return a, fmt.Errorf("%w: devices are not in ascending order", errState)
		}
		if d.KeyIndex == 0 || d.KeyIndex > a.Seq || i == event.MaxDevices || a.Primary.IsZero() {
			return a, fmt.Errorf("%w: a device that no account of seq %d can have", errState, a.Seq)
		}
	}
	if a.Seq == 1<<32-1 || a.Position == 0 || a.Position >= size-1 {
		return a, fmt.Errorf("%w: seq %d at position %d of %d leaves", errState, a.Seq, a.Position, size)
	}
	return a, nil
}
