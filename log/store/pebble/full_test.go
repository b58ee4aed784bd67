package pebble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/storetest"
)

// The environment of a child: its folder, and who meets the full disk.
const (
	fullDir  = "MUSTER_TEST_FULL_DIR"
	fullMeet = "MUSTER_TEST_FULL_MEET"
)

// fullMemTable is small, so that a child meets a flush soon.
const fullMemTable = 256 << 10

// TestFullDiskEndsTheProcess is also the process that must end, whatever its
// handlers recover from. What it acknowledged is there when the disk has space.
func TestFullDiskEndsTheProcess(t *testing.T) {
	if dir := os.Getenv(fullDir); dir != "" {
		commitOnFullDisk(dir, os.Getenv(fullMeet))
		os.Exit(0)
	}
	for _, c := range []struct{ meet, want string }{
		{"lookup", "the engine failed in a write: no space left on device: free space"},
		{"flush", "a flush failed: no space left on device: free space"},
		{"compaction", "a compaction failed: no space left on device: free space"},
	} {
		t.Run(c.meet, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // else it would hang for ever
			defer cancel()
			child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestFullDiskEndsTheProcess$")
			child.Env = append(os.Environ(), fullDir+"="+dir, fullMeet+"="+c.meet)
			out, err := child.CombinedOutput()
			if child.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "store: fatal: "+c.want) {
				t.Fatalf("%v, want exit code 1 and %q; all output:\n%s", err, c.want, out)
			}
			m := storetest.NewModel(1)
			for range strings.Count(string(out), success) {
				m.Next(50)
			}
			s, err := Open(Config{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if have, err := s.State(); err != nil {
				t.Fatal(err)
			} else if have != m.State {
				m.Next(50) // it was kept, and the process ended before it said so
			}
			if err := m.Check(s); err != nil {
				t.Error(err)
			}
		})
	}
}

// commitOnFullDisk writes as a log does whose disk fills up after one epoch.
func commitOnFullDisk(dir, meet string) {
	disk := &fullFS{FS: vfs.Default, ends: ".sst"}
	if meet == "lookup" {
		disk.ends = ".log"
	}
	s, err := Create(Config{Dir: dir, FS: disk, MemTableBytes: fullMemTable})
	if err != nil {
		os.Exit(7)
	}
	m := storetest.NewModel(1)
	commit := func() {
		if s.Commit(m.Next(50)) == nil {
			fmt.Println(success)
		}
	}
	commit()
	if meet == "compaction" { // of two tables
		_ = s.db.Flush()
		commit()
		_ = s.db.Flush()
	}
	disk.full.Store(true)
	switch meet {
	case "lookup":
		for i := 0; !lookup(s, i); i++ {
		}
	case "compaction":
		_ = s.db.Compact(context.Background(), []byte{0}, []byte{255})
		select {} // the log still takes commits, for a while
	}
	for { // each waits for those before, at most for ever
		commit()
	}
}

// lookup keeps proofs as a lookup does, in a handler that recovers. The
// write-ahead log fails behind its back, and only a later write is told.
func lookup(s *Store, n int) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	proofs := make([]store.Proof, 16)
	for i := range proofs {
		proofs[i].Seq = uint32(i)
	}
	_ = s.PutProofs(name.AccountID{byte(n), byte(n >> 8)}, 0, proofs)
	time.Sleep(time.Millisecond) // the engine writes meanwhile
	return false
}

// TestReadOnlyOnFullDisk: to read needs no space, and ends no process.
func TestReadOnlyOnFullDisk(t *testing.T) {
	dir, m := filepath.Join(t.TempDir(), "store"), storetest.NewModel(1)
	s, err := Create(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // some memtables of the reader's size, all in the write-ahead log
		if err := s.Commit(m.Next(50)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	disk := &fullFS{FS: vfs.Default}
	disk.full.Store(true)
	if s, err = OpenReadOnly(Config{Dir: dir, FS: disk, MemTableBytes: fullMemTable}); err != nil {
		t.Fatal(err)
	}
	if err := m.Check(s); err != nil {
		t.Error(err)
	}
	if err := s.Commit(m.Next(1)); err == nil {
		t.Error("it was written to")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestWriteAfterClose: a lookup that outlives the store gets an error, and the
// process goes on to end in good order.
func TestWriteAfterClose(t *testing.T) {
	s, err := Create(crashConfig(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.PutProofs(name.AccountID{1}, 0, []store.Proof{{}}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("error %v, want one that says closed", err)
	}
}

// TestCompactionMeetsDamage: the log is told, and lives on to show what verifies.
// One that is cancelled is nobody's concern.
func TestCompactionMeetsDamage(t *testing.T) {
	var told []error
	l := listener(newDamage(func(err error) { told = append(told, err) }))
	for _, err := range []error{nil, pebbledb.ErrCancelledCompaction, pebbledb.ErrCorruption} {
		l.CompactionEnd(pebbledb.CompactionInfo{Err: err})
	}
	if len(told) != 1 || !errors.Is(told[0], pebbledb.ErrCorruption) {
		t.Errorf("told %v, want the damage alone", told)
	}
}

// fullFS cannot write files of one ending once it is full.
type fullFS struct {
	vfs.FS
	ends string
	full atomic.Bool
}

func (d *fullFS) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.limit(path)(d.FS.Create(path, category))
}

func (d *fullFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.limit(to)(d.FS.ReuseForWrite(from, to, category))
}

func (d *fullFS) limit(path string) func(vfs.File, error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil || !strings.HasSuffix(path, d.ends) {
			return f, err
		}
		return fullFile{f, d}, nil
	}
}

type fullFile struct {
	vfs.File
	disk *fullFS
}

func (f fullFile) Write(p []byte) (int, error) {
	if f.disk.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}
