package main

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

type prefixFile struct {
	Trees   []tree        `json:"trees"`
	Refused []refusedTree `json:"refused"`
	Form    []formCase    `json:"form"`
}

type tree struct {
	Name   string       `json:"name"`
	Leaves []prefixLeaf `json:"leaves"`
	Root   hexed        `json:"root"`
	Proofs []proofCase  `json:"proofs"`
}

type prefixLeaf struct {
	Index hexed `json:"index"`
	Value hexed `json:"value"`
}

type proofCase struct {
	Name    string  `json:"name"`
	Queries []query `json:"queries"`
	Proof   based   `json:"proof"`
}

type query struct {
	Index   hexed `json:"index"`
	Present bool  `json:"present"`
	Value   hexed `json:"value,omitempty"`
}

type refusedTree struct {
	Name    string  `json:"name"`
	Why     string  `json:"why"`
	Root    hexed   `json:"root"`
	Queries []query `json:"queries"`
	Proof   based   `json:"proof"`
}

type formCase struct {
	Name  string `json:"name"`
	Why   string `json:"why"`
	Proof hexed  `json:"proof"`
}

func prefixes() (f prefixFile) {
	index := func(i int) name.Index { return seed("index", fmt.Sprint(i)) }
	many := make([]name.Index, 20)
	for i := range many {
		many[i] = index(i)
	}
	many[1] = flip(many[0], 40)                // a long way of missing children
	a, b := name.Index{0x10}, name.Index{0x90} // 0001… and 1001…
	f.tree("empty", nil, []name.Index{a}, []name.Index{a, b})
	f.tree("one leaf", []name.Index{a}, []name.Index{a}, []name.Index{b}, []name.Index{b, a})
	f.tree("two leaves that part at the root", []name.Index{a, b}, []name.Index{a}, []name.Index{a, b}, []name.Index{{0x11}}, []name.Index{{0x11}, {0x12}, b})
	f.tree("two leaves that part at bit 7", []name.Index{a, {0x11}}, []name.Index{a}, []name.Index{{0x11}, b}, []name.Index{{0x13}}, []name.Index{{0x40}, {0x20}, {0x10, 1}})
	f.tree("two leaves that share 80 bits", []name.Index{a, flip(a, 80)}, []name.Index{flip(a, 50), flip(a, 80), flip(a, 0)})
	f.tree("twenty leaves", many, []name.Index{many[9]}, []name.Index{many[0], many[1], many[2]},
		[]name.Index{index(500)}, []name.Index{many[12], index(501), flip(many[0], 20), flip(many[10], 200), many[3], index(502)}, many[4:9])
	f.refusals()
	f.forms()
	return f
}

func flip(i name.Index, bit int) name.Index {
	i[bit/8] ^= 0x80 >> (bit % 8)
	return i
}

func (f *prefixFile) tree(label string, indexes []name.Index, asked ...[]name.Index) {
	t := tree{Name: label, Leaves: []prefixLeaf{}}
	log := &liar.Log{Shown: map[name.Index]liar.Entry{}} // it holds the leaves for Prove
	var pairs []pair
	for i, x := range indexes {
		v := name.Value(seed("value", fmt.Sprint(i)))
		log.Shown[x] = liar.Entry{Value: v, Position: uint64(i)}
		pairs = append(pairs, pair{x, v})
		t.Leaves = append(t.Leaves, prefixLeaf{x[:], v[:]})
	}
	root := rootOf(pairs, 0)
	t.Root = root[:]
	log.Tree = must(prefix.Build(log.PrefixLeaves(), 1<<62))
	agree(log.Tree.Root() == root, "tree %q has root %s, want %x", label, log.Tree.Root(), root)
	for _, ask := range asked {
		c := proofCase{Name: fmt.Sprintf("%d asked", len(ask))}
		var queries []prefix.Query
		for _, x := range ask {
			e, ok := log.Shown[x]
			queries = append(queries, prefix.Query{Index: x, Present: ok, Value: e.Value})
		}
		p := must(log.Prefix(queries))
		agree(prefix.Verify(root, queries, p) == nil, "a proof of tree %q is refused", label)
		c.Queries, c.Proof = written(queries), p.Bytes()
		t.Proofs = append(t.Proofs, c)
	}
	f.Trees = append(f.Trees, t)
}

