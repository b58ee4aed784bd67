package musterv1

// The limits of the account API that clients and servers share, each with its
// reason. A message is counted decoded from its transport: protobuf or JSON.
const (
	// MaxEvents bounds one Submit, and one chunk of a SubmitStream, so that a
	// submitter's batch is a tenth of an epoch at most and its answer stays small.
	MaxEvents = 1000

	// MaxRequest bounds a request in bytes: 1,000 events of 1,024 bytes, the
	// most a log takes, are 1.4 MB in base64 JSON. A Lookup's is under 9 KB.
	MaxRequest = 2 << 20

	// MaxResponse bounds a response in bytes: an answer of 16 MiB, the most a
	// client reads, in base64 JSON; or 1,000 receipts of 32 KB, which leaves
	// room for eight cosignatures of each kind on the checkpoint.
	MaxResponse = 32 << 20
)
