package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	pebbledb "github.com/cockroachdb/pebble/v2"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// replicaLayout: the rows x and s of a log's store, where s is the record of
// whoever follows the log. Neither is opened for the other.
const replicaLayout = "muster replica 1"

// Replica keeps the prefix tree's leaves of a log that somebody else runs, and
// one record of how far it was followed. What is added is read at once and
// becomes durable with the next Commit, all of it or nothing. One goroutine at
// a time uses it.
type Replica struct {
	store *Store
	open  *pebbledb.Batch    // what is added since the last Commit; reads go through it
	rows  *pebbledb.Iterator // over the prefix leaves as they are now; nil until one is asked for
}

// OpenReplica opens a replica, or makes it in a folder that has none.
func OpenReplica(cfg Config) (*Replica, error) {
	cfg.layout = replicaLayout
	if err := cfg.check(); err != nil {
		return nil, err
	}
	exists, err := cfg.exists()
	if err != nil {
		return nil, fmt.Errorf("opening the replica %s: %w", cfg.Dir, err)
	}
	begin := Create
	if exists {
		begin = Open
	}
	s, err := begin(cfg)
	if err != nil {
		return nil, err
	}
	return &Replica{store: s, open: s.db.NewIndexedBatch()}, nil
}

// Record is what the newest Commit kept; nil in a new replica.
func (r *Replica) Record() (record []byte, err error) {
	err = r.store.read(key{tableState}, func(value []byte) error {
		record = bytes.Clone(value)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return record, err
}

// PrefixLeaves yields all committed leaves, ascending by index.
func (r *Replica) PrefixLeaves() iter.Seq2[prefix.Leaf, error] { return r.store.PrefixLeaves() }

// Range appends the leaves whose index begins with the first depth bits of an
// index, those that are not committed yet among them.
func (r *Replica) Range(dst []prefix.Leaf, index name.Index, depth int) ([]prefix.Leaf, error) {
	if depth < 0 || depth > 256 {
		return nil, fmt.Errorf("reading prefix leaves: depth %d, want 0 to 256", depth)
	}
	// One iterator serves all the buckets of an update: they ascend, so that
	// each is found near the one before.
	if r.rows == nil {
		var err error
		r.rows, err = r.open.NewIter(&pebbledb.IterOptions{LowerBound: key{tablePrefix}, UpperBound: after(tablePrefix)})
		if err != nil {
			return nil, fmt.Errorf("reading prefix leaves: %w", err)
		}
	}
	lower, upper := prefixBounds(index, depth)
	for more := r.rows.SeekGE(lower); more && bytes.Compare(r.rows.Key(), upper) < 0; more = r.rows.Next() {
		k := key(r.rows.Key())
		value, err := r.rows.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("reading %v: %w", k, err)
		}
		l, err := decodePrefix(k, value)
		if err != nil {
			return nil, fmt.Errorf("reading %v: %w", k, err)
		}
		dst = append(dst, l)
	}
	if err := r.rows.Error(); err != nil {
		return nil, fmt.Errorf("reading prefix leaves: %w", err)
	}
	return dst, nil
}

// Add adds leaves; the next Range sees them.
func (r *Replica) Add(leaves []prefix.Leaf) error {
	if err := r.rewind(); err != nil {
		return err
	}
	for i := range leaves {
		if err := r.open.Set(prefixKey(leaves[i].Index), encodePrefix(&leaves[i]), nil); err != nil {
			return fmt.Errorf("adding a prefix leaf: %w", err)
		}
	}
	return nil
}

// Commit makes all that was added durable, with a record in place of the last
// one. When the write fails the process ends, as a Store's does.
func (r *Replica) Commit(record []byte) error {
	if err := r.rewind(); err != nil {
		return err
	}
	if err := r.open.Set(key{tableState}, record, nil); err != nil {
		return fmt.Errorf("committing the replica: %w", err)
	}
	// A crash in here keeps all of it or none.
	if err := r.open.Commit(pebbledb.Sync); err != nil {
		return fmt.Errorf("committing the replica: %w", err)
	}
	old := r.open
	r.open = r.store.db.NewIndexedBatch()
	return old.Close()
}

// rewind drops the iterator: it does not see what is written from here on.
func (r *Replica) rewind() error {
	if r.rows == nil {
		return nil
	}
	err := r.rows.Close()
	r.rows = nil
	return err
}

// Close forgets what was added since the last Commit, and lets another process
// have the folder.
func (r *Replica) Close() error {
	return errors.Join(r.rewind(), r.open.Close(), r.store.Close())
}
