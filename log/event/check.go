package event

import (
	"slices"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/point"
)

// Checked is an event whose own rules have been judged: the part of its row
// that needs no account, admission, signatures. The outcome is inside, and
// Apply reports it in its place among the other rules.
type Checked struct {
	event  *Event
	id     name.EventID
	row    error // what the row refuses whatever the account
	crypto error // an admission or a signature that fails

	about *[32]byte // coordinate of the key that the event is about, if Check admitted that
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
// admissions and two signatures, some 100 µs. It keeps no state and may run in
// parallel. Keys in `admitted` are known to be admitted, so their admission is
// skipped: the keys of the account, when the caller holds it.
func Check(e *Event, admitted ...Key) *Checked {
	return CheckAll([]*Event{e}, [][]Key{admitted})[0]
}

// CheckAll is Check of each event, with the keys admitted[i] for events[i]. Each
// signature is verified by itself, but they share an inversion: that saves a
// twelfth of the work where there are many. Events of one account that follow
// each other also share what there is to find out about their primary key. It
// runs on one core.
func CheckAll(events []*Event, admitted [][]Key) []*Checked {
	checked := make([]*Checked, len(events))
	left := make([]comparison, 0, 2*len(events))
	var last lastPrimary
	for i, e := range events {
		c := &Checked{event: e, id: e.ID(), row: checkRow(e)}
		checked[i] = c
		if c.row != nil {
			continue // reported before admission and signatures: spare the time
		}
		var keys [2]*publicKey
		if keys, c.crypto = c.admit(admitted[i], &last); c.crypto == nil {
			left = c.appendComparisons(left, keys, &last)
		}
	}
	compare(left)
	return checked
}

// lastPrimary is the primary key that was decoded last. Whether it is admitted
// stays with it, and comes from no caller: it is what was computed.
type lastPrimary struct {
	key    Key
	public *publicKey // nil: none yet
}

// decode decodes the key by which role r signs an event, if it is not the last.
func (l *lastPrimary) decode(e *Event, r Role) (*publicKey, error) {
	k := e.keyOf(r)
	if l.public != nil && l.key == k {
		return l.public, nil
	}
	p, err := k.decode()
	if err == nil && r == Primary {
		*l = lastPrimary{k, p}
	}
	return p, err
}

// admit admits the keys of the event that are not known to be, and gives what
// it decoded of them, by role.
func (c *Checked) admit(admitted []Key, last *lastPrimary) (decoded [2]*publicKey, err error) {
	for _, r := range [...]Role{Primary, Subject} {
		k := c.event.keyOf(r)
		if k.IsZero() || slices.Contains(admitted, k) {
			continue
		}
		var u *[32]byte
		p, err := last.decode(c.event, r)
		if err == nil {
			u, err = p.admit()
		}
		if err != nil {
			return decoded, notAdmitted(r, err)
		}
		if decoded[r] = p; k == c.event.About() {
			c.about = u
		}
	}
	return decoded, nil
}

func notAdmitted(r Role, why error) *Error {
	return &Error{Rule: RuleNotAdmitted, Role: r, Detail: "the " + r.String() + " key is not fit for use (" + why.Error() + "): generate another one"}
}

// comparison is what is left of a signature's verification: its first half must
// be r, encoded. r is nil if the signature is refused whatever it is.
type comparison struct {
	checked   *Checked
	signature *Signature
	r         *edwards25519.Point
}

// appendComparisons appends those of the event's signatures, in ascending role.
func (c *Checked) appendComparisons(all []comparison, keys [2]*publicKey, last *lastPrimary) []comparison {
	var message [256]byte
	for i := range c.event.Signatures {
		s := &c.event.Signatures[i]
		next := comparison{checked: c, signature: s}
		key, err := keys[s.Role], error(nil)
		if key == nil { // was known to be admitted
			key, err = last.decode(c.event, s.Role)
		}
		if err == nil {
			next.r, _ = key.signed(c.event.appendSigned(message[:0], s.Role), &s.Bytes)
		}
		all = append(all, next)
	}
	return all
}

// compare notes of each event the first signature that is not valid.
func compare(all []comparison) {
	points := make([]*edwards25519.Point, 0, len(all))
	for _, c := range all {
		if c.r != nil {
			points = append(points, c.r)
		}
	}
	encoded := point.Encode(points...)
	for _, c := range all {
		valid := false
		if c.r != nil {
			valid, encoded = encoded[0] == [32]byte(c.signature.Bytes[:32]), encoded[1:]
		}
		if role := c.signature.Role; !valid && c.checked.crypto == nil {
			c.checked.crypto = &Error{Rule: RuleSignature, Role: role, Detail: "the signature by the " + role.String() + " key is not valid for these bytes"}
		}
	}
}

// row is a line of section 3's table, as far as it needs no account.
type row struct {
	keyIndex         uint32
	primary, subject bool     // is there one
	roles            []string // the signature sets that will do, as roles in ascending order
}

var (
	unsigned  = []string{""}
	byPrimary = []string{"0"}
	byBoth    = []string{"01"}
	byEither  = []string{"0", "1"}
)

// rowOf is the line for e: where the table allows two things, the one that e
// has chosen. false for a type that has no line.
func rowOf(e *Event) (row, bool) {
	switch e.Type {
	case Register:
		return row{primary: true, roles: byPrimary}, true
	case AddDevice:
		return row{keyIndex: e.Seq, primary: true, subject: true, roles: byBoth}, true
	case RemoveDevice:
		return row{keyIndex: e.KeyIndex, primary: true, subject: true, roles: byEither}, true
	case Reregister:
		if e.Subject.IsZero() {
			return row{keyIndex: e.Seq, primary: true, roles: byPrimary}, true
		}
		return row{keyIndex: e.Seq, primary: true, subject: true, roles: byBoth}, true
	case OperatorRemove:
		return row{keyIndex: e.KeyIndex, primary: true, subject: true, roles: unsigned}, true
	case Erase:
		return row{roles: unsigned}, true
	case Confirm:
		return row{primary: true, roles: byPrimary}, true
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
	roles := make([]byte, 0, 2)
	for _, s := range e.Signatures {
		roles = append(roles, '0'+byte(s.Role))
	}
	// Exactly these: an extra signature that nobody verifies would ride along
	// and look like consent.
	if !slices.Contains(want.roles, string(roles)) {
		return broken(RuleRow, "%s signed by roles %q, want exactly one of %q", e.Type, string(roles), want.roles)
	}
	return nil
}

// coordinate is that of the key that the event is about.
func (c *Checked) coordinate() ([32]byte, error) {
	if c.about != nil {
		return *c.about, nil
	}
	return c.event.About().Coordinate()
}

// keyOf is the key by which role r signs.
func (p *Payload) keyOf(r Role) Key {
	if r == Primary {
		return p.Primary
	}
	return p.Subject
}
