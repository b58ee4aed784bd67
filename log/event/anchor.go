package event

import (
	"cmp"
	"slices"

	"github.com/musterlog/muster/log/name"
)

// IsAnchor says whether a replay may begin at e: an ERASE, or what the primary
// signed (section 5). It judges no signature.
func (e *Event) IsAnchor() bool {
	return e.Type == Erase || len(e.Signatures) > 0 && e.Signatures[0].Role == Primary
}

// Anchor begins a replay in the middle of a history, as a first lookup must:
// at an ERASE or an event that the primary signed. devices is the list after
// it, which somebody untrusted says; the anchor's devices_hash, signed by the
// primary, vouches for it. What lies before the anchor stays unchecked.
//
// The rules are section 3's for an anchor, reported in the order of Apply.
// Errors are *Error.
func Anchor(log name.LogID, id name.AccountID, c *Checked, devices []Device) (*Account, error) {
	e := c.event
	if err := checkNames(e, log, id); err != nil {
		return nil, err
	}
	if e.Seq > maxSeq {
		return nil, broken(RuleSeq, "seq %d, the greatest is %d", e.Seq, uint32(maxSeq))
	}
	if e.Seq == 0 && e.Prev != (name.EventID{}) {
		return nil, broken(RulePrev, "the first event follows %s, want 32 zero bytes", e.Prev)
	}
	if e.Type == Register && e.Generation != 0 || e.Type == Reregister && e.Generation == 0 {
		return nil, broken(RuleGeneration, "%s of generation %d", e.Type, e.Generation)
	}
	if c.row != nil {
		return nil, c.row
	}
	if err := checkAnchorRow(e, devices); err != nil {
		return nil, err
	}
	introduced, err := checkAnchorKeys(e, devices)
	if err != nil {
		return nil, err
	}
	if c.crypto != nil {
		return nil, c.crypto
	}
	if err := checkDevicesHash(e, devices); err != nil {
		return nil, err
	}
	return &Account{
		Log: log, ID: id, Next: e.Seq + 1, Generation: e.Generation, Head: c.id,
		Primary: e.Primary, Devices: slices.Clone(devices), Introduced: introduced,
	}, nil
}

// checkAnchorRow holds the list against the event: its form, and that the event
// may have led to it.
func checkAnchorRow(e *Event, devices []Device) error {
	if !e.IsAnchor() {
		return broken(RuleRow, "%s without the primary's signature is no anchor", e.Type)
	}
	before := devices // the list before an event that adds or removes a device, which keeps the rules too
	switch e.Type {
	case Register, Reregister, Erase:
		if len(devices) > 0 {
			return broken(RuleRow, "%d devices after %s, want none", len(devices), e.Type)
		}
	case AddDevice:
		n := len(devices)
		if n == 0 || devices[n-1] != (Device{e.KeyIndex, e.Subject}) {
			return broken(RuleRow, "the device that the anchor adds is not the last of the list")
		}
		before = devices[:n-1]
	case RemoveDevice:
		// If it is still in the list, or the list does not ascend, then neither
		// does the list with it put back.
		at, _ := slices.BinarySearchFunc(devices, e.KeyIndex, func(d Device, index uint32) int {
			return cmp.Compare(d.KeyIndex, index)
		})
		before = slices.Insert(slices.Clone(devices), at, Device{e.KeyIndex, e.Subject})
	}
	if len(devices) > MaxDevices || len(before) > MaxDevices {
		return broken(RuleListFull, "%d devices, at most %d", max(len(devices), len(before)), MaxDevices)
	}
	last := uint32(0)
	for _, d := range before {
		if d.KeyIndex <= last || d.KeyIndex >= e.Seq {
			return broken(RuleRow, "key_index %d after %d at seq %d: want ascending, from 1, below seq", d.KeyIndex, last, e.Seq)
		}
		last = d.KeyIndex
	}
	return nil
}

// checkAnchorKeys admits the keys of the list, since this client sees all of
// them for the first time, and returns the coordinates of every key in sight,
// all different.
func checkAnchorKeys(e *Event, devices []Device) (introduced [][32]byte, err error) {
	var keys []Key
	if !e.Primary.IsZero() {
		keys = append(keys, e.Primary)
	}
	if !e.Subject.IsZero() && e.Type != AddDevice { // whose subject is in the list
		keys = append(keys, e.Subject)
	}
	for _, d := range devices {
		keys = append(keys, d.Key)
	}
	seen := make(map[[32]byte]bool, len(keys))
	for _, k := range keys {
		u, err := k.Coordinate()
		if err != nil {
			continue // equal to no admitted key; refused below, or by Check
		}
		if seen[u] {
			return nil, broken(RuleKeyUsed, "key %s (or its other form) is there twice", k)
		}
		seen[u] = true
		introduced = append(introduced, u)
	}
	for _, d := range devices {
		if e.Type == AddDevice && d.Key == e.Subject {
			continue // Check has judged it
		}
		if err := Admit(d.Key); err != nil {
			return nil, broken(RuleNotAdmitted, "the key of device %d is not fit for use: %v", d.KeyIndex, err)
		}
	}
	return introduced, nil
}
