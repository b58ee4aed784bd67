package prefix

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/musterlog/muster/log/name"
)

// Partial is what proofs of absence have shown of one tree: enough to compute
// the root that the tree has once the absent indexes are inserted, without the
// tree. Learn all first, then Insert.
type Partial struct {
	of   name.PrefixRoot
	root part
}

// part is one of:
//
//	inner    kids
//	leaf     leaf is set; its index is known
//	missing  a zero hash
//	opaque   of a subtree only the hash is known
type part struct {
	hash  Hash
	index name.Index
	leaf  bool
	kids  *[2]part
}

// NewPartial knows of a tree nothing but its root. Of the empty tree that is all.
func NewPartial(root name.PrefixRoot) *Partial {
	return &Partial{of: root, root: part{hash: Hash(root)}}
}

// Learn verifies that the tree has none of these indexes (see Verify), and
// keeps all that the proof shows. It takes memory for each element of the proof.
func (p *Partial) Learn(absent []name.Index, proof *Proof) error {
	queries := make([]Query, len(absent))
	for i := range absent {
		queries[i].Index = absent[i]
	}
	if err := Verify(p.of, queries, proof); err != nil {
		return err
	}
	shown := make([]shownEnd, len(absent))
	for i := range shown {
		shown[i] = shownEnd{absent[i], &proof.Results[i]}
	}
	slices.SortFunc(shown, func(a, b shownEnd) int { return compare(&a.sought, &b.sought) })
	g := graft{elements: proof.Elements}
	g.at(&p.root, 0, shown)
	return nil
}

// shownEnd is a result of a proof, with the index that it answers.
type shownEnd struct {
	sought name.Index
	*Result
}

// graft takes the walk of Verify once more, through a proof that has passed it.
type graft struct{ elements []Hash }

func (g *graft) at(p *part, depth int, shown []shownEnd) {
	if len(shown) == 0 {
		if p.kids == nil && !p.leaf { // else another proof has shown more
			p.hash = g.elements[0]
		}
		g.elements = g.elements[1:]
		return
	}
	if int(shown[0].Depth) == depth {
		if r := shown[0]; r.Kind == NonInclusionLeaf {
			*p = part{hash: LeafHash(r.Index, r.Value), index: r.Index, leaf: true}
		}
		return
	}
	if p.kids == nil {
		p.kids = new([2]part)
	}
	cut := sort.Search(len(shown), func(i int) bool { return bit(&shown[i].sought, depth) == 1 })
	g.at(&p.kids[0], depth+1, shown[:cut])
	g.at(&p.kids[1], depth+1, shown[cut:])
}

// Insert adds an index that a proof has shown absent.
func (p *Partial) Insert(index name.Index, v name.Value) error {
	n := &p.root
	for depth := 0; ; depth++ {
		switch {
		case n.kids != nil:
		case n.leaf:
			if shared(&index, &n.index) >= maxDepth {
				return fmt.Errorf("inserting %v: %w, or in its first 255 bits", index, ErrRepeated)
			}
			old := *n
			*n = part{kids: new([2]part)}
			n.kids[bit(&old.index, depth)] = old
		case n.hash == Hash{}:
			*n = part{hash: LeafHash(index, v), index: index, leaf: true}
			return nil
		default:
			return errors.New("inserting where no proof has shown what is there")
		}
		n = &n.kids[bit(&index, depth)]
	}
}

// Root is the root of the tree with what was inserted.
func (p *Partial) Root() name.PrefixRoot { return name.PrefixRoot(p.root.sum()) }

func (p *part) sum() Hash {
	if p.kids == nil {
		return p.hash
	}
	return join(p.kids[0].sum(), p.kids[1].sum())
}
