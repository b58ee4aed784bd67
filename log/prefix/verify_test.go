package prefix_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// example is a tree with a proof that has every kind of result.
func example(t testing.TB) (name.PrefixRoot, []prefix.Query, *prefix.Proof) {
	r := random(11)
	indexes := randomIndexes(r, 100)
	indexes[1] = flip(indexes[0], 40) // makes missing children for kind 3
	leaves := leavesOf(indexes, 0)
	store := newMemory(leaves)
	tree := must[*prefix.Tree](t)(prefix.Build(store.all(), 100))
	asked := []name.Index{indexes[9], flip(indexes[0], 20), indexes[0], indexes[1], flip(indexes[50], 200), randomIndex(r)}
	proof := must[*prefix.Proof](t)(tree.Prove(store, truth(entries(leaves), asked)))
	seen := make(map[prefix.Kind]bool)
	for _, r := range proof.Results {
		seen[r.Kind] = true
	}
	if len(seen) != 3 || len(proof.Elements) < 10 {
		t.Fatalf("example has kinds %v and %d elements", seen, len(proof.Elements))
	}
	return tree.Root(), truth(entries(leaves), asked), proof
}

func read(b []byte) (*prefix.Proof, error) {
	s := cryptobyte.String(b)
	p, err := prefix.ReadProof(&s)
	if err == nil && !s.Empty() {
		err = bytes.ErrTooLarge
	}
	return p, err
}

// TestChangedProof changes a right proof in every small way. None may pass.
func TestChangedProof(t *testing.T) {
	root, queries, proof := example(t)
	if err := prefix.Verify(root, queries, proof); err != nil {
		t.Fatal(err)
	}
	refused := 0
	refuse := func(format string, p *prefix.Proof) {
		if p != nil && prefix.Verify(root, queries, p) == nil {
			t.Errorf("%s: accepted", format)
		}
		refused++
	}
	encoded := proof.Bytes()
	for bit := range 8 * len(encoded) {
		b := slices.Clone(encoded)
		b[bit/8] ^= 1 << (bit % 8)
		p, err := read(b)
		if err != nil {
			p = nil
		}
		refuse("a flipped bit", p)
	}
	for n := range encoded {
		if _, err := read(encoded[:n]); err == nil {
			t.Errorf("%d of %d bytes: read", n, len(encoded))
		}
		refused++
	}
	for i := range proof.Elements {
		e := proof.Elements
		refuse("an element dropped", &prefix.Proof{Results: proof.Results, Elements: slices.Delete(slices.Clone(e), i, i+1)})
		refuse("an element doubled", &prefix.Proof{Results: proof.Results, Elements: slices.Insert(slices.Clone(e), i, e[i])})
		for j := range i {
			if e[i] == e[j] {
				continue // two missing children
			}
			swapped := slices.Clone(e)
			swapped[i], swapped[j] = e[j], e[i]
			refuse("two elements swapped", &prefix.Proof{Results: proof.Results, Elements: swapped})
		}
	}
	for i := range proof.Results {
		r := proof.Results
		refuse("a result dropped", &prefix.Proof{Results: slices.Delete(slices.Clone(r), i, i+1), Elements: proof.Elements})
		refuse("a result doubled", &prefix.Proof{Results: slices.Insert(slices.Clone(r), i, r[i]), Elements: proof.Elements})
		for j := range i {
			if r[i] == r[j] {
				continue
			}
			swapped := slices.Clone(r)
			swapped[i], swapped[j] = r[j], r[i]
			refuse("two results swapped", &prefix.Proof{Results: swapped, Elements: proof.Elements})
		}
	}
	for i := range queries {
		for _, change := range []func(*prefix.Query){
			func(q *prefix.Query) { q.Present = !q.Present },
			func(q *prefix.Query) { q.Index[0] ^= 0x80 },
			func(q *prefix.Query) { q.Value[31] ^= 1; q.Present = true },
		} {
			changed := slices.Clone(queries)
			change(&changed[i])
			if prefix.Verify(root, changed, proof) == nil {
				t.Errorf("query %d changed: accepted", i)
			}
			refused++
		}
	}
	t.Logf("count refused %d", refused)
}

func present(i name.Index) prefix.Query {
	return prefix.Query{Index: i, Present: true, Value: name.Value{7}}
}
func absent(i name.Index) prefix.Query { return prefix.Query{Index: i} }

