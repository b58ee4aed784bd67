package verifier

import (
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/vrf"
)

// Receipt verifies what a log answered to a submitted event: that exactly
// this event is logged at its seq and position, under a checkpoint that meets
// the policy. It does not say that the account's newest event is this one: a
// Lookup does. vrfKey is the state's.
func (v *Verifier) Receipt(vrfKey [32]byte, e *event.Event, receipt []byte, now time.Time) (*answer.Published, error) {
	p, err := answer.ParsePublished(receipt)
	if err != nil {
		return nil, &Failure{Check: CheckForm, Err: err}
	}
	note, err := checkpoint.Parse(p.Note)
	if err != nil {
		return nil, &Failure{Check: CheckForm, Err: err}
	}
	// The same receipt is given for ever, so its checkpoint may be old.
	if _, err := v.checkPolicy(note, now, anyAge); err != nil {
		return nil, err
	}
	if p.Seq != e.Seq {
		return nil, fail(CheckAsked, "a receipt for seq %d, submitted seq %d", p.Seq, e.Seq)
	}
	key, err := vrf.ParsePublicKey(vrfKey)
	if err != nil {
		return nil, &Failure{Check: CheckGenesis, Err: err}
	}
	label := e.Account.Label()
	index, err := key.Verify(label.VRFInput(e.Seq), &p.Proof)
	if err != nil {
		return nil, &Failure{Check: CheckVRF, Err: err}
	}
	l := leaf.Event{Index: index, Commitment: commitment.Commit(p.Opening, label, e.Seq, e.Bytes())}
	hash := leaf.HashOf(l.Bytes())
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.Position, note.Size, hash[:], raw(p.Path), note.Root[:]); err != nil {
		return nil, fail(CheckInclusion, "the event is not shown to be at position %d of the %d leaves with root %s", p.Position, note.Size, note.Root)
	}
	return p, nil
}
