package simulation

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store/pebble"
)

// The environment of a child: its folder, and the fault that its disk has.
const (
	faultDir = "MUSTER_TEST_FAULT_DIR"
	faultIs  = "MUSTER_TEST_FAULT" // "operation error forever kept"
)

// TestFaults has one write of the log fail, of the store or of the signed head,
// each in turn: with an input/output error or on a full disk, once or for ever,
// and with the write done all the same or not. The process may end; what it
// acknowledged is there when it starts again on a good disk, and it goes on. Seed
// n is the n-th write.
func TestFaults(t *testing.T) {
	if dir := os.Getenv(faultDir); dir != "" {
		synctest.Test(t, func(t *testing.T) { onBadDisk(t, dir) })
		return
	}
	writes := []uint64{12, 47, 90}
	if os.Getenv("MUSTER_SEEDS") != "" {
		writes = nil
		from, to := durabletest.Seeds(t, 0)
		for n := from; n < to; n++ {
			writes = append(writes, n+1)
		}
	}
	counts := map[string]int{}
	for _, n := range writes {
		for variant := range 8 {
			oneFault(t, fmt.Sprintf("%d %d %d %d", n, variant&1, variant>>1&1, variant>>2), counts)
		}
	}
	for what, n := range counts {
		t.Logf("count %s %d", what, n)
	}
}

// patience is a hundred times what a child takes. On a disk that fails for ever
// the engine tries a flush again at once, and under a fake clock no time passes.
const patience = 5 * time.Second

// oneFault runs a child with this fault, and then the log on what it left.
func oneFault(t *testing.T, fault string, counts map[string]int) {
	dir := folder(t)
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestFaults$", "-test.v")
	c.Env = append(os.Environ(), faultDir+"="+dir, faultIs+"="+fault)
	out, err := c.CombinedOutput()
	said := string(out)
	switch {
	case ctx.Err() != nil: // whenever it is killed, what it said must hold
		counts["faults that the engine met again and again until it was killed"]++
	case strings.Contains(said, "store: fatal: "), endedByDisk.MatchString(said):
		counts["faults that ended the process"]++
	case err != nil:
		t.Errorf("fault %s: %v\n%s", fault, err, said)
		return
	case !strings.Contains(said, "fault happened"):
		counts["faults beyond the last write"]++
		return
	default:
		counts["faults that it lived with"]++
	}
	t.Run(fault, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { afterwards(t, dir, said) })
	})
	if t.Failed() {
		t.Logf("fault %s: the child said\n%s", fault, said)
	}
}

// endedByDisk is a panic of the engine's about the disk that nobody can recover
// from: while it opens and in its own goroutines, or, when it cannot begin another
// write-ahead log, one that unlocks what is not locked, which ends the process
// whoever recovers.
var endedByDisk = regexp.MustCompile(`(?m)^panic: (input/output error|no space left on device)|^\s*fatal error: sync: unlock of unlocked mutex$`)

// badDisk fails from the n-th change on.
type badDisk struct {
	vfs.FS
	mu            sync.Mutex
	left          int
	err           error
	forever, kept bool
}

// change does a change, or not, and says how it went.
func (d *badDisk) change(do func() error) error {
	err, kept := d.fault()
	if err == nil {
		return do()
	}
	if kept {
		do()
	}
	return err
}

func (d *badDisk) fault() (error, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left--
	if d.left == 0 || d.left < 0 && d.forever {
		if d.left == 0 {
			fmt.Println("fault happened")
		}
		return d.err, d.kept
	}
	return nil, false
}

func (d *badDisk) Create(path string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	if err := d.change(func() error { f, err = d.FS.Create(path, category); return err }); err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return badFile{f, d}, nil
}

func (d *badDisk) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	if err := d.change(func() error { f, err = d.FS.ReuseForWrite(from, to, category); return err }); err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return badFile{f, d}, nil
}

func (d *badDisk) OpenDir(path string) (vfs.File, error) {
	f, err := d.FS.OpenDir(path)
	if err != nil {
		return nil, err
	}
	return badFile{f, d}, nil
}

func (d *badDisk) Remove(path string) error {
	return d.change(func() error { return d.FS.Remove(path) })
}

func (d *badDisk) Rename(from, to string) error {
	return d.change(func() error { return d.FS.Rename(from, to) })
}

func (d *badDisk) Link(from, to string) error {
	return d.change(func() error { return d.FS.Link(from, to) })
}

func (d *badDisk) Unwrap() vfs.FS { return d.FS }

type badFile struct {
	vfs.File
	disk *badDisk
}

