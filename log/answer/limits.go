package answer

// All limits of requests and answers (protocol section 5), each with its reason.
const (
	// MaxAccounts bounds a request: a group's members or a screen of contacts.
	// 200 accounts share one checkpoint and their paths; more gain little.
	MaxAccounts = 200

	// MaxOpened is the most events opened for one account in one answer: a page
	// of about 100 KB, so that a broken connection costs little.
	MaxOpened = 190

	// MaxOpenedTotal is the most events opened in one answer: about 1.5 MB.
	MaxOpenedTotal = 4096

	// ProofCut is how many versions one PrefixProof speaks for: its count is one byte.
	ProofCut = 200

	// MaxAnswer bounds what a client reads: 200 accounts with 4,096 events of
	// at most 400 bytes, 64 rungs of 180 bytes each and their paths need less
	// than 12 MB.
	MaxAnswer = 16 << 20

	// MaxProofFile bounds a proof file: an answer in base64, a header and an identifier.
	MaxProofFile = (MaxAnswer+2)/3*4 + 1024

	// maxRequest is the length of a request for 200 accounts.
	maxRequest = 9 + MaxAccounts*askSize
	askSize    = 32 + 1 + 4 + 4
)
