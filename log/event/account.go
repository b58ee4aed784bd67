package event

import (
	"slices"

	"github.com/musterlog/muster/log/name"
)

// Account is an account after an event: what replay yields. Clone it before
// going two ways from one account.
type Account struct {
	Log        name.LogID
	ID         name.AccountID
	Next       uint32       // seq of the next event = number of events; 0: nothing yet
	Generation uint32       // re-registrations so far
	Head       name.EventID // newest event; zero while Next is 0
	Primary    Key          // zero: nothing yet, or erased
	Devices    []Device     // ascending KeyIndex
	Introduced [][32]byte   // u coordinates of the keys known to have been introduced since the newest ERASE; a removed key stays
}

// NewAccount is the account before its first event.
func NewAccount(log name.LogID, id name.AccountID) *Account {
	return &Account{Log: log, ID: id}
}

// Clone shares nothing with a.
func (a *Account) Clone() *Account {
	b := *a
	b.Devices = slices.Clone(a.Devices)
	b.Introduced = slices.Clone(a.Introduced)
	return &b
}

// Fork is what to apply an event to when a must stay as it is. The two share
// memory that Apply does not write to, so nothing else may write to it either.
func (a *Account) Fork() Account {
	b := *a
	b.Introduced = slices.Clip(b.Introduced)
	return b
}

// Keys are those in force, the primary's first. Each was admitted when it
// entered the account, which Check may be told.
func (a *Account) Keys() []Key {
	keys := make([]Key, 0, 1+len(a.Devices))
	if !a.Primary.IsZero() {
		keys = append(keys, a.Primary)
	}
	for _, d := range a.Devices {
		keys = append(keys, d.Key)
	}
	return keys
}

// Apply advances the account by one event, if every rule of section 3 holds.
// Otherwise a is unchanged, and the error is an *Error that names the first
// broken rule in the protocol's order: log_id, account_id, seq, prev,
// generation, the row of the table, admission, signatures, devices_hash.
func (a *Account) Apply(c *Checked) error {
	e := c.event
	if err := a.checkPlace(e); err != nil {
		return err
	}
	if c.row != nil {
		return c.row
	}
	after, err := a.step(c)
	if err != nil {
		return err
	}
	if c.crypto != nil {
		return c.crypto
	}
	if err := checkDevicesHash(e, after.devices); err != nil {
		return err
	}
	a.Next = e.Seq + 1 // cannot wrap: checkPlace
	a.Generation = e.Generation
	a.Head = c.id
	a.Primary = e.Primary
	a.Devices = after.devices
	if e.Type == Erase {
		a.Introduced = nil
	}
	a.Introduced = append(a.Introduced, after.introduced...)
	return nil
}

// checkPlace: the event is the next of this account in this log.
func (a *Account) checkPlace(e *Event) error {
	if err := checkNames(e, a.Log, a.ID); err != nil {
		return err
	}
	if e.Seq != a.Next || e.Seq > maxSeq {
		return broken(RuleSeq, "seq %d, the account's next is %d: look the account up, then sign the event that follows its newest", e.Seq, a.Next)
	}
	if e.Prev != a.Head {
		return broken(RulePrev, "follows event %s, the account's newest is %s: look the account up; if its history is not yours, do not sign", e.Prev, a.Head)
	}
	generation := uint64(a.Generation) // wide: 2^32-1 has no successor
	switch e.Type {
	case Register:
		generation = 0
	case Reregister:
		generation++
	}
	if uint64(e.Generation) != generation {
		return broken(RuleGeneration, "%s of generation %d, want %d", e.Type, e.Generation, generation)
	}
	return nil
}

// step is what an event makes of an account.
type step struct {
	devices    []Device   // never shares memory that an earlier account can write to
	introduced [][32]byte // by this event: one key or none
}

// step is the part of the row that needs the account. Of the event is known that
// it fits the part that does not (checkRow).
func (a *Account) step(c *Checked) (step, error) {
	e := c.event
	if e.Type == Register {
		return a.introduce(c, nil)
	}
	if a.Primary.IsZero() && e.Type != Reregister {
		return step{}, broken(RuleRow, "%s on an erased account: only REREGISTER may follow ERASE", e.Type)
	}
	switch e.Type {
	case Erase:
		return step{}, nil
	case Reregister:
		// After ERASE there is no primary that could endorse, and none is equal.
		if !e.Subject.IsZero() && e.Subject != a.Primary {
			return step{}, broken(RuleUnknownPrimary, "endorsed by a key that is not the primary before")
		}
		return a.introduce(c, nil)
	}
	if e.Primary != a.Primary {
		return step{}, broken(RuleUnknownPrimary, "%s under primary %s, the account's is %s", e.Type, e.Primary, a.Primary)
	}
	switch e.Type {
	case AddDevice:
		if len(a.Devices) >= MaxDevices {
			return step{}, broken(RuleListFull, "the account has %d devices, the most there may be: remove one first", len(a.Devices))
		}
		return a.introduce(c, append(slices.Clone(a.Devices), Device{e.KeyIndex, e.Subject}))
	case RemoveDevice, OperatorRemove:
		i := slices.Index(a.Devices, Device{e.KeyIndex, e.Subject})
		if i < 0 {
			return step{}, broken(RuleRow, "%s of a device that is not in the list: key_index %d", e.Type, e.KeyIndex)
		}
		return step{devices: slices.Delete(slices.Clone(a.Devices), i, i+1)}, nil
	}
	return step{devices: a.Devices}, nil // CONFIRM
}

// introduce refuses an event about a key that the account has had since its
// newest ERASE, also under its other type or as its negative: a removed device
// needs a fresh key, or its old events could speak for it again.
func (a *Account) introduce(c *Checked, devices []Device) (step, error) {
	u, err := c.coordinate()
	if err != nil && c.crypto != nil {
		return step{devices: devices}, nil // admission comes next and refuses it
	}
	if err != nil {
		// Its admission was skipped: the caller vouched for a key that never was
		// admitted, from a damaged row or state.
		role := Subject
		if c.event.About() == c.event.Primary {
			role = Primary
		}
		return step{}, notAdmitted(role, err)
	}
	if slices.Contains(a.Introduced, u) {
		return step{}, broken(RuleKeyUsed, "the account has had this key (or its other form): generate a fresh one")
	}
	return step{devices: devices, introduced: [][32]byte{u}}, nil
}

func checkNames(e *Event, log name.LogID, id name.AccountID) error {
	if e.Log != log {
		return broken(RuleLog, "signed for log %s, this is %s", e.Log, log)
	}
	if e.Account != id {
		return broken(RuleAccount, "signed for account %s, this is %s", e.Account, id)
	}
	return nil
}

func checkDevicesHash(e *Event, after []Device) error {
	if want := DevicesHash(e.Log, e.Account, e.Generation, e.Primary, after); e.DevicesHash != want {
		return broken(RuleDevicesHash, "signed device list %s, the list after this event is %s: sign only a list that you verified", e.DevicesHash, want)
	}
	return nil
}
