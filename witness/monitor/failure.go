package monitor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// Checks beside the verifier's.
const (
	checkUnreachable = "unreachable" // no answer came
	checkOverdue     = "overdue"     // a promise was not kept
	checkScan        = "scan"        // the log's leaves are not those under its checkpoint
	checkOther       = "error"       // this client could not judge the answer: see message
)

// source marks the errors that mean that no answer came.
type source struct{ verifier.Source }

type sourceError struct{ cause error }

func (e *sourceError) Error() string { return e.cause.Error() }
func (e *sourceError) Unwrap() error { return e.cause }

func (s source) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	data, err := s.Source.Lookup(ctx, request)
	if err != nil {
		return nil, &sourceError{err}
	}
	return data, nil
}

// failed tells of what did not pass. A server that is behind or away is no
// alarm until max age has passed without success (protocol section 6.4).
func (m *Monitor) failed(ctx context.Context, account name.Identifier, w *watch, err error, o *Outcome) {
	check, severity, outage := classify(err)
	if check == checkUnreachable {
		o.Unreachable = true
	} else {
		o.Failed = true
	}
	a := m.alert(account, Failed, severity)
	a.Alarm, a.Check, a.Message = !outage, check, printable(err)
	m.trouble(ctx, w, a, err)

	since := m.cfg.Now().Sub(w.Verified)
	if since >= m.maxAge() {
		a := m.alert(account, Stalled, High)
		a.Alarm, a.Check = true, check
		a.Message = printable(fmt.Errorf("nothing could be verified since %s: %w", w.Verified.UTC().Format("2006-01-02 15:04:05"), err))
		m.trouble(ctx, w, a, nil)
	}
}

func (m *Monitor) maxAge() time.Duration {
	if m.cfg.Verifier.MaxAge > 0 {
		return m.cfg.Verifier.MaxAge
	}
	return verifier.DefaultMaxAge
}

func classify(err error) (check string, severity Severity, outage bool) {
	switch c := verifier.FailedCheck(err); c {
	case "":
		if errors.As(err, new(*evidence.Misbehaviour)) {
			return checkOverdue, Critical, false
		}
		if errors.Is(err, follow.ErrForged) {
			return checkScan, Critical, false
		}
		// Time that runs out between two pages is the answers' too.
		if errors.As(err, new(*sourceError)) || errors.Is(err, context.DeadlineExceeded) {
			return checkUnreachable, Low, true
		}
		return checkOther, High, false
	case verifier.CheckRollback:
		return string(c), Low, true
	case verifier.CheckFreshness, verifier.CheckNewer:
		return string(c), High, false // a stale tree is max age old already
	case verifier.CheckQuorum:
		return string(c), High, false // one cosigner that is down is enough, and nobody's lie
	default:
		return string(c), Critical, false
	}
}

// trouble queues an alert about a check when it begins to fail and each Repeat
// while it does. A log that fails and recovers in turn, or fails in all ways by
// turns, gets no more lines than that: noise must not hide another alert. When
// the queue is full it is tried again in the next pass.
//
// What convicts the log is an alarm whatever the check says, and is told though
// the check was told of before: else a server that was behind would excuse a
// fork for as long.
func (m *Monitor) trouble(ctx context.Context, w *watch, a Alert, err error) {
	key := string(a.Kind) + " " + a.Check
	if a.Kind == Stalled {
		key = string(Stalled)
	}
	proven, now := key+" proven", m.cfg.Now().UTC()
	told := m.told(w, key, now)
	if len(m.journal.Queue) >= maxQueue || told && (m.told(w, proven, now) || !m.unseen(err)) {
		return
	}
	// Before the alert: a crash in between leaves a file that nobody was told of.
	a.Evidence = m.keep(ctx, err, &a.Message)
	switch {
	case a.Evidence != "":
		a.Alarm, a.Severity = true, Critical
		w.Troubles[proven] = &trouble{Told: now} // that it is over the other one tells
	case told:
		return
	}
	a.ID = id(a.AccountID, key, now.UnixNano())
	m.journal.Queue = append(m.journal.Queue, queued{Alert: a})
	w.Troubles[key], m.dirty = &trouble{Told: now, Open: true}, true
}

// told says that an alert of this key is not due again yet.
func (m *Monitor) told(w *watch, key string, now time.Time) bool {
	t := w.Troubles[key]
	return t != nil && now.Sub(t.Told) < m.cfg.Repeat && !now.Before(t.Told)
}

