package monitor

import (
	"context"

	"github.com/musterlog/muster/log/evidence"
)

// unproven is an insertion that was told without evidence: the log did not show
// its files, or the disk had no room. The scan has gone on, so that a log that
// refuses them hides no other insertion.
type unproven struct {
	alert Alert // as it was told, without what went wrong
	id    string
	proof func(context.Context) (*evidence.File, error) // from the answer of that pass
}

// prove adds the evidence to an alert, or why there is none.
func (m *Monitor) prove(ctx context.Context, a *Alert, proof func(context.Context) (*evidence.File, error)) {
	f, err := proof(ctx)
	if err != nil {
		a.Message += "; no evidence is kept: " + printable(err)
		return
	}
	a.Evidence = m.convict(f, &a.Message)
}

// proveAgain tries one of those that are unproven once more, each in its turn,
// and tells of the evidence under an id of its own. A restart forgets them: the
// first alert has said where to look.
func (m *Monitor) proveAgain(ctx context.Context) {
	if len(m.unproven) == 0 || len(m.journal.Queue) >= maxQueue {
		return
	}
	u := m.unproven[0]
	m.unproven = m.unproven[1:]
	ctx, done := context.WithTimeout(ctx, investigateTime)
	defer done()
	a := u.alert
	m.prove(ctx, &a, u.proof)
	if a.Evidence == "" {
		m.unproven = append(m.unproven, u)
		return
	}
	a.ID = u.id
	m.journal.Queue, m.dirty = append(m.journal.Queue, queued{Alert: a}), true
}
