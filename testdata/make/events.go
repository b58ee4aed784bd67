package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/musterlog/muster/log/event"
)

type eventFile struct {
	Origin    string          `json:"origin"`
	LogID     hexed           `json:"log_id"`
	Account   string          `json:"identifier"`
	AccountID hexed           `json:"account_id"`
	Keys      []keyCase       `json:"keys"`
	Replayed  []replayed      `json:"replayed"`
	States    []named         `json:"states"`
	Structure []structureCase `json:"structure"`
	Refused   []refusedEvent  `json:"refused"`
	Anchors   []anchorCase    `json:"anchors"`
}

// keyCase is a key and its admission.
type keyCase struct {
	Name  string `json:"name"`
	Why   string `json:"why,omitempty"`
	Key   hexed  `json:"key"`
	Admit bool   `json:"admit"`
	U     hexed  `json:"u"` // empty: none
}

// replayed is an event that follows the one before it, or begins an account.
type replayed struct {
	Account     string   `json:"account"`
	Line        string   `json:"line"`
	Event       based    `json:"event"`
	EventID     hexed    `json:"event_id"`
	Generation  uint32   `json:"generation"`
	Primary     hexed    `json:"primary"`
	Devices     []device `json:"devices"`
	DevicesHash hexed    `json:"devices_hash"`
}

// named is a state that refused events meet.
type named struct {
	Name  string `json:"name"`
	State state  `json:"state"`
}

// structureCase is bytes that no account is needed to refuse.
type structureCase struct {
	Name  string     `json:"name"`
	Why   string     `json:"why"`
	Event based      `json:"event"`
	Rule  event.Rule `json:"rule"`
}

type refusedEvent struct {
	Name   string     `json:"name"`
	Rule   event.Rule `json:"why"`
	Before string     `json:"before"`
	Event  based      `json:"event"`
}

type anchorCase struct {
	Name    string     `json:"name"`
	Rule    event.Rule `json:"why,omitempty"`
	Seq     uint32     `json:"seq"`
	Event   based      `json:"event"`
	Devices []device   `json:"devices"`
	Keys    []hexed    `json:"introduced,omitempty"`
}

func events() (f eventFile) {
	log, account := origin.LogID(), identifier.AccountID()
	f.Origin, f.LogID, f.Account, f.AccountID = string(origin), log[:], string(identifier), account[:]
	for _, c := range []struct{ name, history string }{
		{"all types, both key types", "REGISTER phone\nADD_DEVICE laptop\nADD_DEVICE xtablet\nADD_DEVICE tv\nREMOVE_DEVICE laptop\nCONFIRM\nADD_DEVICE radio\nREMOVE_DEVICE xtablet by subject\n" +
			"OPERATOR_REMOVE tv\nREREGISTER xphone2\nADD_DEVICE xlaptop2\nREMOVE_DEVICE xlaptop2\nCONFIRM\nREREGISTER phone3 endorsed\nERASE\nREREGISTER xphone4\nADD_DEVICE laptop4\n"},
		{"keys return after ERASE", linked + "ERASE\nREREGISTER laptop\nADD_DEVICE phone\nERASE\nREREGISTER phone\n"},
	} {
		c2, real := newChain(""), event.NewAccount(log, account)
		for line := range strings.Lines(c.history) {
			e := c2.add(strings.TrimSpace(line))
			err := real.Apply(event.Check(e))
			agree(err == nil, "%s: %s: %v", c.name, line, err)
			after := c2.state()
			f.Replayed = append(f.Replayed, replayed{c.name, strings.TrimSpace(line), e.Bytes(), after.Head, after.Generation, after.Primary, after.Devices, after.DevicesHash})
		}
	}
	f.keys()
	f.structure()
	f.refusals()
	f.anchors()
	return f
}

func (f *eventFile) refuseBytes(label, why string, rule event.Rule, data []byte) {
	_, err := event.Parse(data)
	agree(ruleOf(err) == rule, "event %q: %v, want %s", label, err, rule)
	f.Structure = append(f.Structure, structureCase{label, why, data, rule})
}