// unseen says that a failure that was told of comes with other checkpoints now,
// in which evidence is worth looking for, whatever other accounts were shown.
func (m *Monitor) unseen(err error) bool {
	var f *verifier.Failure
	if !errors.As(err, &f) || len(f.Notes) == 0 || m.cfg.Files == nil {
		return false
	}
	notes := sha256.Sum256(bytes.Join(f.Notes, nil))
	if m.looked[notes] {
		return false
	}
	if len(m.looked) >= maxLooked {
		clear(m.looked)
	}
	m.looked[notes] = true
	return true
}

// recovered tells once of each failure that is over.
func (m *Monitor) recovered(account name.Identifier, w *watch) {
	now := m.cfg.Now().UTC()
	for _, key := range slices.Sorted(maps.Keys(w.Troubles)) {
		t := w.Troubles[key]
		if t.Open && len(m.journal.Queue) < maxQueue {
			a := m.alert(account, Recovered, Low)
			_, a.Check, _ = strings.Cut(key, " ")
			a.Message = "verified again"
			a.ID = id(a.AccountID, Recovered, key, t.Told.UnixNano())
			m.journal.Queue = append(m.journal.Queue, queued{Alert: a})
			t.Open, m.dirty = false, true
		}
		if !t.Open && now.Sub(t.Told) >= m.cfg.Repeat {
			delete(w.Troubles, key)
			m.dirty = true
		}
	}
	if now.Sub(w.Verified) >= verifiedGrain || now.Before(w.Verified) {
		w.Verified, m.dirty = now, true
	}
}

// keep writes what convicts the log, if the error carries it or the log's own
// files show it, and returns its path. Only what a stranger's verifier accepts
// is written: at most one file an alert for each who is convicted, so that a log
// that lies in many ways fills no disk. What cannot be kept is told in the alert's message instead.
func (m *Monitor) keep(ctx context.Context, err error, message *string) string {
	var proven *evidence.Misbehaviour
	if errors.As(err, &proven) {
		return m.convict(proven.File, message)
	}
	var f *verifier.Failure
	if !errors.As(err, &f) || f.Evidence == nil && len(f.Notes) == 0 {
		return ""
	}
	ctx, done := context.WithTimeout(ctx, investigateTime)
	defer done()
	file, err := follow.Investigate(ctx, m.cfg.Files, m.cfg.Verifier.Policy.Log, f)
	if err != nil {
		*message += "; no evidence is kept: " + printable(err)
		if len(f.Notes) == 2 && !errors.Is(err, verifier.ErrNoFork) {
			m.keepNotes(f, message)
		}
		return ""
	}
	return m.convict(file, message)
}

// keepNotes keeps the two checkpoints of what may be a fork, if the log shows no
// tree of it: whoever has that can convict it with them. One pair a check and
// Repeat, since a log may sign others without end.
func (m *Monitor) keepNotes(f *verifier.Failure, message *string) {
	now := m.cfg.Now()
	if last, ok := m.notes[f.Check]; ok && now.Sub(last) < m.cfg.Repeat && !now.Before(last) {
		return
	}
	for _, note := range f.Notes {
		if err := m.cfg.Disk.Keep(filepath.Join(m.path("evidence"), evidence.NoteName(note)), note); err != nil {
			*message += "; nor are the checkpoints: " + printable(err)
			return
		}
	}
	m.notes[f.Check] = now
	*message += "; both checkpoints that the log signed are kept in " + m.path("evidence") + ": publish them, they convict it if one does not extend the other"
}

func (m *Monitor) convict(f *evidence.File, message *string) string {
	policy := m.cfg.Verifier.Policy
	path, err := m.convictOne(policy.Log, f)
	if err != nil {
		*message += "; no evidence is kept: " + printable(err)
		return ""
	}
	// The log's file lacks the cosigners' lines. Who cosigned both trees, or as
	// an auditor what breaks a rule, broke its word too.
	auditors := policy.Auditors()
	for _, w := range policy.Witnesses {
		if f.Kind != evidence.E1 && f.Kind != evidence.E2 && !slices.Contains(auditors, w.Name) {
			continue
		}
		if also, err := m.convictOne(w.Key, f.OfCosigner()); err == nil {
			*message += "; against " + w.Name + " too: " + also
		}
	}
	return path
}

// convictOne keeps the file that convicts the holder of one key.
func (m *Monitor) convictOne(key checkpoint.Key, f *evidence.File) (path string, err error) {
	var proven *evidence.Misbehaviour
	if err = evidence.Convict(key, f); !errors.As(err, &proven) {
		return "", err
	}
	path = filepath.Join(m.path("evidence"), proven.File.Name())
	return path, m.cfg.Disk.Keep(path, proven.File.Bytes())
}
