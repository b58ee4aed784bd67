package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// The values of rows. Each has one encoding, and decoding refuses every other:
// the engine's checksums find a damaged block, this finds a row that was
// written wrongly or belongs elsewhere.

var errForm = errors.New("malformed value")

// u64 size | u64 epochs | u64 keys | u64 time_ms | u64 first
func encodeState(s store.State) []byte {
	b := make([]byte, 0, 40)
	for _, n := range []uint64{s.Size, s.Epochs, s.Keys, s.TimeMs, s.First} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func decodeState(value []byte) (st store.State, err error) {
	s := cryptobyte.String(value)
	if !s.ReadUint64(&st.Size) || !s.ReadUint64(&st.Epochs) || !s.ReadUint64(&st.Keys) ||
		!s.ReadUint64(&st.TimeMs) || !s.ReadUint64(&st.First) || !s.Empty() {
		return st, wrongLength("state", value, 40)
	}
	return st, nil
}

// u64 previous | account[32] | u32 seq | opening[16] | u32 anchor | u32 erase | u8 n | n times u32 key_index |
// u8 form | u16 len | body
//
// The position is in the key. Once erased, opening is zero and body is empty. A body
// of form short lacks the names that stand in it.
func (n names) encodeEvent(e *store.Event) ([]byte, error) {
	if len(e.Live) > maxLive {
		return nil, fmt.Errorf("event with %d live devices, want at most %d", len(e.Live), maxLive)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 72+4*len(e.Live)+len(e.Body)))
	b.AddUint64(e.Previous)
	b.AddBytes(e.Account[:])
	b.AddUint32(e.Seq)
	b.AddBytes(e.Opening[:])
	b.AddUint32(e.Anchor)
	b.AddUint32(e.Erase)
	b.AddUint8(uint8(len(e.Live)))
	for _, i := range e.Live {
		b.AddUint32(i)
	}
	form := n.formOf(e)
	b.AddUint8(form)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		if form == formWhole {
			b.AddBytes(e.Body)
			return
		}
		b.AddBytes(e.Body[:namesAt])
		b.AddBytes(e.Body[namesEnd:])
	})
	return b.Bytes()
}

func (n names) decodeEvent(position uint64, value []byte) (*store.Event, error) {
	e := &store.Event{Position: position}
	s := cryptobyte.String(value)
	var live, form uint8
	var body cryptobyte.String
	if !s.ReadUint64(&e.Previous) || !s.CopyBytes(e.Account[:]) || !s.ReadUint32(&e.Seq) || !s.CopyBytes(e.Opening[:]) ||
		!s.ReadUint32(&e.Anchor) || !s.ReadUint32(&e.Erase) || !s.ReadUint8(&live) {
		return nil, fmt.Errorf("%w: event of %d bytes", errForm, len(value))
	}
	if live > 0 {
		e.Live = make([]uint32, live)
	}
	for i := range e.Live {
		if !s.ReadUint32(&e.Live[i]) {
			return nil, fmt.Errorf("%w: event with fewer live devices than the %d it names", errForm, live)
		}
	}
	if !s.ReadUint8(&form) || !s.ReadUint16LengthPrefixed(&body) || !s.Empty() {
		return nil, fmt.Errorf("%w: event whose body has another length than it says", errForm)
	}
	// value is gone after the read, so the body is copied.
	switch {
	case form == formShort && len(body) >= namesAt:
		e.Body = slices.Concat(body[:namesAt], n.log[:], e.Account[:], body[namesAt:])
	case form == formWhole && len(body) > 0:
		e.Body = slices.Clone([]byte(body))
	}
	if form != n.formOf(e) {
		return nil, fmt.Errorf("%w: event with a body of form %d, want %d", errForm, form, n.formOf(e))
	}
	return e, nil
}

