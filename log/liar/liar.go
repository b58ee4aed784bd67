// Package liar is a log that obeys its master instead of the rules: it signs,
// hashes and proves whatever it is told to, with the real keys. Tests make it
// lie in every way an operator could, and see who notices; told nothing, it
// is an honest log in memory. Nothing but tests and the makers of test data
// imports it.
package liar

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

// Log is the operator with all its keys. Fields may be changed at will
// between calls; nothing is checked.
type Log struct {
	Origin    name.Origin
	Signer    *checkpoint.Signer
	VRFKey    *vrf.PrivateKey
	Cosigners []*checkpoint.Cosigner // sign whatever they are given

	Leaves  [][]byte
	Map     map[name.Index]Entry // what the next epoch's prefix tree holds
	Records map[name.AccountID][]answer.Record
	Epochs  uint64
	Keys    uint64
	First   uint64 // of the next epoch
	TimeMs  uint64

	Note  []byte // of the newest epoch
	Tree  *prefix.Tree
	Shown map[name.Index]Entry // the map of the newest epoch

	proofs map[string]proven
}

// Entry is what the prefix tree holds for an index.
type Entry struct {
	Value    name.Value
	Position uint64
}

type proven struct {
	proof vrf.Proof
	index name.Index
}

// New is an honest log with GENESIS and the empty EPOCH 0. Its keys follow
// from its origin, so that test data can be made again.
func New(origin name.Origin, timeMs uint64) *Log {
	signer, err := checkpoint.NewSigner(string(origin), Seed("log", string(origin)))
	if err != nil {
		panic(err)
	}
	l := &Log{
		Origin: origin, Signer: signer, VRFKey: vrf.NewPrivateKey(Seed("vrf", string(origin))),
		Map: map[name.Index]Entry{}, Records: map[name.AccountID][]answer.Record{},
		TimeMs: timeMs - 1, First: 1, proofs: map[string]proven{},
	}
	l.Leaves = [][]byte{(&leaf.Genesis{Origin: origin, VRFKey: l.VRFKey.Public()}).Bytes()}
	l.Seal()
	return l
}

// Seed derives a test key: never a secret.
func Seed(parts ...string) [32]byte {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s\n", len(p), p)
	}
	return [32]byte(h.Sum(nil))
}

// Fork is a copy that shares the past and may have another future.
func (l *Log) Fork() *Log {
	f := *l
	f.Leaves = slices.Clone(l.Leaves)
	f.Map, f.Shown = maps.Clone(l.Map), maps.Clone(l.Shown)
	f.Records = map[name.AccountID][]answer.Record{}
	for id, r := range l.Records {
		f.Records[id] = slices.Clone(r)
	}
	return &f
}

// Append logs an event as an honest log would, but for any rule. It returns
// the position of its EVENT leaf.
func (l *Log) Append(account name.AccountID, body []byte) uint64 {
	return l.AppendAt(account, uint32(len(l.Records[account])), body)
}

// AppendAt logs an event under a seq of the liar's choice.
func (l *Log) AppendAt(account name.AccountID, seq uint32, body []byte) uint64 {
	position := uint64(len(l.Leaves))
	_, index, _ := l.prove(account, seq)
	seed := Seed("opening", string(binary.BigEndian.AppendUint64(nil, position)), string(body))
	r := answer.Record{Position: position, Opening: name.Opening(seed[:16]), Event: body, Erase: answer.None}
	r.Commitment = commitment.Commit(r.Opening, account.Label(), seq, body)
	if past := l.Records[account]; len(past) > 0 {
		last := past[len(past)-1]
		r.Anchor, r.Erase, r.Live = last.Anchor, last.Erase, slices.Clone(last.Live)
	}
	if e, err := event.Parse(body); err == nil {
		follow(&r, e, seq)
	}
	l.Leaves = append(l.Leaves, (&leaf.Event{Index: index, Commitment: r.Commitment}).Bytes())
	l.Map[index] = Entry{prefix.Value(position, r.Commitment), position}
	l.Records[account] = append(l.Records[account], r)
	l.Keys++
	return position
}

// follow keeps what answers need to know as of an event.
func follow(r *answer.Record, e *event.Event, seq uint32) {
	switch e.Type {
	case event.AddDevice:
		r.Live = append(r.Live, seq)
	case event.RemoveDevice, event.OperatorRemove:
		r.Live = slices.DeleteFunc(r.Live, func(i uint32) bool { return i == e.KeyIndex })
	case event.Register, event.Reregister, event.Erase:
		r.Live = nil
	}
	if e.IsAnchor() {
		r.Anchor = seq
	}
	if e.Type == event.Erase {
		r.Erase = seq
	}
}

// Seal closes an epoch over the Map as it is, true or not, and signs it.
func (l *Log) Seal() {
	l.TimeMs++
	l.Shown = maps.Clone(l.Map)
	var err error
	if l.Tree, err = prefix.Build(l.PrefixLeaves(), leaf.MaxCount); err != nil {
		panic(err)
	}
	l.SealAs(&leaf.Epoch{Epoch: l.Epochs, TimeMs: l.TimeMs, First: l.First, Keys: l.Keys, PrefixRoot: l.Tree.Root()})
}

