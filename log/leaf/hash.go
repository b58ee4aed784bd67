package leaf

import "crypto/sha256"

// Hash is a node of the log's RFC 6962 tree: of a leaf, of an inner node, or
// of the whole tree.
type Hash [32]byte

// HashOf is a leaf's hash, H(00 || leaf) (RFC 6962 section 2.1).
func HashOf(leaf []byte) Hash {
	b := make([]byte, 0, 128) // an EVENT leaf fits without growing
	b = append(b, 0)
	return sha256.Sum256(append(b, leaf...))
}

// Join is the hash of an inner node, H(01 || left || right) (RFC 6962 section 2.1).
func Join(left, right Hash) Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}
