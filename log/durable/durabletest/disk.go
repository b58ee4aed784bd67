package durabletest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/durable"
)

// Disk is one disk, as small files and as stores see it.
type Disk struct {
	Files durable.Disk
	FS    vfs.FS
}

// New is an empty disk.
func New() Disk { return on(vfs.NewMem()) }

func on(fs vfs.FS) Disk { return Disk{durable.On(files{fs}), fs} }

// PowerCuts has run work on a new disk, and cuts the power before every change that
// it makes there, with 0, 50 and 100 percent of what is not synced surviving. left is
// given what is left each time; it says what is wrong with that, and the work goes on.
// begin makes the two for each seed. MUSTER_SEEDS=from:to says for which.
func PowerCuts(t *testing.T, begin func(t *testing.T, seed uint64) (run func(Disk), left func(Disk) error)) {
	from, to := Seeds(t, 1)
	survives := []int{0, 50, 100}
	if testing.Short() { // under the race detector, which needs no second look at the disk
		survives = []int{50}
	}
	clones := 0
	for _, percent := range survives {
		for seed := from; seed < to; seed++ {
			t.Run(fmt.Sprintf("%d percent of unsynced data survives, seed %d", percent, seed), func(t *testing.T) {
				run, left := begin(t, seed)
				mem, random := NewCrashable(), rand.New(rand.NewPCG(seed, 1))
				cuts, mu := 0, sync.Mutex{} // a store changes its disk in the background too
				run(on(&Hook{mem, func(op, path string) {
					mu.Lock()
					defer mu.Unlock()
					cuts++
					clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(random.Uint64(), 2))})
					if err := left(on(clone)); err != nil {
						t.Errorf("power cut %d, before %s %s: %v", cuts, op, path, err)
					}
				}}))
				if cuts < 10 {
					t.Errorf("%d power cuts: does the hook still see the writes?", cuts)
				}
				clones += cuts
			})
		}
	}
	t.Logf("count clones %d", clones)
}

// files is a durable.FS on such a disk. It keeps no modes.
type files struct{ vfs.FS }

func (f files) Open(path string) (io.ReadCloser, error) { return f.FS.Open(path) }

func (f files) Lstat(path string) (fs.FileInfo, error) { return f.FS.Stat(path) }

// Readlink has nothing to read: these disks have no links.
func (f files) Readlink(path string) (string, error) {
	return "", &fs.PathError{Op: "readlink", Path: path, Err: errors.ErrUnsupported}
}

func (f files) Create(path string, _ fs.FileMode) (durable.File, error) {
	if _, err := f.FS.Stat(path); err == nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	created, err := f.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return file{created}, nil
}

// file leaves what is written to it as it is, unlike Pebble's: those spoil it
// under the race detector, so that nobody relies on it.
type file struct{ vfs.File }

func (f file) Write(p []byte) (int, error) { return f.File.Write(bytes.Clone(p)) }

func (f files) Mkdir(path string) error {
	if _, err := f.FS.Stat(path); err == nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrExist}
	}
	return f.FS.MkdirAll(path, 0o700)
}

func (f files) SyncFolder(path string) error {
	d, err := f.FS.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f files) Lock(path string) (io.Closer, error) { return f.FS.Lock(path) }