func written(queries []prefix.Query) (out []query) {
	for _, q := range queries {
		w := query{Index: slices.Clone(q.Index[:]), Present: q.Present}
		if q.Present {
			w.Value = slices.Clone(q.Value[:])
		}
		out = append(out, w)
	}
	return out
}

type pair struct {
	index name.Index
	value name.Value
}

// rootOf is section 4.4's root(), word for word.
func rootOf(leaves []pair, d int) name.PrefixRoot {
	switch len(leaves) {
	case 0:
		return name.PrefixRoot{}
	case 1:
		return sha256.Sum256(slices.Concat([]byte{2}, leaves[0].index[:], leaves[0].value[:]))
	}
	var sides [2][]pair
	for _, l := range leaves {
		bit := l.index[d/8] >> (7 - d%8) & 1
		sides[bit] = append(sides[bit], l)
	}
	left, right := rootOf(sides[0], d+1), rootOf(sides[1], d+1)
	return sha256.Sum256(slices.Concat([]byte{3}, left[:], right[:]))
}

// refusals are proofs that are right but for one thing: their roots are
// computed from them, as a lying log would.
func (f *prefixFile) refusals() {
	type results = []prefix.Result
	type queries = []prefix.Query
	type elements = []prefix.Hash
	var (
		left, right, near = name.Index{0x10}, name.Index{0x90}, name.Index{0x11}
		value, other      = name.Value(seed("value")), name.Value(seed("other value"))
		some, more        = prefix.Hash(seed("subtree")), prefix.Hash(seed("another subtree"))
		none              prefix.Hash
		leafOf            = func(i name.Index) prefix.Hash { return prefix.LeafHash(i, value) }
		join              = func(l, r prefix.Hash) prefix.Hash { return sha256.Sum256(slices.Concat([]byte{3}, l[:], r[:])) }
		present           = func(i name.Index) prefix.Query { return prefix.Query{Index: i, Present: true, Value: value} }
		absent            = func(i name.Index) prefix.Query { return prefix.Query{Index: i} }
		included          = func(depth uint8) prefix.Result { return prefix.Result{Kind: prefix.Inclusion, Depth: depth} }
		parent            = func(depth uint8) prefix.Result {
			return prefix.Result{Kind: prefix.NonInclusionParent, Depth: depth}
		}
		shows = func(i name.Index, depth uint8) prefix.Result {
			return prefix.Result{Kind: prefix.NonInclusionLeaf, Index: i, Value: value, Depth: depth}
		}
	)
	const (
		number   = "no result, or fewer or more than asked"
		twice    = "an index asked twice"
		presence = "r.type = 1 exactly where presence is asked"
		itself   = "type 2 names the index sought"
		wrong    = "type 2 names a leaf elsewhere"
		disagree = "ends that disagree, or one above another"
		alone    = "a leaf or a missing child whose sibling is missing"
		count    = "elements left or lacking"
		root     = "hash = root"
	)
	for _, c := range []struct {
		name, why string
		root      prefix.Hash
		queries   queries
		results   results
		elements  elements
	}{
		{"no results", number, some, queries{}, nil, elements{some}},
		{"a result too many", number, leafOf(left), queries{present(left)}, results{included(0), parent(9)}, nil},
		{"a result too few", number, leafOf(left), queries{present(left), absent(right)}, results{included(0)}, nil},
		{"present twice", twice, leafOf(left), queries{present(left), present(left)}, results{included(0), included(0)}, nil},
		{"absent twice", twice, none, queries{absent(left), absent(left)}, results{parent(0), parent(0)}, nil},
		{"absent, want present", presence, none, queries{present(left)}, results{parent(0)}, nil},
		{"another leaf, want present", presence, leafOf(near), queries{present(left)}, results{shows(near, 0)}, nil},
		{"present, want absent", presence, prefix.LeafHash(left, name.Value{}), queries{absent(left)}, results{included(0)}, nil},
		{"absent by its own leaf", itself, leafOf(left), queries{absent(left)}, results{shows(left, 0)}, nil},
		{"leaf shown shares no bit", wrong, join(leafOf(right), some), queries{absent(left)}, results{shows(right, 1)}, elements{some}},
		{"leaf shown shares one bit too few", wrong, join(join(some, join(leafOf(name.Index{0x60}), some)), some), queries{absent(name.Index{0x40})}, results{shows(name.Index{0x60}, 3)}, elements{some, some, some}},
		{"two leaves at one place", disagree, join(leafOf(left), some), queries{present(left), absent(near)}, results{included(1), shows(name.Index{0x12}, 1)}, elements{some}},
		{"two values at one place", disagree, join(leafOf(left), some), queries{present(left), {Index: near, Present: true, Value: other}}, results{included(1), included(1)}, elements{some}},
		{"leaf and missing child at one place", disagree, join(leafOf(left), some), queries{present(left), absent(near)}, results{included(1), parent(1)}, elements{some}},
		{"leaf below a leaf", disagree, join(leafOf(left), some), queries{present(left), present(near)}, results{included(1), included(8)}, elements{some}},
		{"leaf above a leaf", disagree, join(leafOf(left), some), queries{present(left), present(near)}, results{included(8), included(1)}, elements{some}},
		{"leaf below a missing child", disagree, join(none, some), queries{absent(left), present(near)}, results{parent(1), included(2)}, elements{some}},
		{"missing child below a missing child", disagree, join(none, some), queries{absent(left), absent(near)}, results{parent(1), parent(2)}, elements{some}},
		{"one leaf shown at two depths", disagree, join(leafOf(name.Index{0x12}), some), queries{absent(left), absent(near)}, results{shows(name.Index{0x12}, 1), shows(name.Index{0x12}, 2)}, elements{some}},
		{"leaf without a sibling, left", alone, join(leafOf(left), none), queries{present(left)}, results{included(1)}, elements{none}},
		{"leaf without a sibling, right", alone, join(none, leafOf(right)), queries{present(right)}, results{included(1)}, elements{none}},
		{"leaf shown without a sibling", alone, join(leafOf(near), none), queries{absent(left)}, results{shows(near, 1)}, elements{none}},
		{"leaf beside a missing result", alone, join(leafOf(left), none), queries{present(left), absent(right)}, results{included(1), parent(1)}, nil},
		{"missing result beside a leaf", alone, join(none, leafOf(right)), queries{absent(left), present(right)}, results{parent(1), included(1)}, nil},
		{"missing child without a sibling", alone, join(none, none), queries{absent(left)}, results{parent(1)}, elements{none}},
		{"two missing results", alone, join(none, none), queries{absent(left), absent(right)}, results{parent(1), parent(1)}, nil},
		{"element too few", count, join(leafOf(left), some), queries{present(left)}, results{included(1)}, nil},
		{"element too many", count, join(leafOf(left), some), queries{present(left)}, results{included(1)}, elements{some, some}},
		{"element in the empty tree", count, none, queries{absent(left)}, results{parent(0)}, elements{none}},
		{"elements from right to left", root, join(join(leafOf(left), some), more), queries{present(left)}, results{included(2)}, elements{more, some}},
		{"element on the wrong side", root, join(some, leafOf(left)), queries{present(left)}, results{included(1)}, elements{some}},
		{"another value", root, leafOf(left), queries{{Index: left, Present: true, Value: other}}, results{included(0)}, nil},
		{"empty tree said of a full one", root, leafOf(right), queries{absent(left)}, results{parent(0)}, nil},
		{"leaf said of the empty tree", root, none, queries{present(left)}, results{included(0)}, nil},
	} {
		p := &prefix.Proof{Results: c.results, Elements: c.elements}
		agree(prefix.Verify(name.PrefixRoot(c.root), c.queries, p) != nil, "prefix proof %q is accepted", c.name)
		q := written(c.queries)
		if q == nil {
			q = []query{}
		}
		f.Refused = append(f.Refused, refusedTree{c.name, c.why, c.root[:], q, p.Bytes()})
	}
}

// forms are bytes that are no PrefixProof.
func (f *prefixFile) forms() {
	f.Form = []formCase{
		{"empty", "no count of results", hexed{}},
		{"type 0", "types are 1 to 3", hexed{1, 0, 0, 0, 0}},
		{"type 4", "types are 1 to 3", hexed{1, 4, 0, 0, 0}},
		{"no depth", "ends early", hexed{1, 3}},
		{"half a leaf", "type 2 shows index and value", append(hexed{1, 2}, make([]byte, 40)...)},
		{"no count of elements", "ends early", hexed{1, 3, 0, 0}},
		{"more elements than bytes", "ends early", hexed{1, 3, 0, 0xff, 0xff, 1, 2, 3}},
		{"more results than bytes", "ends early", hexed{255, 3, 0, 0, 0}},
		{"a byte too many", "bytes after the end", hexed{1, 3, 0, 0, 0, 0}},
	}
}
