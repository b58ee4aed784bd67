package code

import (
	"fmt"

	"github.com/musterlog/muster/log/name"
)

// Mismatch is what two payloads contradict each other in.
type Mismatch string

const (
	// MismatchLog: the two use different logs, so there is nothing to compare.
	MismatchLog Mismatch = "log"
	// MismatchAccount: the payload speaks of somebody else's account.
	MismatchAccount Mismatch = "account"
	// MismatchRoot: the log signed two roots of one size. With both signatures
	// valid, this is evidence against the log (section 9, E1).
	MismatchRoot Mismatch = "root"
	// MismatchGeneration: one side does not know that an account re-registered,
	// or it knows another account's keys under that name.
	MismatchGeneration Mismatch = "generation"
	// MismatchHead: at one seq the two know different events or device lists.
	MismatchHead Mismatch = "head"
)

// Error says that two payloads do not agree. None of them is a yes/no question
// to a user, except MismatchGeneration after both looked up again.
type Error struct {
	Mismatch Mismatch
	Account  name.AccountID // of MismatchAccount, MismatchGeneration and MismatchHead
}

func (e *Error) Error() string {
	switch e.Mismatch {
	case MismatchLog:
		return "comparing QR payloads: the two are of different logs"
	case MismatchAccount:
		return fmt.Sprintf("comparing QR payloads: not about account %v: scan the code that the other side shows for this chat", e.Account)
	case MismatchRoot:
		return "comparing QR payloads: the log signed two roots of one size: keep both payloads, they are evidence"
	case MismatchGeneration:
		return fmt.Sprintf("comparing QR payloads: account %v re-registered for one side only: look it up on both phones and compare again", e.Account)
	}
	return fmt.Sprintf("comparing QR payloads: the two sides know different histories of account %v", e.Account)
}

// Comparison is what remains to be checked with the log's help once two
// payloads do not contradict each other. Until all of it is done nothing is
// confirmed: who withholds the answer may be hiding a second history.
type Comparison struct {
	// Chains are the accounts, at most two, of which one side knows more.
	Chains []Chain
	// Smaller and Larger are the payloads whose checkpoints are still to be
	// shown consistent (RFC 6962 section 2.1.2); both nil if they are one.
	Smaller, Larger *QR
}

// Chain is two heads of one account. The shorter must lie on the verified chain
// that ends in the longer: the event at Shorter.Seq has its event_id, and the
// device list after it has its devices_hash.
type Chain struct {
	Shorter, Longer QRSide
	// Fetch: the longer one is the other side's, so the reader must look the
	// account up again and find both heads. Else its own history will do.
	Fetch bool
}

// Settled reports that nothing remains: both sides know the same heads under
// the same checkpoint.
func (c *Comparison) Settled() bool { return len(c.Chains) == 0 && c.Smaller == nil }

// Compare takes the payload that the reader would show and the one that it
// scanned, whose signature it verified before. Failures are *Error; what is
// provable to a stranger comes before what is not.
func Compare(mine, theirs *QR) (Comparison, error) {
	if mine.Log != theirs.Log {
		return Comparison{}, &Error{Mismatch: MismatchLog}
	}
	// The reader swaps the sides: my account is "yours" to the other phone.
	sides := [2]struct{ mine, theirs QRSide }{
		{mine.Mine, theirs.Yours},
		{mine.Yours, theirs.Mine},
	}
	for _, s := range sides {
		if s.mine.Account != s.theirs.Account {
			return Comparison{}, &Error{MismatchAccount, s.mine.Account}
		}
	}

	var c Comparison
	switch {
	case mine.Size < theirs.Size:
		c.Smaller, c.Larger = mine, theirs
	case mine.Size > theirs.Size:
		c.Smaller, c.Larger = theirs, mine
	case mine.Root != theirs.Root:
		return Comparison{}, &Error{Mismatch: MismatchRoot}
	}
	for _, s := range sides {
		chain, err := compareHeads(s.mine, s.theirs)
		if err != nil {
			return Comparison{}, err
		}
		if chain != nil {
			c.Chains = append(c.Chains, *chain)
		}
	}
	return c, nil
}

// compareHeads gives nil when the two are the same head of one account.
func compareHeads(mine, theirs QRSide) (*Chain, error) {
	switch {
	case mine.Generation != theirs.Generation:
		return nil, &Error{MismatchGeneration, mine.Account}
	case mine.Seq < theirs.Seq:
		return &Chain{Shorter: mine, Longer: theirs, Fetch: true}, nil
	case mine.Seq > theirs.Seq:
		return &Chain{Shorter: theirs, Longer: mine}, nil
	case mine.Event != theirs.Event || mine.Devices != theirs.Devices:
		return nil, &Error{MismatchHead, mine.Account}
	}
	return nil, nil
}
