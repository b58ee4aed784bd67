package monitor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// Kind says what an alert is about.
type Kind string

const (
	Registered    Kind = "registered"     // the account began
	DeviceAdded   Kind = "device-added"   //
	DeviceRemoved Kind = "device-removed" // by whom, signers says
	Reregistered  Kind = "re-registered"  // another primary key; endorsed says whether by the key before
	Erased        Kind = "erased"         // everything before it is gone
	Confirmed     Kind = "confirmed"      // the primary signed the list anew; never an alarm
	Failed        Kind = "failure"        // a check did not pass, or no answer came: check says which
	Stalled       Kind = "stalled"        // nothing could be verified for longer than max age
	Inserted      Kind = "inserted"       // the scan found a leaf that only this account can have, and that its history lacks
	Recovered     Kind = "recovered"      // what check names is over
)

// Severity says how bad it is if the owner did not do it.
type Severity string

const (
	Low      Severity = "low"
	High     Severity = "high"
	Critical Severity = "critical" // somebody else may hold the account, or the log lies
)

// Alert is one JSON line and one POST. Its members are fixed for scripts;
// each is always there.
type Alert struct {
	ID         string      `json:"id"`   // the same for the same thing, however often it is told
	Time       string      `json:"time"` // when the monitor found it, RFC 3339, UTC
	Origin     name.Origin `json:"origin"`
	Account    string      `json:"account"` // the identifier
	AccountID  string      `json:"account_id"`
	Kind       Kind        `json:"kind"`
	Severity   Severity    `json:"severity"`
	Alarm      bool        `json:"alarm"`    // the owner did not say that he expects it
	Baseline   bool        `json:"baseline"` // it was there when this monitor first looked
	Seq        *uint32     `json:"seq"`
	EventID    string      `json:"event_id"`
	Generation *uint32     `json:"generation"`
	KeyIndex   *uint32     `json:"key_index"`
	Key        string      `json:"key"`     // of the device, or the new primary
	Signers    []string    `json:"signers"` // primary, device, previous-primary, operator
	TimeMs     *uint64     `json:"time_ms"` // the signers' own clock
	Position   *uint64     `json:"position"`
	Endorsed   *bool       `json:"endorsed"`    // of re-registered
	ErasedFrom *uint32     `json:"erased_from"` // of erased: events from this seq up to it were hidden before this monitor saw them
	Check      string      `json:"check"`       // of failure, stalled and recovered: the verifier's check, or "unreachable" or "state"
	Message    string      `json:"message"`
	Evidence   string      `json:"evidence"` // path of a file for `muster evidence verify`
}

// id names what is told, so that receivers can tell repetitions from news.
func id(parts ...any) string {
	h := sha256.New()
	fmt.Fprintf(h, "muster/v1 alert\x00")
	for _, p := range parts {
		text := fmt.Sprint(p)
		fmt.Fprintf(h, "%d %s\n", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// alert is one of an account, with what all have.
func (m *Monitor) alert(account name.Identifier, kind Kind, severity Severity) Alert {
	a := Alert{
		Time: m.cfg.Now().UTC().Format(time.RFC3339), Origin: m.origin,
		Account: string(account), Kind: kind, Severity: severity, Signers: []string{},
	}
	if account != "" { // empty: it is about the log as a whole
		a.AccountID = account.AccountID().String()
	}
	return a
}

// tell makes the alert of one event.
func (m *Monitor) tell(account name.Identifier, l verifier.Logged) Alert {
	kind, severity := kindOf(l.Event)
	a := m.alert(account, kind, severity)
	event := l.ID()
	a.ID = id(a.AccountID, event, kind)
	a.Seq, a.Generation, a.Position, a.TimeMs = &l.Seq, &l.Generation, &l.Position, &l.TimeMs
	a.EventID, a.Signers = event.String(), l.Signers()
	if key := l.About(); !key.IsZero() && kind != Confirmed {
		a.Key, a.KeyIndex = key.String(), &l.KeyIndex
	}
	if kind == Reregistered {
		endorsed := !l.Subject.IsZero() // the account rules saw its signature
		a.Endorsed = &endorsed
	}
	a.Alarm = kind != Confirmed && !m.cfg.Approved.expects(l.Event)
	return a
}

// kindOf is what an event means to the owner. The verifier refuses types that it
// does not know, as newer-client; should one come here it is loud.
func kindOf(e *event.Event) (Kind, Severity) {
	switch e.Type {
	case event.Register:
		return Registered, High
	case event.AddDevice:
		return DeviceAdded, High
	case event.RemoveDevice, event.OperatorRemove:
		return DeviceRemoved, High
	case event.Reregister:
		return Reregistered, Critical
	case event.Erase:
		return Erased, Critical
	case event.Confirm:
		return Confirmed, Low
	}
	return Kind(e.Type.String()), Critical
}

// printable makes an error fit for a terminal and a chat: parts of it come from
// a hostile log.
func printable(err error) string {
	text := err.Error()
	if len(text) > maxMessage {
		text = text[:maxMessage] + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, text)
}
