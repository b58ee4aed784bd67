package prefix_test

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/prefix"
)

func TestLadderTable(t *testing.T) {
	f := must[*os.File](t)(os.Open("../../testdata/ladder/ladder.txt"))
	defer f.Close()
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); lines++ {
		n, rungs, _ := strings.Cut(s.Text(), ": ")
		var want []uint32
		for _, r := range strings.Fields(rungs) {
			want = append(want, uint32(must[uint64](t)(strconv.ParseUint(r, 10, 32))))
		}
		if got := prefix.Ladder(must[int64](t)(strconv.ParseInt(n, 10, 64))); !slices.Equal(got, want) {
			t.Errorf("Ladder(%s) = %v, want %v", n, got, want)
		}
	}
	if lines < 80 {
		t.Fatalf("%d lines in the table", lines)
	}
}

func TestLadderBounds(t *testing.T) {
	if got := prefix.Ladder(1<<32 - 2); len(got) != 64 || !slices.Contains(got, 1<<32-2) || !slices.Contains(got, 1<<32-1) {
		t.Errorf("the largest ladder: %v", got)
	}
	for _, n := range []int64{-2, 1<<32 - 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Ladder(%d) did not panic", n)
				}
			}()
			prefix.Ladder(n)
		}()
	}
}

// TestLadderPairs is the property that all rests on: whoever believes n and
// whoever believes m > n have asked for one seq that is absent for the one and
// present for the other.
func TestLadderPairs(t *testing.T) {
	var ladders [][]uint32
	for n := int64(-1); n <= 256; n++ {
		l := prefix.Ladder(n)
		if n >= 0 && (!slices.Contains(l, uint32(n)) || !slices.Contains(l, uint32(n+1))) {
			t.Errorf("Ladder(%d) = %v: want %d and %d in it", n, l, n, n+1)
		}
		ladders = append(ladders, l)
	}
	for i := range ladders {
		for j := i + 1; j < len(ladders); j++ {
			n, m := int64(i)-1, int64(j)-1
			if !slices.ContainsFunc(ladders[i], func(v uint32) bool {
				return int64(v) > n && int64(v) <= m && slices.Contains(ladders[j], v)
			}) {
				t.Fatalf("Ladder(%d) and Ladder(%d) do not contradict each other", n, m)
			}
		}
	}
}

func TestRequired(t *testing.T) {
	for _, c := range []struct {
		n, k, o, p      int64
		present, absent []uint32
	}{
		{-1, -1, 0, -1, nil, []uint32{0}},                                                            // unknown
		{0, -1, 0, 0, []uint32{0}, []uint32{1}},                                                      // first lookup of a new account
		{1, -1, 1, 1, []uint32{0, 1}, []uint32{2, 3}},                                                // the set that finds a hidden 3
		{9, -1, 9, 9, []uint32{0, 1, 3, 7, 9}, []uint32{10, 11, 15}},                                 // first, anchor is the newest
		{9, -1, 4, 9, []uint32{0, 1, 3, 4, 5, 6, 7, 8, 9}, []uint32{10, 11, 15}},                     // first, older anchor
		{9, 9, 10, 9, []uint32{0, 1, 3, 7, 9}, []uint32{10, 11, 15}},                                 // returning, nothing new
		{9, 2, 3, 9, []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, []uint32{10, 11, 15}},                   // returning
		{9, 2, 6, 9, []uint32{0, 1, 2, 3, 6, 7, 8, 9}, []uint32{10, 11, 15}},                         // returning past an ERASE
		{9, 2, 3, 4, []uint32{0, 1, 2, 3, 4, 7, 9}, []uint32{10, 11, 15}},                            // a page
		{9, -1, 0, 9, []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, []uint32{10, 11, 15}},                  // history
		{1<<32 - 2, 1<<32 - 2, 1<<32 - 1, 1<<32 - 2, nil /* 63 rungs, below */, []uint32{1<<32 - 1}}, // the last seq of all
	} {
		t.Run(fmt.Sprint(c.n, c.k, c.o, c.p), func(t *testing.T) {
			s := prefix.Required(c.n, c.k, c.o, c.p)
			if c.n == 1<<32-2 {
				if len(s.Present) != 63 || !slices.IsSorted(s.Present) {
					t.Errorf("present %v", s.Present)
				}
			} else if !slices.Equal(s.Present, c.present) {
				t.Errorf("present %v, want %v", s.Present, c.present)
			}
			if !slices.Equal(s.Absent, c.absent) {
				t.Errorf("absent %v, want %v", s.Absent, c.absent)
			}
		})
	}
}

// The draft's example: that 6 is the greatest version is checked at 0, 1, 3,
// which are there, at 7, which is not, and at 5 and 6, which are.
func TestLadderOfTheDraft(t *testing.T) {
	if got, want := prefix.Ladder(6), []uint32{0, 1, 3, 7, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("ladder of 6: %v, want %v", got, want)
	}
}
