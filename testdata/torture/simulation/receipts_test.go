package simulation

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"

	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier"
)

// The thief has the same keys: liar.New makes them of the origin.
var vrfKey = vrf.NewPrivateKey(liar.Seed("vrf", string(origin)))

// took verifies what a person was answered about an event, as its phone would, under
// p.mu. known says that it is acknowledged: with a receipt, or else because an ERASE of the
// account deleted what a receipt would be made of.
func (p *person) took(seq int, o *answer.Outcome) (known bool, err error) {
	if p.w.astray {
		if o.Err == nil {
			return false, fmt.Errorf("a log on an old backup took or refused seq %d of %s: %v", seq, p.phone.Identifier, o.Refused)
		}
		return false, nil
	}
	if o.Refused != nil {
		if o.Refused.Rule == event.RuleTaken && p.erasedAfter(seq) {
			p.w.took.add("erased events that were sent again")
			return true, nil
		}
		return false, fmt.Errorf("seq %d of %s is refused: %w", seq, p.phone.Identifier, o.Refused)
	}
	if o.Err != nil {
		return false, nil
	}
	e, err := event.Parse(p.chain[seq].body)
	if err != nil {
		return false, err
	}
	v := &verifier.Verifier{Policy: p.w.policy}
	if o.Promised {
		promise, err := v.Durable(vrfKey.Public(), e, o.Receipt, time.Now())
		if err != nil {
			return false, fmt.Errorf("the promise of seq %d of %s: %w", seq, p.phone.Identifier, err)
		}
		p.w.took.add("promises verified")
		p.openings[seq] = promise.Durable.Opening
		p.promises[seq] = promise.Receipt
		return true, nil
	}
	receipt, err := v.Receipt(vrfKey.Public(), e, o.Receipt, time.Now())
	if err != nil {
		return false, fmt.Errorf("the receipt of seq %d of %s: %w", seq, p.phone.Identifier, err)
	}
	if receipt.Position != o.Position {
		return false, fmt.Errorf("seq %d of %s: answered position %d, its receipt %d", seq, p.phone.Identifier, o.Position, receipt.Position)
	}
	note, err := checkpoint.Parse(receipt.Note)
	if err != nil {
		return false, err
	}
	p.w.took.add("receipts verified")
	if o, ok := p.openings[seq]; ok && o != receipt.Opening {
		return false, fmt.Errorf("seq %d of %s has another opening than was promised", seq, p.phone.Identifier)
	}
	p.openings[seq], p.receipts[seq] = receipt.Opening, o.Receipt
	return true, p.w.judge.heard(note.Checkpoint)
}

// erasedAfter says whether a later event of the person's is an ERASE.
func (p *person) erasedAfter(seq int) bool { return seq < p.erased(len(p.chain)) }

// erased is the seq of the newest ERASE among the first n events, 0 if there is none.
func (p *person) erased(n int) int {
	for seq := n - 1; seq > 0; seq-- {
		if p.chain[seq].after.Primary.IsZero() {
			return seq
		}
	}
	return 0
}

// again has everybody send again what was acknowledged. It is the same as then, in the
// same bytes if it has a receipt, or it was erased: then nothing of it may be left.
func (w *world) again() {
	for _, p := range w.people {
		var bodies [][]byte
		for _, e := range p.chain {
			bodies = append(bodies, e.body)
		}
		for seq, o := range w.process.log.Submit(context.Background(), bodies, answer.Want{Receipt: true}) {
			before := p.receipts[seq]
			switch {
			case p.erasedAfter(seq):
				if o.Refused == nil {
					w.t.Errorf("seq %d of %s was erased, and is answered %+v", seq, p.phone.Identifier, o)
				}
				w.took.add("erased events that are gone")
			case o.Refused != nil || o.Err != nil:
				w.t.Errorf("seq %d of %s, which is logged, is answered %+v", seq, p.phone.Identifier, o)
			case before != nil && !bytes.Equal(before, o.Receipt):
				w.t.Errorf("seq %d of %s has another receipt than before", seq, p.phone.Identifier)
			case before != nil:
				w.took.add("receipts that are the same again")
			default:
				if _, err := p.took(seq, &o); err != nil { // it had a promise
					w.t.Error(err)
				}
			}
		}
	}
}

// heard takes a checkpoint that somebody believes. Those of one size are one.
func (j *judge) heard(c checkpoint.Checkpoint) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if old, ok := j.notes[c.Size]; ok && old != c.Root {
		return fmt.Errorf("two roots of size %d are believed", c.Size)
	}
	j.notes[c.Size] = c.Root
	return nil
}

// beginnings holds every checkpoint that was ever signed or believed, by whomever and
// before whatever fault, against the tree that is public in the end.
func (j *judge) beginnings(m *machine) error {
	m.mu.Lock()
	signed := maps.Clone(m.signed)
	m.mu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	for what, roots := range map[string]map[uint64]name.TreeRoot{"believed": j.notes, "signed": signed} {
		for size, root := range roots {
			if size > uint64(len(j.leaves)) && what == "signed" {
				continue // and it is not public yet
			}
			if size > uint64(len(j.leaves)) {
				return fmt.Errorf("a checkpoint of size %d was believed, and the log has %d leaves", size, len(j.leaves))
			}
			if have, err := j.root(size); err != nil || have != root {
				return fmt.Errorf("the root that was %s at size %d is none of the last tree's: %w", what, size, err)
			}
			j.w.took.add(what + " checkpoints that begin the last tree")
		}
	}
	return nil
}

// kept holds every promise against the leaves: its event's leaf is there, and in no EPOCH
// after its time was it missing. Else the promise convicts the log (protocol section 9.1).
func (j *judge) kept() error {
	promised := map[name.Index]checkpoint.Receipt{}
	for _, p := range j.w.people {
		for _, r := range p.promises {
			promised[r.Index] = r
		}
	}
	var closed uint64 // time of the newest EPOCH
	for at, data := range j.leaves {
		parsed, err := leaf.Parse(data)
		if err != nil {
			return err
		}
		switch l := parsed.(type) {
		case *leaf.Epoch:
			closed = l.TimeMs
		case *leaf.Event:
			r, ok := promised[l.Index]
			if !ok {
				continue
			}
			if r.Commitment != l.Commitment || closed > r.MergeBy {
				return fmt.Errorf("leaf %d breaks the promise %+v: it is %+v, after an EPOCH of %d", at, r, l, closed)
			}
			j.w.took.add("promises kept")
			delete(promised, l.Index)
		}
	}
	if len(promised) > 0 {
		return fmt.Errorf("%d events were promised and are not in the log", len(promised))
	}
	return nil
}
