// Package pebble keeps a log in an embedded Pebble store: one folder, one
// process. The layout is in keys.go, the values of rows in rows.go.
//
// An epoch is one Pebble batch, so it is kept whole or not at all. A reader
// may see a whole batch a moment before Commit returns, while it is being
// synced; what must not leave the process before that, the log decides.
//
// What this cannot tell is whether the newest epochs are missing: a damaged
// end of the write-ahead log looks like one that was never written. So the log
// keeps what it signed in another file, and asks its witnesses.
package pebble

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/store"
)

// Config says where a store is and what memory it may take.
type Config struct {
	// Dir is the store's folder. In it are the file LOCK and Pebble's folder,
	// pebble. Its content names accounts and opens commitments: Create makes it
	// readable by its owner only.
	Dir string

	// FS is for tests; nil is the disk. Another FS is protected from a second
	// opener by its own Lock only.
	FS vfs.FS

	CacheBytes    int64 // block cache; 0 means 256 MiB
	MemTableBytes int64 // of each of two tables that collect writes; 0 means 64 MiB, at most 1 GiB

	// Corrupted is told when the engine finds that its files were damaged, from
	// any goroutine, before whoever reads there gets the error. nil: that ends the process.
	Corrupted func(error)

	layout string // empty: a log's
}

// Store is a store.Store in a folder.
type Store struct {
	db   engine
	fs   vfs.FS
	lock io.Closer

	names  atomic.Pointer[names]
	folder string // the engine's
	wal    *walFS

	notes     sync.Mutex // held by PutNote: it looks before it writes
	reserving sync.Mutex // held by Reserve, for the same reason
	purging   sync.Mutex // held by Purge
}

var _ store.Store = (*Store)(nil)

// Create makes a new store in a folder that has none.
func Create(cfg Config) (*Store, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s, err := create(&cfg, options(&cfg))
	if err != nil {
		return nil, fmt.Errorf("creating the store %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func create(cfg *Config, o *pebbledb.Options) (*Store, error) {
	if ok, err := cfg.exists(); err != nil {
		return nil, err
	} else if ok {
		return nil, errors.New("there is a store already: open it, or choose another folder")
	}
	if err := cfg.FS.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	o.ErrorIfExists = true // now under the lock
	s, err := open(cfg, o)
	if err != nil {
		return nil, err
	}
	if err := s.begin(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// begin writes what makes a folder a store. A crash before it ends leaves a
// folder that Open refuses; nothing was logged in it.
func (s *Store) begin(cfg *Config) error {
	// Pebble makes its own folder's name durable, not that of the folder above.
	if err := syncDir(cfg.FS, cfg.FS.PathDir(cfg.Dir)); err != nil {
		return err
	}
	// A store's first write-ahead log is written without the offsets that find
	// a flipped bit, whatever the format; a flush begins the second one.
	if err := s.db.Flush(); err != nil {
		return err
	}
	return s.db.Set(key{tableLayout}, []byte(cfg.layoutText()), pebbledb.Sync)
}

// Open opens a store that Create made.
func Open(cfg Config) (*Store, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s, err := reopen(&cfg, options(&cfg))
	if err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func reopen(cfg *Config, o *pebbledb.Options) (*Store, error) {
	if ok, err := cfg.exists(); err != nil {
		return nil, err
	} else if !ok {
		return nil, errors.New("there is no store: create one, or check the path")
	}
	o.ErrorIfNotExists = true
	if err := cfg.lookFirst(); err != nil {
		return nil, err
	}
	s, err := open(cfg, o)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.checkLayout(cfg), s.readNames()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// lookFirst checks the layout of a store that another engine wrote, before this
// engine raises the folder's format, which no older one opens again.
func (c *Config) lookFirst() error {
	d, err := pebbledb.Peek(c.folder(), c.FS)
	if err != nil || d.FormatMajorVersion == pebbledb.FormatNewest {
		return err
	}
	looking := *c
	looking.Corrupted = func(error) {} // the error says it, too
	o := options(&looking)
	o.ReadOnly = true
	s, err := open(&looking, o)
	if err != nil {
		return err
	}
	return errors.Join(s.checkLayout(c), s.Close())
}

// open takes the lock before Pebble looks at its files: opening replays and
// deletes some, which would hurt a process that has them open.
func open(cfg *Config, o *pebbledb.Options) (_ *Store, err error) {
	s := &Store{fs: cfg.FS, lock: io.NopCloser(nil), folder: cfg.folder(), wal: &walFS{FS: o.FS}}
	s.names.Store(&names{})
	o.FS = s.wal
	if cfg.FS == vfs.Default {
		if s.lock, err = durable.Lock(cfg.FS.PathJoin(cfg.Dir, "LOCK")); err != nil {
			return nil, err
		}
	}
	db, err := pebbledb.Open(cfg.folder(), o)
	if err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	s.db = engine{db, db}
	return s, nil
}

func (s *Store) checkLayout(cfg *Config) error {
	k := key{tableLayout}
	err := s.read(k, func(value []byte) error {
		if want := cfg.layoutText(); string(value) != want {
			return fmt.Errorf("layout %q, this program knows %q: use the program that wrote it", value, want)
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("its creation was interrupted: delete the folder and create it again")
	}
	return err
}

// Close closes the store and lets another process have it.
func (s *Store) Close() error { return errors.Join(s.db.Close(), s.lock.Close()) }

// check fills in defaults.
func (c *Config) check() error {
	if c.Dir == "" {
		return errors.New("store without Dir: name its folder")
	}
	if c.CacheBytes < 0 || c.MemTableBytes < 0 || c.MemTableBytes > maxMemTableBytes {
		return fmt.Errorf("store with a cache of %d and tables of %d bytes: want none negative, tables at most %d", c.CacheBytes, c.MemTableBytes, maxMemTableBytes)
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	if c.MemTableBytes == 0 {
		c.MemTableBytes = defaultMemTableBytes
	}
	return nil
}

// layoutText is what row v says in a store of this kind.
func (c *Config) layoutText() string { return cmp.Or(c.layout, layout) }

func (c *Config) folder() string { return c.FS.PathJoin(c.Dir, "pebble") }

// exists looks for a store without touching anything.
func (c *Config) exists() (bool, error) {
	d, err := pebbledb.Peek(c.folder(), c.FS)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return d.Exists, nil
}
