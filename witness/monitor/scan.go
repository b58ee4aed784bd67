package monitor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// scan is what the journal knows of the reading of all leaves. It moves in the
// same write as the queue.
type scan struct {
	Next    uint64              `json:"next"`    // position of the first leaf that was not read
	Root    string              `json:"root"`    // of the tree of the leaves before it
	Covered []name.Identifier   `json:"covered"` // accounts whose indexes were looked for from leaf 0 on
	Known   map[string]*version `json:"known"`   // by index
	Watch   watch               `json:"watch"`   // of the reading itself
}

// version is one that an answer spoke of, ever: an index that was absent once
// may be hidden behind an ERASE when its leaf comes.
type version struct {
	Account  name.Identifier `json:"account"`
	Seq      uint32          `json:"seq"`
	Position uint64          `json:"position"` // of its one leaf; 0: none yet, or erased before it was seen
}

// view is what one pass verified of all accounts: the smallest tree among their
// answers, and each account's first seq that does not exist.
type view struct {
	note    *checkpoint.Note
	raw     []byte
	results map[name.Identifier]*verifier.Result
	next    map[name.Identifier]uint32
}

func (m *Monitor) covers(account name.Identifier) bool {
	return !m.cfg.Scan || m.journal.Scan != nil && slices.Contains(m.journal.Scan.Covered, account)
}

// forget takes out of the scan what this monitor does not look after: of an
// account that it does not ask about it would take every new leaf for an
// insertion, and after a time without a scan it knows the indexes of too few
// versions. An account that comes back is looked for from leaf 0 on again.
func (m *Monitor) forget() {
	s := m.journal.Scan
	if s == nil {
		return
	}
	watched := make(map[name.Identifier]bool, len(m.cfg.Accounts))
	for _, account := range m.cfg.Accounts {
		watched[account] = true
	}
	before := len(s.Covered) + len(s.Known)
	s.Covered = slices.DeleteFunc(s.Covered, func(a name.Identifier) bool { return !m.cfg.Scan || !watched[a] })
	maps.DeleteFunc(s.Known, func(_ string, v *version) bool { return !watched[v.Account] })
	m.dirty = len(s.Covered)+len(s.Known) < before
}

// learn keeps an answer for this pass, and its indexes for the scan.
func (m *Monitor) learn(v *view, account name.Identifier, r *verifier.Result) error {
	v.results[account] = r
	if !m.cfg.Scan {
		return nil
	}
	s := m.journal.Scan
	if s == nil {
		s = &scan{Known: map[string]*version{}, Watch: watch{Verified: m.cfg.Now().UTC(), Troubles: map[string]*trouble{}}}
		m.journal.Scan = s
	}
	if !m.covers(account) {
		s.Covered = append(s.Covered, account)
		s.Next, s.Root, m.dirty = 0, "", true // its indexes may stand anywhere
	}
	f := &r.Accounts[0]
	for _, l := range f.Events {
		m.know(l.Index, version{account, l.Seq, l.Position})
	}
	for _, rung := range f.Rungs {
		m.know(rung.Index, version{account, rung.Seq, rung.Position})
	}
	v.next[account] = 0
	if f.Status != verifier.Unknown {
		v.next[account] = f.Seq + 1
	}
	if v.note == nil || r.Checkpoint.Size < v.note.Size {
		note, err := checkpoint.Parse(r.Note)
		if err != nil {
			return err
		}
		v.note, v.raw = note, r.Note
	}
	return nil
}

// know never changes a position: a map that changed it points at a second leaf
// of the index, which the scan finds.
func (m *Monitor) know(index name.Index, v version) {
	known := m.journal.Scan.Known
	if have := known[index.String()]; have == nil {
		known[index.String()], m.dirty = &v, true
	} else if have.Position == 0 && v.Position != 0 {
		have.Position, m.dirty = v.Position, true
	}
}

// scan reads the leaves that were not read, up to the smallest tree of this
// pass. It waits for a pass in which every account was verified: what it knows
// of an account must not be older than the leaves.
func (m *Monitor) scan(ctx context.Context, v *view, o *Outcome) {
	s := m.journal.Scan
	if !m.cfg.Scan || s == nil || len(v.next) < len(m.cfg.Accounts) || s.Next >= v.note.Size {
		return
	}
	limited, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	err := m.read(limited, s, v)
	o.Unread = v.note.Size - s.Next
	switch {
	case ctx.Err() != nil:
	case err != nil:
		m.failed(ctx, "", &s.Watch, err, o)
	default:
		m.recovered("", &s.Watch)
	}
}

