package event

import (
	"slices"

	"github.com/musterlog/muster/log/name"
)

// Checked is an event whose own rules have been judged: the part of its row
// that needs no account, admission, signatures. The outcome is inside, and
// Apply reports it in its place among the other rules.
type Checked struct {
	event  *Event
	id     name.EventID
	row    error // what the row refuses whatever the account
	crypto error // an admission or a signature that fails
}

// Event is the event that was checked; it must not be changed any more.
func (c *Checked) Event() *Event { return c.event }

// ID is the event's id.
func (c *Checked) ID() name.EventID { return c.id }

// Err is the first rule that the event breaks whatever its account, or nil.
// An event with Err nil has exactly the signatures that its type asks for, and
// all are valid.
func (c *Checked) Err() error {
	if c.row != nil {
		return c.row
	}
	return c.crypto
}

// Check judges what needs no account, and costs most of the time: at most two
// admissions and two signatures, some 150 µs. It keeps no state and may run in
// parallel. Keys in `admitted` are known to be admitted, so their admission is
// skipped: the keys of the account, when the caller holds it.
func Check(e *Event, admitted ...Key) *Checked {
	c := &Checked{event: e, id: e.ID(), row: checkRow(e)}
	if c.row != nil {
		return c // reported before admission and signatures: spare the time
	}
	if c.crypto = checkAdmission(e, admitted); c.crypto == nil {
		c.crypto = checkSignatures(e)
	}
	return c
}

// row is a line of section 3's table, as far as it needs no account.
type row struct {
	keyIndex         uint32
	primary, subject bool     // is there one
	roles            []string // the signature sets that will do, as roles in ascending order
}

// rowOf is the line for e: where the table allows two things, the one that e
// has chosen. false for a type that has no line.
func rowOf(e *Event) (row, bool) {
	switch e.Type {
	case Register:
		return row{primary: true, roles: []string{"0"}}, true
	case AddDevice:
		return row{keyIndex: e.Seq, primary: true, subject: true, roles: []string{"01"}}, true
	case RemoveDevice:
		return row{keyIndex: e.KeyIndex, primary: true, subject: true, roles: []string{"0", "1"}}, true
	case Reregister:
		if e.Subject.IsZero() {
			return row{keyIndex: e.Seq, primary: true, roles: []string{"0"}}, true
		}
		return row{keyIndex: e.Seq, primary: true, subject: true, roles: []string{"01"}}, true
	case OperatorRemove:
		return row{keyIndex: e.KeyIndex, primary: true, subject: true, roles: []string{""}}, true
	case Erase:
		return row{roles: []string{""}}, true
	case Confirm:
		return row{primary: true, roles: []string{"0"}}, true
	}
	return row{}, false
}

// checkRow holds e against its line.
func checkRow(e *Event) error {
	want, ok := rowOf(e)
	if !ok {
		return broken(RuleRow, "%s has no rules", e.Type)
	}
	if (e.Type == Register) != (e.Seq == 0) {
		return broken(RuleRow, "%s at seq %d: REGISTER is the first event, and only the first", e.Type, e.Seq)
	}
	if e.KeyIndex != want.keyIndex {
		return broken(RuleRow, "%s with key_index %d, want %d", e.Type, e.KeyIndex, want.keyIndex)
	}
	if !e.Primary.IsZero() != want.primary {
		return broken(RuleRow, "%s: primary key present: %t, want %t", e.Type, !want.primary, want.primary)
	}
	if !e.Subject.IsZero() != want.subject {
		return broken(RuleRow, "%s: subject key present: %t, want %t", e.Type, !want.subject, want.subject)
	}
	var roles []byte
	for _, s := range e.Signatures {
		roles = append(roles, '0'+byte(s.Role))
	}
	// Exactly these: an extra signature that nobody verifies would ride along
	// and look like consent.
	if !slices.Contains(want.roles, string(roles)) {
		return broken(RuleRow, "%s signed by roles %q, want exactly one of %q", e.Type, roles, want.roles)
	}
	return nil
}

func checkAdmission(e *Event, admitted []Key) error {
	for _, r := range []Role{Primary, Subject} {
		k := e.keyOf(r)
		if k.IsZero() || slices.Contains(admitted, k) {
			continue
		}
		if err := Admit(k); err != nil {
			return &Error{Rule: RuleNotAdmitted, Role: r, Detail: "the " + r.String() + " key is not fit for use (" + err.Error() + "): generate another one"}
		}
	}
	return nil
}

func checkSignatures(e *Event) error {
	for i := range e.Signatures {
		s := &e.Signatures[i]
		if !VerifySignature(e.keyOf(s.Role), e.SignedBytes(s.Role), s.Bytes) {
			return &Error{Rule: RuleSignature, Role: s.Role, Detail: "the signature by the " + s.Role.String() + " key is not valid for these bytes"}
		}
	}
	return nil
}

// keyOf is the key by which role r signs.
func (p *Payload) keyOf(r Role) Key {
	if r == Primary {
		return p.Primary
	}
	return p.Subject
}
