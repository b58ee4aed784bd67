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

	// defaultBucket is how many leaves an end of the tree has if Memory does not
	// say. With 8, an insert takes fewer than 8 hashes beyond the least possible,
	// the check of what was read included; with 32 it takes 30.
	defaultBucket = 8

	// regionBits cuts a tree that is built into 1,024 regions for the cores: of a
	// billion leaves one has 70 MB.
	regionBits = 10
)
