package verifier

import (
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Status is what an answer means to a client that knew what the state said.
type Status string

const (
	New          Status = "new"           // first seen by this client: compare the security code once
	Unchanged    Status = "unchanged"     //
	Changed      Status = "changed"       // devices changed, all vouched for by the primary key; no notice needed
	Reregistered Status = "re-registered" // another primary key: the security code changed
	Erased       Status = "erased"        // the account was erased; an owner who did not ask for it is alarmed
	Unknown      Status = "unknown"       // proven: the log has no such account
)

// Result is what a client may believe. It is handed out only after the new
// state was stored.
type Result struct {
	Checkpoint checkpoint.Checkpoint
	Note       []byte    // the checkpoint, signed
	Epoch      uint64    // its newest EPOCH
	Time       time.Time // when that was closed, by the log's clock
	Cosigners  []string  // names from the policy whose cosignatures counted
	Trust      checkpoint.Trust
	Sealed     bool        // the log has ended
	Successor  name.Origin // of a sealed log; may be empty
	Accounts   []Found     // as asked, in that order

	shown shownMap // by the last answer
}

// Found is the verified state of one account.
type Found struct {
	ID           name.AccountID
	Status       Status
	Endorsed     *bool // after a re-registration seen by a returning client: whether every one was endorsed by the key before it
	Generation   uint32
	Seq          uint32
	Event        name.EventID
	Primary      event.Key      // zero when unknown or erased
	Devices      []event.Device // companions, ascending key_index
	ErasedBefore *uint32        // events before this seq are erased, as far as the answers told
	Events       []Logged       // what the answers opened, ascending seq
	Rungs        []Rung         // what the last answer proved present and absent: where this account's events can lie in the log
}

// Logged is one verified event of an account.
type Logged struct {
	*event.Event
	Position uint64     // of its EVENT leaf
	Index    name.Index // of its EVENT leaf
}
