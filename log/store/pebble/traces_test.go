package pebble

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/storetest"
)

// A canary is 16 bytes of something secret, all of them random.
type canary [16]byte

// traces notes what a store was given: what was erased of it must be nowhere.
type traces struct {
	model *storetest.Model
	all   map[canary]trace
}

// trace is where a canary belongs.
type trace struct {
	kind    string // of the row: event, account or promise
	account name.AccountID
	seq     uint32 // with which it came
}

func newTraces(seed byte) *traces {
	return &traces{storetest.NewModel(seed), make(map[canary]trace)}
}

// grow commits epochs of events, of which some were promised before.
func (c *traces) grow(t *testing.T, s *Store, epochs, events int) {
	t.Helper()
	for range epochs {
		c.promise(t, s, events/2)
		c.commit(t, s, events)
	}
}

func (c *traces) promise(t *testing.T, s *Store, events int) {
	t.Helper()
	promised := c.model.Reserve(events)
	for i := range promised {
		p := &promised[i]
		c.add(trace{"promise", p.Account, p.Seq}, p.Body, p.Opening[:])
	}
	if err := s.Reserve(promised); err != nil {
		t.Fatal(err)
	}
}

func (c *traces) commit(t *testing.T, s *Store, events int) {
	t.Helper()
	b := c.model.Next(events)
	for i := range b.Events {
		e := &b.Events[i]
		c.add(trace{"event", e.Account, e.Seq}, e.Body, e.Opening[:])
	}
	for _, a := range b.Accounts {
		for i := range a.Introduced {
			c.add(trace{"account", a.ID, a.Next - 1}, a.Introduced[i][:])
		}
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
}

func (c *traces) add(at trace, secrets ...[]byte) {
	for _, secret := range secrets {
		for _, from := range []int{(len(secret) - 16) / 2, len(secret) - 16} { // a body begins with names
			if k := canary(secret[from:]); c.all[k] == (trace{}) {
				c.all[k] = at
			}
		}
	}
}

// gone are the canaries that no file may hold after a purge: what was erased, and
// what stood in a promise that is kept.
func (c *traces) gone() map[canary]bool {
	promised := make(map[trace]bool)
	for _, p := range c.model.Pending {
		promised[trace{"promise", p.Account, p.Seq}] = true
	}
	gone := make(map[canary]bool)
	for k, at := range c.all {
		a := c.model.Accounts[at.account]
		if at.kind == "promise" && !promised[at] || at.kind != "promise" && a.Erase != store.None && at.seq < a.Erase {
			gone[k] = true
		}
	}
	return gone
}

// holders says which files hold canaries, by the ends of their names: the bytes
// themselves, and in tables each version of each row as well.
func holders(t *testing.T, disk vfs.FS, dir string, canaries map[canary]bool) map[string]int {
	t.Helper()
	found := make(map[string]int)
	look := func(file string, data []byte) {
		for at := range max(len(data)-15, 0) {
			if canaries[canary(data[at:])] {
				found[filepath.Ext(file)]++
			}
		}
	}
	files, err := disk.List(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		path := disk.PathJoin(dir, file)
		info, err := disk.Stat(path)
		if err == nil && info.IsDir() {
			for end, n := range holders(t, disk, path, canaries) {
				found[end] += n
			}
			continue
		}
		f, err := disk.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		look(file, data)
		if strings.HasSuffix(file, ".sst") {
			versions(t, f, func(value []byte) { look(file, value) })
		} else if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func versions(t *testing.T, f vfs.File, row func(value []byte)) {
	t.Helper()
	from, err := sstable.NewSimpleReadable(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sstable.NewReader(context.Background(), from, sstable.ReaderOptions{})
	if err != nil {
		from.Close()
		return // one that is being written
	}
	defer r.Close()
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		t.Fatal(err)
	}
	for kv := it.First(); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			t.Fatal(err)
		}
		row(value)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
}
