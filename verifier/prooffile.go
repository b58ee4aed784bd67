package verifier

import (
	"time"

	"github.com/musterlog/muster/log/answer"
)

// ProofFile judges a proof file (protocol section 5.7) as a first lookup by
// who holds nothing: it remembers nothing, and so says nothing about what a
// client has seen elsewhere. Result.Time is the EPOCH's: how old the file is.
// A negative MaxAge admits any age, as offline checking needs.
func (v *Verifier) ProofFile(f *answer.ProofFile, now time.Time) (*Result, error) {
	l, err := v.Lookup(nil, Question{Account: f.Identifier.AccountID()})
	if err != nil {
		return nil, err
	}
	if err := l.Answer(f.Answer, now); err != nil {
		return nil, err
	}
	if l.Request() != nil {
		return nil, fail(CheckRequired, "the file ends before the account's newest event")
	}
	result, _, err := l.Result()
	return result, err
}
