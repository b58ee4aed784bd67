package fsck

// indexChunk is how many VRF indexes are computed at a time: enough to keep all
// cores busy, and to share what they can share.
const indexChunk = 1024
