package store

import (
	"iter"

	"github.com/musterlog/muster/log/name"
)

// Inspectable is a store that shows every row that it has, also those that no
// other read would ever meet: what a check of the whole needs.
type Inspectable interface {
	Store

	// Rows yields all rows in the engine's order. Those of the log come by
	// ascending position, and at each position the leaf, then the event, then
	// tiles by rising level. A row that does not read as one of its kind has
	// Err and no Value; where the engine cannot read at all, a Row says so and
	// what lies behind it may be missing.
	Rows() iter.Seq[Row]

	// Key is how errors name the row that holds a value of Row.
	Key(value any) string
}

// Row is one row as the engine has it. Value is one of LeafRow, *Event, Tile,
// *Account, prefix.Leaf, ProofRow, NoteRow, Erasure (not purged yet), ReservedRow,
// State and Layout; it stays valid.
type Row struct {
	Key   string // as errors name it
	Value any
	Err   error
}

// LeafRow is the bytes of one leaf.
type LeafRow struct {
	Position uint64
	Data     []byte
}

// ProofRow is what PutProofs kept.
type ProofRow struct {
	Account name.AccountID
	Group   uint32
	Proofs  []Proof
}

// NoteRow is what PutNote kept.
type NoteRow struct {
	Size uint64
	Note []byte
}

// ReservedRow is one event that Reserve kept, by its number.
type ReservedRow struct {
	Number uint64
	*Pending
}

// Layout is the version of the layout that the store was made with.
type Layout string
