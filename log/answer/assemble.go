package answer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

// ErrBehind says that the client knows more than the published tree: it holds
// a larger checkpoint or a later seq. This server is behind: ask again.
var ErrBehind = errors.New("this server is behind what the client has seen")

// errErased: an ERASE was published while this answer was on its way, and the
// content went. The newer checkpoint answers without it.
var errErased = fmt.Errorf("%w: the account was erased meanwhile, or its history was lost here", ErrBehind)

// None stands for "no such event" where a seq is due.
const None = noSeq

// Record is what the log keeps of one logged event.
type Record struct {
	Position   uint64
	Commitment name.Commitment
	Opening    name.Opening
	Event      []byte
	Anchor     uint32   // newest seq up to this event that is ERASE or has a role 0 signature
	Erase      uint32   // newest seq up to this event that is ERASE, or None
	Live       []uint32 // key_index of every device after this event, ascending
}

// View is one published tree, which does not change while it is read.
type View interface {
	// Published is the checkpoint's signed note and its size, the GENESIS leaf
	// and the EPOCH leaf at size−1.
	Published() (note []byte, size uint64, genesis, epoch []byte)
	// Newest is n, the newest seq whose EVENT leaf lies in the tree; -1: unknown account.
	Newest(name.AccountID) (int64, error)
	// Record is asked for seqs 0..n only.
	Record(name.AccountID, uint32) (*Record, error)
	// VRF proves the index of any (account, seq), logged or not.
	VRF(name.AccountID, uint32) (vrf.Proof, name.Index, error)
	// Prefix proves what the epoch's prefix tree holds for each index.
	Prefix([]prefix.Query) (*prefix.Proof, error)
	// Node is a NodeFunc of the tree.
	Node(level uint, index uint64) (leaf.Hash, error)
}

// Assemble answers a request from one view: everything that the rule of
// section 5 requires, and nothing more.
func Assemble(v View, r *Request) (*Answer, error) {
	note, size, genesis, epoch := v.Published()
	if r.Size > size {
		return nil, fmt.Errorf("%w: size %d, the client has %d", ErrBehind, size, r.Size)
	}
	a := &Answer{Note: note, Epoch: epoch}
	positions := []uint64{size - 1}
	if !r.GenesisKnown {
		a.Genesis = genesis
		positions = append(positions, 0)
	}
	var err error
	if a.Consistency, err = Consistency(r.Size, size, v.Node); err != nil {
		return nil, err
	}
	spans, err := plan(v, r)
	if err != nil {
		return nil, err
	}
	var queries []prefix.Query
	for i := range spans {
		account, in, err := assembleAccount(v, &spans[i])
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", spans[i].ask.Account, err)
		}
		queries = append(queries, in...)
		a.Accounts = append(a.Accounts, *account)
		for _, version := range account.Versions {
			if version.Form != Absent {
				positions = append(positions, version.Position)
			}
		}
	}
	for part := range slices.Chunk(queries, ProofCut) {
		p, err := v.Prefix(part)
		if err != nil {
			return nil, fmt.Errorf("proving in the prefix tree: %w", err)
		}
		a.Proofs = append(a.Proofs, p)
	}
	slices.Sort(positions)
	a.Nodes, err = Nodes(size, slices.Compact(positions), v.Node)
	return a, err
}

// span is what one account's answer opens: from <= seq < to of events n+1.
type span struct {
	ask      Ask
	n        int64
	from, to int64
}