// u8 form | log[32], unless form is short | u32 next | u32 generation | head[32] | primary | u8 n | n devices |
// u32 n | n times u[32] | u64 position | u32 anchor | u32 erase
//
// with key = u8 len | len bytes (0 or 33), device = u32 key_index | key[33].
// The account's name is in the key.
func (n names) encodeAccount(a *store.Account) ([]byte, error) {
	if len(a.Devices) > maxLive {
		return nil, fmt.Errorf("account with %d devices, want at most %d", len(a.Devices), maxLive)
	}
	if _, err := event.ParseKey(a.Primary[:]); err != nil && !a.Primary.IsZero() {
		return nil, fmt.Errorf("primary: %w", err)
	}
	for i := range a.Devices {
		if _, err := event.ParseKey(a.Devices[i].Key[:]); err != nil {
			return nil, fmt.Errorf("device %d: %w", a.Devices[i].KeyIndex, err)
		}
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 128+37*len(a.Devices)+32*len(a.Introduced)))
	if a.Log == n.log {
		b.AddUint8(formShort)
	} else {
		b.AddUint8(formWhole)
		b.AddBytes(a.Log[:])
	}
	b.AddUint32(a.Next)
	b.AddUint32(a.Generation)
	b.AddBytes(a.Head[:])
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) {
		if !a.Primary.IsZero() {
			b.AddBytes(a.Primary[:])
		}
	})
	b.AddUint8(uint8(len(a.Devices)))
	for i := range a.Devices {
		b.AddUint32(a.Devices[i].KeyIndex)
		b.AddBytes(a.Devices[i].Key[:])
	}
	b.AddUint32(uint32(len(a.Introduced)))
	for i := range a.Introduced {
		b.AddBytes(a.Introduced[i][:])
	}
	b.AddUint64(a.Position)
	b.AddUint32(a.Anchor)
	b.AddUint32(a.Erase)
	return b.Bytes()
}

func (n names) decodeAccount(id name.AccountID, value []byte) (*store.Account, error) {
	a := new(store.Account)
	a.ID = id
	s := cryptobyte.String(value)
	var primary cryptobyte.String
	var form, devices uint8
	var introduced uint32
	if !s.ReadUint8(&form) || form > formShort || (form == formWhole && (!s.CopyBytes(a.Log[:]) || a.Log == n.log)) {
		return nil, fmt.Errorf("%w: account of another form", errForm)
	}
	if form == formShort {
		a.Log = n.log
	}
	if !s.ReadUint32(&a.Next) || !s.ReadUint32(&a.Generation) || !s.CopyBytes(a.Head[:]) ||
		!s.ReadUint8LengthPrefixed(&primary) || !s.ReadUint8(&devices) {
		return nil, fmt.Errorf("%w: account of %d bytes", errForm, len(value))
	}
	if len(primary) > 0 {
		var err error
		if a.Primary, err = event.ParseKey(primary); err != nil {
			return nil, fmt.Errorf("%w: account's primary: %w", errForm, err)
		}
	}
	if devices > 0 {
		a.Devices = make([]event.Device, devices)
	}
	for i := range a.Devices {
		var k []byte
		if !s.ReadUint32(&a.Devices[i].KeyIndex) || !s.ReadBytes(&k, event.KeySize) {
			return nil, fmt.Errorf("%w: account with fewer devices than the %d it names", errForm, devices)
		}
		var err error
		if a.Devices[i].Key, err = event.ParseKey(k); err != nil {
			return nil, fmt.Errorf("%w: device of an account: %w", errForm, err)
		}
	}
	// Compared with what is there before anything is allocated for it.
	if !s.ReadUint32(&introduced) || uint64(len(s)) != 32*uint64(introduced)+16 {
		return nil, fmt.Errorf("%w: account with another number of introduced keys than the %d it names", errForm, introduced)
	}
	if introduced > 0 {
		a.Introduced = make([][32]byte, introduced)
	}
	for i := range a.Introduced {
		s.CopyBytes(a.Introduced[i][:])
	}
	s.ReadUint64(&a.Position)
	s.ReadUint32(&a.Anchor)
	s.ReadUint32(&a.Erase)
	return a, nil
}

