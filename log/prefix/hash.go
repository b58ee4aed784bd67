// Package prefix is the map from index to value that every EPOCH leaf commits
// to by its root: a Merkle prefix tree as in KEYTRANS (protocol section 4),
// with its proofs, and Ladder and Required, which say what an answer has to
// prove (section 5).
//
// A leaf stands at the shortest prefix that no other leaf shares:
//
//	index   10…  110…  111…           root = N(0³², N(L(10…), N(L(110…), L(111…))))
//
//	           root                   depth 0
//	          0/  \1
//	     missing   o                  depth 1: a missing child is 32 zero bytes
//	             0/ \1
//	          L(10…)  o               depth 2
//	                0/ \1
//	           L(110…)  L(111…)       depth 3
//
// Prover and verifier live here side by side. The tree knows no database: it
// keeps its top in memory and reads the leaves below through Leaves.
package prefix

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/musterlog/muster/log/name"
)

// Hash is a node of the prefix tree: of a leaf, of an inner node, or 32 zero
// bytes for a missing child.
type Hash [32]byte

// Leaf is what is stored of an index. The value itself is not needed to keep
// the tree.
type Leaf struct {
	Index    name.Index
	Hash     Hash   // LeafHash(Index, its value)
	Position uint64 // of its EVENT leaf in the log
}

// NewLeaf is the leaf of an EVENT leaf of the log, at this position.
func NewLeaf(i name.Index, position uint64, c name.Commitment) Leaf {
	return Leaf{Index: i, Hash: LeafHash(i, Value(position, c)), Position: position}
}

// Value is what the tree holds for an index (section 4):
//
//	value = H(04 || u64 position || commitment)
//
// The position binds the entry to one EVENT leaf of the log, so that one
// inclusion proof refutes an entry that no event stands behind.
func Value(position uint64, c name.Commitment) name.Value {
	var b [1 + 8 + 32]byte
	b[0] = 4
	binary.BigEndian.PutUint64(b[1:], position)
	copy(b[9:], c[:])
	return sha256.Sum256(b[:])
}

// LeafHash is the hash of a leaf (section 4):
//
//	leaf = H(02 || index || value)
//
// It holds the whole index: the path above fixes only the first bits of it.
func LeafHash(i name.Index, v name.Value) Hash {
	var b [1 + 32 + 32]byte
	b[0] = 2
	copy(b[1:], i[:])
	copy(b[33:], v[:])
	return sha256.Sum256(b[:])
}

// join is the hash of an inner node (section 4):
//
//	node = H(03 || left || right)
func join(left, right Hash) Hash {
	var b [1 + 32 + 32]byte
	b[0] = 3
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// bit is the way an index goes below depth: 0 left, 1 right. Bit 0 is the most
// significant bit of byte 0 (section 4).
func bit(i *name.Index, depth int) byte { return i[depth/8] >> (7 - depth%8) & 1 }

// shared counts the leading bits that two indexes have in common, 0..256.
func shared(a, b *name.Index) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 256
}

func compare(a, b *name.Index) int { return bytes.Compare(a[:], b[:]) }
