package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
)

// opening is an EVENT leaf that was opened.
type opening struct {
	Open
	index name.Index
}

// judgeEvents is E6: note, GENESIS; an EVENT and its opening, once or more,
// ascending; and a VRF proof, if the index is what is wrong.
func judgeEvents(r *reader) (f finding, err error) {
	g, err := r.opened()
	if err != nil {
		return f, err
	}
	var all []opening
	for len(all) == 0 || next[Leaf](r) {
		o, err := r.opening()
		if err != nil {
			return f, err
		}
		if len(all) > 0 && (o.Position <= all[len(all)-1].Position || o.Label != all[0].Label) {
			return f, errors.New("want events of one account in ascending positions")
		}
		all = append(all, o)
	}
	var what string
	switch {
	case next[VRF](r) && len(all) == 1:
		what, err = r.misplaced(g, all[0])
	case len(all) == 1:
		what, err = brokenEvent(r.origin, all[0])
	default:
		what, err = brokenHistory(r.origin, all)
	}
	if err != nil {
		return f, err
	}
	return finding{
		fmt.Sprintf("%s in which, of account %s, %s", tree(r.note), hex.EncodeToString(all[0].Label[1:]), what),
		fmt.Sprintf("a checkpoint of size %d. The EVENT leaves are included; their commitments open to events that break the rule.", r.note.Size),
	}, nil
}

// opening takes an EVENT and its opening. A commitment opens to one event, so
// this is the one that the log took in.
func (r *reader) opening() (o opening, err error) {
	at, l, err := includedAs[*leaf.Event](r)
	if err != nil {
		return o, err
	}
	if o.Open, err = take[Open](r); err != nil {
		return o, err
	}
	if o.Position != at.Position {
		return o, fmt.Errorf("the opening of leaf %d after leaf %d", o.Position, at.Position)
	}
	if o.Label[0] != 1 {
		return o, errors.New("a label of another kind, which a later version may have")
	}
	o.index = l.Index
	return o, commitment.Verify(l.Commitment, o.Opening, o.Label, o.Seq, o.Event)
}

// misplaced: the VRF gives one index for an account's seq, and it is not the leaf's.
func (r *reader) misplaced(g *leaf.Genesis, o opening) (string, error) {
	v, err := take[VRF](r)
	if err != nil {
		return "", err
	}
	if v.Label != o.Label || v.Seq != o.Seq {
		return "", errors.New("the VRF proof is of another event than the opening")
	}
	key, err := vrf.ParsePublicKey(g.VRFKey)
	if err != nil {
		return "", err
	}
	due, err := key.Verify(v.Label.VRFInput(v.Seq), &v.Proof)
	if err != nil {
		return "", err
	}
	if due == o.index {
		return "", errors.New("the index is the one that the VRF gives")
	}
	return fmt.Sprintf("event %d, at position %d, stands under the index %v: the VRF gives %v", o.Seq, o.Position, o.index, due), nil
}

var errReserved = errors.New("an event with a type or a key type that is reserved for a later version")

// read is the event of an opening, if it is one of this account and seq.
func (o opening) read(origin name.Origin) (*event.Event, error) {
	if reserved(o.Event) {
		return nil, errReserved
	}
	e, err := event.Parse(o.Event)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Log != origin.LogID():
		return nil, errors.New("it was signed for another log")
	case e.Account.Label() != o.Label:
		return nil, errors.New("it was signed for another account")
	case e.Seq != o.Seq:
		return nil, fmt.Errorf("it was signed as event %d", e.Seq)
	}
	return e, nil
}

// reserved says that a later version may be able to read what this one refuses:
// types 8 to 15, and keys of type 0x10, which are of another length and so
// would look malformed.
func reserved(b []byte) bool {
	if len(b) > 0 && b[0] >= 8 && b[0] <= 15 {
		return true
	}
	s := cryptobyte.String(b)
	var primary, subject cryptobyte.String
	const toPrimary = 1 + 32 + 32 + 4 + 4 + 32 + 8 + 4
	hybrid := func(key *cryptobyte.String) bool {
		return s.ReadUint16LengthPrefixed(key) && len(*key) > 0 && (*key)[0] == 0x10
	}
	return s.Skip(toPrimary) && (hybrid(&primary) || hybrid(&subject))
}