// plan decides what is opened: all that each account needs, in pages of its
// Most and of MaxOpened, and of MaxOpenedTotal for the answer; every account
// with something to open gets at least one, so that paging always ends.
func plan(v View, r *Request) ([]span, error) {
	spans := make([]span, len(r.Asks))
	waiting := 0 // accounts still to be given their part
	for i, ask := range r.Asks {
		n, err := v.Newest(ask.Account)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", ask.Account, err)
		}
		from, err := firstOpened(v, ask, n)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", ask.Account, err)
		}
		spans[i] = span{ask: ask, n: n, from: from, to: n + 1}
		if from <= n {
			waiting++
		}
	}
	left := int64(MaxOpenedTotal)
	for i := range spans {
		s := &spans[i]
		if s.from > s.n {
			continue
		}
		waiting--
		s.to = min(s.to, s.from+min(int64(s.ask.Most), MaxOpened, left-int64(waiting)))
		left -= s.to - s.from
	}
	return spans, nil
}

// firstOpened is o of section 5's table; n+1 when nothing is opened.
func firstOpened(v View, ask Ask, n int64) (int64, error) {
	if ask.Kind == Returning && n < int64(ask.Seq) {
		return 0, fmt.Errorf("%w: newest seq %d, the client has %d", ErrBehind, n, ask.Seq)
	}
	if n < 0 {
		return 0, nil
	}
	newest, err := v.Record(ask.Account, uint32(n))
	if err != nil {
		return 0, err
	}
	erase := int64(-1)
	if newest.Erase != None {
		erase = int64(newest.Erase)
	}
	switch ask.Kind {
	case First:
		return int64(newest.Anchor), nil
	case Returning:
		return max(int64(ask.Seq)+1, erase), nil
	default:
		return max(0, erase), nil
	}
}

func assembleAccount(v View, s *span) (*Account, []prefix.Query, error) {
	a := &Account{ID: s.ask.Account, Events: uint32(s.n + 1), From: uint32(s.from), To: uint32(s.to)}
	k := int64(-1)
	if s.ask.Kind == Returning {
		k = int64(s.ask.Seq)
	}
	set := prefix.Required(s.n, k, s.from, s.to-1)
	var queries []prefix.Query
	add := func(version Version) error {
		proof, index, err := v.VRF(a.ID, version.Seq)
		if err != nil {
			return err
		}
		version.Proof = proof
		a.Versions = append(a.Versions, version)
		q := prefix.Query{Index: index, Present: version.Form != Absent}
		if q.Present {
			q.Value = prefix.Value(version.Position, version.Commitment)
		}
		queries = append(queries, q)
		return nil
	}
	for _, seq := range set.Present {
		rec, err := v.Record(a.ID, seq)
		if err != nil {
			return nil, nil, err
		}
		version := Version{Seq: seq, Form: Closed, Position: rec.Position, Commitment: rec.Commitment}
		if int64(seq) >= s.from && int64(seq) < s.to {
			if len(rec.Event) == 0 || rec.Opening == (name.Opening{}) {
				return nil, nil, errErased
			}
			version.Form, version.Opening, version.Event = Opened, rec.Opening, rec.Event
		}
		if err := add(version); err != nil {
			return nil, nil, err
		}
	}
	for _, seq := range set.Absent {
		if err := add(Version{Seq: seq}); err != nil {
			return nil, nil, err
		}
	}
	var err error
	if s.ask.Kind == First && s.n >= 0 {
		a.Devices, err = devicesAfter(v, a.ID, uint32(s.from))
	}
	return a, queries, err
}

// devicesAfter reads each device's key from the event that introduced it.
func devicesAfter(v View, id name.AccountID, anchor uint32) ([]event.Device, error) {
	rec, err := v.Record(id, anchor)
	if err != nil {
		return nil, err
	}
	devices := make([]event.Device, 0, len(rec.Live))
	for _, keyIndex := range rec.Live {
		added, err := v.Record(id, keyIndex)
		if err != nil {
			return nil, err
		}
		if len(added.Event) == 0 {
			return nil, errErased
		}
		e, err := event.Parse(added.Event)
		if err != nil {
			return nil, fmt.Errorf("event %d of the store: %w", keyIndex, err)
		}
		devices = append(devices, event.Device{KeyIndex: keyIndex, Key: e.Subject})
	}
	return devices, nil
}
