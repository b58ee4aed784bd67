package evidence_test

import (
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// change makes one change to one line, or to their order.
func (f *forger) change(file *evidence.File) {
	if len(file.Lines) == 0 {
		return
	}
	i := f.IntN(len(file.Lines))
	switch f.IntN(8) {
	case 0:
		j := f.IntN(len(file.Lines))
		file.Lines[i], file.Lines[j] = file.Lines[j], file.Lines[i]
	case 1:
		file.Lines = slices.Delete(slices.Clone(file.Lines), i, i+1)
	case 2:
		file.Lines = slices.Insert(slices.Clone(file.Lines), i, file.Lines[f.IntN(len(file.Lines))])
	default:
		file.Lines[i] = f.changed(file.Lines[i])
	}
}

func (f *forger) changed(line evidence.Line) evidence.Line {
	flip := func(b []byte) []byte {
		b = slices.Clone(b)
		if len(b) > 0 {
			b[f.IntN(len(b))] ^= 1 << f.IntN(8)
		}
		return b
	}
	hashes := func(h []leaf.Hash) []leaf.Hash {
		h = slices.Clone(h)
		if len(h) > 0 {
			h[f.IntN(len(h))] = f.hash()
		}
		return h
	}
	switch l := line.(type) {
	case evidence.Note:
		if f.IntN(4) == 0 {
			return evidence.Note(flip(l))
		}
		return evidence.Note(f.view().Note)
	case evidence.Root:
		return evidence.Root(f.hash())
	case evidence.Consistency:
		return evidence.Consistency(hashes(l))
	case evidence.Member:
		l.Position = f.Uint64N(40)
		if f.IntN(2) == 0 {
			l.Commitment = name.Commitment(flip(l.Commitment[:]))
		}
		return l
	case evidence.Leaf:
		switch v := f.view(); f.IntN(4) {
		case 0:
			l.Position = f.Uint64N(40)
		case 1:
			l.Bytes = v.Leaves[f.position(v)]
		case 2:
			l.Path = hashes(l.Path)
		case 3:
			return must(tree(v).At(f.position(v)))
		}
		return l
	case evidence.Prefix:
		p := &prefix.Proof{Results: slices.Clone(l.Results), Elements: slices.Clone(l.Elements)}
		r := &p.Results[f.IntN(len(p.Results))]
		switch f.IntN(4) {
		case 0:
			r.Kind = prefix.Kind(1 + f.IntN(3))
		case 1:
			r.Depth = uint8(f.IntN(9))
		case 2:
			r.Index = f.index(f.view())
		case 3:
			if len(p.Elements) > 0 {
				p.Elements[f.IntN(len(p.Elements))] = prefix.Hash(f.hash())
			}
		}
		if r.Kind != prefix.NonInclusionLeaf { // the encoding has no place for them
			r.Index, r.Value = name.Index{}, name.Value{}
		}
		return evidence.Prefix{Proof: p}
	case evidence.Open:
		switch f.IntN(4) {
		case 0:
			l.Seq = f.Uint32N(12)
		case 1:
			l.Event = flip(l.Event)
		case 2:
			return f.opens[f.IntN(len(f.opens))]
		case 3:
			o := f.opens[f.IntN(len(f.opens))]
			o.Position = l.Position
			return o
		}
		return l
	case evidence.VRF:
		l.Seq = f.Uint32N(12)
		return l
	case evidence.Receipt:
		if f.IntN(3) == 0 {
			return evidence.Receipt(flip(l))
		}
		return evidence.Receipt(f.receipts[f.IntN(len(f.receipts))])
	}
	panic(fmt.Sprintf("a line of type %T", line))
}

func clone(f *evidence.File) *evidence.File {
	return &evidence.File{Kind: f.Kind, Origin: f.Origin, Lines: slices.Clone(f.Lines)}
}
