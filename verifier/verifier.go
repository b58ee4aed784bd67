package verifier

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

// Verifier decides whether answers of one log may be believed. It has no
// clock, no network and no storage; it is safe for concurrent use.
type Verifier struct {
	Policy *checkpoint.Policy
	MaxAge time.Duration // of checkpoints and epochs; 0: DefaultMaxAge, negative: any age (offline proofs)
}

func (v *Verifier) maxAge() time.Duration {
	switch {
	case v.MaxAge == 0:
		return DefaultMaxAge
	case v.MaxAge < 0:
		return anyAge
	}
	return v.MaxAge
}

// page is one verified answer.
type page struct {
	note    *checkpoint.Note
	raw     []byte
	verdict *checkpoint.Verdict
	epoch   *leaf.Epoch
	vrfKey  [32]byte
	state   *State         // after the answer
	steps   []account      // as asked
	queries []prefix.Query // of all versions in order
	proofs  []*prefix.Proof
	used    []answer.Used // leaves whose inclusion is proven
}

// verify is the one way in which anything is accepted: protocol section 6, in
// its order. state is where the client stands, memories what it holds each
// account of the request against; neither is changed.
func (v *Verifier) verify(state *State, memories []*memory, req *answer.Request, data []byte, now time.Time) (*page, error) {
	a, err := answer.Parse(data)
	if err != nil {
		return nil, &Failure{Check: CheckForm, Err: err}
	}
	p := &page{raw: bytes.Clone(a.Note)} // outlives data, which is the caller's
	if err := v.checkCheckpoint(p, a, now); err != nil {
		return nil, err
	}
	if err := v.checkExtends(p, state, a); err != nil {
		return nil, err
	}
	key, err := checkGenesis(p, state, req, a)
	if err != nil {
		return nil, err
	}
	// The place of EPOCH is proven by inclusion below; without this equation a
	// proof for the last leaf would not bind the size.
	if p.epoch.Position()+1 != p.note.Size {
		f := fail(CheckEpoch, "EPOCH %d after %d events closes a log of %d leaves, the checkpoint says %d",
			p.epoch.Epoch, p.epoch.Keys, p.epoch.Position()+1, p.note.Size)
		f.Notes, f.Leaves = [][]byte{p.raw}, []uint64{p.note.Size - 1}
		return nil, f
	}
	if p.steps, err = matchAsks(req, a, state, memories); err != nil {
		return nil, err
	}
	if err := checkMap(p, key, a); err != nil {
		return nil, err
	}
	if err := checkInclusion(p, a); err != nil {
		return nil, err
	}
	for i := range p.steps {
		if err := p.steps[i].replay(p.note.Origin.LogID()); err != nil {
			var f *Failure
			if errors.As(err, &f) && f.Check == CheckRules {
				f.Events = p.steps[i].shown()
			}
			if f != nil && (f.Leaves != nil || f.Events != nil) {
				f.Notes = [][]byte{p.raw}
			}
			return nil, p.steps[i].named(err)
		}
	}
	p.advance(v.Policy, state)
	return p, nil
}

// checkCheckpoint is step 1: the log's signature, the policy's quorum, and
// the times. That the leaf is the log's last one is proven with the others.
//
// A log that has ended closes no epoch any more, so the age of a SEAL does not
// count. The age of its cosignatures does, unless an auditor is among them:
// an auditor signs nothing beyond a SEAL, but witnesses would, and an operator
// could keep a SEAL aside, go on, and show it years later to whom it wants to
// hold back.
func (v *Verifier) checkCheckpoint(p *page, a *answer.Answer, now time.Time) error {
	var err error
	if p.note, err = checkpoint.Parse(a.Note); err != nil {
		return &Failure{Check: CheckForm, Err: err}
	}
	l, err := leaf.Parse(a.Epoch)
	if err != nil {
		return &Failure{Check: CheckForm, Err: err}
	}
	var ok bool
	if p.epoch, ok = l.(*leaf.Epoch); !ok {
		return fail(CheckEpoch, "the newest leaf is neither EPOCH nor SEAL")
	}
	maxAge := v.maxAge()
	if p.epoch.Sealed && v.Policy.Trust() == checkpoint.Audited {
		maxAge = anyAge
	}
	if p.verdict, err = v.checkPolicy(p.note, now, maxAge); err != nil {
		return err
	}
	if p.epoch.Sealed && p.epoch.Successor == p.note.Origin {
		return fail(CheckEpoch, "a SEAL that names its own log as the successor")
	}
	return checkAge(p.epoch, now, v.maxAge())
}

