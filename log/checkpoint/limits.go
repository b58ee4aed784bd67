package checkpoint

import "time"

// All limits of this package, each with its reason.
const (
	// maxNote is the longest note in bytes: answers carry it behind a two-byte
	// length (protocol section 5). 99 cosignatures by names of 255 bytes need
	// less than 40 kB.
	maxNote = 1<<16 - 1

	// maxLines bounds a note's signature lines, and so the signatures that one
	// Verify computes: C2SP asks for at least 16, other implementations stop at 100.
	maxLines = 100

	// maxSize is the largest tree: sizes and positions are below 2^63 (section 0).
	maxSize = 1<<63 - 1

	// maxKeyName is the longest name of a key in bytes: a log's is its origin,
	// and an ML-DSA-44 cosignature binds its cosigner's name behind one byte.
	maxKeyName = 255

	// maxKeyText is above the longest vkey: a name of 255 bytes, 8 digits and
	// the 1,752 characters of an ML-DSA-44 key.
	maxKeyText = 2048

	// maxPolicy bounds a policy in bytes: C2SP asks for 32 witnesses and 32
	// groups, which need less than 30 kB with long names and URLs.
	maxPolicy = 64 << 10

	// maxTime is the last second that a cosignature can state (C2SP tlog-cosignature).
	maxTime = 1<<63 - 1

	// maxAhead is how far a cosigner's clock may be ahead of ours (section 6 step 1).
	maxAhead = 300 * time.Second

	// maxTolerance bounds Tolerates, which looks at every set of cosigners: a
	// million sets take a tenth of a second, and policies count far fewer.
	maxTolerance = 20
)
