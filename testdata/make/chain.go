package main

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Histories are drawn as text, an event a line:
//
//	REGISTER phone
//	ADD_DEVICE laptop
//	REMOVE_DEVICE laptop by subject     (default: by primary)
//	OPERATOR_REMOVE laptop
//	CONFIRM
//	REREGISTER phone2 endorsed          (default: not endorsed)
//	ERASE
//
// A word is a key, the same everywhere. Words that begin with "x" are
// Curve25519 keys, the others Ed25519.

const identifier = name.Identifier("+15550000000")

// chain is a history under construction: an honest model that knows what
// events do, and no rules.
type chain struct {
	at   event.Account
	keys map[event.Key]signer
}

// draft is the next event before it is signed; spoilers change it.
type draft struct {
	event.Payload
	after []event.Device // hashed into DevicesHash unless that is set
	roles []event.Role   // who signs, in this order
}

func newChain(history string) *chain {
	c := &chain{at: *event.NewAccount(origin.LogID(), identifier.AccountID()), keys: map[event.Key]signer{}}
	for line := range strings.Lines(history) {
		if line = strings.TrimSpace(line); line != "" {
			c.add(line)
		}
	}
	return c
}

// add appends one honest event.
func (c *chain) add(line string) *event.Event {
	d := c.draft(line)
	e := c.sign(d)
	c.at.Next, c.at.Head = d.Seq+1, sha256.Sum256(append([]byte("muster/v1 event id\x00"), d.Payload.Bytes()...))
	c.at.Generation, c.at.Primary, c.at.Devices = d.Generation, d.Primary, d.after
	switch d.Type {
	case event.Erase:
		c.at.Introduced = nil
	case event.Register, event.Reregister:
		c.introduce(d.Primary)
	case event.AddDevice:
		c.introduce(d.Subject)
	}
	return e
}

func (c *chain) introduce(k event.Key) {
	c.at.Introduced = append(slices.Clone(c.at.Introduced), must(k.Coordinate()))
}

func (c *chain) key(word string) event.Key {
	s := signer{event.KeyEd25519, sha256.Sum256([]byte(word))}
	if strings.HasPrefix(word, "x") {
		s.typ = event.KeyCurve25519
	}
	return c.own(s)
}

// own makes a key that the chain can sign with.
func (c *chain) own(s signer) event.Key {
	k := s.public()
	c.keys[k] = s
	return k
}

func (c *chain) draft(line string) *draft {
	words := strings.Fields(line)
	d := &draft{after: slices.Clone(c.at.Devices), roles: []event.Role{event.Primary}}
	d.Payload = event.Payload{
		Log: c.at.Log, Account: c.at.ID, Generation: c.at.Generation, Seq: c.at.Next,
		Prev: c.at.Head, TimeMs: start + 1000*uint64(c.at.Next), Primary: c.at.Primary,
	}
	switch words[0] {
	case "REGISTER":
		d.Type, d.Primary = event.Register, c.key(words[1])
	case "ADD_DEVICE":
		d.Type, d.Subject, d.KeyIndex = event.AddDevice, c.key(words[1]), d.Seq
		d.after = append(d.after, event.Device{KeyIndex: d.Seq, Key: d.Subject})
		d.roles = []event.Role{event.Primary, event.Subject}
	case "REMOVE_DEVICE", "OPERATOR_REMOVE":
		d.Type, d.Subject = event.RemoveDevice, c.key(words[1])
		if slices.Contains(words, "subject") {
			d.roles = []event.Role{event.Subject}
		}
		if words[0] == "OPERATOR_REMOVE" {
			d.Type, d.roles = event.OperatorRemove, nil
		}
		i := slices.IndexFunc(d.after, func(x event.Device) bool { return x.Key == d.Subject })
		d.KeyIndex = d.after[i].KeyIndex
		d.after = slices.Delete(d.after, i, i+1)
	case "REREGISTER":
		d.Type, d.Primary, d.KeyIndex, d.after = event.Reregister, c.key(words[1]), d.Seq, nil
		d.Generation++
		if slices.Contains(words, "endorsed") {
			d.Subject, d.roles = c.at.Primary, []event.Role{event.Primary, event.Subject}
		}
	case "ERASE":
		d.Type, d.Primary, d.after, d.roles = event.Erase, event.Key{}, nil, nil
	case "CONFIRM":
		d.Type = event.Confirm
	default:
		panic("unknown line " + line)
	}
	return d
}

// sign completes a draft: whatever was spoiled is signed anew, by everyone
// named in roles whose private key exists; others leave zeros.
func (c *chain) sign(d *draft) *event.Event {
	if d.DevicesHash == (name.DevicesHash{}) {
		d.DevicesHash = event.DevicesHash(d.Log, d.Account, d.Generation, d.Primary, d.after)
	}
	e := &event.Event{Payload: d.Payload}
	for _, r := range d.roles {
		k := d.Primary
		if r == event.Subject {
			k = d.Subject
		}
		s := event.Signature{Role: r}
		if private, ok := c.keys[k]; ok {
			s.Bytes = private.sign(e.SignedBytes(r))
		}
		e.Signatures = append(e.Signatures, s)
	}
	return e
}

// state is an account as vectors write it.
type state struct {
	Next        uint32   `json:"next"`
	Generation  uint32   `json:"generation"`
	Head        hexed    `json:"head"`
	Primary     hexed    `json:"primary"`
	Devices     []device `json:"devices"`
	Fill        uint32   `json:"fill,omitempty"` // that many made-up devices
	DevicesHash hexed    `json:"-"`
	Introduced  []hexed  `json:"introduced"`
}

type device struct {
	KeyIndex uint32 `json:"key_index"`
	Key      hexed  `json:"key"`
}

func (c *chain) state() state {
	a := &c.at
	s := state{Next: a.Next, Generation: a.Generation, Head: slices.Clone(a.Head[:]), Primary: raw(a.Primary), Devices: listed(a.Devices), Introduced: []hexed{}}
	if a.Next > 0 {
		h := event.DevicesHash(a.Log, a.ID, a.Generation, a.Primary, a.Devices)
		s.DevicesHash = h[:]
	}
	for _, u := range a.Introduced {
		s.Introduced = append(s.Introduced, u[:])
	}
	return s
}

func raw(k event.Key) hexed {
	if k.IsZero() {
		return hexed{}
	}
	return k[:]
}

func listed(devices []event.Device) []device {
	out := []device{}
	for _, d := range devices {
		out = append(out, device{d.KeyIndex, slices.Clone(d.Key[:])})
	}
	return out
}