// checkPolicy names what a policy refuses.
func (v *Verifier) checkPolicy(n *checkpoint.Note, now time.Time, maxAge time.Duration) (*checkpoint.Verdict, error) {
	verdict, err := v.Policy.Verify(n, now, maxAge)
	switch {
	case errors.Is(err, checkpoint.ErrStale):
		return nil, &Failure{Check: CheckFreshness, Err: err}
	case errors.Is(err, checkpoint.ErrQuorum):
		return nil, &Failure{Check: CheckQuorum, Err: err}
	case err != nil:
		return nil, &Failure{Check: CheckLogSignature, Err: err}
	}
	return verdict, nil
}

func checkAge(e *leaf.Epoch, now time.Time, maxAge time.Duration) error {
	// Compared as a number first: what wraps around would look old or new.
	if e.TimeMs > 1<<62 || time.UnixMilli(int64(e.TimeMs)).After(now.Add(maxAhead)) {
		return fail(CheckFreshness, "the newest epoch is of %d ms, ahead of this clock (%d ms): is the clock right?", e.TimeMs, now.UnixMilli())
	}
	if at := time.UnixMilli(int64(e.TimeMs)); !e.Sealed && at.Before(now.Add(-maxAge)) {
		return fail(CheckFreshness, "the newest epoch is %v old, at most %v is accepted", now.Sub(at).Round(time.Second), maxAge)
	}
	return nil
}

// checkExtends is step 2: against the checkpoint that the client holds.
func (v *Verifier) checkExtends(p *page, state *State, a *answer.Answer) error {
	if state == nil {
		if len(a.Consistency) > 0 {
			return fail(CheckAsked, "a consistency proof that was not asked for")
		}
		return nil
	}
	if state.Origin != p.note.Origin || state.LogKey != v.Policy.Log.String() {
		return fail(CheckGenesis, "this client's state is of log %q with key %s, which names one log for ever", state.Origin, state.LogKey)
	}
	old, err := checkpoint.Parse(state.Note)
	if err != nil {
		return &Failure{Check: CheckForm, Err: err}
	}
	// Both notes are signed by the log, and one of the answers may be a lie.
	notes := [][]byte{state.Note, p.raw}
	switch {
	case p.note.Size < old.Size:
		f := fail(CheckRollback, "size %d, this client has seen %d: the server is behind, try again", p.note.Size, old.Size)
		f.Notes = notes
		return f
	case p.note.Size == old.Size && p.note.Root != old.Root:
		f := fail(CheckSplitView, "size %d has root %s, this client has seen root %s", p.note.Size, p.note.Root, old.Root)
		f.Evidence, f.Notes = v.forked(state.Note, p.raw), notes
		return f
	case p.note.Size > old.Size && state.Sealed:
		f := fail(CheckSealed, "the log was sealed at size %d and now has %d leaves", old.Size, p.note.Size)
		f.Notes, f.Leaves = notes, []uint64{old.Size - 1, old.Size} // the SEAL, and a leaf after it
		return f
	case p.note.Size == old.Size && len(a.Consistency) > 0:
		return fail(CheckConsistency, "a proof between equal sizes")
	case p.note.Size == old.Size:
		return nil
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, old.Size, p.note.Size, raw(a.Consistency), old.Root[:], p.note.Root[:]); err != nil {
		// What the library says is two roots in decimal, for nobody to read.
		f := fail(CheckConsistency, "the tree of %d leaves, with root %s, is not shown to extend the one of %d that this client has seen: ask again, elsewhere if it stays so", p.note.Size, p.note.Root, old.Size)
		f.Notes = notes
		return f
	}
	return nil
}

