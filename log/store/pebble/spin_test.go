package pebble

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/storetest"
)

// damageTables changes a byte of each table that holds leaves of the map, in a
// store of one epoch that is closed: none was compacted yet.
func damageTables(t *testing.T, dir string, at func(size int) int) *storetest.Model {
	t.Helper()
	s, err := Create(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	m := storetest.NewModel(1)
	if err := s.Commit(m.Next(50)); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	levels, err := s.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, table := range levels[0] {
		if table.Smallest.UserKey[0] != tablePrefix {
			continue
		}
		path := filepath.Join(dir, "pebble", table.FileNum.String()+".sst")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[at(len(data))] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		damaged++
	}
	if damaged != 1 {
		t.Fatalf("%d tables of the map, want 1", damaged)
	}
	return m
}

func rows(int) int            { return 3 }
func statistics(size int) int { return size - 300 }

// TestDamageIsCompactedOnce: Pebble would compact a damaged table of the first
// level again and again, as fast as it can, and say so each time.
func TestDamageIsCompactedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	m := damageTables(t, dir, rows)
	told := make(chan error, 100)
	s, err := Open(Config{Dir: dir, Corrupted: func(err error) {
		select {
		case told <- err:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	compactable := func() {
		if err := s.Commit(m.Next(1)); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	compactable()
	compactable()
	if err := <-told; !strings.Contains(err.Error(), "checksum mismatch") {
		t.Errorf("told %v", err)
	}
	for range 5 {
		compactable()
	}
	if n := s.db.pebble.Metrics().Compact.FailedCount; n > 1 {
		t.Errorf("%d compactions failed", n)
	}
	// A purge, which is a compaction, ends when the log does.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.db.Compact(ctx, key{0}, key{255}); err == nil {
		t.Error("a compaction after the damage was found")
	}
}

const stallDir = "MUSTER_TEST_STALL_DIR"

// TestDamageEndsAWriteThatWaits is also the process that must end: a write waits
// for compactions, and the damage was found by one of them.
func TestDamageEndsAWriteThatWaits(t *testing.T) {
	if dir := os.Getenv(stallDir); dir != "" {
		m := damageTables(t, dir, rows)
		s, err := Open(Config{Dir: dir, Corrupted: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		for s.Commit(m.Next(1)) == nil && s.db.Flush() == nil {
		}
		t.Fatal("a write failed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // else it would hang for ever
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestDamageEndsAWriteThatWaits$")
	child.Env = append(os.Environ(), stallDir+"="+filepath.Join(t.TempDir(), "store"))
	out, err := child.CombinedOutput()
	if child.ProcessState.ExitCode() != 1 || !bytes.Contains(out, []byte("store: fatal: a write waits")) || !bytes.Contains(out, []byte("checksum mismatch")) {
		t.Errorf("%v, want exit code 1 with its reason; all output:\n%s", err, out)
	}
}

// unreadableFS is a disk that does not give back tables once it is bad.
type unreadableFS struct {
	vfs.FS
	bad atomic.Bool
}

func (d *unreadableFS) Open(path string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.Open(path, opts...)
	if err != nil || !strings.HasSuffix(path, ".sst") {
		return f, err
	}
	return unreadableFile{f, d, path}, nil
}

type unreadableFile struct {
	vfs.File
	disk *unreadableFS
	path string
}

func (f unreadableFile) ReadAt(p []byte, off int64) (int, error) {
	if f.disk.bad.Load() {
		return 0, &fs.PathError{Op: "read", Path: f.path, Err: syscall.EIO}
	}
	return f.File.ReadAt(p, off)
}

// TestUnreadableTable: a disk that does not give back what was written is told like
// one that gives back something else, and ends no process: at the next start the
// same compaction would end it again, before anything was served.
func TestUnreadableTable(t *testing.T) {
	for what, meet := range map[string]func(*Store) error{
		"lookup":     func(s *Store) error { return last(s.PrefixLeaves()) },
		"compaction": func(s *Store) error { return s.db.Compact(t.Context(), key{0}, key{255}) },
	} {
		t.Run(what, func(t *testing.T) {
			dir, m := filepath.Join(t.TempDir(), "store"), storetest.NewModel(1)
			disk := &unreadableFS{FS: vfs.Default}
			told := make(chan error, 1)
			cfg := Config{Dir: dir, FS: disk, Corrupted: func(err error) {
				select {
				case told <- err:
				default:
				}
			}}
			s, err := Create(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(m.Next(50)); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(cfg); err != nil { // which writes a table, and has read nothing of it
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
			disk.bad.Store(true)
			if err := meet(s); !errors.Is(err, syscall.EIO) || errors.Is(err, store.ErrNotFound) {
				t.Errorf("error %v, want %v", err, syscall.EIO)
			}
			select {
			case err := <-told:
				if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), ".sst is damaged") {
					t.Errorf("told %v", err)
				}
			default:
				t.Error("nobody was told")
			}
		})
	}
}

const untoldDir = "MUSTER_TEST_UNTOLD_DIR"

// TestDamageWithNobodyToTell is also the process that ends. It says which file, and
// not which accounts.
func TestDamageWithNobodyToTell(t *testing.T) {
	if dir := os.Getenv(untoldDir); dir != "" {
		damageTables(t, dir, rows)
		s, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Fatal("it lives on: ", last(s.PrefixLeaves()))
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDamageWithNobodyToTell$")
	child.Env = append(os.Environ(), untoldDir+"="+filepath.Join(t.TempDir(), "store"))
	out, err := child.CombinedOutput()
	if child.ProcessState.ExitCode() != 1 || !bytes.HasPrefix(out, []byte("store: fatal: the store's file ")) || !bytes.HasSuffix(out, []byte(": check the disk, and bring back a copy that is whole\n")) {
		t.Errorf("%v, want exit code 1 and the file; all output:\n%s", err, out)
	}
}

// TestEngineErrorsAreLogged: in the form of whatever else the process logs.
func TestEngineErrorsAreLogged(t *testing.T) {
	var logged bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	logger{}.Errorf("metrics error: %s", syscall.EIO)
	if said := logged.String(); !strings.Contains(said, `level=ERROR msg="the store's engine" error="metrics error: input/output error"`) {
		t.Errorf("logged %q", said)
	}
}

// TestStatisticsOfDamagedTable: Pebble reads them from the start on, and where it
// cannot it would do so again and again, as fast as it can.
func TestStatisticsOfDamagedTable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	synctest.Test(t, func(t *testing.T) { // no time passes while anybody works
		m := damageTables(t, dir, statistics)
		var told atomic.Int64
		s, err := Open(Config{Dir: dir, Corrupted: func(error) { told.Add(1) }})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := s.Commit(m.Next(1)); err != nil {
				t.Fatal(err)
			}
		}
		if n := told.Load(); n > 1 {
			t.Errorf("read %d times at once", n)
		}
		time.Sleep(statisticsPause + time.Second)
		if n := told.Load(); n != 2 {
			t.Errorf("after a pause read %d times, want 2", n)
		}
		if err := s.Close(); err != nil { // which does not wait for the next pause to end
			t.Error(err)
		}
	})
}
