package pebble

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/storetest"
)

// A canary is 16 bytes of something secret, all of them random.
type canary [16]byte

// traces notes what a store was given: what was erased of it must be nowhere.
type traces struct {
	model *storetest.Model
	all   map[canary]trace
}

// trace is where a canary belongs.
type trace struct {
	kind    string // of the row: event, account or promise
	account name.AccountID
	seq     uint32 // with which it came
}

func newTraces(seed byte) *traces {
	return &traces{storetest.NewModel(seed), make(map[canary]trace)}
}

// grow commits epochs of events, of which some were promised before.
func (c *traces) grow(t *testing.T, s *Store, epochs, events int) {
	t.Helper()
	for range epochs {
		c.promise(t, s, events/2)
		c.commit(t, s, events)
	}
}

func (c *traces) promise(t *testing.T, s *Store, events int) {
	t.Helper()
	promised := c.model.Reserve(events)
	for i := range promised {
		p := &promised[i]
		c.add(trace{"promise", p.Account, p.Seq}, p.Body, p.Opening[:])
	}
	if err := s.Reserve(promised); err != nil {
		t.Fatal(err)
	}
}

func (c *traces) commit(t *testing.T, s *Store, events int) {
	t.Helper()
	b := c.model.Next(events)
	for i := range b.Events {
		e := &b.Events[i]
		c.add(trace{"event", e.Account, e.Seq}, e.Body, e.Opening[:])
	}
	for _, a := range b.Accounts {
		for i := range a.Introduced {
			c.add(trace{"account", a.ID, a.Next - 1}, a.Introduced[i][:])
		}
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
}

func (c *traces) add(at trace, secrets ...[]byte) {
	for _, secret := range secrets {
		for _, from := range []int{0, len(secret) - 16} {
			if k := canary(secret[from:]); c.all[k] == (trace{}) {
				c.all[k] = at
			}
		}
	}
}

// gone are the canaries that no file may hold after a purge: what was erased, and
// what stood in a promise that is kept.
func (c *traces) gone() map[canary]bool {
	promised := make(map[trace]bool)
	for _, p := range c.model.Pending {
		promised[trace{"promise", p.Account, p.Seq}] = true
	}
	gone := make(map[canary]bool)
	for k, at := range c.all {
		a := c.model.Accounts[at.account]
		if at.kind == "promise" && !promised[at] || at.kind != "promise" && a.Erase != store.None && at.seq < a.Erase {
			gone[k] = true
		}
	}
	return gone
}

// holders says which files hold canaries, by the ends of their names: the bytes
// themselves, and in tables each version of each row as well.
func holders(t *testing.T, disk vfs.FS, dir string, canaries map[canary]bool) map[string]int {
	t.Helper()
	found := make(map[string]int)
	look := func(file string, data []byte) {
		for at := range max(len(data)-15, 0) {
			if canaries[canary(data[at:])] {
				found[filepath.Ext(file)]++
			}
		}
	}
	files, err := disk.List(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		path := disk.PathJoin(dir, file)
		info, err := disk.Stat(path)
		if err == nil && info.IsDir() {
			for end, n := range holders(t, disk, path, canaries) {
				found[end] += n
			}
			continue
		}
		f, err := disk.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		look(file, data)
		if strings.HasSuffix(file, ".sst") {
			versions(t, f, func(value []byte) { look(file, value) })
		} else if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func versions(t *testing.T, f vfs.File, row func(value []byte)) {
	t.Helper()
	from, err := sstable.NewSimpleReadable(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sstable.NewReader(context.Background(), from, sstable.ReaderOptions{})
	if err != nil {
		from.Close()
		return // one that is being written
	}
	defer r.Close()
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		t.Fatal(err)
	}
	for kv := it.First(); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			t.Fatal(err)
		}
		row(value)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPurge: what was erased is in the store's files, then in none of them, nor
// in those of a backup; what was not erased stays.
func TestPurge(t *testing.T) {
	cfg := Config{Dir: filepath.Join(t.TempDir(), "store"), MemTableBytes: 64 << 10} // flushes often
	s, err := Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	c := newTraces(1)
	c.grow(t, s, 60, 40)
	// A crash here, or days: the duty stays.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	c.grow(t, s, 20, 40)
	c.grow(t, s, 1, 0) // erases what the last epoch has ordered
	gone := c.gone()
	if found := holders(t, vfs.Default, cfg.Dir, gone); len(gone) < 1000 || found[".sst"] == 0 {
		t.Fatalf("before the purge: of %d canaries %v were found", len(gone), found)
	}
	if n, err := s.Purge(t.Context()); err != nil || n < 10 {
		t.Fatalf("purged %d erasures: %v", n, err)
	}
	if found := holders(t, vfs.Default, cfg.Dir, gone); len(found) > 0 {
		t.Errorf("after the purge: %v", found)
	}
	if err := c.model.Check(s); err != nil {
		t.Error(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := s.Backup(copied); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kept := make(map[canary]bool)
	for k := range c.all {
		if !gone[k] {
			kept[k] = true
		}
	}
	for _, dir := range []string{cfg.Dir, copied} {
		if found := holders(t, vfs.Default, dir, gone); len(found) > 0 {
			t.Errorf("in %s: %v", dir, found)
		}
		if found := holders(t, vfs.Default, dir, kept); found[".sst"] < 100 {
			t.Errorf("of what was not erased in %s: %v", dir, found)
		}
	}
	if s, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	c.grow(t, s, 20, 40) // the log goes on
	if err := c.model.Check(s); err != nil {
		t.Error(err)
	}
}

// TestPurgeOfEachKind: rows that lie at the bottom, where no compaction would
// ever come by itself, and one row of each kind in their places.
func TestPurgeOfEachKind(t *testing.T) {
	cfg := Config{Dir: filepath.Join(t.TempDir(), "store")}
	s, err := Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := newTraces(4)
	c.grow(t, s, 3, 20)
	c.promise(t, s, 10)
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{255}, false); err != nil {
		t.Fatal(err)
	}
	c.commit(t, s, 40)
	c.commit(t, s, 0)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]map[canary]bool)
	for k := range c.gone() {
		kind := c.all[k].kind
		if kinds[kind] == nil {
			kinds[kind] = make(map[canary]bool)
		}
		kinds[kind][k] = true
	}
	for _, kind := range []string{"event", "account", "promise"} {
		if found := holders(t, vfs.Default, cfg.Dir, kinds[kind]); found[".sst"] == 0 {
			t.Errorf("%s rows before the purge: %v", kind, found)
		}
	}
	if _, err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	for kind, canaries := range kinds {
		if found := holders(t, vfs.Default, cfg.Dir, canaries); len(found) > 0 {
			t.Errorf("%s rows after the purge: %v", kind, found)
		}
	}
	if err := c.model.Check(s); err != nil {
		t.Error(err)
	}
}

// TestPurgeLogs: write-ahead logs hold what was erased long after it was flushed,
// while they wait to be written over, and then at their ends.
func TestPurgeLogs(t *testing.T) {
	for _, flushes := range []int{0, 1, 3, 8} {
		cfg := Config{Dir: filepath.Join(t.TempDir(), "store")}
		s, err := Create(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := newTraces(byte(flushes))
		c.grow(t, s, 6, 8)
		c.grow(t, s, 1, 0)
		for range flushes {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		gone := c.gone()
		if found := holders(t, vfs.Default, cfg.Dir, gone); found[".log"] == 0 {
			t.Errorf("after %d flushes, before the purge: %v", flushes, found)
		}
		if _, err := s.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if found := holders(t, vfs.Default, cfg.Dir, gone); len(found) > 0 {
			t.Errorf("after %d flushes and the purge: %v", flushes, found)
		}
	}
}

// TestPurgeWaitsForReaders: a table that is still read keeps the duty alive.
func TestPurgeWaitsForReaders(t *testing.T) {
	disk := &listFS{FS: vfs.NewMem()}
	s, err := Create(crashConfig(disk))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := newTraces(2)
	c.grow(t, s, 10, 20)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = s.scan(key{0}, key{255}, func(key, []byte) (bool, error) {
		c.grow(t, s, 1, 0)
		// The logs, the tables, and then again and again what is left of the tables.
		left := 5
		disk.before = func() {
			if left--; left == 0 {
				cancel()
			}
		}
		if _, err := s.Purge(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("purged under a reader: %v", err)
		}
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	disk.before = nil
	if n, err := s.Purge(t.Context()); err != nil || n == 0 {
		t.Errorf("once the reader had left: %d, %v", n, err)
	}
	if found := holders(t, disk, "store", c.gone()); len(found) > 0 {
		t.Errorf("after the purge: %v", found)
	}
}

// listFS tells of each look into a folder.
type listFS struct {
	vfs.FS
	before func()
}

func (l *listFS) List(dir string) ([]string, error) {
	if l.before != nil {
		l.before()
	}
	return l.FS.List(dir)
}

// TestPowerCutInPurge cuts the power before every operation of a purge: the next
// process purges what is left, and nothing else is missing.
func TestPowerCutInPurge(t *testing.T) {
	mem := vfs.NewCrashableMem()
	random := rand.New(rand.NewPCG(3, 3))
	var mu sync.Mutex // background flushes call the hook, too
	var purging bool
	var clones []vfs.FS
	cut := func(string, string) {
		mu.Lock()
		defer mu.Unlock()
		if purging {
			clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random}))
		}
	}
	s, err := Create(crashConfig(&durabletest.Hook{FS: mem, Before: cut}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := newTraces(3)
	c.grow(t, s, 12, 12)
	c.grow(t, s, 1, 0)
	gone := c.gone()
	if found := holders(t, mem, "store", gone); len(found) == 0 {
		t.Fatal("nothing to purge")
	}
	mu.Lock()
	purging = true
	mu.Unlock()
	if _, err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut("", "")
	mu.Lock()
	purging = false
	mu.Unlock()
	if len(clones) < 50 {
		t.Errorf("%d power cuts, want 50 or more: does the hook still see the writes?", len(clones))
	}
	for i, disk := range clones {
		after, err := Open(crashConfig(disk))
		if err != nil {
			t.Fatalf("cut %d: %v", i, err)
		}
		if _, err := after.Purge(t.Context()); err != nil {
			t.Errorf("cut %d: %v", i, err)
		}
		if err := c.model.Check(after); err != nil {
			t.Errorf("cut %d: %v", i, err)
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
		if found := holders(t, disk, "store", gone); len(found) > 0 {
			t.Errorf("cut %d: %v", i, found)
		}
	}
}

// TestPurgeBesideCommits: a purge comes to its end while the log goes on and
// other rows come and go around those that it is at.
func TestPurgeBesideCommits(t *testing.T) {
	cfg := Config{Dir: filepath.Join(t.TempDir(), "store"), MemTableBytes: 64 << 10} // flushes often
	s, err := Create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	c := newTraces(5)
	c.grow(t, s, 12, 20)
	c.grow(t, s, 1, 0)
	gone := c.gone()
	type purged struct {
		erasures int
		err      error
	}
	done := make(chan purged, 1)
	go func() {
		n, err := s.Purge(t.Context())
		done <- purged{n, err}
	}()
	for epochs := 0; ; epochs++ {
		c.grow(t, s, 1, 10)
		select {
		case p := <-done:
			if p.err != nil || p.erasures == 0 || epochs == 0 {
				t.Errorf("purged %d erasures beside %d epochs: %v", p.erasures, epochs, p.err)
			}
			if err := c.model.Check(s); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if found := holders(t, vfs.Default, cfg.Dir, gone); len(found) > 0 {
				t.Errorf("after the purge: %v", found)
			}
			if s, err = Open(cfg); err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}
