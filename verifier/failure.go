package verifier

import (
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
)

// Check names the step of protocol section 6 that did not pass.
type Check string

const (
	CheckForm         Check = "form"          // the answer is not canonical
	CheckLogSignature Check = "log-signature" // not signed by the log's key
	CheckQuorum       Check = "quorum"        // too few of the policy's cosigners vouch for it
	CheckFreshness    Check = "freshness"     // the checkpoint or its epoch is too old, or from the future
	CheckRollback     Check = "rollback"      // smaller than the checkpoint that this client holds: stale, ask again
	CheckConsistency  Check = "consistency"   // no append-only extension of the checkpoint that this client holds
	CheckSplitView    Check = "split-view"    // same size as the checkpoint that this client holds, another root
	CheckSealed       Check = "sealed"        // a log that has ended goes on
	CheckGenesis      Check = "genesis"       // not the log of the policy or of the state
	CheckEpoch        Check = "epoch"         // the newest EPOCH and the size contradict each other
	CheckAsked        Check = "asked"         // answers another question than the one asked
	CheckRequired     Check = "required"      // a version that section 5 requires is missing or superfluous
	CheckVRF          Check = "vrf"           // a VRF proof is wrong
	CheckPrefix       Check = "prefix"        // the prefix tree does not hold, or lack, what it must
	CheckPositions    Check = "positions"     // positions do not rise, or one is used twice
	CheckInclusion    Check = "inclusion"     // a leaf is not in the log at its position
	CheckOpening      Check = "opening"       // an event is not the one that its commitment hides
	CheckRules        Check = "rules"         // an event breaks the account rules
	CheckNewer        Check = "newer-client"  // an event or key of a kind that needs a newer client
	CheckHistory      Check = "history"       // contradicts what this client accepted before
	CheckTag          Check = "tag"           // what a contact has seen is not confirmed (section 10.3)
)

// Failure is a check that did not pass. Nothing of the answer may be used.
// It convicts nobody by itself: a proof that merely fails may be anybody's
// mistake. Evidence does.
type Failure struct {
	Check   Check
	Account *name.AccountID // nil when it concerns no single account
	Err     error

	// Evidence shows a stranger that the log lied; nil as a rule. Keep what
	// evidence.Convict makes of it, for the log's key and for each cosigner's.
	Evidence *evidence.File
	// Notes are checkpoints that the log signed: the one that this client held
	// and the one that it was shown, which it could not see to extend the other;
	// or the latter alone, if the fault lies in its tree. Keep two of them, and
	// publish them if the log does not explain itself: ProveFork makes evidence
	// of them, if they contradict, once hashes of the larger tree are to be had.
	Notes [][]byte
	// Leaves are positions in the tree of the last of Notes, ascending, of one or
	// two leaves that break a rule of the log (section 4.2). Who can fetch them
	// has evidence of kind E5.
	Leaves []uint64
	// Events are opened events of Account in the tree of the last of Notes, up to
	// the one that broke the account rules: ProveEvents makes evidence of them,
	// if they contradict by themselves. That discloses the account.
	Events []evidence.Open
}

func (f *Failure) Error() string {
	if f.Account != nil {
		return fmt.Sprintf("verification failed (%s) for account %s: %v", f.Check, f.Account, f.Err)
	}
	return fmt.Sprintf("verification failed (%s): %v", f.Check, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }

func fail(c Check, format string, args ...any) *Failure {
	return &Failure{Check: c, Err: fmt.Errorf(format, args...)}
}

// FailedCheck says which check an error reports; "" if it is no Failure.
func FailedCheck(err error) Check {
	var f *Failure
	if errors.As(err, &f) {
		return f.Check
	}
	return ""
}