func (f badFile) Write(p []byte) (n int, err error) {
	err = f.disk.change(func() error { n, err = f.File.Write(p); return err })
	if err != nil {
		n = 0
	}
	return n, err
}

func (f badFile) Sync() error     { return f.disk.change(f.File.Sync) }
func (f badFile) SyncData() error { return f.disk.change(f.File.SyncData) }

func (f badFile) SyncTo(length int64) (full bool, err error) {
	err = f.disk.change(func() error { full, err = f.File.SyncTo(length); return err })
	return full && err == nil, err
}

// onBadDisk is the child. It says what it signs and what is acknowledged.
func onBadDisk(t *testing.T, dir string) {
	w := newLogWorld(t, 1)
	m := newMachine()
	m.dir, m.loud = dir, true
	d := &badDisk{FS: vfs.Default}
	m.fs = d
	var full, forever, kept int
	if _, err := fmt.Sscan(os.Getenv(faultIs), &d.left, &full, &forever, &kept); err != nil {
		t.Fatal(err)
	}
	d.err, d.forever, d.kept = syscall.EIO, forever == 1, kept == 1
	if full == 1 {
		d.err = syscall.ENOSPC
	}
	inStore := false
	m.watch = func() { // of the signed head's writes, two calls each
		if inStore = !inStore; inStore {
			m.write, m.kept = d.fault()
		}
	}
	s, err := pebble.Create(w.disk(m))
	if err != nil {
		os.Exit(0) // as the program does; what the engine left running ends with it
	}
	cfg := w.config(m)
	cfg.Store = s
	if err := errors.Join(log.Create(cfg), s.Close()); err != nil {
		os.Exit(0)
	}
	fmt.Println("made")
	for i := range 2 {
		w.people = append(w.people, newPerson(w, fmt.Sprintf("+1555000%04d", i)))
	}
	p, err := w.open(m)
	if err != nil {
		os.Exit(0)
	}
	w.process = p
	for range 5 {
		w.round()
	}
	p.cancel()
	<-p.ended
	if p.twice != nil {
		t.Error(p.twice)
	}
	if t.Failed() {
		os.Exit(1)
	}
	os.Exit(0)
}

// round is one event and one call of everybody.
func (w *world) round() {
	for i, p := range w.people {
		p.act(w.draw)
		fmt.Printf("event %d %s\n", i, hex.EncodeToString(p.chain[len(p.chain)-1].body))
		p.send(answer.Wait(w.draw(2)))
	}
	time.Sleep(1500 * time.Millisecond)
	synctest.Wait()
	for i, p := range w.people {
		fmt.Printf("acknowledged %d %d %d\n", i, p.published, p.promised)
	}
}

// afterwards starts the log on the folder, now on a good disk.
func afterwards(t *testing.T, dir, said string) {
	w := newLogWorld(t, 2)
	m := newMachine()
	made := false
	for i := range 2 {
		w.people = append(w.people, newPerson(w, fmt.Sprintf("+1555000%04d", i)))
	}
	for line := range strings.Lines(said) {
		var i, published, promised int
		var body string
		var size uint64
		var root []byte
		if strings.HasPrefix(line, "made") {
			made = true
		} else if _, err := fmt.Sscanf(line, "acknowledged %d %d %d", &i, &published, &promised); err == nil {
			w.people[i].published, w.people[i].promised = published, promised
		} else if _, err := fmt.Sscanf(line, "signed %d %x", &size, &root); err == nil {
			m.signed[size] = name.TreeRoot(root)
		} else if _, err := fmt.Sscanf(line, "event %d %s", &i, &body); err == nil {
			w.must(w.people[i].learn(body))
		}
	}
	m.fs, m.dir = vfs.Default, dir
	m.head, _ = os.ReadFile(filepath.Join(dir, "head"))
	p, err := w.open(m)
	if err != nil {
		if made {
			t.Errorf("the log does not open: %v", err)
		}
		return
	}
	w.process = p
	for range 8 {
		for _, p := range w.people {
			p.send(answer.WaitPublished)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
	}
	w.believed()
	w.stop()
}

// learn takes over an event that somebody else's phone signed.
func (p *person) learn(body string) error {
	data, err := hex.DecodeString(body)
	if err != nil {
		return err
	}
	e, err := event.Parse(data)
	if err != nil {
		return err
	}
	if err := p.phone.At.Apply(event.Check(e)); err != nil {
		return err
	}
	p.chain = append(p.chain, signed{data, p.phone.At.Clone()})
	return nil
}
