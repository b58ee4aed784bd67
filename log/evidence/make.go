package evidence

import (
	"bytes"
	"fmt"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// The makers put lines into the protocol's order. They judge nothing: what they
// make goes to Convict, which says whether it proves anything. Notes are taken
// as they were received.

// TwoRoots is E1, of two notes of one size. Whoever finds the pair makes the
// same file.
func TwoRoots(a, b []byte) *File {
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	return &File{Kind: E1, Origin: originOf(a), Lines: []Line{Note(a), Note(b)}}
}

// Fork is E2: root is the one that the second tree has at the first's size, and
// proof the RFC 6962 consistency proof from it to the second.
func Fork(first, second []byte, root name.TreeRoot, proof []leaf.Hash) *File {
	return &File{Kind: E2, Origin: originOf(first), Lines: []Line{Note(first), Note(second), Root(root), Consistency(proof)}}
}

// Replaced is E3: one position in two trees. Both leaves come with their
// inclusion, each in the tree of its note.
func Replaced(first []byte, a Leaf, second []byte, b Leaf) *File {
	return &File{Kind: E3, Origin: originOf(first), Lines: []Line{Note(first), a, Note(second), b}}
}

// originOf is empty for what is no checkpoint: then Convict says why.
func originOf(note []byte) name.Origin {
	n, err := checkpoint.Parse(note)
	if err != nil {
		return ""
	}
	return n.Origin
}

// OfCosigner is the file that accuses whoever cosigned the notes of f: W for an
// E1 or E2, A for an E4 or E5. f is as its maker gave it, since the file in a
// Misbehaviour has the log's signatures alone; the key for Convict is the
// cosigner's. For other kinds there is no such file, and none is convicted.
func (f *File) OfCosigner() *File {
	role := "A "
	if f.Kind == E1 || f.Kind == E2 {
		role = "W "
	}
	return &File{Kind: Kind(role) + f.Kind, Origin: f.Origin, Lines: f.Lines}
}

// Tree is a signed tree whose leaves are shown.
type Tree struct {
	Note []byte
	Leaf func(position uint64) ([]byte, error)
	Path func(position uint64) ([]leaf.Hash, error) // its inclusion in the tree of Note, leaf to root
}

// At is the leaf at a position, with its inclusion.
func (t *Tree) At(position uint64) (Leaf, error) {
	l := Leaf{Position: position}
	var err error
	if l.Bytes, err = t.Leaf(position); err == nil {
		l.Path, err = t.Path(position)
	}
	if err != nil {
		return Leaf{}, fmt.Errorf("showing leaf %d: %w", position, err)
	}
	return l, nil
}

// file begins a file with the note and GENESIS. Each part is a line, or a
// uint64: the position of a leaf.
func (t *Tree) file(kind Kind, parts ...any) (*File, error) {
	f := &File{Kind: kind, Origin: originOf(t.Note), Lines: []Line{Note(t.Note)}}
	for _, part := range append([]any{uint64(0)}, parts...) {
		line, ok := part.(Line)
		if !ok {
			var err error
			if line, err = t.At(part.(uint64)); err != nil {
				return nil, err
			}
		}
		f.Lines = append(f.Lines, line)
	}
	return f, nil
}

// Dropped is E4a: the EVENT at one position, and what the map of the EPOCH above
// it holds for its index: nothing, or another value (see OtherValue).
func (t *Tree) Dropped(event, epoch uint64, p *prefix.Proof) (*File, error) {
	return t.file(E4a, event, epoch, Prefix{p})
}

// OtherValue makes of a proof that the map holds v for i one that shows so
// without being told v: the form in which Dropped takes it. The proof answers i
// alone.
func OtherValue(p *prefix.Proof, i name.Index, v name.Value) *prefix.Proof {
	q := &prefix.Proof{Elements: p.Elements}
	for _, r := range p.Results {
		q.Results = append(q.Results, prefix.Result{Kind: prefix.NonInclusionLeaf, Index: i, Value: v, Depth: r.Depth})
	}
	return q
}

// Ghost is E4b: a member of an EPOCH's map that no EVENT stands behind.
func (t *Tree) Ghost(epoch uint64, m Member, p *prefix.Proof) (*File, error) {
	if m.Position == 0 || m.Position >= epoch {
		return t.file(E4b, epoch, m, Prefix{p})
	}
	return t.file(E4b, epoch, m, Prefix{p}, m.Position)
}

// WrongMap is E4c: the EPOCHs at two positions, or 0 and the first EPOCH, and
// the EVENTs between. prove gives the proof of absence of some indexes, in this
// order, from the map of the EPOCH before; it is not asked for EPOCH 0.
func (t *Tree) WrongMap(before, epoch uint64, prove func([]name.Index) (*prefix.Proof, error)) (*File, error) {
	var events []any
	var proofs []any
	var asked []name.Index
	for p := before + 1; p < epoch; p++ {
		b, err := t.Leaf(p)
		if err != nil {
			return nil, fmt.Errorf("showing leaf %d: %w", p, err)
		}
		if l, err := leaf.Parse(b); err == nil {
			if e, ok := l.(*leaf.Event); ok {
				asked = append(asked, e.Index)
			}
		}
		events = append(events, p)
		if before > 0 && (len(asked) == cut || p == epoch-1 && len(asked) > 0) {
			proof, err := prove(asked)
			if err != nil {
				return nil, err
			}
			proofs, asked = append(proofs, Prefix{proof}), nil
		}
	}
	var parts []any
	if before > 0 {
		parts = append(parts, before)
	}
	return t.file(E4c, append(append(append(parts, proofs...), events...), epoch)...)
}

// BrokenLeaves is E5: the one or two leaves, ascending, that break a rule.
// GENESIS is shown in any case, and not named again.
func (t *Tree) BrokenLeaves(positions ...uint64) (*File, error) {
	if n, err := checkpoint.Parse(t.Note); err == nil && n.Size == 0 {
		return &File{Kind: E5, Origin: n.Origin, Lines: []Line{Note(t.Note)}}, nil
	}
	var parts []any
	for _, p := range positions {
		if p > 0 {
			parts = append(parts, p)
		}
	}
	return t.file(E5, parts...)
}

// BrokenEvents is E6: events of one account, opened, in ascending positions. It
// discloses the account: whoever writes it is told so first.
func (t *Tree) BrokenEvents(events ...Open) (*File, error) {
	var parts []any
	for _, o := range events {
		parts = append(parts, o.Position, o)
	}
	return t.file(E6, parts...)
}

// WrongIndex is E6 of an event that stands where its VRF proof does not put it.
func (t *Tree) WrongIndex(o Open, v VRF) (*File, error) {
	return t.file(E6, o.Position, o, v)
}

// Unkept is E7: a receipt, and an EPOCH later than it promises, or a SEAL, whose
// map has not the promised index.
func (t *Tree) Unkept(receipt []byte, epoch uint64, p *prefix.Proof) (*File, error) {
	return t.after(receipt, epoch, Prefix{p})
}

// Displaced is E7 with the EVENT that the log has in the promised one's place.
func (t *Tree) Displaced(receipt []byte, epoch, event uint64) (*File, error) {
	return t.after(receipt, epoch, event)
}

func (t *Tree) after(receipt []byte, parts ...any) (*File, error) {
	f, err := t.file(E7, parts...)
	if err == nil {
		f.Lines = append([]Line{Receipt(receipt)}, f.Lines...)
	}
	return f, err
}
