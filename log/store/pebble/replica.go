package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// replicaLayout: the rows x and s of a log's store, where s is the record of
// whoever follows the log. Neither is opened for the other.
const replicaLayout = "muster replica 1"

// Replica keeps the prefix tree's leaves of a log that somebody else runs, and
// one record of how far it was followed. Reads may run beside each other and
// beside one Commit.
type Replica struct {
	store  *Store
	fs     vfs.FS
	next   string // path of the table that is being made
	tables sstable.WriterOptions
	large  int // from how many leaves on a commit is a table of its own
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
	begin := create
	if exists {
		begin = reopen
	}
	o := replicaOptions(&cfg)
	s, err := begin(&cfg, o)
	if err != nil {
		return nil, fmt.Errorf("opening the replica %s: %w", cfg.Dir, err)
	}
	return &Replica{
		store: s, fs: cfg.FS, next: cfg.FS.PathJoin(cfg.Dir, "next.sst"),
		tables: o.MakeWriterOptions(0, s.db.pebble.TableFormat()), large: tableLeaves,
	}, nil
}

// replicaOptions are for rows of random bytes that are read by ranges only:
// no key is looked for in vain.
func replicaOptions(cfg *Config) *pebbledb.Options {
	o := options(cfg)
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = nil
		o.Levels[i].BlockSize = replicaBlock
	}
	o.EnsureDefaults()
	return o
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
// index.
func (r *Replica) Range(dst []prefix.Leaf, index name.Index, depth int) ([]prefix.Leaf, error) {
	return r.store.Range(dst, index, depth)
}

// ReadPrefix gives read the leaves at less cost for many ranges. It does not
// know their values.
func (r *Replica) ReadPrefix(read func(prefix.Leaves) error) error { return r.store.ReadPrefix(read) }

// Commit adds leaves, ascending by index, with a record in place of the last
// one: durable when it returns, all of it or nothing after a crash. When the
// write fails in a way that leaves open which, the process ends, as a Store's
// does.
//
// Many leaves become a table of their own, beside the write-ahead log: random
// keys are never sorted one by one, nor written twice. The record lies in the
// same table.
func (r *Replica) Commit(leaves []prefix.Leaf, record []byte) error {
	commit := r.batch
	if len(leaves) >= r.large {
		commit = r.table
	}
	if err := commit(leaves, record); err != nil {
		return fmt.Errorf("committing %d leaves to the replica: %w", len(leaves), err)
	}
	return nil
}

func (r *Replica) batch(leaves []prefix.Leaf, record []byte) error {
	b := r.store.db.NewBatch()
	defer b.Close()
	if err := putReplica(b.Set, leaves, record); err != nil {
		return err
	}
	return b.Commit(pebbledb.Sync) // a crash in here keeps all of it or none
}

func (r *Replica) table(leaves []prefix.Leaf, record []byte) error {
	file, err := r.fs.Create(r.next, vfs.WriteCategoryUnspecified) // one that a crash left is cut off
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(file), r.tables)
	put := func(k, value []byte, _ *pebbledb.WriteOptions) error { return w.Set(k, value) }
	if err := putReplica(put, leaves, record); err != nil {
		return errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil { // syncs it
		return err
	}
	// A crash before this returns leaves the file, which the next Commit
	// overwrites, or the table. Pebble syncs both names before it counts.
	return r.store.db.Ingest(context.Background(), []string{r.next})
}

// putReplica gives the rows of a commit in their order: the record's table is
// before the leaves'.
func putReplica(put func(k, value []byte, o *pebbledb.WriteOptions) error, leaves []prefix.Leaf, record []byte) error {
	if err := put(key{tableState}, record, nil); err != nil {
		return err
	}
	k, value := make(key, 0, 33), make([]byte, 0, 40)
	for i := range leaves {
		k = append(append(k[:0], tablePrefix), leaves[i].Index[:]...)
		value = appendPrefix(value[:0], &leaves[i])
		if err := put(k, value, nil); err != nil {
			return err
		}
	}
	return nil
}

// Close lets another process have the folder.
func (r *Replica) Close() error { return r.store.Close() }
