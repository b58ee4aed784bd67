package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// Why Policy.Verify refuses a note; Note.SignedBy knows the first reason alone.
var (
	// ErrLogSignature: the note is not this log's, or not signed by it exactly once.
	ErrLogSignature = errors.New("the checkpoint is not signed by the log's key")
	// ErrQuorum: too few witnesses cosigned, or a cosignature is invalid.
	ErrQuorum = errors.New("the cosignatures do not meet the policy")
	// ErrStale: enough witnesses cosigned, but too long ago or, by this clock, in
	// the future.
	ErrStale = errors.New("the cosignatures are not of now")
)

// Trust says what stands behind every checkpoint that a policy accepts.
type Trust string

const (
	Audited     Trust = "audited"     // at least one auditor replayed every leaf
	Unaudited   Trust = "unaudited"   // witnesses saw the tree grow only; the log alone vouches for the map
	Unwitnessed Trust = "unwitnessed" // the log alone vouches for everything
)

// Verdict is what Policy.Verify found.
type Verdict struct {
	Cosigners []string // the policy's names of all timely cosigners, in its order
	Trust     Trust    // the policy's: what every note that it accepts has behind it
}

// Verify is step 1 of protocol section 6: exactly one line carries the log's
// name and key id, and is valid; then the quorum is met by cosignatures whose
// time lies in [now − maxAge, now + 300 s]. A maxAge of math.MaxInt64 admits
// any age. Lines by keys that are not in the policy are ignored. An invalid
// line by a key that is in it has the note refused, needed or not: somebody
// changed the note, or a witness's line is for another text.
// Errors are ErrLogSignature, ErrQuorum or ErrStale, with details.
func (p *Policy) Verify(n *Note, now time.Time, maxAge time.Duration) (*Verdict, error) {
	if err := n.SignedBy(p.Log); err != nil {
		return nil, fmt.Errorf("verifying checkpoint: %w", err)
	}
	timely, all, err := p.cosigners(n, now, maxAge)
	if err != nil {
		return nil, fmt.Errorf("verifying checkpoint: %w", err)
	}
	if !p.Met(timely) {
		err := fmt.Errorf("%w: %d of %d known cosigners signed, the quorum is %q", ErrQuorum, len(all), len(p.Witnesses), p.Quorum)
		if p.Met(all) {
			err = fmt.Errorf("%w: %d of %d lie in the %v before this clock (%s); is the clock right?", ErrStale, len(timely), len(all), maxAge, now.UTC().Format(time.RFC3339))
		}
		return nil, fmt.Errorf("verifying checkpoint: %w", err)
	}
	v := &Verdict{Trust: p.Trust()}
	for _, w := range p.Witnesses {
		if timely[w.Name] {
			v.Cosigners = append(v.Cosigners, w.Name)
		}
	}
	return v, nil
}

// SignedBy is what Verify asks first: the note is of the log that the key is
// named after, and exactly one line is by the key, and valid. It asks for no
// cosignature: a log answers for whatever it signed. Errors are ErrLogSignature,
// with details.
func (n *Note) SignedBy(log Key) error {
	// A log's key may sign notes of other kinds, and a note made by hand may
	// show one checkpoint and carry the signed text of another.
	if string(n.Origin) != log.Name || n.Text != n.Checkpoint.Text() {
		return fmt.Errorf("%w: it is of %q, not of %q", ErrLogSignature, n.Origin, log.Name)
	}
	lines := 0
	for _, l := range n.Lines {
		if !log.Made(l) {
			continue
		}
		if lines++; lines > 1 {
			return fmt.Errorf("%w: two lines by %s %08x", ErrLogSignature, l.Name, l.ID)
		}
		if _, err := log.Verify(n.Text, l); err != nil {
			return fmt.Errorf("%w: %w", ErrLogSignature, err)
		}
	}
	if lines == 0 {
		return fmt.Errorf("%w: no line by %s %08x", ErrLogSignature, log.Name, log.ID)
	}
	return nil
}

// Open reads a signed checkpoint as Parse does, and verifies that a log's key
// signed it, as SignedBy does.
func Open(log Key, note []byte) (*Note, error) {
	n, err := Parse(note)
	if err != nil {
		return nil, err
	}
	if err := n.SignedBy(log); err != nil {
		return nil, err
	}
	return n, nil
}

// cosigners verifies every line by a witness of the policy, and gives the
// names of the witnesses whose time is in bounds, and of all.
func (p *Policy) cosigners(n *Note, now time.Time, maxAge time.Duration) (timely, all map[string]bool, err error) {
	timely, all = make(map[string]bool), make(map[string]bool)
	for _, w := range p.Witnesses {
		for _, l := range n.Lines {
			if !w.Key.Made(l) {
				continue
			}
			at, err := w.Key.Verify(n.Text, l)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: the line by witness %q: %w", ErrQuorum, w.Name, err)
			}
			all[w.Name] = true
			if Timely(at, now, maxAge) {
				timely[w.Name] = true
			}
		}
	}
	return timely, all, nil
}

// Timely says whether a cosignature's time, as Key.Verify gives it, lies in
// [now − maxAge, now + 300 s].
// Seconds are compared as numbers: time.Unix of a far second wraps around, and
// what lies in the far future would pass for the past.
func Timely(at uint64, now time.Time, maxAge time.Duration) bool {
	from := now.Add(-maxAge)
	oldest := from.Unix()
	if from.Nanosecond() > 0 {
		oldest++
	}
	return int64(at) >= oldest && int64(at) <= now.Add(maxAhead).Unix()
}

// NeedsCosigners says whether a checkpoint needs more than the log's signature.
func (p *Policy) NeedsCosigners() bool { return p.Quorum != quorumNone }

// Met says whether cosignatures by these witnesses, by their names in the
// policy, meet the quorum. One pass is enough, since the members of a group
// stand before it.
func (p *Policy) Met(signed map[string]bool) bool {
	if p.Quorum == quorumNone {
		return true
	}
	met := maps.Clone(signed)
	for _, g := range p.Groups {
		n := 0
		for _, m := range g.Members {
			if met[m] {
				n++
			}
		}
		met[g.Name] = n >= g.Need
	}
	return met[p.Quorum]
}

// Trust is what the quorum guarantees at least: audited only if it cannot be
// met without an auditor. A quorum grows more met, never less, with each
// witness, so the case to try is that everyone but the auditors signs.
func (p *Policy) Trust() Trust {
	if p.Quorum == quorumNone {
		return Unwitnessed
	}
	auditor := p.auditors()
	others := make(map[string]bool)
	for _, w := range p.Witnesses {
		if !auditor[w.Name] {
			others[w.Name] = true
		}
	}
	if p.Met(others) {
		return Unaudited
	}
	return Audited
}

// auditors is all names in the group of that name, groups and witnesses.
func (p *Policy) auditors() map[string]bool {
	auditor := make(map[string]bool)
	for i := len(p.Groups) - 1; i >= 0; i-- { // from the outer groups to the inner ones
		if g := p.Groups[i]; g.Name == auditorsGroup || auditor[g.Name] {
			for _, m := range g.Members {
				auditor[m] = true
			}
		}
	}
	return auditor
}
