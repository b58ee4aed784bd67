package follow

import "time"

// All limits of the reader, each with its reason.
const (
	// fileTime ends the reading of one file, body included: a log that sends a
	// byte a second holds its reader no longer than this. It is enough for the
	// largest bundle, 16 MB, on a slow line.
	fileTime = 30 * time.Second

	// ahead is how many bundles are on their way at once: enough to hide a
	// round trip, few enough that the largest ones (16 MB each, which no honest
	// log has) take bounded memory.
	ahead = 4

	// maxTiles is how many authenticated tiles of 8 KiB are kept: 1 MiB. A
	// scan needs one of each level, the paths of an epoch's events as many.
	maxTiles = 128
)
