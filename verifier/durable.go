package verifier

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

// Promise is a verified receipt, to be kept until its event is seen in the log:
// the log's word that it will be there in time (protocol section 9.1).
type Promise struct {
	Event   *event.Event
	Durable *answer.Durable
	Receipt checkpoint.Receipt
}

// Durable verifies what a log answered to an event that it has not logged yet:
// that its key promises exactly this event, for a time that is not absurd. It
// proves nothing about the log; once the time is over, Overdue does. vrfKey is
// the state's.
func (v *Verifier) Durable(vrfKey [32]byte, e *event.Event, data []byte, now time.Time) (*Promise, error) {
	d, err := answer.ParseDurable(data)
	if err != nil {
		return nil, &Failure{Check: CheckForm, Err: err}
	}
	p := &Promise{Event: e, Durable: d}
	if p.Receipt, err = checkpoint.OpenReceipt(v.Policy.Log, d.Note); err != nil {
		return nil, &Failure{Check: CheckLogSignature, Err: err}
	}
	if d.Seq != e.Seq {
		return nil, fail(CheckAsked, "a receipt for seq %d, submitted seq %d", d.Seq, e.Seq)
	}
	key, err := vrf.ParsePublicKey(vrfKey)
	if err != nil {
		return nil, &Failure{Check: CheckGenesis, Err: err}
	}
	label := e.Account.Label()
	index, err := key.Verify(label.VRFInput(e.Seq), &d.Proof)
	if err != nil {
		return nil, &Failure{Check: CheckVRF, Err: err}
	}
	if index != p.Receipt.Index {
		return nil, fail(CheckVRF, "the receipt is for index %v, the event's is %v", p.Receipt.Index, index)
	}
	if c := commitment.Commit(d.Opening, label, e.Seq, e.Bytes()); c != p.Receipt.Commitment {
		return nil, fail(CheckOpening, "the receipt is for commitment %x, the event sent gives %x", p.Receipt.Commitment, c)
	}
	// It may be over: the same receipt is given as long as the event waits.
	if latest := now.Add(maxPromise).UnixMilli(); p.Receipt.MergeBy > 1<<62 || int64(p.Receipt.MergeBy) > latest {
		return nil, fail(CheckFreshness, "promised for %d ms, want at most %d: is the clock right?", p.Receipt.MergeBy, latest)
	}
	return p, nil
}

// Bytes is what a client keeps:
//
//	event<1..2^16-1> || Durable
func (p *Promise) Bytes() ([]byte, error) {
	d, err := p.Durable.Bytes()
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p.Event.Bytes()) })
	b.AddBytes(d)
	return b.Bytes()
}

// ParsePromise reads what a client kept, and verifies it as Durable does.
func (v *Verifier) ParsePromise(vrfKey [32]byte, data []byte, now time.Time) (*Promise, error) {
	s := cryptobyte.String(data)
	var body cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&body) {
		return nil, &Failure{Check: CheckForm, Err: errors.New("a kept promise is cut short")}
	}
	e, err := event.Parse(body)
	if err != nil {
		return nil, &Failure{Check: CheckForm, Err: err}
	}
	return v.Durable(vrfKey, e, s, now)
}

// Request is what to ask a log about a promise; Overdue takes the answer. It is
// a stranger's question about the account, since evidence shows GENESIS too.
func (p *Promise) Request() []byte { return p.request().Bytes() }

func (p *Promise) request() *answer.Request {
	return &answer.Request{Asks: []answer.Ask{{Account: p.Event.Account, Kind: answer.First, Most: MostOpened}}}
}

// ErrNotShown says that an answer tells nothing about a promised event: it was
// logged longer ago than the answer reaches, or an event before it is missing
// too. Send the event again: the answer to that proves it logged.
var ErrNotShown = errors.New("the answer does not show the promised event")

// Overdue holds a promise against the answer to its Request, which is verified
// first. It returns nil if the promise was kept or may still be; an
// *evidence.Misbehaviour of kind E7 if the log closed an epoch after merge_by,
// or ended, without this event at its index; else a *Failure or ErrNotShown.
func (v *Verifier) Overdue(p *Promise, data []byte, now time.Time) error {
	page, err := v.verify(nil, []*memory{newMemory(nil)}, p.request(), data, now)
	if err != nil {
		return err
	}
	if page.epoch.TimeMs <= p.Receipt.MergeBy && !page.epoch.Sealed {
		return nil
	}
	for i, ver := range page.steps[0].said.Versions {
		if ver.Seq != p.Event.Seq {
			continue
		}
		if ver.Form != answer.Absent && ver.Commitment == p.Receipt.Commitment {
			return nil
		}
		a, err := answer.Parse(data)
		if err != nil {
			return &Failure{Check: CheckForm, Err: err}
		}
		f, err := page.unkept(p, a, i)
		if err != nil {
			return fmt.Errorf("making evidence of a promise that was not kept: %w", err)
		}
		return evidence.Convict(v.Policy.Log, f)
	}
	return ErrNotShown
}

// unkept is E7: version i of the only account is absent, or another event.
func (p *page) unkept(promise *Promise, a *answer.Answer, i int) (*evidence.File, error) {
	epoch := p.note.Size - 1
	if v := p.steps[0].said.Versions[i]; v.Form != answer.Absent {
		return p.tree(a).Displaced(promise.Durable.Note, epoch, v.Position)
	}
	absent, err := p.extract(a, i)
	if err != nil {
		return nil, err
	}
	return p.tree(a).Unkept(promise.Durable.Note, epoch, absent)
}

// extract is what the answer's PrefixProofs say of its i-th version alone.
func (p *page) extract(a *answer.Answer, i int) (*prefix.Proof, error) {
	part := i / answer.ProofCut
	from := part * answer.ProofCut
	to := min(from+answer.ProofCut, len(p.queries))
	return prefix.Extract(p.epoch.PrefixRoot, p.queries[from:to], a.Proofs[part], []int{i - from})
}

// tree is the leaves that a verified answer shows, each with its own inclusion.
func (p *page) tree(a *answer.Answer) *evidence.Tree {
	leaves := map[uint64][]byte{p.note.Size - 1: a.Epoch}
	if len(a.Genesis) > 0 {
		leaves[0] = a.Genesis
	}
	for i := range p.steps {
		s := &p.steps[i]
		for j, ver := range s.said.Versions {
			if ver.Form != answer.Absent {
				leaves[ver.Position] = (&leaf.Event{Index: s.indexes[j], Commitment: ver.Commitment}).Bytes()
			}
		}
	}
	return &evidence.Tree{
		Note: p.raw,
		Leaf: func(position uint64) ([]byte, error) {
			if b, ok := leaves[position]; ok {
				return b, nil
			}
			return nil, errors.New("the answer does not have it")
		},
		Path: func(position uint64) ([]leaf.Hash, error) {
			return answer.ExtractPath(p.note.Size, p.used, a.Nodes, position)
		},
	}
}
