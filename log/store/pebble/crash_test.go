package pebble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/store/storetest"
)

// TestPowerCut cuts the power before every operation on the file system, and
// after every commit. Whatever part of the unsynced data survives, the store
// opens and holds a whole number of epochs and of groups of reserved events, none
// that was acknowledged missing.
func TestPowerCut(t *testing.T) {
	few := uint64(2)
	survives := []int{0, 50, 100}
	every := 1
	if testing.Short() { // under the race detector, which needs no second look at the disk
		few, survives, every = 1, []int{50}, 4
	}
	from, to := durabletest.Seeds(t, few)
	clones := 0
	defer func() { t.Logf("count clones %d", clones) }()
	for _, percent := range survives {
		for seed := from; seed < to; seed++ {
			t.Run(fmt.Sprintf("%d percent of unsynced data survives, seed %d", percent, seed), func(t *testing.T) {
				c := newCrash(t, percent, seed)
				c.every = every
				c.run()
				clones += c.cuts
				if want := 100 / every; c.cuts < want {
					t.Errorf("%d power cuts, want %d or more: does the hook still see the writes?", c.cuts, want)
				}
			})
		}
	}
}

// TestPowerCutAfterNote: a checkpoint that PutNote kept is durable, since it
// makes receipts that must stay the same for ever.
func TestPowerCutAfterNote(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s, err := Create(crashConfig(mem))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.PutNote(3, []byte("note")); err != nil {
		t.Fatal(err)
	}
	after, err := Open(crashConfig(mem.CrashClone(vfs.CrashCloneCfg{})))
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if note, size, err := after.NoteAbove(0); err != nil || size != 3 || string(note) != "note" {
		t.Errorf("checkpoint of size %d, %q, %v; want the one that was kept", size, note, err)
	}
}

const crashEpochs = 24

// A step is one call that is kept whole: Reserve before each epoch, then Commit.
const crashSteps = 2 * crashEpochs

type crash struct {
	t       *testing.T
	mem     *vfs.MemFS
	percent int
	seed    byte
	models  []*storetest.Model // after 0, 1, … steps

	acked atomic.Int64 // steps that returned; -1 before Create did

	mu     sync.Mutex // held during a cut: background flushes call the hook too
	random *rand.Rand
	every  int // which of the moments are looked at
	met    int
	cuts   int
}

func newCrash(t *testing.T, percent int, seed uint64) *crash {
	c := &crash{t: t, mem: vfs.NewCrashableMem(), percent: percent, seed: byte(seed), random: rand.New(rand.NewPCG(seed, 1))}
	for n := range crashSteps + 1 {
		m := storetest.NewModel(c.seed)
		for i := range n {
			if i%2 == 0 {
				m.Reserve(3)
			} else {
				m.Next(4)
			}
		}
		c.models = append(c.models, m)
	}
	return c
}

func (c *crash) run() {
	c.acked.Store(-1)
	cfg := crashConfig(&durabletest.Hook{FS: c.mem, Before: func(string, string) { c.cut() }})
	o := options(&cfg)
	o.MaxManifestFileSize = 256 // a new manifest at each flush, for the marker files' sake
	s, err := create(&cfg, o)
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	c.acked.Store(0)
	m := storetest.NewModel(c.seed)
	for n := range crashEpochs {
		if err := s.Reserve(m.Reserve(3)); err != nil {
			c.t.Fatal(err)
		}
		c.acked.Store(int64(2*n + 1))
		c.cut()
		if err := s.Commit(m.Next(4)); err != nil {
			c.t.Fatal(err)
		}
		c.acked.Store(int64(2*n + 2))
		c.cut()
		if n%3 == 2 {
			if err := s.db.Flush(); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// cut looks at what a power cut at this moment leaves.
func (c *crash) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.met++; c.met%c.every != 0 {
		return
	}
	acked := c.acked.Load()
	clone := c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.percent, RNG: rand.New(rand.NewPCG(c.random.Uint64(), 2))})
	s, err := Open(crashConfig(clone))
	if err != nil {
		if acked >= 0 {
			c.t.Errorf("after %d steps the store does not open: %v", acked, err)
		}
		return
	}
	c.cuts++
	// What was acknowledged, and the step that is under way whole or not at all.
	first := max(int(acked), 0)
	err = c.models[first].Check(s)
	if err != nil && first < crashSteps {
		if next := c.models[first+1].Check(s); next == nil {
			err = nil
		}
	}
	if err != nil {
		c.t.Errorf("after %d steps: %v", acked, err)
	}
	if err := s.Close(); err != nil {
		c.t.Error(err)
	}
}

func crashConfig(fs vfs.FS) Config {
	return Config{Dir: "store", FS: fs, CacheBytes: 1 << 20, MemTableBytes: 64 << 10}
}

// TestMarkerFS: names in a folder are durable before a marker file appears in
// it. Power cuts find the same only by chance.
func TestMarkerFS(t *testing.T) {
	var calls []string
	fs := markerFS{&durabletest.Hook{FS: vfs.NewMem(), Before: func(op, path string) { calls = append(calls, op+" "+path) }}}
	if err := fs.MkdirAll("d", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d/MANIFEST-000001", "d/marker.manifest.000001.MANIFEST-000001"} {
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	want := "create d/MANIFEST-000001, sync d, create d/marker.manifest.000001.MANIFEST-000001"
	if got := strings.Join(calls, ", "); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	broken := markerFS{errFS{vfs.NewMem()}}
	if _, err := broken.Create("marker.x", vfs.WriteCategoryUnspecified); !errors.Is(err, errIO) {
		t.Errorf("marker in a folder that cannot be synced: %v, want %v", err, errIO)
	}
}

var errIO = errors.New("input/output error")

// errFS cannot open folders.
type errFS struct{ vfs.FS }

func (errFS) OpenDir(string) (vfs.File, error) { return nil, errIO }
