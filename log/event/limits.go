package event

const (
	// MaxDevices is the protocol's limit of companions. A server sets a lower
	// one; this bounds what a verifier admits and keeps for one account.
	MaxDevices = 255

	// MaxSize bounds an encoded event, in bytes: it travels behind a two-byte
	// length in an answer. Types 1 to 7 have at most 355.
	MaxSize = 1<<16 - 1

	// KeySize is a type byte and 32 raw bytes, for both key types.
	KeySize = 33

	// SignatureSize is R || S, for both key types.
	SignatureSize = 64

	// maxSeq: seq 2^32-1 is never used, so that the next seq, and the number of
	// events, always fit 32 bits (section 1).
	maxSeq = 1<<32 - 2
)
