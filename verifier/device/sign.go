package device

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/musterlog/muster/log/event"
)

// Signer is a private key wherever it lives: in memory (*event.PrivateKey), in
// the system's key store, in hardware.
type Signer interface {
	Public() event.Key
	// Sign signs the message itself, not a hash of it: Ed25519 or XEdDSA by
	// the key's type. It may ask the user, and may be called again.
	Sign(message []byte) ([64]byte, error)
}

var errReview = errors.New("this draft came from elsewhere: review it against this device's own verified lookup first")

// Review holds a draft that came from another device against this signer's own
// verified head: it must be exactly the event that this signer would draft
// there, and every signature on it so far must be good. Whoever sent it may
// be the attacker: nothing in it is believed. Sign and Complete need it.
//
// What Review cannot judge is whether the owner wants the event: that takes
// Payload and Devices before the owner's eyes.
func (d *Draft) Review(h *Head, now time.Time) error {
	if err := d.attaches(h); err != nil {
		return err
	}
	if ahead := int64(d.payload.TimeMs) - now.UnixMilli(); d.payload.TimeMs > 1<<62 || ahead > maxAhead.Milliseconds() {
		return &event.Error{Rule: event.RuleTimeAhead, Detail: fmt.Sprintf("the draft's time is %d ms ahead of this device's clock: set the clocks and draft it again", ahead)}
	}
	want, err := h.redraft(d)
	if err != nil {
		return err
	}
	// The list's hash is in the payload, and parsing held the list against it:
	// a device slipped in, or left out, makes the payloads differ.
	if want.payload != d.payload {
		if want.payload.DevicesHash != d.payload.DevicesHash {
			return &event.Error{Rule: event.RuleDevicesHash, Detail: "the device list in the draft is not the one that follows from the account as this device verified it"}
		}
		return &event.Error{Rule: event.RuleRow, Detail: fmt.Sprintf("a %s here has other fields than this draft's", d.payload.Type)}
	}
	for _, s := range d.signatures {
		if !event.VerifySignature(d.key(s.Role), d.payload.SignedBytes(s.Role), s.Bytes) {
			return &event.Error{Rule: event.RuleSignature, Role: s.Role, Detail: "a signature that is on the draft already is wrong"}
		}
	}
	d.base = h.at
	return nil
}

// attaches compares, in section 3's order, where a draft attaches.
func (d *Draft) attaches(h *Head) error {
	p, at := &d.payload, h.at
	generation := at.Generation
	if p.Type == event.Reregister {
		generation++
	}
	switch {
	case p.Log != at.Log:
		return &event.Error{Rule: event.RuleLog, Detail: fmt.Sprintf("the draft is for log %s, this device verifies %s", p.Log, at.Log)}
	case p.Account != at.ID:
		return &event.Error{Rule: event.RuleAccount, Detail: fmt.Sprintf("the draft is for account %s, not %s", p.Account, at.ID)}
	case p.Seq != at.Next:
		return &event.Error{Rule: event.RuleSeq, Detail: fmt.Sprintf("the draft has seq %d, the account's next is %d: look it up again and draft anew", p.Seq, at.Next)}
	case p.Prev != at.Head:
		return &event.Error{Rule: event.RulePrev, Detail: fmt.Sprintf("the draft follows event %s, the newest that this device verified is %s", p.Prev, at.Head)}
	case p.Generation != generation:
		return &event.Error{Rule: event.RuleGeneration, Detail: fmt.Sprintf("the draft has generation %d, want %d", p.Generation, generation)}
	}
	return nil
}

// redraft is the draft that h makes of what d asks for.
func (h *Head) redraft(d *Draft) (*Draft, error) {
	p, at := &d.payload, time.UnixMilli(int64(d.payload.TimeMs))
	switch p.Type {
	case event.Register:
		return h.Register(p.Primary, at)
	case event.AddDevice:
		return h.AddDevice(p.Subject, at)
	case event.RemoveDevice:
		return h.RemoveDevice(p.KeyIndex, d.signers[0], at)
	case event.Reregister:
		return h.Reregister(p.Primary, !p.Subject.IsZero(), at)
	case event.Confirm:
		return h.Confirm(at)
	}
	return nil, fmt.Errorf("nobody signs %s", p.Type)
}

// key is the one that signs in a role.
func (d *Draft) key(role event.Role) event.Key {
	if role == event.Subject {
		return d.payload.Subject
	}
	return d.payload.Primary
}

// Sign adds a role's signature, in place of one that is there already. It
// vouches for all of Devices.
func (d *Draft) Sign(role event.Role, s Signer) error {
	if d.base == nil {
		return errReview
	}
	if !slices.Contains(d.signers, role) {
		return fmt.Errorf("%s has no signature by the %s here", d.payload.Type, role)
	}
	key := d.key(role)
	if public := s.Public(); public != key {
		return fmt.Errorf("the %s of this %s signs with key %s, this signer has %s", role, d.payload.Type, key, public)
	}
	message := d.payload.SignedBytes(role)
	signature, err := s.Sign(message)
	if err != nil {
		return fmt.Errorf("signing %s: %w", d.payload.Type, err)
	}
	// A faulty key store must not leave an event pending that nobody can log.
	if !event.VerifySignature(key, message, signature) {
		return fmt.Errorf("the key store's signature does not verify under its key %s", key)
	}
	d.signatures = slices.DeleteFunc(d.signatures, func(s event.Signature) bool { return s.Role == role })
	d.signatures = append(d.signatures, event.Signature{Role: role, Bytes: signature})
	slices.SortFunc(d.signatures, func(a, b event.Signature) int { return int(a.Role) - int(b.Role) })
	return nil
}

// Complete is the event, once all have signed, after all the account rules:
// what the log and every client will check is checked before it leaves.
func (d *Draft) Complete() (*event.Event, error) {
	if d.base == nil {
		return nil, errReview
	}
	if missing := d.Missing(); len(missing) > 0 {
		return nil, fmt.Errorf("%s still needs the signature of key %s", d.payload.Type, d.key(missing[0]))
	}
	e, err := event.Parse(d.event().Bytes())
	if err != nil {
		return nil, fmt.Errorf("completing %s: %w", d.payload.Type, err)
	}
	if err := d.base.Clone().Apply(event.Check(e)); err != nil {
		return nil, fmt.Errorf("completing %s: %w", d.payload.Type, err)
	}
	return e, nil
}

func (d *Draft) event() *event.Event {
	return &event.Event{Payload: d.payload, Signatures: slices.Clone(d.signatures)}
}
