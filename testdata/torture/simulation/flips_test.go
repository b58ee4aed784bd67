package simulation

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/durable/durabletest"
)

// apart is how far the places are from each other that one seed changes: this
// many seeds, and as many again for the other state of the disk, change a bit of
// every byte.
const apart = 499

// headFile stands for the signed head, on its own disk.
const headFile = "signed head"

const flipsFrom = "MUSTER_TEST_FLIPS_FROM"

// TestFlippedBits changes one bit of a small log's disks, at one place after the
// other, and starts the log. It says no, or stops, or a read says what is wrong;
// or all is as it was, and the next epoch is signed over the same leaves. Even seeds
// change a store that was closed, odd ones one whose write-ahead log is live.
//
// The engine ends the process for some of them, so a child does the work and
// is started again behind the place that ended it.
func TestFlippedBits(t *testing.T) {
	from, to := durabletest.Seeds(t, 2)
	if s := os.Getenv(flipsFrom); s != "" {
		var n int
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) { flipFrom(t, from, n) })
		return
	}
	counts := map[string]int{}
	for seed := from; seed < to; seed++ {
		for n := 0; n >= 0; {
			n = flipChild(t, seed, n, counts)
		}
	}
	for what, n := range counts {
		t.Logf("count %s %d", what, n)
	}
	if counts["bits refused at start"] == 0 || counts["bits without effect"] == 0 {
		t.Errorf("%v: want some of each: are the right files changed?", counts)
	}
}

// flipChild runs a child from its n-th place on, and says where to go on; -1:
// nowhere.
func flipChild(t *testing.T, seed uint64, n int, counts map[string]int) int {
	c := exec.Command(os.Args[0], "-test.run=^TestFlippedBits$", "-test.v")
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d", flipsFrom, n), fmt.Sprintf("MUSTER_SEEDS=%d:%d", seed, seed+1))
	out, err := c.CombinedOutput()
	last := n
	for line := range strings.Lines(string(out)) {
		var at int
		if _, err := fmt.Sscanf(line, "place %d", &at); err == nil {
			last = at
		} else if verdict, ok := strings.CutPrefix(strings.TrimSpace(line), "verdict "); ok {
			counts["bits "+verdict]++
		}
	}
	switch {
	case strings.Contains(string(out), "store: fatal: "):
		counts["bits that ended the process"]++
		return last + 1
	case err != nil:
		t.Errorf("seed %d, place %d: %v\n%s", seed, last, err, out)
	}
	return -1
}

// flipFrom is the child.
func flipFrom(t *testing.T, seed uint64, n int) {
	w := newLogWorld(t, seed)
	m := newMachine()
	w.createOn(m)
	w.start(m)
	for i := range 2 {
		w.people = append(w.people, newPerson(w, fmt.Sprintf("+1555000%04d", i)))
	}
	for range 4 {
		for _, p := range w.people {
			p.act(w.draw)
			p.send(answer.WaitPublished)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
	}
	w.must(w.judge.afterStep())
	live := m.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	w.stop()
	disk := live
	if seed%2 == 0 {
		disk = m.mem
	}
	place := 0
	for _, file := range append(filesOf(disk, "store/pebble"), headFile) {
		data := m.head
		if file != headFile {
			data = contents(disk, file)
		}
		for at := int(seed/2) % apart; at < len(data); at += apart {
			if place++; place-1 < n {
				continue
			}
			fmt.Printf("place %d %s %d\n", place-1, file, at)
			clone := newMachine()
			clone.mem = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
			clone.head, clone.signed = m.head, maps.Clone(m.signed)
			changed := slices.Clone(data)
			changed[at] ^= 1 << (seed % 8)
			if file == headFile {
				clone.head = changed
			} else {
				put(clone.mem, file, changed)
			}
			fmt.Println("verdict", w.flipped(clone))
		}
	}
}

// flipped runs the log on a changed disk, and says what came of it. It fails the
// test if anything was believed that is not so.
func (w *world) flipped(m *machine) string {
	p, err := w.open(m)
	if err != nil {
		return "refused at start"
	}
	next := newLogWorld(w.t, 0)
	next.process = p
	next.judge.leaves, next.judge.hashes = slices.Clone(w.judge.leaves), slices.Clone(w.judge.hashes)
	next.judge.notes, next.judge.largest = maps.Clone(w.judge.notes), w.judge.largest
	for _, old := range w.people {
		person := newPerson(next, string(old.phone.Identifier))
		person.chain, person.promised, person.published = old.chain, len(old.chain), len(old.chain)
		next.people = append(next.people, person)
	}
	verdict := "without effect"
	if err := next.tries(); err != nil {
		verdict = "told by a read"
	}
	p.cancel()
	<-p.ended
	p.reading.Wait()
	if p.store.Close(); p.err != nil {
		verdict = "that stopped the log"
	}
	if p.twice != nil {
		w.t.Error(p.twice)
	}
	return verdict
}

var errNotNow = errors.New("the log could not")

// tries has the log seal an epoch and answer for everybody. An error is one that
// the log gave itself; what is silently wrong fails the test.
func (w *world) tries() error {
	if size, _ := w.process.log.Position(); size < w.judge.largest {
		w.t.Errorf("silently shorter: %d leaves, %d were published", size, w.judge.largest)
		return nil
	}
	if _, err := w.process.log.Entries(0, int(w.judge.largest)); err != nil {
		return err
	}
	fresh := newPerson(w, "+15559999999")
	fresh.act(w.draw)
	fresh.send(answer.WaitPublished)
	time.Sleep(2 * time.Second)
	synctest.Wait()
	if !fresh.settled() {
		return errNotNow
	}
	if err := w.judge.afterStep(); err != nil {
		w.t.Errorf("silently wrong: %v", err)
		return nil
	}
	for _, p := range w.people {
		r, err := w.ask(p)
		if err != nil {
			return err
		}
		if err := p.sees(r, len(p.chain)); err != nil {
			w.t.Errorf("silently wrong: %s: %v", p.phone.Identifier, err)
		}
	}
	return nil
}

func filesOf(disk *vfs.MemFS, dir string) (files []string) {
	names, _ := disk.List(dir)
	slices.Sort(names)
	for _, name := range names {
		path := disk.PathJoin(dir, name)
		if info, err := disk.Stat(path); err == nil && info.IsDir() {
			files = append(files, filesOf(disk, path)...)
		} else {
			files = append(files, path)
		}
	}
	return files
}

func contents(disk *vfs.MemFS, path string) []byte {
	f, err := disk.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	data := make([]byte, info.Size())
	n, _ := f.ReadAt(data, 0)
	return data[:n]
}

func put(disk *vfs.MemFS, path string, data []byte) {
	f, err := disk.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, 0); err != nil {
		panic(err)
	}
}
