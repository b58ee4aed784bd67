package prefix

import (
	"cmp"
	"math/bits"
	"slices"
)

// Sorted appends leaves to dst in the order of the tree, ascending by index, and
// moves each once; dst must not lie over leaves. Random indexes are put apart by
// their first bits, so that hardly any are compared. Others, which a log may
// choose, take as many comparisons as sorting always does.
func Sorted(dst, leaves []Leaf) []Leaf {
	type place struct {
		first uint64 // 8 bytes of the index
		at    int
	}
	low := 64 - max(bits.Len(uint(len(leaves)))-2, 0) // below the bits that name a group
	ends := make([]int, 1<<(64-low)+1)
	for i := range leaves {
		ends[first(&leaves[i])>>low+1]++
	}
	for g := range ends[1:] {
		ends[g+1] += ends[g]
	}
	order := make([]place, len(leaves))
	for i := range leaves { // afterwards ends[g] is where group g ends
		f := first(&leaves[i])
		order[ends[f>>low]] = place{f, i}
		ends[f>>low]++
	}
	dst, from := slices.Grow(dst, len(leaves)), 0
	for _, end := range ends[:len(ends)-1] {
		group := order[from:end]
		slices.SortFunc(group, func(a, b place) int {
			if a.first != b.first {
				return cmp.Compare(a.first, b.first)
			}
			return compare(&leaves[a.at].Index, &leaves[b.at].Index)
		})
		for _, p := range group {
			dst = append(dst, leaves[p.at])
		}
		from = end
	}
	return dst
}
