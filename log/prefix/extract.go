package prefix

import (
	"fmt"
	"slices"
	"sort"

	"github.com/musterlog/muster/log/name"
)

// Extract makes of one proof that holds for many queries the proof that holds
// for some of them, given by their place and in this order: the bytes that
// Prove would have given for these alone. Evidence shows what it needs and
// nothing else of whose account an answer was about. A proof that does not hold
// is an error.
func Extract(root name.PrefixRoot, queries []Query, p *Proof, subset []int) (*Proof, error) {
	if err := Verify(root, queries, p); err != nil {
		return nil, err
	}
	if len(subset) == 0 {
		return nil, fmt.Errorf("extracting none of %d results", len(queries))
	}
	ends := make([]end, len(queries))
	for i := range queries {
		ends[i], _ = judge(&queries[i], &p.Results[i]) // Verify did
	}
	x := extract{walk: walk{elements: p.Elements}, wanted: make(map[name.Index]bool)}
	one := new(Proof)
	for _, i := range subset {
		if i < 0 || i >= len(queries) || x.wanted[queries[i].Index] {
			return nil, fmt.Errorf("extracting result %d of %d: no such one, or twice", i, len(queries))
		}
		x.wanted[queries[i].Index] = true
		one.Results = append(one.Results, p.Results[i])
	}
	slices.SortFunc(ends, func(a, b end) int { return compare(&a.sought, &b.sought) })
	if err := x.at(0, ends); err != nil {
		return nil, err
	}
	one.Elements = x.out
	return one, nil
}

// extract walks like the verifier, and folds into one element each subtree
// that no wanted search enters.
type extract struct {
	walk
	wanted map[name.Index]bool
	out    []Hash
}

func (x *extract) at(depth int, ends []end) error {
	if !slices.ContainsFunc(ends, func(e end) bool { return x.wanted[e.sought] }) {
		s, err := x.walk.at(depth, ends)
		x.out = append(x.out, s.hash)
		return err
	}
	if ends[0].depth == depth { // and so did all
		return nil
	}
	cut := sort.Search(len(ends), func(i int) bool { return bit(&ends[i].sought, depth) == 1 })
	if err := x.at(depth+1, ends[:cut]); err != nil {
		return err
	}
	return x.at(depth+1, ends[cut:])
}
