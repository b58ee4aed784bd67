package prefix

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/musterlog/muster/log/name"
)

// Query is what a verifier demands of the tree for one index.
type Query struct {
	Index   name.Index
	Present bool       // the tree holds it, or it does not
	Value   name.Value // what it must hold: present only
}

// Verify accepts a proof that the tree of this root answers every query as
// demanded: the i-th result is the i-th query's (section 4). It computes the
// root from the results and the elements alone, so nothing that a prover says
// about the tree is believed before the root is reached.
//
// What it refuses beside a wrong root: no results, or not one for each query;
// an index asked twice; presence where absence is demanded, or the reverse; a
// leaf shown that is the index sought, or that does not lie where the search
// ended; results that end at one place, or one above the other, and disagree;
// a leaf or a missing child whose sibling is missing, which no tree has; and
// an element too few or too many.
//
// An error says that the proof does not hold. It is no proof of misbehaviour:
// whoever forwarded the answer could have changed it.
func Verify(root name.PrefixRoot, queries []Query, p *Proof) error {
	if len(p.Results) == 0 {
		return errors.New("prefix proof without results")
	}
	if len(p.Results) != len(queries) {
		return fmt.Errorf("prefix proof with %d results, want %d", len(p.Results), len(queries))
	}
	ends := make([]end, len(queries))
	for i := range queries {
		var err error
		if ends[i], err = judge(&queries[i], &p.Results[i]); err != nil {
			return fmt.Errorf("prefix proof, result %d: %w", i, err)
		}
	}
	slices.SortFunc(ends, func(a, b end) int { return compare(&a.sought, &b.sought) })
	for i := range ends[1:] {
		// The walk below would take the same result for both; an answer has no
		// reason to ask so.
		if ends[i].sought == ends[i+1].sought {
			return fmt.Errorf("prefix proof: index %v asked twice", ends[i].sought)
		}
	}
	w := walk{elements: p.Elements}
	computed, err := w.at(0, ends)
	if err != nil {
		return fmt.Errorf("prefix proof: %w", err)
	}
	if len(w.elements) > 0 {
		return fmt.Errorf("prefix proof: %d elements too many", len(w.elements))
	}
	if computed.hash != Hash(root) {
		return fmt.Errorf("prefix proof: gives root %x, want %v", computed.hash, root)
	}
	return nil
}

// end is the place where the search for an index ended, and what stands there:
// a leaf with this hash, or for a zero hash a missing child.
type end struct {
	sought name.Index
	depth  int
	hash   Hash
}

// judge holds one result against its query, without the tree.
func judge(q *Query, r *Result) (end, error) {
	e := end{sought: q.Index, depth: int(r.Depth)}
	if q.Present != (r.Kind == Inclusion) {
		return e, fmt.Errorf("kind %d, want index %v present: %t", r.Kind, q.Index, q.Present)
	}
	switch r.Kind {
	case Inclusion:
		e.hash = LeafHash(q.Index, q.Value)
	case NonInclusionLeaf:
		switch common := shared(&q.Index, &r.Index); {
		case common == 256:
			return e, fmt.Errorf("shows index %v itself to prove it absent", q.Index)
		case common < e.depth:
			return e, fmt.Errorf("shows %v at depth %d, which shares only %d bits with index %v", r.Index, e.depth, common, q.Index)
		}
		e.hash = LeafHash(r.Index, r.Value)
	case NonInclusionParent:
	default:
		return e, fmt.Errorf("kind %d, want 1 to 3", r.Kind)
	}
	return e, nil
}

// subtree is what the verifier knows of one: its hash, and whether it is a
// leaf. Of an element only the hash is known.
type subtree struct {
	hash Hash
	leaf bool
}

func (s subtree) missing() bool { return s.hash == Hash{} }

// walk computes the root; it uses up the elements from left to right.
type walk struct{ elements []Hash }

// at computes the subtree at depth below which all ends lie: sorted, and they
// share depth bits. None of them ended higher up.
func (w *walk) at(depth int, ends []end) (subtree, error) {
	if len(ends) == 0 {
		if len(w.elements) == 0 {
			return subtree{}, errors.New("too few elements")
		}
		s := subtree{hash: w.elements[0]}
		w.elements = w.elements[1:]
		return s, nil
	}
	if slices.ContainsFunc(ends, func(e end) bool { return e.depth == depth }) {
		// The search ends here for one, so it must for all, at the same thing.
		for _, e := range ends {
			if e.depth != depth || e.hash != ends[0].hash {
				return subtree{}, fmt.Errorf("results disagree about what is at depth %d of index %v", depth, e.sought)
			}
		}
		return subtree{hash: ends[0].hash, leaf: ends[0].hash != Hash{}}, nil
	}
	cut := sort.Search(len(ends), func(i int) bool { return bit(&ends[i].sought, depth) == 1 })
	left, err := w.at(depth+1, ends[:cut])
	if err != nil {
		return subtree{}, err
	}
	right, err := w.at(depth+1, ends[cut:])
	if err != nil {
		return subtree{}, err
	}
	// A single leaf stands one higher, and of no leaves nothing is left: else
	// one set of leaves could be given many roots.
	if left.missing() && (right.leaf || right.missing()) || right.missing() && left.leaf {
		return subtree{}, fmt.Errorf("a leaf or a missing child at depth %d of index %v has no sibling", depth+1, ends[0].sought)
	}
	return subtree{hash: join(left.hash, right.hash)}, nil
}
