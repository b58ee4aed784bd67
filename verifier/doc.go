// Package verifier decides whether what a log says of an account may be
// believed, and remembers what was believed before. It trusts the policy's
// cosigners, as far as the policy says, and its own state; the log, the
// network and whoever forwards an answer may lie as they like.
//
// The argument, step by step (protocol section 6; each step is one function):
//
//  1. The checkpoint is signed by the log and cosigned by a quorum of the
//     policy, recently. So everybody who follows that policy sees this tree.
//  2. The checkpoint extends the one that this client holds, and each page the
//     one before. So nothing that this client ever saw has been taken back.
//  3. GENESIS names the VRF key, once for the life of the log. So each
//     (account, seq) has one index, and nobody can be shown another.
//  4. The newest EPOCH stands at size−1 and binds the size. So the prefix root
//     it names is this checkpoint's.
//  5. The prefix tree holds every present rung of the ladder and lacks every
//     absent one. So two clients that believe different newest events of one
//     account disagree about one concrete index, and cannot both be answered.
//  6. Every present version's leaf is in the log, at a position that the prefix
//     tree names and that rises with seq. So the map holds nothing that the log
//     lacks, and an owner who scans the log finds all of it.
//  7. The events are the ones committed to, and obey the account's rules: each
//     device was added by the account's primary key and by itself. So the
//     operator can take devices away, loudly, and can never add one.
//  8. What was accepted before is still there. Then the new state is stored,
//     and only then the caller sees devices.
//
// Client does all of it. Who has transport and storage of their own uses
// Verifier and Lookup, which have neither, nor a clock.
package verifier
