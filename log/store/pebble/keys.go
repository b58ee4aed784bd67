package pebble

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/musterlog/muster/log/name"
)

// The layout. A key is one byte that names the table, then fixed-width fields,
// integers big-endian, so that byte order is the order of the rows.
//
//	key                             value
//	L | u64 position | 0            the leaf's bytes
//	L | u64 position | 1            the event of the EVENT leaf there (rows.go)
//	L | u64 position | 2 + level    full hash tile whose last leaf is there: 256
//	                                hashes of 32 bytes, and the roots of each 16
//	h | account[32]                 the account's newest state (rows.go)
//	x | index[32]                   prefix leaf: hash[32] | u64 position
//	p | account[32] | u32 group     VRF proofs of 16 seqs, as far as they are kept (rows.go)
//	c | u64 size                    published checkpoint of that size: the signed note
//	e | account[32] | u32 seq       empty: what the account's ERASE of this seq erased
//	                                may still lie in the engine's files (purge.go)
//	r | u64 number                  reserved event (rows.go), numbered as they came
//	s                               state: u64 size | epochs | keys | time_ms | first
//	v                               the text of layout, written when the store is created
//
// L, most of the bytes, grows at its end alone. It is one table, and it
// comes before those that change at random places, because compaction writes anew
// all that lies between the first and the last key it touches: between the end
// of the log and any other table nothing old of the log lies.
const (
	tableLog      = 'L'
	tableAccount  = 'h'
	tablePrefix   = 'x'
	tableProof    = 'p'
	tableNote     = 'c'
	tableErased   = 'e'
	tableReserved = 'r'
	tableState    = 's'
	tableLayout   = 'v'
)

// What stands at a position of the log, by the last byte of its key.
const (
	kindLeaf  = 0
	kindEvent = 1
	kindTile  = 2 // at level 0; each level above has the next
)

// layout changes with the meaning of any row, so that a program that does not
// know a newer layout refuses it instead of reading it wrongly.
const layout = "muster store 4"

// A key is a row's place. Its text names the row in errors.
type key []byte

func (k key) String() string {
	if len(k) == 0 {
		return "row with an empty key"
	}
	if len(k) == 1 {
		return fmt.Sprintf("row %c", k[0])
	}
	return fmt.Sprintf("row %c/%x", k[0], []byte(k[1:])) // of a key, %x would call String again
}

func leafKey(position uint64) key  { return append(numbered(tableLog, position), kindLeaf) }
func eventKey(position uint64) key { return append(numbered(tableLog, position), kindEvent) }

func noteKey(size uint64) key  { return numbered(tableNote, size) }
func reservedKey(n uint64) key { return numbered(tableReserved, n) }

func proofKey(a name.AccountID, group uint32) key { return numberedOf(tableProof, a, group) }

func accountKey(a name.AccountID) key { return append(key{tableAccount}, a[:]...) }
func prefixKey(i name.Index) key      { return append(key{tablePrefix}, i[:]...) }

// tileKey is nil for a tile that no log can fill.
func tileKey(level int, n uint64) key {
	if level < 0 || level > maxTileLevel {
		return nil
	}
	width := uint64(1) << (8 * (level + 1)) // leaves below a tile
	if n >= math.MaxUint64/width {
		return nil
	}
	return append(numbered(tableLog, (n+1)*width-1), kindTile+byte(level))
}

func numbered(table byte, n uint64) key {
	return binary.BigEndian.AppendUint64(append(make(key, 0, 10), table), n)
}

func numberedOf(table byte, a name.AccountID, n uint32) key {
	k := append(append(make(key, 0, 37), table), a[:]...)
	return binary.BigEndian.AppendUint32(k, n)
}

// number is n of a numbered key. The caller's bounds made sure of the table;
// the length is checked, since a row may have been damaged.
func (k key) number() (uint64, error) {
	if len(k) != 9 {
		return 0, fmt.Errorf("%v: key of %d bytes, want 9", k, len(k))
	}
	return binary.BigEndian.Uint64(k[1:]), nil
}

// place is the position and kind of a key of the log.
func (k key) place() (position uint64, kind byte, err error) {
	if len(k) != 10 {
		return 0, 0, fmt.Errorf("%v: key of %d bytes, want 10", k, len(k))
	}
	return binary.BigEndian.Uint64(k[1:]), k[9], nil
}

// after is the smallest key above the whole table.
func after(table byte) key { return key{table + 1} }

// prefixBounds are the keys from which on, and up to which, the prefix leaves
// lie whose index begins with the first depth bits (0..256) of prefix.
func prefixBounds(prefix name.Index, depth int) (lower, upper key) {
	for bit := depth; bit < 256; bit++ {
		prefix[bit/8] &^= 0x80 >> (bit % 8)
	}
	lower = prefixKey(prefix)
	// Adding one at the last kept bit gives the next prefix. Past the last
	// prefix of all, the carry reaches the table's byte.
	upper = prefixKey(prefix)
	if depth == 0 {
		return lower, after(tablePrefix)
	}
	last := 1 + (depth-1)/8
	step := byte(0x80) >> ((depth - 1) % 8)
	for {
		upper[last] += step
		if upper[last] >= step { // no carry
			return lower, upper
		}
		last, step = last-1, 1
	}
}
