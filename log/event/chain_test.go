package event_test

import (
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

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
// A word is a key, the same in every test. Words that begin with "x" are
// Curve25519 keys, the others Ed25519.

var (
	testLog     = name.Origin("keys.example.org/log1").LogID()
	testAccount = name.Identifier("+15550000000").AccountID()
)

// chain is a history under construction: an honest model that knows no rules.
type chain struct {
	t    *testing.T
	at   *event.Account
	keys map[event.Key]*event.PrivateKey
}

// draft is the next event before it is signed; tests spoil it.
type draft struct {
	event.Payload
	after []event.Device // hashed into DevicesHash unless that is set
	roles []event.Role   // who signs
}

func newChain(t *testing.T, history string) *chain {
	t.Helper()
	c := &chain{t: t, at: event.NewAccount(testLog, testAccount), keys: make(map[event.Key]*event.PrivateKey)}
	for line := range strings.Lines(history) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		d := c.draft(line)
		if err := c.at.Apply(event.Check(c.sign(d))); err != nil {
			t.Fatalf("history line %q: %v", line, err)
		}
	}
	return c
}

func (c *chain) key(word string) event.Key {
	c.t.Helper()
	typ := uint8(event.KeyEd25519)
	if strings.HasPrefix(word, "x") {
		typ = event.KeyCurve25519
	}
	return c.own(typ, sha256.Sum256([]byte(word)))
}

// own makes a key that the chain can sign with.
func (c *chain) own(typ uint8, seed [32]byte) event.Key {
	c.t.Helper()
	k, err := event.NewPrivateKey(typ, seed)
	if err != nil {
		c.t.Fatal(err)
	}
	c.keys[k.Public()] = k
	return k.Public()
}

func (c *chain) draft(line string) *draft {
	c.t.Helper()
	words := strings.Fields(line)
	d := &draft{after: slices.Clone(c.at.Devices), roles: []event.Role{event.Primary}}
	d.Payload = event.Payload{
		Log: testLog, Account: testAccount, Generation: c.at.Generation, Seq: c.at.Next,
		Prev: c.at.Head, TimeMs: 1_760_000_000_000 + uint64(c.at.Next), Primary: c.at.Primary,
	}
	arg := func() event.Key { return c.key(words[1]) }
	switch words[0] {
	case "REGISTER":
		d.Type, d.Primary = event.Register, arg()
	case "ADD_DEVICE":
		d.Type, d.Subject, d.KeyIndex = event.AddDevice, arg(), d.Seq
		d.after = append(d.after, event.Device{KeyIndex: d.Seq, Key: d.Subject})
		d.roles = []event.Role{event.Primary, event.Subject}
	case "REMOVE_DEVICE", "OPERATOR_REMOVE":
		d.Type, d.Subject = event.RemoveDevice, arg()
		if slices.Contains(words, "subject") {
			d.roles = []event.Role{event.Subject}
		}
		if words[0] == "OPERATOR_REMOVE" {
			d.Type, d.roles = event.OperatorRemove, nil
		}
		i := slices.IndexFunc(d.after, func(x event.Device) bool { return x.Key == d.Subject })
		if i >= 0 {
			d.KeyIndex = d.after[i].KeyIndex
			d.after = slices.Delete(d.after, i, i+1)
		}
	case "REREGISTER":
		d.Type, d.Primary, d.KeyIndex, d.after = event.Reregister, arg(), d.Seq, nil
		d.Generation++
		if slices.Contains(words, "endorsed") {
			d.Subject, d.roles = c.at.Primary, []event.Role{event.Primary, event.Subject}
		}
	case "ERASE":
		d.Type, d.Primary, d.after, d.roles = event.Erase, event.Key{}, nil, nil
	case "CONFIRM":
		d.Type = event.Confirm
	default:
		c.t.Fatalf("unknown line %q", line)
	}
	return d
}

// sign completes a draft: whatever was spoiled is signed anew, by everyone
// named in roles whose private key exists.
func (c *chain) sign(d *draft) *event.Event {
	c.t.Helper()
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
		if private := c.keys[k]; private != nil {
			var err error
			if s.Bytes, err = private.Sign(e.SignedBytes(r)); err != nil {
				c.t.Fatal(err)
			}
		}
		e.Signatures = append(e.Signatures, s)
	}
	return e
}

// refused applies e and wants exactly this rule, and an account that nothing
// happened to; "" wants acceptance.
func (c *chain) refused(e *event.Event, want event.Rule) {
	c.t.Helper()
	before := c.at.Clone()
	err := c.at.Apply(event.Check(e))
	wantRule(c.t, err, want)
	if err != nil && !reflect.DeepEqual(before, c.at) {
		c.t.Errorf("a refused event changed the account: %+v, was %+v", c.at, before)
	}
}

func wantRule(t *testing.T, err error, want event.Rule) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return
	}
	var e *event.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want rule %q", err, want)
	}
	if e.Rule != want {
		t.Fatalf("%v, want rule %q", err, want)
	}
}
