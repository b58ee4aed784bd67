package pebble

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/store/storetest"
)

const (
	fatalDir = "MUSTER_TEST_FATAL_DIR"
	success  = "the epoch was kept"
)

// TestFailedSyncEndsTheProcess is also the process that must end: its second
// epoch meets a disk whose write-ahead log cannot be synced. To go on would be
// to sign what the disk does not hold.
func TestFailedSyncEndsTheProcess(t *testing.T) {
	if dir := os.Getenv(fatalDir); dir != "" {
		commitOnBadDisk(dir)
		os.Exit(0)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestFailedSyncEndsTheProcess$")
	c.Env = append(os.Environ(), fatalDir+"="+filepath.Join(t.TempDir(), "store"))
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() != 1 {
		t.Errorf("exit: %v, want code 1", err)
	}
	for want, times := range map[string]int{success: 1, "store: fatal: ": 1, errIO.Error(): 1} {
		if n := strings.Count(string(out), want); n < times || want == success && n > times {
			t.Errorf("%q is printed %d times, want %d; all output:\n%s", want, n, times, out)
		}
	}
}

func commitOnBadDisk(dir string) {
	var bad atomic.Bool
	s, err := Create(Config{Dir: dir, FS: badFS{vfs.Default, &bad}})
	if err != nil {
		os.Exit(7)
	}
	m := storetest.NewModel(1)
	for range 2 {
		// A handler's recover, as in net/http, must not save the process.
		func() {
			defer func() { _ = recover() }()
			if s.Commit(m.Next(5)) == nil {
				os.Stdout.WriteString(success + "\n")
			}
		}()
		bad.Store(true)
	}
}

// badFS fails to sync write-ahead logs once it is bad.
type badFS struct {
	vfs.FS
	bad *atomic.Bool
}

func (fs badFS) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(path, category)
	if err != nil || !strings.HasSuffix(path, ".log") {
		return f, err
	}
	return badFile{f, fs.bad}, nil
}

func (fs badFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, category)
	if err != nil || !strings.HasSuffix(to, ".log") {
		return f, err
	}
	return badFile{f, fs.bad}, nil
}

type badFile struct {
	vfs.File
	bad *atomic.Bool
}

func (f badFile) Sync() error {
	if f.bad.Load() {
		return errIO
	}
	return f.File.Sync()
}

func (f badFile) SyncData() error {
	if f.bad.Load() {
		return errIO
	}
	return f.File.SyncData()
}

func (f badFile) SyncTo(length int64) (bool, error) {
	if f.bad.Load() {
		return false, errIO
	}
	return f.File.SyncTo(length)
}
