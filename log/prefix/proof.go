package prefix

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/name"
)

// Kind is where the search for an index ended (section 4).
type Kind uint8

const (
	Inclusion          Kind = 1 // at the index's own leaf
	NonInclusionLeaf   Kind = 2 // at the leaf of another index, which is shown
	NonInclusionParent Kind = 3 // at a missing child
)

// Result says what one search found. The proof does not repeat the index
// sought, nor the value that the verifier knows already.
type Result struct {
	Kind  Kind
	Index name.Index // of the leaf shown: NonInclusionLeaf only
	Value name.Value // of the leaf shown: NonInclusionLeaf only
	Depth uint8      // of the leaf or of the missing child; the root has 0
}

// Proof is the KEYTRANS PrefixProof: what the tree says of some indexes. Its
// results follow the order of the indexes asked, its elements the tree from
// left to right.
type Proof struct {
	Results  []Result // 1..MaxResults
	Elements []Hash   // hashes of the subtrees that no search entered; zero for a missing child
}

// Bytes is the one encoding of a proof that Prove or ReadProof gave (section 4):
//
//	u8 count || results || u16 count || elements, 32 bytes each
//	result: u8 kind || [kind 2: index[32] || value[32]] || u8 depth
//
// At most 255·66 + 65,025·32 bytes; a result in a tree of 2^30 leaves with
// its elements takes about 1 KB.
func (p *Proof) Bytes() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 3+66*len(p.Results)+32*len(p.Elements)))
	b.AddUint8(uint8(len(p.Results)))
	for i := range p.Results {
		r := &p.Results[i]
		b.AddUint8(uint8(r.Kind))
		if r.Kind == NonInclusionLeaf {
			b.AddBytes(r.Index[:])
			b.AddBytes(r.Value[:])
		}
		b.AddUint8(r.Depth)
	}
	b.AddUint16(uint16(len(p.Elements)))
	for i := range p.Elements {
		b.AddBytes(p.Elements[i][:])
	}
	return b.BytesOrPanic()
}

var errForm = errors.New("malformed prefix proof")

// ReadProof reads one proof from s and leaves what follows it. It judges the
// form only: Verify judges the rest.
func ReadProof(s *cryptobyte.String) (*Proof, error) {
	var count uint8
	if !s.ReadUint8(&count) {
		return nil, fmt.Errorf("%w: no count of results", errForm)
	}
	p := &Proof{Results: make([]Result, count)}
	for i := range p.Results {
		if err := p.Results[i].read(s); err != nil {
			return nil, fmt.Errorf("%w: result %d of %d: %w", errForm, i, count, err)
		}
	}
	var elements uint16
	var hashes []byte
	if !s.ReadUint16(&elements) || !s.ReadBytes(&hashes, int(elements)*32) {
		return nil, fmt.Errorf("%w: fewer elements than it counts", errForm)
	}
	if elements > 0 {
		p.Elements = make([]Hash, elements) // as many as were there
	}
	for i := range p.Elements {
		p.Elements[i] = Hash(hashes[32*i:])
	}
	return p, nil
}

func (r *Result) read(s *cryptobyte.String) error {
	if !s.ReadUint8((*uint8)(&r.Kind)) {
		return errors.New("ends early")
	}
	switch r.Kind {
	case Inclusion, NonInclusionParent:
	case NonInclusionLeaf:
		if !s.CopyBytes(r.Index[:]) || !s.CopyBytes(r.Value[:]) {
			return errors.New("ends early")
		}
	default:
		return fmt.Errorf("kind %d, want 1 to 3", r.Kind)
	}
	if !s.ReadUint8(&r.Depth) {
		return errors.New("ends early")
	}
	return nil
}
