package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	pebbledb "github.com/cockroachdb/pebble/v2"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

var _ store.Inspectable = (*Store)(nil)

// OpenReadOnly opens a store that Create made, and changes nothing in its
// files. Like Open it refuses a store that another process has open. Calls
// that write return an error. Damage is an error of what reads it, and never
// ends the process.
func OpenReadOnly(cfg Config) (*Store, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Corrupted == nil {
		cfg.Corrupted = func(error) {}
	}
	o := options(&cfg)
	o.ReadOnly = true
	s, err := reopen(&cfg, o)
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", cfg.Dir, err)
	}
	return s, nil
}

// Rows yields every row there is, table by table: where a damaged block ends
// the reading of one, the others are still read.
func (s *Store) Rows() iter.Seq[store.Row] {
	return func(yield func(store.Row) bool) {
		for table := 0; table < 256; table++ {
			if !s.rowsOf(byte(table), yield) {
				return
			}
		}
	}
}

func (s *Store) rowsOf(table byte, yield func(store.Row) bool) (goOn bool) {
	options := &pebbledb.IterOptions{LowerBound: key{table}, UpperBound: after(table)}
	if table == 255 {
		options.UpperBound = nil
	}
	fail := func(err error) bool {
		return yield(store.Row{Key: key{table}.String(), Err: fmt.Errorf("the rows of this table cannot be read on: %w", err)})
	}
	it, err := s.db.NewIter(options)
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := it.Close(); err != nil && goOn {
			goOn = fail(err)
		}
	}()
	for more := it.First(); more; more = it.Next() {
		row := store.Row{Key: key(it.Key()).String()}
		value, err := it.ValueAndErr()
		if err == nil {
			row.Value, err = s.names.Load().parseRow(bytes.Clone(it.Key()), bytes.Clone(value))
		}
		if row.Err = err; err != nil {
			row.Value = nil
		}
		if !yield(row) {
			return false
		}
	}
	return true // an error of the iterator is its Close's, too
}

var errStray = errors.New("no row of a log has this key")

// parseRow reads a row by its key; both slices are the row's from now on.
func (n names) parseRow(k key, value []byte) (any, error) {
	want := map[byte]int{tableLog: 10, tableAccount: 33, tablePrefix: 33, tableProof: 37, tableNote: 9, tableErased: 37, tableReserved: 9, tableState: 1, tableLayout: 1}
	if len(k) == 0 || want[k[0]] != len(k) {
		return nil, errStray
	}
	switch k[0] {
	case tableLog:
		return n.parseLogRow(k, value)
	case tableAccount:
		return n.decodeAccount(name.AccountID(k[1:]), value)
	case tablePrefix:
		return decodePrefix(k, value)
	case tableProof:
		r := store.ProofRow{Account: name.AccountID(k[1:33]), Group: binary.BigEndian.Uint32(k[33:])}
		var err error
		r.Proofs, err = decodeProofs(r.Group, value)
		return r, err
	case tableNote:
		return store.NoteRow{Size: binary.BigEndian.Uint64(k[1:]), Note: value}, nil
	case tableErased:
		return decodeOwed(k, value)
	case tableReserved:
		p, err := decodePending(value)
		return store.ReservedRow{Number: binary.BigEndian.Uint64(k[1:]), Pending: p}, err
	case tableState:
		return decodeState(value)
	default:
		return store.Layout(value), nil
	}
}

func (n names) parseLogRow(k key, value []byte) (any, error) {
	position, kind, err := k.place()
	switch {
	case err != nil:
		return nil, err
	case kind == kindLeaf && len(value) == 0:
		return nil, wrongLength("leaf", value, 1)
	case kind == kindLeaf:
		return store.LeafRow{Position: position, Data: value}, nil
	case kind == kindEvent:
		return n.decodeEvent(position, value)
	}
	t := store.Tile{Level: int(kind - kindTile), Data: value}
	if t.Level > maxTileLevel {
		return nil, errStray
	}
	t.N = position >> (8 * (t.Level + 1))
	if !bytes.Equal(tileKey(t.Level, t.N), k) {
		return nil, fmt.Errorf("no tile of level %d ends at position %d", t.Level, position)
	}
	if len(value) != tileBytes {
		return nil, wrongLength("tile", value, tileBytes)
	}
	return t, nil
}

// Key is how errors name the row that holds a value.
func (s *Store) Key(value any) string {
	switch v := value.(type) {
	case store.LeafRow:
		return leafKey(v.Position).String()
	case *store.Event:
		return eventKey(v.Position).String()
	case store.Tile:
		return tileKey(v.Level, v.N).String()
	case *store.Account:
		return accountKey(v.ID).String()
	case prefix.Leaf:
		return prefixKey(v.Index).String()
	case store.ProofRow:
		return proofKey(v.Account, v.Group).String()
	case store.NoteRow:
		return noteKey(v.Size).String()
	case store.Erasure:
		return owedKey(v).String()
	case store.ReservedRow:
		return reservedKey(v.Number).String()
	case store.State:
		return key{tableState}.String()
	}
	return key{tableLayout}.String()
}