// SealAs closes an epoch with a leaf of the liar's choice.
func (l *Log) SealAs(epoch leaf.Leaf) {
	l.Leaves = append(l.Leaves, epoch.Bytes())
	l.Epochs++
	l.First = uint64(len(l.Leaves))
	l.Sign()
}

// Sign signs the tree as it is.
func (l *Log) Sign() {
	size := uint64(len(l.Leaves))
	root, err := answer.Range(0, size, l.Node)
	if err != nil {
		panic(err)
	}
	l.SignAs(checkpoint.Checkpoint{Origin: l.Origin, Size: size, Root: name.TreeRoot(root)})
}

// SignAs signs any checkpoint.
func (l *Log) SignAs(c checkpoint.Checkpoint) {
	l.Note = l.Signer.Sign(c)
	for _, cosigner := range l.Cosigners {
		l.Note = checkpoint.Append(l.Note, cosigner.Cosign(c.Text(), l.TimeMs/1000))
	}
}

// Answer assembles the answer to a request, as an honest log would over what
// this one claims.
func (l *Log) Answer(r *answer.Request) (*answer.Answer, error) { return answer.Assemble(l, r) }

// Lookup makes the liar a verifier.Source.
func (l *Log) Lookup(_ context.Context, request []byte) ([]byte, error) {
	r, err := answer.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	a, err := l.Answer(r)
	if err != nil {
		return nil, err
	}
	return a.Bytes()
}

// The rest makes the liar an answer.View.

func (l *Log) Published() (note []byte, size uint64, genesis, epoch []byte) {
	return l.Note, uint64(len(l.Leaves)), l.Leaves[0], l.Leaves[len(l.Leaves)-1]
}

func (l *Log) Newest(id name.AccountID) (int64, error) { return int64(len(l.Records[id])) - 1, nil }

func (l *Log) Record(id name.AccountID, seq uint32) (*answer.Record, error) {
	return &l.Records[id][seq], nil
}

func (l *Log) VRF(id name.AccountID, seq uint32) (vrf.Proof, name.Index, error) {
	return l.prove(id, seq)
}

func (l *Log) prove(id name.AccountID, seq uint32) (vrf.Proof, name.Index, error) {
	alpha := id.Label().VRFInput(seq)
	p, ok := l.proofs[string(alpha)]
	if !ok {
		p.proof, p.index = l.VRFKey.Prove(alpha)
		l.proofs[string(alpha)] = p
	}
	return p.proof, p.index, nil
}

// Prefix proves what the shown map holds, whatever it is asked to prove.
func (l *Log) Prefix(queries []prefix.Query) (*prefix.Proof, error) {
	indexes := make([]name.Index, len(queries))
	for i := range queries {
		indexes[i] = queries[i].Index
	}
	return l.Show(indexes)
}

// Show proves what the shown map holds for some indexes.
func (l *Log) Show(indexes []name.Index) (*prefix.Proof, error) {
	queries := make([]prefix.Query, len(indexes))
	for i, index := range indexes {
		e, present := l.Shown[index]
		queries[i] = prefix.Query{Index: index, Present: present, Value: e.Value}
	}
	return l.Tree.Prove((*leaves)(l), queries)
}

// Node computes a node from all the leaves below it: slow and simple.
func (l *Log) Node(level uint, index uint64) (leaf.Hash, error) {
	if level == 0 {
		return leaf.HashOf(l.Leaves[index]), nil
	}
	left, err := l.Node(level-1, 2*index)
	if err != nil {
		return leaf.Hash{}, err
	}
	right, err := l.Node(level-1, 2*index+1)
	return leaf.Join(left, right), err
}

// PrefixLeaves yields the shown map, ascending.
func (l *Log) PrefixLeaves() iter.Seq2[prefix.Leaf, error] {
	return func(yield func(prefix.Leaf, error) bool) {
		all, _ := (*leaves)(l).Range(nil, name.Index{}, 0)
		for _, p := range all {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// leaves is the shown map as prefix.Leaves.
type leaves Log

func (l *leaves) Range(dst []prefix.Leaf, index name.Index, depth int) ([]prefix.Leaf, error) {
	have := len(dst)
	for i, e := range l.Shown {
		if shares(i, index, depth) {
			dst = append(dst, prefix.Leaf{Index: i, Hash: prefix.LeafHash(i, e.Value), Position: e.Position})
		}
	}
	slices.SortFunc(dst[have:], func(a, b prefix.Leaf) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	return dst, nil
}

func (l *leaves) Full(p prefix.Leaf) (name.Index, name.Value, error) {
	for i, e := range l.Shown { // a liar may have two of one position
		if e.Position == p.Position && prefix.LeafHash(i, e.Value) == p.Hash {
			return i, e.Value, nil
		}
	}
	return name.Index{}, name.Value{}, fmt.Errorf("no such leaf of the map stands at position %d", p.Position)
}

func shares(a, b name.Index, bits int) bool {
	whole := bits / 8
	if !bytes.Equal(a[:whole], b[:whole]) {
		return false
	}
	return bits%8 == 0 || (a[whole]^b[whole])>>(8-bits%8) == 0
}

// ForgetProofs makes the liar prove anew, after its VRF key changed.
func (l *Log) ForgetProofs() { l.proofs = map[string]proven{} }
