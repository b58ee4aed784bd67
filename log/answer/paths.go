package answer

import (
	"fmt"

	"github.com/transparency-dev/merkle/proof"

	"github.com/musterlog/muster/log/leaf"
)

// Consistency is the RFC 6962 section 2.1.2 proof between two tree sizes;
// empty from nothing and between equal sizes.
func Consistency(from, to uint64, node NodeFunc) ([]leaf.Hash, error) {
	if from == 0 || from == to {
		return nil, nil
	}
	nodes, err := proof.Consistency(from, to)
	if err != nil {
		return nil, fmt.Errorf("proving consistency: %w", err)
	}
	return fetch(nodes, node)
}

// Path is the RFC 6962 section 2.1.1 audit path of one leaf, leaf to root.
func Path(position, size uint64, node NodeFunc) ([]leaf.Hash, error) {
	nodes, err := proof.Inclusion(position, size)
	if err != nil {
		return nil, fmt.Errorf("proving inclusion: %w", err)
	}
	return fetch(nodes, node)
}

func fetch(nodes proof.Nodes, node NodeFunc) ([]leaf.Hash, error) {
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		h, err := node(id.Level, id.Index)
		if err != nil {
			return nil, err
		}
		hashes[i] = h[:]
	}
	joined, err := nodes.Rehash(hashes, func(l, r []byte) []byte {
		h := leaf.Join(leaf.Hash(l), leaf.Hash(r))
		return h[:]
	})
	if err != nil {
		return nil, fmt.Errorf("joining a proof's ragged end: %w", err)
	}
	out := make([]leaf.Hash, len(joined))
	for i := range joined {
		out[i] = leaf.Hash(joined[i])
	}
	return out, nil
}
