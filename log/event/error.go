package event

import "fmt"

// Rule is what a refused event broke, for callers to branch on.
type Rule string

// The rules in the order in which they are reported (section 3). Of two broken
// ones the earlier is named, whoever verifies.
const (
	RuleStructure      Rule = "structure"          // not one canonical event
	RuleNewer          Rule = "needs-newer-client" // reserved type: a failure, never evidence
	RuleLog            Rule = "wrong-log"
	RuleAccount        Rule = "wrong-account"
	RuleSeq            Rule = "seq"
	RulePrev           Rule = "prev"
	RuleGeneration     Rule = "generation"
	RuleRow            Rule = "row"             // the type's row of section 3's table
	RuleUnknownPrimary Rule = "unknown-primary" // the row: a primary that is not the account's
	RuleListFull       Rule = "list-full"       // the row: more than MaxDevices companions
	RuleKeyUsed        Rule = "key-used-before" // the row: a key is introduced once
	RuleNotAdmitted    Rule = "key-not-admitted"
	RuleSignature      Rule = "bad-signature"
	RuleDevicesHash    Rule = "devices-hash"
)

// Rules that a server adds to the protocol's.
const (
	RuleTooBig    Rule = "too-big"
	RuleTimeAhead Rule = "time-ahead"
	RuleTaken     Rule = "seq-taken"
	RuleForbidden Rule = "forbidden"
)

// Error is a refused event.
type Error struct {
	Rule   Rule
	Role   Role   // whose key or signature, for RuleNotAdmitted and RuleSignature of an event's own keys
	Detail string // what was expected, and what to do next where that is known
	Head   []byte // for RuleTaken: the Event that holds the account's newest seq
}

func (e *Error) Error() string { return fmt.Sprintf("event refused (%s): %s", e.Rule, e.Detail) }

func broken(rule Rule, format string, args ...any) error {
	return &Error{Rule: rule, Detail: fmt.Sprintf(format, args...)}
}
