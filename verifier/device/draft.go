package device

import (
	"fmt"
	"slices"
	"time"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Draft is an event on its way to its signatures. Its payload and list never
// change; only signatures are added. For one goroutine.
type Draft struct {
	payload    event.Payload
	devices    []event.Device    // the list after the event: what a signature vouches for
	signers    []event.Role      // who signs, exactly; ascending
	signatures []event.Signature // so far; ascending

	base *event.Account // the signer's own verified view; nil until a received draft is reviewed
}

// Register drafts an account's first event. primary signs.
func (h *Head) Register(primary event.Key, now time.Time) (*Draft, error) {
	if h.Known() {
		return nil, fmt.Errorf("account %s exists, its newest seq is %d: re-register to put another key in force", h.at.ID, h.at.Next-1)
	}
	if err := h.fresh(primary); err != nil {
		return nil, err
	}
	return h.draft(event.Payload{Type: event.Register, Primary: primary}, nil, now, event.Primary)
}

// AddDevice drafts the linking of a companion. The primary signs, and the
// companion, so that nobody claims a stranger's key.
func (h *Head) AddDevice(companion event.Key, now time.Time) (*Draft, error) {
	if err := h.live(); err != nil {
		return nil, err
	}
	if err := h.fresh(companion); err != nil {
		return nil, err
	}
	if len(h.at.Devices) >= maxDevices {
		return nil, &event.Error{Rule: event.RuleListFull, Detail: fmt.Sprintf("the account has %d devices, the most there can be: remove one first", maxDevices)}
	}
	list := append(slices.Clone(h.at.Devices), event.Device{KeyIndex: h.at.Next, Key: companion})
	p := event.Payload{Type: event.AddDevice, KeyIndex: h.at.Next, Primary: h.at.Primary, Subject: companion}
	return h.draft(p, list, now, event.Primary, event.Subject)
}

// RemoveDevice drafts the removal of a companion. by signs: event.Primary, or
// event.Subject when the device logs itself out.
func (h *Head) RemoveDevice(keyIndex uint32, by event.Role, now time.Time) (*Draft, error) {
	if err := h.live(); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(h.at.Devices, func(d event.Device) bool { return d.KeyIndex == keyIndex })
	if i < 0 {
		return nil, fmt.Errorf("account %s has no device with key_index %d", h.at.ID, keyIndex)
	}
	list := slices.Delete(slices.Clone(h.at.Devices), i, i+1)
	p := event.Payload{Type: event.RemoveDevice, KeyIndex: keyIndex, Primary: h.at.Primary, Subject: h.at.Devices[i].Key}
	return h.draft(p, list, now, by)
}

// Reregister drafts the change to another primary key, which drops every
// device. The new key signs; with endorse the one before signs too, and
// contacts see that the owner did it.
func (h *Head) Reregister(primary event.Key, endorse bool, now time.Time) (*Draft, error) {
	if !h.Known() {
		return nil, fmt.Errorf("the log has no account %s: register it first", h.at.ID)
	}
	if err := h.fresh(primary); err != nil {
		return nil, err
	}
	p := event.Payload{Type: event.Reregister, KeyIndex: h.at.Next, Primary: primary}
	if !endorse {
		return h.draft(p, nil, now, event.Primary)
	}
	if err := h.live(); err != nil {
		return nil, fmt.Errorf("nobody can endorse: %w", err)
	}
	p.Subject = h.at.Primary
	return h.draft(p, nil, now, event.Primary, event.Subject)
}

// Confirm drafts the primary's word that the list as it is holds. It also
// cancels whatever else is pending at this seq.
func (h *Head) Confirm(now time.Time) (*Draft, error) {
	if err := h.live(); err != nil {
		return nil, err
	}
	return h.draft(event.Payload{Type: event.Confirm, Primary: h.at.Primary}, h.at.Devices, now, event.Primary)
}

// draft fills in what follows from the head alone.
func (h *Head) draft(p event.Payload, list []event.Device, now time.Time, signers ...event.Role) (*Draft, error) {
	if h.at.Next == noSeq {
		return nil, fmt.Errorf("account %s has used every seq there is", h.at.ID)
	}
	if now.UnixMilli() < 0 {
		return nil, fmt.Errorf("the clock says %v: set it", now)
	}
	p.Log, p.Account = h.at.Log, h.at.ID
	p.Generation, p.Seq, p.Prev = h.at.Generation, h.at.Next, h.at.Head
	if p.Type == event.Reregister {
		p.Generation++
	}
	p.TimeMs = uint64(now.UnixMilli())
	p.DevicesHash = event.DevicesHash(p.Log, p.Account, p.Generation, p.Primary, list)
	d := &Draft{payload: p, devices: slices.Clone(list), signers: signers, base: h.at}
	if !d.signersFit() {
		return nil, fmt.Errorf("%s cannot be signed by %v", p.Type, signers)
	}
	return d, nil
}

// signersFit is section 3's column "signatures, exactly", for the events that
// somebody signs.
func (d *Draft) signersFit() bool {
	both := []event.Role{event.Primary, event.Subject}
	switch d.payload.Type {
	case event.Register, event.Confirm:
		return slices.Equal(d.signers, both[:1])
	case event.AddDevice:
		return slices.Equal(d.signers, both)
	case event.RemoveDevice:
		return slices.Equal(d.signers, both[:1]) || slices.Equal(d.signers, both[1:])
	case event.Reregister:
		if d.payload.Subject.IsZero() {
			return slices.Equal(d.signers, both[:1])
		}
		return slices.Equal(d.signers, both)
	}
	return false
}

// Payload is what is signed.
func (d *Draft) Payload() event.Payload { return d.payload }

// ID names the event that the draft becomes: signatures do not enter it.
func (d *Draft) ID() name.EventID { return d.payload.ID() }

// Devices is the whole list of companions after the event, which every
// signature of it vouches for. Show it before Sign.
func (d *Draft) Devices() []event.Device { return slices.Clone(d.devices) }

// Missing lists who must still sign, ascending.
func (d *Draft) Missing() []event.Role {
	var missing []event.Role
	for _, role := range d.signers {
		if !slices.ContainsFunc(d.signatures, func(s event.Signature) bool { return s.Role == role }) {
			missing = append(missing, role)
		}
	}
	return missing
}
