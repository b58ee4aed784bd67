package verifier

import (
	"errors"
	"fmt"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
)

// shown is the opened events that the account rules have judged.
func (s *account) shown() (opened []evidence.Open) {
	for i := range s.said.Versions {
		ver := &s.said.Versions[i]
		if ver.Form == answer.Opened && len(opened) < s.judged {
			opened = append(opened, evidence.Open{Position: ver.Position, Label: s.said.ID.Label(), Seq: ver.Seq, Opening: ver.Opening, Event: ver.Event})
		}
	}
	return opened
}

// ProveEvents makes evidence of a Failure's Events (E6, protocol section 9.3):
// of the last one, which broke a rule, or of as many before it as contradict
// it. tree shows the leaves of the checkpoint that the answer came under, from
// the log's public files, and may lie. Most failures of the rules convict: an
// answer cannot invent events, since it has to prove their inclusion. Some do
// not, such as a device list beside an anchor, which nobody signed.
func ProveEvents(log checkpoint.Key, tree *evidence.Tree, events []evidence.Open) (*evidence.File, error) {
	why := errors.New("no event was opened")
	for from := len(events) - 1; from >= 0; from-- {
		f, err := tree.BrokenEvents(events[from:]...)
		if err != nil {
			return nil, fmt.Errorf("proving that events break a rule: %w", err)
		}
		var m *evidence.Misbehaviour
		if why = evidence.Convict(log, f); errors.As(why, &m) {
			return m.File, nil
		}
	}
	return nil, fmt.Errorf("proving that events break a rule: %w", why)
}