func ruleOf(err error) event.Rule {
	var e *event.Error
	if errors.As(err, &e) {
		return e.Rule
	}
	return ""
}

// The places of fields in an Event with two keys of 33 bytes.
const (
	atPrimary = 1 + 32 + 32 + 4 + 4 + 32 + 8 + 4 // of its length
	atSubject = atPrimary + 2 + 33
	atList    = atSubject + 2 + 33 + 32 // of signatures: of its length
	atRole0   = atList + 2
	atRole1   = atRole0 + 1 + 2 + 64
)

func (f *eventFile) structure() {
	c := newChain(linked)
	good := c.sign(c.draft("ADD_DEVICE tv")).Bytes()
	one := c.sign(c.draft("CONFIRM")).Bytes() // no subject, one signature
	set := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	insert := func(b []byte, at int, v ...byte) []byte { return append(append(bytes.Clone(b[:at]), v...), b[at:]...) }
	cut := func(b []byte, from, to int) []byte { return append(bytes.Clone(b[:from]), b[to:]...) }
	length := func(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
	bad := func(label, why string, data []byte) { f.refuseBytes(label, why, event.RuleStructure, data) }

	bad("no bytes", "an event begins with its type", nil)
	bad("cut short by a byte", "a length goes beyond the end", good[:len(good)-1])
	bad("without signatures", "the list's length is missing", good[:atList])
	bad("a byte too many", "bytes after the end", insert(good, len(good), 0))
	bad("type 0", "types are 1 to 15", set(good, 0, 0))
	bad("type 16", "types are 1 to 15", set(good, 0, 16))
	bad("primary of type 0", "key types are 1 and 5", set(good, atPrimary+2, 0))
	bad("subject of type 2", "key types are 1 and 5", set(good, atSubject+2, 2))
	bad("primary of 32 bytes", "a key has 33 bytes", set(cut(good, atPrimary+34, atPrimary+35), atPrimary, length(32)...))
	bad("primary of 34 bytes", "a key has 33 bytes", set(insert(good, atPrimary+35, 0), atPrimary, length(34)...))
	bad("subject of one byte", "a key has 33 bytes", set(insert(one, atSubject+2, 1), atSubject, length(1)...))
	bad("primary longer than the event", "a length goes beyond the end", set(good, atPrimary, length(0xffff)...))
	bad("signatures longer than the event", "a length goes beyond the end", set(good, atList, length(2*67+1)...))
	bad("half a signature", "ends inside a signature", set(good[:len(good)-10], atList, length(2*67-10)...))
	bad("role 2", "roles are 0 and 1", set(good, atRole1, 2))
	bad("roles descend", "roles ascend strictly", set(set(good, atRole0, 1), atRole1, 0))
	bad("role 0 twice", "roles ascend strictly", set(good, atRole1, 0))
	bad("signature of 65 bytes", "a signature has 64 bytes", set(set(insert(good, len(good), 0), atRole1+1, length(65)...), atList, length(2*67+1)...))
	bad("empty signature", "a signature has 64 bytes", set(set(good[:atRole1+3], atRole1+1, length(0)...), atList, length(67+3)...))
	bad("reserved type, a byte too many", "bytes after the end, before the type is looked at", insert(set(good, 0, 8), len(good), 0))
	bad("reserved type, half a signature", "ends inside a signature", set(set(good[:len(good)-10], 0, 8), atList, length(2*67-10)...))

	newer := func(label string, data []byte) {
		f.refuseBytes(label, "types 8 to 15 are reserved: nothing more is judged", event.RuleNewer, data)
	}
	newer("type 8", set(good, 0, 8))
	newer("type 15", set(good, 0, 15))
	newer("type 8, keys of another length", set(insert(set(good, 0, 8), atPrimary+35, 0), atPrimary, length(34)...))
	newer("type 9, a signature of another length and role", set(set(good[:atRole1+3], 0, 9), atList, append(length(67+3), append(good[atRole0:atRole1], 7, 0, 0)...)...))
}