// account[32] | u32 seq | opening[16] | u64 merge_by | u16 len | body
func encodePending(p *store.Pending) ([]byte, error) {
	if len(p.Body) == 0 {
		return nil, errors.New("reserved event without a body")
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 62+len(p.Body)))
	b.AddBytes(p.Account[:])
	b.AddUint32(p.Seq)
	b.AddBytes(p.Opening[:])
	b.AddUint64(p.MergeBy)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Body) })
	return b.Bytes()
}

func decodePending(value []byte) (*store.Pending, error) {
	p := new(store.Pending)
	s := cryptobyte.String(value)
	var body cryptobyte.String
	if !s.CopyBytes(p.Account[:]) || !s.ReadUint32(&p.Seq) || !s.CopyBytes(p.Opening[:]) || !s.ReadUint64(&p.MergeBy) ||
		!s.ReadUint16LengthPrefixed(&body) || !s.Empty() || len(body) == 0 {
		return nil, fmt.Errorf("%w: reserved event of %d bytes", errForm, len(value))
	}
	p.Body = append([]byte(nil), body...) // value is gone after the read
	return p, nil
}

// hash[32] | u64 position
func encodePrefix(l *prefix.Leaf) []byte {
	return appendPrefix(make([]byte, 0, 40), l)
}

func appendPrefix(b []byte, l *prefix.Leaf) []byte {
	return binary.BigEndian.AppendUint64(append(b, l.Hash[:]...), l.Position)
}

func decodePrefix(k key, value []byte) (l prefix.Leaf, err error) {
	if len(k) != 1+len(l.Index) {
		return l, fmt.Errorf("key of %d bytes, want %d", len(k), 1+len(l.Index))
	}
	copy(l.Index[:], k[1:])
	s := cryptobyte.String(value)
	if !s.CopyBytes(l.Hash[:]) || !s.ReadUint64(&l.Position) || !s.Empty() {
		return l, wrongLength("prefix leaf", value, 40)
	}
	return l, nil
}

// each: u8 seq - first seq of the group | VRF proof[80] | index[32]
//
// Ascending by seq, at least one.
const proofBytes = 1 + 80 + 32

func encodeProofs(group uint32, proofs []store.Proof) ([]byte, error) {
	b := make([]byte, 0, len(proofs)*proofBytes)
	for i := range proofs {
		p := &proofs[i]
		if p.Seq/store.ProofGroup != group || (i > 0 && p.Seq <= proofs[i-1].Seq) {
			return nil, fmt.Errorf("proof of seq %d, want those of group %d by rising seq", p.Seq, group)
		}
		b = append(append(append(b, byte(p.Seq%store.ProofGroup)), p.Proof[:]...), p.Index[:]...)
	}
	if len(b) == 0 {
		return nil, errors.New("no proof in the group")
	}
	return b, nil
}

func decodeProofs(group uint32, value []byte) ([]store.Proof, error) {
	n := len(value) / proofBytes
	if n == 0 || n > store.ProofGroup || len(value)%proofBytes != 0 {
		return nil, wrongLength("VRF proofs", value, max(1, n)*proofBytes)
	}
	proofs := make([]store.Proof, n)
	for i := range proofs {
		p, b := &proofs[i], value[i*proofBytes:(i+1)*proofBytes]
		if b[0] >= store.ProofGroup || (i > 0 && b[0] <= value[(i-1)*proofBytes]) {
			return nil, fmt.Errorf("%w: VRF proofs out of order", errForm)
		}
		p.Seq = group*store.ProofGroup + uint32(b[0])
		copy(p.Index[:], b[1+copy(p.Proof[:], b[1:]):])
	}
	return proofs, nil
}

func wrongLength(what string, value []byte, want int) error {
	return fmt.Errorf("%w: %s of %d bytes, want %d", errForm, what, len(value), want)
}