func (m *Monitor) read(ctx context.Context, s *scan, v *view) error {
	tree, err := follow.Open(ctx, m.cfg.Files, v.note.Checkpoint)
	if err != nil {
		return scanError(err)
	}
	if s.Next > 0 {
		root, err := tree.RootAt(ctx, s.Next)
		if err != nil {
			return scanError(err)
		}
		if root.String() != s.Root {
			return scanError(fmt.Errorf("%w: the %d leaves that were read have another root now", follow.ErrForged, s.Next))
		}
	}
	began, next := m.cfg.Now(), s.Next
	var stop error
	for b, err := range tree.Bundles(ctx, s.Next) {
		if err != nil {
			stop = scanError(err)
			break
		}
		for i, data := range b.Leaves {
			// Leaves that have no form are the auditor's affair.
			if l, err := leaf.Parse(data); err == nil {
				if e, ok := l.(*leaf.Event); ok {
					m.match(ctx, v, e.Index, b.First+uint64(i))
				}
			}
		}
		next = b.First + uint64(len(b.Leaves))
		// A slow log must not cost what was read: the rest is for the next pass.
		if next-s.Next >= maxScan || len(m.journal.Queue) >= maxQueue-reserve || m.cfg.Now().Sub(began) >= scanTime/2 {
			break
		}
	}
	if next == s.Next {
		return stop
	}
	root, err := tree.RootAt(ctx, next)
	if err != nil {
		return errors.Join(stop, scanError(err))
	}
	s.Next, s.Root, m.dirty = next, root.String(), true
	return stop
}

func scanError(err error) error {
	if errors.Is(err, follow.ErrForged) {
		return err
	}
	return &sourceError{err}
}

// match holds one EVENT leaf against what the answers said of its index.
func (m *Monitor) match(ctx context.Context, v *view, index name.Index, position uint64) {
	known := m.journal.Scan.Known[index.String()]
	switch {
	case known == nil || known.Position == position:
		return
	case known.Position == 0 && known.Seq < v.next[known.Account]:
		known.Position = position // erased before it was seen: one leaf is due, not two
		return
	}
	a := m.alert(known.Account, Inserted, Critical)
	at := []any{a.AccountID, Inserted, hex.EncodeToString(index[:]), position}
	a.ID = id(at...)
	a.Alarm, a.Seq, a.Position, a.Check = true, &known.Seq, &position, checkScan
	var proof func(context.Context) (*evidence.File, error)
	if known.Position == 0 {
		a.Message = "the log has an event of this account that its answers prove absent"
		proof = m.hidden(v.results[known.Account], index, position)
	} else {
		a.Message = fmt.Sprintf("the log has a second leaf of this version: the verified one is at position %d", known.Position)
		proof = m.twice(v, known.Position, position)
	}
	u := unproven{alert: a, id: id(append(at, "proven")...), proof: proof}
	m.prove(ctx, &a, proof)
	if a.Evidence == "" && len(m.unproven) < maxUnproven {
		m.unproven = append(m.unproven, u)
	}
	m.journal.Queue = append(m.journal.Queue, queued{Alert: a})
	m.dirty = true
}

// hidden is evidence E4a of a leaf that this pass's answer proved absent.
func (m *Monitor) hidden(r *verifier.Result, index name.Index, position uint64) func(context.Context) (*evidence.File, error) {
	return func(ctx context.Context) (*evidence.File, error) {
		tree, err := follow.Open(ctx, m.cfg.Files, r.Checkpoint)
		if err != nil {
			return nil, err
		}
		return r.ProveInserted(m.cfg.Verifier.Policy.Log, follow.Evidence(ctx, tree, r.Note), index, position)
	}
}

// twice is evidence E5 of two leaves with one index.
func (m *Monitor) twice(v *view, p, q uint64) func(context.Context) (*evidence.File, error) {
	note, raw := v.note, v.raw // not all that the pass was answered
	return func(ctx context.Context) (*evidence.File, error) {
		tree, err := follow.Open(ctx, m.cfg.Files, note.Checkpoint)
		if err != nil {
			return nil, err
		}
		return follow.Evidence(ctx, tree, raw).BrokenLeaves(min(p, q), max(p, q))
	}
}
