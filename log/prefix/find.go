package prefix

import (
	"encoding/binary"
	"sort"

	"github.com/musterlog/muster/log/name"
)

// Find is the position of a leaf in memory whose index begins with the same 8
// bytes as this one. That is a hint: whoever follows it must look whether it led
// to what was sought. ok is false where no such leaf is in memory.
func (t *Tree) Find(index name.Index) (position uint64, ok bool) {
	n := &t.root
	for depth := 0; n.kids != nil; depth++ {
		n = &n.kids[bit(&index, depth)]
	}
	if n.held == nil {
		return 0, false
	}
	first, all := binary.BigEndian.Uint64(index[:]), n.held.leaves
	i := sort.Search(len(all), func(i int) bool { return all[i].first >= first })
	if i == len(all) || all[i].first != first {
		return 0, false
	}
	return all[i].position, true
}
