// Package statefile keeps a client's trusted state and a signer's journal in
// files: one for each log, one for each account with something pending.
//
// What is here decides what a client will believe, so it is kept like a key:
// folders of mode 0700 and files of 0600, of this user, no symbolic links;
// anything else is refused, with the command that mends it.
//
// A file is its bytes and their SHA-256, which is also the token that a caller
// saves against:
//
//	data || SHA-256(data)[32]
//
// A file is replaced, never written into. Writers of one file exclude each
// other by a lock (flock) that is held for one comparison and one replacement
// only, not from Load to Save: a client waits for the network between those,
// and nobody else should wait with it. Whoever comes second at a Save gets
// verifier.ErrConflict and does its work again on the newer state. So no two
// processes interleave, some writer always gets on, and a process that died
// holds nobody up, because its lock died with it. Readers need no lock, since
// a rename gives them the old file or the new one. The locks, and a rename
// that is durable, need a local file system.
//
// Not noticed is a folder that somebody rolled back or emptied as a whole:
// who can do that with files of this user is this user.
package statefile
