// Package store says what a log keeps, in the log's own words; the engines
// that keep it live in packages below. An engine holds bytes: it decides
// nothing and trusts nobody, and the log reads back what it wrote before it
// signs.
package store

import (
	"context"
	"errors"
	"iter"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

// ErrNotFound says that the store has no such row. Every other error of a
// read means that the store cannot be trusted to know its state.
var ErrNotFound = errors.New("not found")

// State is how far the store has come: the newest committed epoch.
type State struct {
	Size   uint64 // leaves in the log, GENESIS and the newest EPOCH among them; 0 in a new store
	Epochs uint64 // EPOCH leaves
	Keys   uint64 // EVENT leaves
	TimeMs uint64 // time_ms of the newest EPOCH
	First  uint64 // `first` of the newest EPOCH
}

// None stands for "no such event" where a seq is kept; no event has this seq
// (protocol section 1).
const None = 1<<32 - 1

// Event is one logged account event with all that an answer needs.
type Event struct {
	Account  name.AccountID
	Seq      uint32
	Position uint64       // of its EVENT leaf
	Previous uint64       // position of the account's event before it; 0 at seq 0
	Opening  name.Opening // zero once erased, or if it was lost with an older store
	Body     []byte       // the encoded Event; empty once erased

	// What answers need to know as of this event, so that an older checkpoint
	// is answered without replaying the account.
	Anchor uint32   // seq of the newest event that is ERASE or has a role 0 signature
	Erase  uint32   // seq of the newest ERASE, or None
	Live   []uint32 // key_index of each device after the event, ascending
}

// Account is the newest state of an account, with what its next event needs to
// know beside the rules.
type Account struct {
	event.Account
	Position uint64 // of its newest event; 0 before the first
	Anchor   uint32 // as in the newest Event
	Erase    uint32
}

// Tile is a full hash tile at a level of tlog-tiles: its 256 hashes of 32 bytes,
// then the 16 roots of 16 of them each, which spare hashing when it is read.
type Tile struct {
	Level int
	N     uint64
	Data  []byte // 8704 bytes, immutable
}

// Batch is one epoch, kept whole or not at all.
type Batch struct {
	State    State // after the batch
	First    uint64
	Leaves   [][]byte      // at positions First, First+1, …; the EPOCH is the last
	Events   []Event       // of the EVENT leaves among them
	Prefix   []prefix.Leaf // the prefix tree's new leaves, one an event
	Accounts []*Account    // the newest state of each account touched
	Tiles    []Tile        // hash tiles that became full
	Erase    []Erasure     // contents to delete: of erasures that were signed before this batch
}

// Erasure orders the content of an account's events before seq Before to be
// deleted: opening and body. Positions, indexes and commitments stay.
type Erasure struct {
	Account name.AccountID
	Before  uint32
}

// ProofGroup is how many VRF proofs are kept in one row: seq is in group
// seq / ProofGroup. An answer about an account needs several that are near.
const ProofGroup = 16

// Proof is the VRF proof of an account's seq, and the index that it proves.
type Proof struct {
	Seq   uint32
	Proof vrf.Proof
	Index name.Index
}

// Pending is an event that the log promised to take with its next cut
// (protocol section 9.1): all that it takes to log it with the opening and the
// merge_by that stand in its receipt.
type Pending struct {
	Account name.AccountID
	Seq     uint32
	Opening name.Opening
	MergeBy uint64 // POSIX milliseconds
	Body    []byte // the encoded Event
}

// Store is one log's storage. Reads may run beside each other and beside one
// Commit, and see either none or all of a batch.
type Store interface {
	prefix.Leaves

	// Commit writes a batch, atomic and synced: when it returns nil the batch
	// survives a power cut, and before that no reader sees a part of it. With
	// the batch, the rows that Reserve wrote for its events are gone. An
	// error means that nothing of it was kept. An engine that cannot tell
	// whether it was kept ends the process instead of returning.
	Commit(*Batch) error

	// Reserve keeps promised events until a Commit logs them, atomic and synced
	// like Commit. It may run beside a Commit whose batch has none of them.
	Reserve([]Pending) error

	// Pending yields what was reserved and is not committed, in the order in
	// which it was reserved.
	Pending() iter.Seq2[*Pending, error]

	// State is that of the newest committed batch; the zero State in a new store.
	State() (State, error)

	// Account is the newest committed state of an account, pending
	// publication or not; ErrNotFound before its first event.
	Account(name.AccountID) (*Account, error)

	// Position is that of the EVENT leaf with an index.
	Position(name.Index) (uint64, error)

	// EventAt is the event whose EVENT leaf stands at a position.
	EventAt(position uint64) (*Event, error)

	// Events yields the events whose EVENT leaves stand at positions
	// from ≤ p < to, ascending; GENESIS and EPOCH positions are passed over.
	Events(from, to uint64) iter.Seq2[*Event, error]

	// Leaves yields the bytes of the leaves at positions from ≤ p < to in order;
	// a missing one ends it with ErrNotFound. A yielded slice is valid until
	// the next step only.
	Leaves(from, to uint64) iter.Seq2[[]byte, error]

	// Tile appends a full hash tile's 8704 bytes to dst; ErrNotFound for any that
	// the log does not have, whatever its level and number.
	Tile(dst []byte, level int, n uint64) ([]byte, error)

	// PrefixLeaves yields all leaves of the prefix tree, ascending by index.
	PrefixLeaves() iter.Seq2[prefix.Leaf, error]

	// ReadPrefix gives read the leaves of the prefix tree as Range and Value do,
	// at less cost for many ranges, above all ascending ones. They are those of
	// every batch that was committed before the call, and valid until read
	// returns, for one goroutine.
	ReadPrefix(read func(prefix.Leaves) error) error

	// Proofs are the VRF proofs that PutProofs kept of an account's events, of one
	// group of seqs, ascending: a cache of something that can be computed again,
	// so PutProofs, which replaces what is kept of the group, need not be durable.
	Proofs(account name.AccountID, group uint32) ([]Proof, error)
	PutProofs(account name.AccountID, group uint32, proofs []Proof) error

	// NoteAbove is the smallest published checkpoint whose size is above a
	// position, so that an event's receipt is the same for ever. PutNote keeps
	// one and returns when it is durable; a size that has one keeps it.
	NoteAbove(position uint64) (note []byte, size uint64, err error)
	PutNote(size uint64, note []byte) error

	// Purge removes what batches have erased from every file of the store: bodies,
	// openings, promised events, and the account's states before. It may run beside
	// everything but Close, and says how many erasures it was for. What was erased
	// and not purged survives a crash, an error and the end of ctx, and is the next
	// call's.
	Purge(ctx context.Context) (erasures int, err error)

	// Close waits for nothing: it must not run beside other calls.
	Close() error
}
