package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// machine is what one process of the log runs on: a disk for the store, another
// one for the signed head, and the power. When the power goes, clones of both
// disks are what the next machine begins with; whatever this one still does
// happens to nobody.
type machine struct {
	mem *vfs.MemFS

	mu     sync.Mutex
	on     bool
	ops    int // operations on the disks until the power goes; 0: it stays; atHead
	cut    cut
	next   *machine // begins with what the power cut left
	head   []byte   // durable
	coming []byte   // being written to the head's disk; nil: nothing

	commit, write error // fault of the next Commit, of the next write of the head
	kept          bool  // and that write was kept all the same
	forever       bool  // and every later one of this process fails, too
	signed        map[uint64]name.TreeRoot
	twice         error  // two heads of one size were signed
	watch         func() // called before each change of a disk
	fs            vfs.FS // where the store lies, in place of mem; nil: mem
	dir           string // of the store and of the signed head, with fs
	took          *tally // what took place; nil: nobody counts
	loud          bool   // says what it signs, as a child to its parent
}

// cut is how a power cut ends the disks.
type cut struct {
	percent int    // of unsynced data that survives
	seed    uint64 // which part of it
	newHead bool   // a head that is being written is kept
}

var errDisk = errors.New("input/output error")

func newMachine() *machine {
	return &machine{mem: vfs.NewCrashableMem(), on: true, signed: map[uint64]name.TreeRoot{}}
}

// atHead, in place of a number of operations, is while the next head is being written.
const atHead = -1

// plan has the power go at the n-th operation from now, at once, or atHead.
func (m *machine) plan(n int, c cut) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ops, m.cut = n, c
	if n == 0 && m.on {
		m.powerOff()
	}
}

// repair ends a fault that lasts.
func (m *machine) repair() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.forever {
		m.write, m.forever = nil, false
	}
}

// calm takes back every fault that was planned.
func (m *machine) calm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ops, m.commit, m.write, m.forever = 0, nil, nil, false
}

func (m *machine) alive() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

// operation is called before each change of a disk.
func (m *machine) operation() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watch != nil {
		m.watch()
	}
	if m.ops == atHead && m.coming != nil {
		m.ops = 1
	}
	if m.ops <= 0 || !m.on {
		return
	}
	if m.ops--; m.ops == 0 {
		m.powerOff()
	}
}

func (m *machine) powerOff() {
	m.on = false
	m.next = newMachine()
	m.next.signed, m.next.twice, m.next.took = m.signed, m.twice, m.took
	m.next.mem = m.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.cut.percent, RNG: rand.New(rand.NewPCG(m.cut.seed, 2))})
	m.next.head = m.head
	m.took.add("power cuts")
	if m.took != nil && m.unsynced() {
		m.took.add("power cuts that could lose something")
	}
	if m.coming != nil {
		m.took.add("power cuts while a head was written")
		if m.cut.newHead {
			m.next.head = m.coming
		}
	}
}

// unsynced says that not all that was written is synced.
func (m *machine) unsynced() bool {
	var clones [2]*vfs.MemFS
	for i := range clones {
		clones[i] = m.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * i, RNG: rand.New(rand.NewPCG(0, 2))})
	}
	files := filesOf(clones[1], "store/pebble")
	return !slices.Equal(files, filesOf(clones[0], "store/pebble")) || slices.ContainsFunc(files, func(path string) bool {
		return !bytes.Equal(contents(clones[0], path), contents(clones[1], path))
	})
}

// Load and Store make the machine a log.SignedHead.
func (m *machine) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head, nil
}

func (m *machine) Store(note []byte) error {
	m.operation() // the power may go before the first byte
	m.mu.Lock()
	if m.on {
		m.sign(note)
	}
	fault, kept := m.write, m.kept
	switch {
	case fault == nil:
	case kept:
		m.took.add("heads that failed and were kept")
	default:
		m.took.add("heads that failed")
	}
	if !m.forever {
		m.write = nil
	}
	m.coming = note
	m.mu.Unlock()
	m.operation() // or while it is being written
	m.mu.Lock()
	defer m.mu.Unlock()
	m.coming = nil
	if fault == nil || kept {
		m.head = note
		if m.fs != nil {
			if err := durable.Replace(filepath.Join(m.dir, "head"), note); err != nil {
				return err
			}
		}
	}
	return fault
}

// sign holds every head that was ever signed against the others.
func (m *machine) sign(raw []byte) {
	note, err := checkpoint.Parse(raw)
	if err != nil {
		m.twice = err
		return
	}
	if root, ok := m.signed[note.Size]; ok && root != note.Root {
		m.twice = errors.New("two signed heads of one size")
	}
	m.signed[note.Size] = note.Root
	if m.loud {
		fmt.Printf("signed %d %x\n", note.Size, note.Root[:])
	}
}

// faulty is the machine's store, whose next Commit may fail having kept nothing.
type faulty struct {
	store.Store
	m *machine
}

func (f faulty) Commit(b *store.Batch) error {
	f.m.mu.Lock()
	err := f.m.commit
	f.m.commit = nil
	f.m.mu.Unlock()
	if err != nil {
		f.m.took.add("commits that failed")
		return err
	}
	return f.Store.Commit(b)
}
