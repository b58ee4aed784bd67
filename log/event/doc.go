// Package event is what may happen to an account: the bytes of an event, the
// keys and signatures that authorise it, and the replay that turns a chain of
// events into a device list (protocol sections 2 and 3).
//
// An account has one primary key and at most 255 companion devices. Each event
// names the one before it (prev), so that a chain has one history, and commits
// to the device list after it (devices_hash), so that who signs an event signs
// the whole list:
//
//	Payload   = u8 type || log_id[32] || account_id[32] || u32 generation || u32 seq || prev[32] || u64 time_ms
//	            || u32 key_index || primary<0..2^16-1> || subject<0..2^16-1> || devices_hash[32]
//	Signature = u8 role || signature<0..2^16-1>
//	Event     = Payload || Signature signatures<0..2^16-1>      // ascending role
//
// Integers are big-endian. A key is empty or 33 bytes, a signature 64, so the
// largest event has 355 bytes. Signatures never enter a hash: an XEdDSA signer
// can make many for one payload, and all of them are one event.
//
// An event goes through three steps, each of which trusts the one before:
//
//	Parse          structure: one encoding, nothing left over
//	Check          what needs no account and costs the most: admission of keys, signatures
//	Account.Apply  the rules that need the account, in the protocol's order of reports
//
// A first lookup, which sees only the end of a chain, begins with Anchor in
// place of Apply.
//
// The package example makes an account, links a device, and replays both.
package event