// brokenEvent is what one event alone shows.
func brokenEvent(origin name.Origin, o opening) (string, error) {
	e, err := o.read(origin)
	if errors.Is(err, errReserved) {
		return "", err
	}
	if err == nil {
		err = checkAlone(e)
	}
	if err == nil {
		return "", errors.New("the event alone breaks no rule")
	}
	return fmt.Sprintf("event %d, at position %d, is invalid: %v", o.Seq, o.Position, err), nil
}

// checkAlone applies the rules of section 3 as far as one event tells: all of
// them to the first event, and to those that leave no device; of others the
// row, admission and signatures.
func checkAlone(e *event.Event) error {
	c := event.Check(e)
	if e.Seq == 0 {
		return event.NewAccount(e.Log, e.Account).Apply(c)
	}
	if e.Type == event.Erase || e.Type == event.Reregister {
		_, err := event.Anchor(e.Log, e.Account, c, nil)
		return err
	}
	if e.Seq == 1<<32-1 {
		return errors.New("no event has this seq")
	}
	return c.Err()
}

// brokenHistory is what events of one account contradict each other in.
func brokenHistory(origin name.Origin, all []opening) (string, error) {
	events := make([]*event.Event, len(all))
	for i, o := range all {
		var err error
		if events[i], err = o.read(origin); err != nil {
			return "", fmt.Errorf("event %d: %w", o.Seq, err)
		}
	}
	first, last := all[0], all[len(all)-1]
	if len(all) == 2 {
		if first.Seq > last.Seq {
			return fmt.Sprintf("event %d stands at position %d, before event %d at %d", first.Seq, first.Position, last.Seq, last.Position), nil
		}
		if why := contradiction(events[0], events[1]); why != "" {
			return fmt.Sprintf("event %d, at position %d, %s", last.Seq, last.Position, why), nil
		}
	}
	if err := checkIntroducedTwice(events); err != nil {
		return "", err
	}
	return fmt.Sprintf("event %d, at position %d, introduces a key that event %d introduced", last.Seq, last.Position, first.Seq), nil
}

// contradiction says what b, the event after a, gets wrong about a.
func contradiction(a, b *event.Event) string {
	if uint64(b.Seq) != uint64(a.Seq)+1 {
		return ""
	}
	generation := uint64(a.Generation)
	if b.Type == event.Reregister {
		generation++
	}
	erased := a.Type == event.Erase
	switch {
	case b.Prev != a.ID():
		return "does not follow the event before it"
	case uint64(b.Generation) != generation:
		return fmt.Sprintf("has generation %d: it must be %d", b.Generation, generation)
	case erased && (b.Type != event.Reregister || !b.Subject.IsZero()):
		return "follows an ERASE, which only an unendorsed REREGISTER may"
	case b.Type == event.Reregister && !b.Subject.IsZero() && b.Subject != a.Primary:
		return "is endorsed by a key that was not the primary before"
	case b.Type != event.Reregister && b.Type != event.Erase && b.Primary != a.Primary:
		return "names another primary key than the event before it"
	case b.Type == event.Confirm && b.DevicesHash != a.DevicesHash:
		return "confirms another device list than that of the event before it"
	}
	return ""
}

// checkIntroducedTwice: the events are all from the first to the last, none is
// an ERASE, and the last introduces the key that the first did.
func checkIntroducedTwice(events []*event.Event) error {
	for i, e := range events {
		if e.Type == event.Erase {
			return errors.New("an ERASE lies between, which forgets keys")
		}
		if i > 0 && uint64(e.Seq) != uint64(events[i-1].Seq)+1 {
			return errors.New("the events are not all of those between")
		}
	}
	u, err := introduced(events[0])
	if err != nil {
		return err
	}
	again, err := introduced(events[len(events)-1])
	if err != nil {
		return err
	}
	if !slices.Equal(u, again) {
		return errors.New("the events do not contradict each other")
	}
	return nil
}

// introduced is the u coordinate of the key that an event introduces.
func introduced(e *event.Event) ([]byte, error) {
	k := e.Primary
	switch e.Type {
	case event.Register, event.Reregister:
	case event.AddDevice:
		k = e.Subject
	default:
		return nil, fmt.Errorf("event %d introduces no key", e.Seq)
	}
	u, err := k.Coordinate()
	return u[:], err
}
