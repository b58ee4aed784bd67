package prefix

// All limits of the prefix tree, each with its reason.
const (
	// MaxResults is the most results in one Proof: its count is one byte. Its
	// elements then always fit their two-byte count, 255 results of depth 255
	// needing fewer than 65,025.
	MaxResults = 255

	// maxDepth is the deepest that a leaf or a missing child can stand: depth
	// is one byte in a proof. Leaves that share 255 bits would stand deeper,
	// so they are refused; random indexes never come near.
	maxDepth = 255

	// maxBucket is how many leaves an end of the tree holds before it splits.
	// A smaller bucket costs memory (see node), a larger one costs a longer
	// scan and more hashes in every update and proof that ends there.
	maxBucket = 32
)
