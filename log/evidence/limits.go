package evidence

// All limits of evidence files, each with its reason.
const (
	// MaxSize bounds a file in bytes (protocol section 12): a verifier's memory.
	// Most kinds need less than 8 KB; an E4c needs about 2.5 KB for each event
	// of its epoch.
	MaxSize = 64 << 20

	// maxLines bounds a file's lines. The shortest line has 8 bytes, so that
	// MaxSize alone would allow eight million of them, each a small object with
	// an inclusion to compute. The events of an E4c never come near: with the
	// shortest useful paths 64 MiB hold about as many.
	maxLines = 1 << 16

	// cut is how many indexes one Prefix of an E4c answers, but for the last: as
	// in answers (protocol section 5.3).
	cut = 200
)
