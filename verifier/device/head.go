package device

import (
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// Head is where the next event of an account attaches: the account as this
// signer itself verified it. It does not change.
type Head struct{ at *event.Account }

// From is the head that a verified lookup found. The caller got found from
// verifier.Client or Lookup of that log; a Found filled in from elsewhere
// signs in whatever its author wanted.
func From(log name.LogID, found *verifier.Found) (*Head, error) {
	at := event.NewAccount(log, found.ID)
	switch found.Status {
	case verifier.Unknown:
		return &Head{at}, nil
	case verifier.New, verifier.Unchanged, verifier.Changed, verifier.Reregistered, verifier.Erased:
	default:
		return nil, fmt.Errorf("account %s: status %q is of no verified lookup", found.ID, found.Status)
	}
	at.Next, at.Head = found.Seq+1, found.Event
	at.Generation = found.Generation
	at.Primary, at.Devices = found.Primary, slices.Clone(found.Devices)
	return &Head{at}, introduce(at, found)
}

// introduce collects the keys that the signer knows to have been used since
// the newest ERASE, so that it never drafts what the rules refuse. The log
// may know of more.
func introduce(at *event.Account, found *verifier.Found) error {
	var keys []event.Key
	for _, e := range found.Events {
		switch e.Type {
		case event.Register, event.Reregister:
			keys = append(keys, e.Primary)
		case event.AddDevice:
			keys = append(keys, e.Subject)
		case event.Erase:
			keys = nil
		}
	}
	for _, key := range append(keys, at.Keys()...) {
		u, err := key.Coordinate()
		if err != nil {
			return fmt.Errorf("key %s of account %s: %w", key, at.ID, err)
		}
		if !slices.Contains(at.Introduced, u) {
			at.Introduced = append(at.Introduced, u)
		}
	}
	return nil
}

// After is the head once own, an event of this signer, is logged: so a signer
// can go on before the log answered. If another event takes own's seq, what
// was signed after it can never be logged.
func (h *Head) After(own *event.Event) (*Head, error) {
	at := h.at.Clone()
	if err := at.Apply(event.Check(own)); err != nil {
		return nil, err
	}
	return &Head{at}, nil
}

// Account is a copy of the account at this head.
func (h *Head) Account() *event.Account { return h.at.Clone() }

// Known says whether the log has the account; if not, only Register fits.
func (h *Head) Known() bool { return h.at.Next > 0 }

// live refuses what needs an account with a primary key.
func (h *Head) live() error {
	switch {
	case !h.Known():
		return fmt.Errorf("the log has no account %s: register it first", h.at.ID)
	case h.at.Primary.IsZero():
		return fmt.Errorf("account %s was erased: only a re-registration may follow", h.at.ID)
	}
	return nil
}

// fresh refuses a key that cannot enter the account: not admitted (section
// 2), or used in it before, under whatever type or sign.
func (h *Head) fresh(key event.Key) error {
	if err := event.Admit(key); err != nil {
		return &event.Error{Rule: event.RuleNotAdmitted, Detail: fmt.Sprintf("key %s is %v: make another one", key, err)}
	}
	u, err := key.Coordinate()
	if err != nil {
		return err
	}
	if slices.Contains(h.at.Introduced, u) {
		return &event.Error{Rule: event.RuleKeyUsed, Detail: fmt.Sprintf("key %s was used in this account before: make a new one", key)}
	}
	return nil
}
