package prefix_test

import (
	"slices"
	"testing"

	"github.com/musterlog/muster/log/prefix"
)

// The pair property (protocol section 5): any two parties who believe
// different newest versions of one account disagree about one concrete
// lookup, whatever answers they had. If it fails, an operator without an
// auditor can show both their own truth for ever.

// belief is one party's answer: newest n, and what was proven for it.
type belief struct {
	n       int64
	kind    string
	k, o, p int64
	prefix.Set
}

// beliefs is every answer that can say n: the unknown account, first lookups
// from every anchor, returning clients of every k, histories from every
// ERASE, and every page of each.
func beliefs(n int64) []belief {
	if n < 0 {
		return []belief{{n: n, kind: "unknown", Set: prefix.Required(-1, -1, 0, -1)}}
	}
	var all []belief
	add := func(kind string, k, o, p int64) {
		all = append(all, belief{n, kind, k, o, p, prefix.Required(n, k, o, p)})
	}
	add("unchanged", n, n+1, n)
	for o := int64(0); o <= n; o++ {
		for p := o; p <= n; p++ {
			add("first or history", -1, o, p)
		}
		for k := int64(0); k < o; k++ {
			add("returning", k, o, n) // o is k+1, or a newer ERASE
		}
		for p := o; o > 0 && p < n; p++ {
			add("page", o-1, o, p)
		}
	}
	return all
}

// satisfiable says whether maps exist that prove both beliefs: earlier in a
// map, later in one that grew from it. A map that only grows keeps what it
// had, so the earlier one's presences bind the later one, and no more.
func satisfiable(earlier, later *belief) bool {
	for _, v := range earlier.Present {
		if slices.Contains(later.Absent, v) {
			return false
		}
	}
	return true
}

// For n < m, no map proves both at once; nor can m be proven first and n in a
// map that grew from there. That n is proven first and m later is how
// accounts grow.
func TestPairPropertyOverAllAnswers(t *testing.T) {
	const most = 64
	all := make(map[int64][]belief)
	for n := int64(-1); n <= most; n++ {
		all[n] = beliefs(n)
		// Every other set contains the rungs, so that what holds for them holds
		// for all: the sets only grow, and satisfiable only shrinks with them.
		rungs := prefix.Required(n, -1, 0, -1)
		for _, b := range all[n] {
			for _, v := range rungs.Present {
				if !slices.Contains(b.Present, v) {
					t.Fatalf("%s at %d (k %d, %d..%d) lacks the present rung %d", b.kind, n, b.k, b.o, b.p, v)
				}
			}
			if !slices.Equal(b.Absent, rungs.Absent) {
				t.Fatalf("%s at %d (k %d, %d..%d): absent %v, want %v", b.kind, n, b.k, b.o, b.p, b.Absent, rungs.Absent)
			}
		}
	}
	// Whether two answers can both hold depends on the earlier one's presences
	// and the later one's absences alone, so equal ones are tried once and
	// counted as often as they stand.
	present, absent := make(map[int64]map[mask]int), make(map[int64]map[mask]int)
	for n, beliefs := range all {
		present[n], absent[n] = make(map[mask]int), make(map[mask]int)
		for _, b := range beliefs {
			present[n][maskOf(b.Present)]++
			absent[n][maskOf(b.Absent)]++
		}
	}
	pairs := 0
	for n := int64(-1); n < most; n++ {
		for m := n + 1; m <= most; m++ {
			for earlier, large := range present[m] {
				for later, small := range absent[n] {
					if pairs += large * small; earlier[0]&later[0]|earlier[1]&later[1] == 0 {
						t.Fatalf("a map holds for an answer at %d and, before it, one at %d", n, m)
					}
				}
			}
		}
	}
	t.Logf("%d pairs of answers, none satisfiable", pairs)
}

// mask is a set of seqs below 128: all rungs of ladders up to 64.
type mask [2]uint64

func maskOf(seqs []uint32) (m mask) {
	for _, v := range seqs {
		m[v/64] |= 1 << (v % 64)
	}
	return m
}

func TestPairPropertyOfRungs(t *testing.T) {
	const most = 4096
	sets := make([]belief, most+2)
	for i := range sets {
		sets[i] = belief{n: int64(i) - 1, Set: prefix.Required(int64(i)-1, -1, 0, -1)}
	}
	for i := range sets {
		for j := i + 1; j < len(sets); j++ {
			if satisfiable(&sets[j], &sets[i]) {
				t.Fatalf("a map holds for the rungs of %d and, before it, those of %d", sets[i].n, sets[j].n)
			}
		}
	}
}

// The property has no rung to spare: leave out any one, present or absent, of
// any account, and some pair goes undetected.
func TestPairPropertyNeedsEveryRung(t *testing.T) {
	const most = 64
	rungs := func(n int64) *belief { return &belief{n: n, Set: prefix.Required(n, -1, 0, -1)} }
	dropped := 0
	for n := int64(-1); n <= most; n++ {
		for _, v := range rungs(n).Absent {
			gap := rungs(n)
			gap.Absent = slices.DeleteFunc(gap.Absent, func(w uint32) bool { return w == v })
			if !anyOther(n+1, 4*most+4, func(m int64) bool { return satisfiable(rungs(m), gap) }) {
				t.Errorf("nobody needs rung %d to be absent at %d", v, n)
			}
			dropped++
		}
		for _, v := range rungs(n).Present {
			gap := rungs(n)
			gap.Present = slices.DeleteFunc(gap.Present, func(w uint32) bool { return w == v })
			if !anyOther(-1, n, func(m int64) bool { return satisfiable(gap, rungs(m)) }) {
				t.Errorf("nobody needs rung %d to be present at %d", v, n)
			}
			dropped++
		}
	}
	t.Logf("%d rungs left out, each opens a hole", dropped)
}

func anyOther(from, to int64, f func(int64) bool) bool {
	for m := from; m < to; m++ {
		if f(m) {
			return true
		}
	}
	return false
}
