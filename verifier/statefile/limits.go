package statefile

// maxFile bounds what is read into memory: at some 200 bytes an account,
// a million accounts. A file beyond it is not one of ours.
const maxFile = 256 << 20
