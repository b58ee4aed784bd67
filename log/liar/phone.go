package liar

import (
	"fmt"
	"math/rand/v2"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Phone is an honest account owner with all its keys: it signs what follows
// from its own last event. Its keys follow from its name, so that test data
// can be made again.
type Phone struct {
	Identifier name.Identifier
	At         *event.Account
	KeyType    uint8
	TimeMs     uint64

	Primary    *event.PrivateKey
	Companions map[uint32]*event.PrivateKey // by key_index
	keys       int
}

// NewPhone is an account before its first event.
func NewPhone(origin name.Origin, id name.Identifier, timeMs uint64) *Phone {
	return &Phone{
		Identifier: id, At: event.NewAccount(origin.LogID(), id.AccountID()),
		KeyType: event.KeyEd25519, TimeMs: timeMs, Companions: map[uint32]*event.PrivateKey{},
	}
}

// Account is the phone's account_id.
func (p *Phone) Account() name.AccountID { return p.At.ID }

// NewKey is the phone's next unused key.
func (p *Phone) NewKey() *event.PrivateKey {
	p.keys++
	k, err := event.NewPrivateKey(p.KeyType, Seed("key", string(p.Identifier), fmt.Sprint(p.keys)))
	if err != nil {
		panic(err)
	}
	return k
}

// Draft is the payload that would follow, without devices_hash.
func (p *Phone) Draft(t event.Type) event.Payload {
	p.TimeMs += 1000
	return event.Payload{
		Type: t, Log: p.At.Log, Account: p.At.ID, Generation: p.At.Generation, Seq: p.At.Next,
		Prev: p.At.Head, TimeMs: p.TimeMs, Primary: p.At.Primary,
	}
}

// Sign makes an event of any payload; a nil key leaves its signature out.
func Sign(payload event.Payload, primary, subject *event.PrivateKey) *event.Event {
	e := &event.Event{Payload: payload}
	for role, k := range map[event.Role]*event.PrivateKey{event.Primary: primary, event.Subject: subject} {
		if k == nil {
			continue
		}
		sig, err := k.Sign(payload.SignedBytes(role))
		if err != nil {
			panic(err)
		}
		s := event.Signature{Role: role, Bytes: sig}
		if role == event.Primary {
			e.Signatures = append([]event.Signature{s}, e.Signatures...)
		} else {
			e.Signatures = append(e.Signatures, s)
		}
	}
	return e
}

// commit signs and applies an event of the phone's own.
func (p *Phone) commit(payload event.Payload, devices []event.Device, primary, subject *event.PrivateKey) []byte {
	payload.DevicesHash = event.DevicesHash(payload.Log, payload.Account, payload.Generation, payload.Primary, devices)
	e := Sign(payload, primary, subject)
	if err := p.At.Apply(event.Check(e)); err != nil {
		panic(err)
	}
	return e.Bytes()
}

// Register is the account's first event.
func (p *Phone) Register() []byte {
	p.Primary = p.NewKey()
	e := p.Draft(event.Register)
	e.Primary = p.Primary.Public()
	return p.commit(e, nil, p.Primary, nil)
}

// Add links a new companion.
func (p *Phone) Add() []byte {
	k := p.NewKey()
	e := p.Draft(event.AddDevice)
	e.KeyIndex, e.Subject = e.Seq, k.Public()
	p.Companions[e.Seq] = k
	return p.commit(e, append(p.At.Clone().Devices, event.Device{KeyIndex: e.Seq, Key: e.Subject}), p.Primary, k)
}

// Remove unlinks a companion by the primary; LogOut is the companion's own doing.
func (p *Phone) Remove(keyIndex uint32) []byte {
	return p.remove(event.RemoveDevice, keyIndex, p.Primary, nil)
}

// LogOut is a removal that the device signs itself.
func (p *Phone) LogOut(keyIndex uint32) []byte {
	return p.remove(event.RemoveDevice, keyIndex, nil, p.Companions[keyIndex])
}

// OperatorRemove is a removal that nobody signs.
func (p *Phone) OperatorRemove(keyIndex uint32) []byte {
	return p.remove(event.OperatorRemove, keyIndex, nil, nil)
}

func (p *Phone) remove(t event.Type, keyIndex uint32, primary, subject *event.PrivateKey) []byte {
	e := p.Draft(t)
	var after []event.Device
	for _, d := range p.At.Devices {
		if d.KeyIndex == keyIndex {
			e.KeyIndex, e.Subject = d.KeyIndex, d.Key
		} else {
			after = append(after, d)
		}
	}
	return p.commit(e, after, primary, subject)
}

// Reregister takes a new primary key, endorsed by the old one or not.
func (p *Phone) Reregister(endorse bool) []byte {
	old := p.Primary
	p.Primary = p.NewKey()
	e := p.Draft(event.Reregister)
	e.Generation++
	e.KeyIndex, e.Primary = e.Seq, p.Primary.Public()
	if !endorse {
		return p.commit(e, nil, p.Primary, nil)
	}
	e.Subject = old.Public()
	return p.commit(e, nil, p.Primary, old)
}

// Confirm signs the list anew.
func (p *Phone) Confirm() []byte {
	return p.commit(p.Draft(event.Confirm), p.At.Devices, p.Primary, nil)
}

// Any is the account's next event, of any kind that an owner signs.
func (p *Phone) Any(rng *rand.Rand) []byte {
	devices := p.At.Devices
	switch n := rng.IntN(10); {
	case p.At.Next == 0:
		return p.Register()
	case n == 0:
		return p.Reregister(rng.IntN(2) == 0)
	case n < 3:
		return p.Confirm()
	case n < 6 && len(devices) > 0 || len(devices) > 4:
		return p.Remove(devices[rng.IntN(len(devices))].KeyIndex)
	}
	return p.Add()
}

// Erase is the operator's deletion of everything.
func (p *Phone) Erase() []byte {
	e := p.Draft(event.Erase)
	e.Primary = event.Key{}
	return p.commit(e, nil, nil, nil)
}
