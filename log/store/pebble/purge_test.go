package pebble

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/durable/durabletest"
)

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
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{255}); err != nil {
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
		c.grow(t, s, 9, 8)
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
		if n, err := s.Purge(t.Context()); n == 0 || err != nil {
			t.Fatalf("purged %d erasures: %v", n, err)
		}
		if found := holders(t, vfs.Default, cfg.Dir, gone); len(found) > 0 {
			t.Errorf("after %d flushes and the purge: %v", flushes, found)
		}
	}
}

// TestPurgeSeesRenames: a write-ahead log that takes an old one's name while a
// purge begins is among those that the purge lists.
func TestPurgeSeesRenames(t *testing.T) {
	disk := &renameFS{FS: vfs.NewMem()}
	old, err := disk.Create("old.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s := &Store{fs: disk, wal: &walFS{FS: disk}}
	listed := make(chan []string, 1)
	disk.before = func() {
		go func() {
			s.wal.setFresh(true)
			logs, _ := s.files(".log")
			listed <- logs
		}()
		// A purge that does not wait has all the time to be wrong.
		for pause := time.Millisecond; len(listed) == 0 && pause < 100*time.Millisecond; pause *= 2 {
			time.Sleep(pause)
		}
	}
	f, err := s.wal.ReuseForWrite("old.log", "new.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if logs := <-listed; !slices.Contains(logs, "new.log") {
		t.Errorf("the purge lists %v, want new.log among them", logs)
	}
}

// renameFS tells of each file that is to be written over, before its new name.
type renameFS struct {
	vfs.FS
	before func()
}

func (r *renameFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	r.before()
	return r.FS.ReuseForWrite(from, to, category)
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
