package simulation

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
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
	ops    int // operations on the disks until the power goes; 0: it stays
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

// plan has the power go at the n-th operation from now, or at once.
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
	if m.ops == 0 || !m.on {
		return
	}
	if m.ops--; m.ops == 0 {
		m.powerOff()
	}
}

func (m *machine) powerOff() {
	m.on = false
	m.next = newMachine()
	m.next.signed = m.signed
	m.next.mem = m.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.cut.percent, RNG: rand.New(rand.NewPCG(m.cut.seed, 2))})
	m.next.head = m.head
	if m.coming != nil && m.cut.newHead {
		m.next.head = m.coming
	}
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
		return err
	}
	return f.Store.Commit(b)
}
