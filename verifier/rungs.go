package verifier

import (
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/name"
)

// Rung is one version that an answer proved present or absent, with the index
// that only this account can have at this seq. Whoever reads the whole log
// knows by it which EVENT leaves are this account's (protocol section 5).
type Rung struct {
	Seq      uint32
	Index    name.Index
	Present  bool
	Position uint64 // of its EVENT leaf, if present
}

// rungs are the versions of the last answer: all rungs of Ladder(n), and what
// it opened. Those above n are absent.
func (s *account) rungs() []Rung {
	out := make([]Rung, len(s.said.Versions))
	for i := range s.said.Versions {
		ver := &s.said.Versions[i]
		out[i] = Rung{Seq: ver.Seq, Index: s.indexes[i], Present: ver.Form != answer.Absent}
		if out[i].Present {
			out[i].Position = ver.Position
		}
	}
	return out
}
