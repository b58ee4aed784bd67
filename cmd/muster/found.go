package main

import (
	"fmt"
	"time"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// The members of --json, fixed for scripts.
type (
	deviceJSON struct {
		KeyIndex uint32 `json:"key_index"`
		Key      string `json:"key"`
	}

	checkpointJSON struct {
		Origin string `json:"origin"`
		Size   uint64 `json:"size"`
		Root   string `json:"root"`
		Epoch  uint64 `json:"epoch"`
		Time   string `json:"time"` // of the EPOCH, RFC 3339, UTC
	}

	devicesJSON struct {
		Identifier string         `json:"identifier"`
		AccountID  string         `json:"account_id"`
		Generation uint32         `json:"generation"`
		Seq        uint32         `json:"seq"`
		EventID    string         `json:"event_id"`
		Primary    string         `json:"primary"`
		Devices    []deviceJSON   `json:"devices"`
		Status     string         `json:"status"`
		Successor  string         `json:"successor"`
		Endorsed   *bool          `json:"endorsed"`
		Trust      string         `json:"trust"`
		Checkpoint checkpointJSON `json:"checkpoint"`
		Cosigners  []string       `json:"cosigners"`
	}

	eventJSON struct {
		Seq        uint32   `json:"seq"`
		Type       string   `json:"type"`
		Generation uint32   `json:"generation"`
		Position   uint64   `json:"position"`
		TimeMs     uint64   `json:"time_ms"`
		KeyIndex   uint32   `json:"key_index"`
		Key        string   `json:"key"`
		Signers    []string `json:"signers"`
	}

	verifyJSON struct {
		devicesJSON
		Events       []eventJSON `json:"events"`
		ErasedBefore *uint32     `json:"erased_before"`
	}
)

func foundJSON(id name.Identifier, r *verifier.Result, f *verifier.Found) devicesJSON {
	out := devicesJSON{
		Identifier: string(id),
		AccountID:  f.ID.String(),
		Generation: f.Generation,
		Seq:        f.Seq,
		Devices:    []deviceJSON{},
		Status:     string(f.Status),
		Successor:  string(r.Successor),
		Endorsed:   f.Endorsed,
		Trust:      string(r.Trust),
		Checkpoint: checkpointJSON{
			Origin: string(r.Checkpoint.Origin), Size: r.Checkpoint.Size, Root: r.Checkpoint.Root.String(),
			Epoch: r.Epoch, Time: r.Time.UTC().Format(time.RFC3339Nano),
		},
		Cosigners: append([]string{}, r.Cosigners...),
	}
	if r.Sealed && f.Status == verifier.Unchanged { // anything else is more urgent, and successor tells too
		out.Status = "sealed"
	}
	if f.Status == verifier.Unknown {
		return out
	}
	out.EventID = f.Event.String()
	if !f.Primary.IsZero() {
		out.Primary = f.Primary.String()
	}
	for _, d := range f.Devices {
		out.Devices = append(out.Devices, deviceJSON{d.KeyIndex, d.Key.String()})
	}
	return out
}

// vouch says in one line what a result rests on.
func vouch(r *verifier.Result, now time.Time) string {
	age := now.Sub(r.Time).Round(time.Second)
	line := fmt.Sprintf("checked against %s, %d leaves, epoch %d, %v old", r.Checkpoint.Origin, r.Checkpoint.Size, r.Epoch, max(age, 0))
	switch r.Trust {
	case "unwitnessed":
		line += "; unwitnessed: the policy asks for no cosigner, so nobody but the log vouches that everyone sees the same"
	case "unaudited":
		line += fmt.Sprintf("; witnessed by %v; unaudited: nobody but the log vouches that no epoch drops an event", r.Cosigners)
	default:
		line += fmt.Sprintf("; witnessed and audited by %v", r.Cosigners)
	}
	if r.Sealed {
		line += "; this log has ended"
		if r.Successor != "" {
			line += ", moved to " + string(r.Successor)
		}
	}
	return line
}

// headline is an account in a word.
func headline(f *verifier.Found) string {
	switch f.Status {
	case verifier.Unknown:
		return "unknown: the log proves that no such account is registered"
	case verifier.New:
		return "new to this client: compare the security code once"
	case verifier.Erased:
		return "erased: its devices and keys are gone"
	case verifier.Reregistered:
		if f.Endorsed != nil && *f.Endorsed {
			return "RE-REGISTERED, endorsed by the key before: the security code changed"
		}
		return "RE-REGISTERED by a new key that the old one did not endorse: compare the security code again"
	}
	return string(f.Status) + " since this client last looked"
}