// TestRefusals has a proof for every refusal of section 4 (and of Verify's
// comment) that is right but for the one thing: its root is computed from it,
// as a lying log would.
func TestRefusals(t *testing.T) {
	var (
		left, right = name.Index{0x10}, name.Index{0x90} // bits 0001… and 1001…
		near        = name.Index{0x11}                   // 00010001…: shares 7 bits with left
		value       = name.Value{7}
		leafOf      = func(i name.Index) prefix.Hash { return prefix.LeafHash(i, value) }
		join        = func(l, r prefix.Hash) prefix.Hash { return hash([]byte{3}, l[:], r[:]) }
		some        = prefix.Hash{0xee} // of a subtree that nothing asked leads to
		none        prefix.Hash
		included    = func(depth uint8) prefix.Result { return prefix.Result{Kind: prefix.Inclusion, Depth: depth} }
		parent      = func(depth uint8) prefix.Result {
			return prefix.Result{Kind: prefix.NonInclusionParent, Depth: depth}
		}
		shows = func(i name.Index, depth uint8) prefix.Result {
			return prefix.Result{Kind: prefix.NonInclusionLeaf, Index: i, Value: value, Depth: depth}
		}
	)
	type (
		results  = []prefix.Result
		queries  = []prefix.Query
		elements = []prefix.Hash
	)
	for _, c := range []struct {
		label    string
		root     prefix.Hash
		queries  queries
		results  results
		elements elements
		want     string // in the error; empty: accepted
	}{
		{"empty tree", none, queries{absent(left)}, results{parent(0)}, nil, ""},
		{"empty tree, two asked", none, queries{absent(left), absent(right)}, results{parent(0), parent(0)}, nil, ""},
		{"single leaf", leafOf(left), queries{present(left)}, results{included(0)}, nil, ""},
		{"single leaf and another asked", leafOf(left), queries{absent(right), present(left)}, results{shows(left, 0), included(0)}, nil, ""},
		{"leaf beside a subtree", join(leafOf(left), some), queries{present(left)}, results{included(1)}, elements{some}, ""},
		{"missing child beside a subtree", join(none, some), queries{absent(left)}, results{parent(1)}, elements{some}, ""},
		{"leaf shown below a missing sibling", join(join(some, leafOf(name.Index{0x7e})), none), queries{absent(name.Index{0x7f})},
			results{shows(name.Index{0x7e}, 2)}, elements{some, none}, ""},
		{"element zero beside an inner node", join(join(leafOf(left), some), none), queries{present(left)}, results{included(2)}, elements{some, none}, ""},

		{"no results", some, nil, nil, elements{some}, "without results"},
		{"a result too many", leafOf(left), queries{present(left)}, results{included(0), parent(9)}, nil, "2 results, want 1"},
		{"a result too few", leafOf(left), queries{present(left), absent(right)}, results{included(0)}, nil, "1 results, want 2"},
		{"index asked twice", leafOf(left), queries{present(left), present(left)}, results{included(0), included(0)}, nil, "asked twice"},
		{"absent, want present", none, queries{present(left)}, results{parent(0)}, nil, "present: true"},
		{"another leaf, want present", leafOf(near), queries{present(left)}, results{shows(near, 0)}, nil, "present: true"},
		{"present, want absent", prefix.LeafHash(left, name.Value{}), queries{absent(left)}, results{included(0)}, nil, "present: false"},
		{"kind 0", none, queries{absent(left)}, results{{Kind: 0}}, nil, "kind 0"},
		{"kind 4", none, queries{absent(left)}, results{{Kind: 4}}, nil, "kind 4"},
		{"absent by its own leaf", leafOf(left), queries{absent(left)}, results{shows(left, 0)}, nil, "itself"},
		{"leaf shown shares too few bits", join(leafOf(right), some), queries{absent(left)}, results{shows(right, 1)}, elements{some}, "shares only 0 bits"},
		{"leaf shown shares one bit too few", join(join(some, join(leafOf(name.Index{0x60}), some)), some), queries{absent(name.Index{0x40})},
			results{shows(name.Index{0x60}, 3)}, elements{some, some, some}, "shares only 2 bits"},
		{"two leaves at one place", join(leafOf(left), some), queries{present(left), absent(near)}, results{included(1), shows(name.Index{0x12}, 1)}, elements{some}, "disagree"},
		{"two values at one place", join(leafOf(left), some), queries{present(left), {Index: near, Present: true, Value: name.Value{8}}},
			results{included(1), included(1)}, elements{some}, "disagree"},
		{"leaf and missing child at one place", join(leafOf(left), some), queries{present(left), absent(near)}, results{included(1), parent(1)}, elements{some}, "disagree"},
		{"leaf below a leaf", join(leafOf(left), some), queries{present(left), present(near)}, results{included(1), included(8)}, elements{some}, "disagree"},
		{"leaf above a leaf", join(leafOf(left), some), queries{present(left), present(near)}, results{included(8), included(1)}, elements{some}, "disagree"},
		{"leaf below a missing child", join(none, some), queries{absent(left), present(near)}, results{parent(1), included(2)}, elements{some}, "disagree"},
		{"missing child below a missing child", join(none, some), queries{absent(left), absent(near)}, results{parent(1), parent(2)}, elements{some}, "disagree"},
		{"one leaf shown at two depths", join(leafOf(name.Index{0x12}), some), queries{absent(left), absent(near)},
			results{shows(name.Index{0x12}, 1), shows(name.Index{0x12}, 2)}, elements{some}, "disagree"},
		{"leaf without a sibling, left", join(leafOf(left), none), queries{present(left)}, results{included(1)}, elements{none}, "no sibling"},
		{"leaf without a sibling, right", join(none, leafOf(right)), queries{present(right)}, results{included(1)}, elements{none}, "no sibling"},
		{"leaf shown without a sibling", join(leafOf(near), none), queries{absent(left)}, results{shows(near, 1)}, elements{none}, "no sibling"},
		{"leaf beside a missing result", join(leafOf(left), none), queries{present(left), absent(right)}, results{included(1), parent(1)}, nil, "no sibling"},
		{"missing result beside a leaf", join(none, leafOf(right)), queries{absent(left), present(right)}, results{parent(1), included(1)}, nil, "no sibling"},
		{"missing child without a sibling, left", join(none, none), queries{absent(left)}, results{parent(1)}, elements{none}, "no sibling"},
		{"missing child without a sibling, right", join(none, none), queries{absent(right)}, results{parent(1)}, elements{none}, "no sibling"},
		{"two missing results", join(none, none), queries{absent(left), absent(right)}, results{parent(1), parent(1)}, nil, "no sibling"},
		{"element too few", join(leafOf(left), some), queries{present(left)}, results{included(1)}, nil, "too few"},
		{"element too many", join(leafOf(left), some), queries{present(left)}, results{included(1)}, elements{some, some}, "too many"},
		{"element in the empty tree", none, queries{absent(left)}, results{parent(0)}, elements{none}, "too many"},
		{"elements from right to left", join(join(leafOf(left), some), prefix.Hash{0xdd}), queries{present(left)}, results{included(2)}, elements{{0xdd}, some}, "gives root"},
		{"element on the wrong side", join(some, leafOf(left)), queries{present(left)}, results{included(1)}, elements{some}, "gives root"},
		{"another value", leafOf(left), queries{{Index: left, Present: true, Value: name.Value{8}}}, results{included(0)}, nil, "gives root"},
		{"empty tree said of a full one", leafOf(right), queries{absent(left)}, results{parent(0)}, nil, "gives root"},
		{"leaf said of the empty tree", none, queries{present(left)}, results{included(0)}, nil, "gives root"},
	} {
		t.Run(c.label, func(t *testing.T) {
			err := prefix.Verify(name.PrefixRoot(c.root), c.queries, &prefix.Proof{Results: c.results, Elements: c.elements})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestReadProof(t *testing.T) {
	_, _, proof := example(t)
	good := proof.Bytes()
	for label, c := range map[string]struct {
		in   []byte
		good bool
	}{
		"every kind":               {good, true},
		"no element":               {[]byte{1, 3, 0, 0, 0}, true},
		"empty":                    {nil, false},
		"kind 0":                   {[]byte{1, 0, 0, 0, 0}, false},
		"kind 4":                   {[]byte{1, 4, 0, 0, 0}, false},
		"no depth":                 {[]byte{1, 3}, false},
		"no count of elements":     {[]byte{1, 3, 0, 0}, false},
		"more elements than bytes": {[]byte{1, 3, 0, 0xff, 0xff, 1, 2, 3}, false},
		"more results than bytes":  {[]byte{255, 3, 0, 0, 0}, false},
	} {
		p, err := read(c.in)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", label, err)
		}
		if err == nil && !bytes.Equal(p.Bytes(), c.in) {
			t.Errorf("%s: %x, want %x", label, p.Bytes(), c.in)
		}
	}
	s := cryptobyte.String(append(slices.Clone(good), good...))
	for range 2 { // one behind the other, as an answer carries them
		if p, err := prefix.ReadProof(&s); err != nil || !bytes.Equal(p.Bytes(), good) {
			t.Fatalf("proofs in a row: %v", err)
		}
	}
	if !s.Empty() {
		t.Errorf("%d bytes left", len(s))
	}
}