// forked is the evidence of two notes of one size; nil if there is none, as
// from a state whose note was never signed.
func (v *Verifier) forked(one, other []byte) *evidence.File {
	file, err := ProveFork(v.Policy.Log, one, other, nil)
	if err != nil {
		return nil
	}
	return file
}

// raw is hashes as the proof library takes them.
func raw(hashes []leaf.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

// checkGenesis is step 3: the VRF key, fixed for ever at first sight.
func checkGenesis(p *page, state *State, req *answer.Request, a *answer.Answer) (*vrf.PublicKey, error) {
	if req.GenesisKnown {
		if len(a.Genesis) > 0 {
			return nil, fail(CheckAsked, "GENESIS that was not asked for")
		}
		p.vrfKey = state.VRFKey
	} else {
		if len(a.Genesis) == 0 {
			return nil, fail(CheckAsked, "no GENESIS, which was asked for")
		}
		l, err := leaf.Parse(a.Genesis)
		if err != nil {
			return nil, &Failure{Check: CheckGenesis, Err: err}
		}
		g, ok := l.(*leaf.Genesis)
		if !ok || g.Origin != p.note.Origin {
			return nil, fail(CheckGenesis, "leaf 0 is not the GENESIS of %q", p.note.Origin)
		}
		p.vrfKey = g.VRFKey
	}
	key, err := vrf.ParsePublicKey(p.vrfKey)
	if err != nil {
		return nil, &Failure{Check: CheckGenesis, Err: err}
	}
	return key, nil
}

// checkInclusion is step 6: one walk proves GENESIS at 0, every present EVENT
// leaf at its position, and the EPOCH at size−1, under the signed root.
func checkInclusion(p *page, a *answer.Answer) error {
	used := []answer.Used{{Position: p.note.Size - 1, Hash: leaf.HashOf(a.Epoch)}}
	if len(a.Genesis) > 0 {
		used = append(used, answer.Used{Position: 0, Hash: leaf.HashOf(a.Genesis)})
	}
	for i := range p.steps {
		s := &p.steps[i]
		last := uint64(0)
		for j, ver := range s.said.Versions {
			if ver.Form == answer.Absent {
				continue
			}
			if ver.Position <= last || ver.Position >= p.note.Size-1 {
				return s.named(fail(CheckPositions, "seq %d at position %d: want above %d and below the EPOCH at %d", ver.Seq, ver.Position, last, p.note.Size-1))
			}
			last = ver.Position
			l := leaf.Event{Index: s.indexes[j], Commitment: ver.Commitment}
			used = append(used, answer.Used{Position: ver.Position, Hash: leaf.HashOf(l.Bytes())})
		}
	}
	slices.SortFunc(used, func(a, b answer.Used) int {
		if a.Position < b.Position {
			return -1
		}
		return 1
	})
	for i := 1; i < len(used); i++ {
		if used[i-1].Position == used[i].Position {
			return fail(CheckPositions, "position %d used twice", used[i].Position)
		}
	}
	p.used = used
	root, err := answer.Root(p.note.Size, used, a.Nodes)
	if err != nil {
		return &Failure{Check: CheckInclusion, Err: err}
	}
	if name.TreeRoot(root) != p.note.Root {
		return fail(CheckInclusion, "the leaves give root %x, the checkpoint says %s", root, p.note.Root)
	}
	return nil
}

// advance is step 8's new state: the accepted checkpoint and accounts.
func (p *page) advance(policy *checkpoint.Policy, state *State) {
	p.state = &State{
		Origin: p.note.Origin,
		LogKey: policy.Log.String(),
		VRFKey: p.vrfKey,
		Sealed: p.epoch.Sealed,
		Note:   bytes.Clone(p.raw),
	}
	if state != nil {
		p.state.Accounts = slices.Clone(state.Accounts)
	}
	for i := range p.steps {
		if after := p.steps[i].after; after != nil {
			p.state.Put(*after)
		}
	}
}
