package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/storetest"
)

// one is a store with one epoch of a single event at position 1.
func one(t *testing.T) (*Store, *storetest.Model) {
	t.Helper()
	s, err := Create(crashConfig(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	m := storetest.NewModel(8)
	if err := s.Commit(m.Next(1)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.PutProofs(m.Events[0].Account, 0, []store.Proof{{Index: name.Index{2}}}), s.PutNote(3, []byte("note")), s.Reserve(m.Reserve(1))); err != nil {
		t.Fatal(err)
	}
	return s, m
}

// TestDamagedRow: a row that reads as no row of its kind is an error that
// names it, and never ErrNotFound, which would be an answer.
func TestDamagedRow(t *testing.T) {
	_, m := one(t)
	id, l := m.Events[0].Account, m.Prefix[0]
	for _, c := range []struct {
		name   string
		row    key
		exact  bool // a value of any other length is refused
		reader func(*Store) error
	}{
		{"state", key{tableState}, true, func(s *Store) error { _, err := s.State(); return err }},
		{"account", accountKey(id), true, func(s *Store) error { _, err := s.Account(id); return err }},
		{"event", eventKey(1), true, func(s *Store) error { _, err := s.EventAt(1); return err }},
		{"event among others", eventKey(1), true, func(s *Store) error { return last(s.Events(0, 3)) }},
		{"account to be erased", accountKey(id), true, func(s *Store) error {
			b := m.Next(0)
			b.Erase = []store.Erasure{{Account: id, Before: 1}}
			b.First, b.State.Size, b.Leaves = 3, 4, b.Leaves[:1]
			return s.Commit(b)
		}},
		{"event to be erased", eventKey(1), true, func(s *Store) error {
			b := m.Next(0)
			b.Erase = []store.Erasure{{Account: id, Before: 1}}
			b.First, b.State.Size, b.Leaves = 3, 4, b.Leaves[:1]
			return s.Commit(b)
		}},
		{"leaf", leafKey(1), false, func(s *Store) error { return last(s.Leaves(0, 3)) }},
		{"leaf of a value", leafKey(1), true, func(s *Store) error { _, _, err := s.Full(l); return err }},
		{"prefix leaf", prefixKey(l.Index), true, func(s *Store) error { return last(s.PrefixLeaves()) }},
		{"position of an index", prefixKey(l.Index), true, func(s *Store) error { _, err := s.Position(l.Index); return err }},
		{"prefix leaf in a range", prefixKey(l.Index), true, func(s *Store) error { _, err := s.Range(nil, l.Index, 9); return err }},
		{"proof", proofKey(id, 0), true, func(s *Store) error { _, err := s.Proofs(id, 0); return err }},
		{"tile", tileKey(0, 7), true, func(s *Store) error { _, err := s.Tile(nil, 0, 7); return err }},
		{"reserved event", reservedKey(0), true, func(s *Store) error { return last(s.Pending()) }},
		{"checkpoint", noteKey(3), false, func(s *Store) error { _, _, err := s.NoteAbove(0); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := one(t)
			damage := func(value []byte) {
				t.Helper()
				if err := s.db.Set(c.row, value, pebbledb.NoSync); err != nil {
					t.Fatal(err)
				}
				err := c.reader(s)
				if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), c.row.String()) {
					t.Errorf("with a value of %d bytes: error %v, want one that names %v", len(value), err, c.row)
				}
			}
			whole := bytes.Clone(value(t, s, c.row))
			damage(nil)
			if !c.exact {
				return
			}
			for n := 1; n < len(whole); n++ {
				damage(whole[:n])
			}
			damage(append(whole, 0))
		})
	}
}

// value is what is stored, or a full tile.
func value(t *testing.T, s *Store, k key) []byte {
	t.Helper()
	if k[0] == tableLog && k[9] >= kindTile {
		return make([]byte, 40) // any length but a tile's
	}
	v, closer, err := s.db.Get(k)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return bytes.Clone(v)
}

// TestMisplacedRow: a row that is whole but does not belong where it is.
func TestMisplacedRow(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, s *Store, m *storetest.Model) error // and read
		want  string
	}{
		{"an account whose event row is lost", func(t *testing.T, s *Store, m *storetest.Model) error {
			drop(t, s, eventKey(1))
			return erase(s, m, m.Events[0].Account)
		}, "should be at position 1: it is lost"},
		{"an account to be erased that is lost", func(t *testing.T, s *Store, m *storetest.Model) error {
			drop(t, s, accountKey(m.Events[0].Account))
			return erase(s, m, m.Events[0].Account)
		}, "lost, another row refers to it"},
		{"the leaf of a value is lost", func(t *testing.T, s *Store, m *storetest.Model) error {
			drop(t, s, leafKey(1))
			_, _, err := s.Full(m.Prefix[0])
			return err
		}, "row L/000000000000000100: lost"},
		{"an account whose newest event is another account's", func(t *testing.T, s *Store, m *storetest.Model) error {
			put(t, s, accountKey(name.AccountID{1}), value(t, s, accountKey(m.Events[0].Account)))
			return erase(s, m, name.AccountID{1})
		}, "should be at position 1: seq 0 of"},
		{"an account with more events than there are", func(t *testing.T, s *Store, m *storetest.Model) error {
			a := *m.Accounts[m.Events[0].Account]
			a.Next++
			row, err := s.names.Load().encodeAccount(&a)
			if err != nil {
				return err
			}
			put(t, s, accountKey(a.ID), row)
			return erase(s, m, a.ID)
		}, "should be at position 1: seq 0 of"},
		{"a prefix leaf whose position is an EPOCH's", func(t *testing.T, s *Store, m *storetest.Model) error {
			l := m.Prefix[0]
			l.Position = 2
			_, _, err := s.Full(l)
			return err
		}, "leaf of kind 2"},
		{"a primary of no known type", func(t *testing.T, s *Store, m *storetest.Model) error {
			return spoilAccount(t, s, 42)
		}, "account's primary: key type 77"},
		{"a device of no known type", func(t *testing.T, s *Store, m *storetest.Model) error {
			return spoilAccount(t, s, 42+33+1+4)
		}, "device of an account: key type 77"},
		{"a key of another length", func(t *testing.T, s *Store, m *storetest.Model) error {
			put(t, s, key("L1234567"), nil)
			return last(s.Events(0, 1<<63))
		}, "key of 8 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, m := one(t)
			err := c.spoil(t, s, m)
			if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func erase(s *Store, m *storetest.Model, id name.AccountID) error {
	b := m.Next(0)
	b.Erase = []store.Erasure{{Account: id, Before: 1}}
	return s.Commit(b)
}

// TestLostLeaf: leaves after a gap must not be given in place of the lost one.
func TestLostLeaf(t *testing.T) {
	s, _ := one(t)
	drop(t, s, leafKey(1))
	n := 0
	for _, err := range s.Leaves(0, 3) {
		if err == nil {
			n++
			continue
		}
		if !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "leaf 1") {
			t.Errorf("error %v, want ErrNotFound of leaf 1", err)
		}
	}
	if n != 1 {
		t.Errorf("%d leaves before the lost one, want 1", n)
	}
}

// spoilAccount writes an account with a wrong byte, and reads it.
func spoilAccount(t *testing.T, s *Store, at int) error {
	t.Helper()
	var a store.Account
	a.Primary = event.Key{event.KeyEd25519}
	a.Devices = []event.Device{{KeyIndex: 1, Key: event.Key{event.KeyEd25519}}}
	v, err := names{}.encodeAccount(&a)
	if err != nil {
		t.Fatal(err)
	}
	v[at] = 77
	put(t, s, accountKey(a.ID), v)
	_, err = s.Account(a.ID)
	return err
}

// TestRefusedBatch: an error of Commit means that nothing was kept.
func TestRefusedBatch(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(*store.Batch)
	}{
		{"begins below the end", "do not continue", func(b *store.Batch) { b.First--; b.State.Size-- }},
		{"begins above the end", "do not continue", func(b *store.Batch) { b.First++; b.State.Size++ }},
		{"ends at another size", "do not continue", func(b *store.Batch) { b.State.Size++ }},
		{"empty leaf", "leaf 4 of 0 bytes", func(b *store.Batch) { b.Leaves[1] = nil }},
		{"leaf too long", "leaf 4 of 65536 bytes", func(b *store.Batch) { b.Leaves[1] = make([]byte, 65536) }},
		{"event below the epoch", "event at position 2", func(b *store.Batch) { b.Events[1].Position = 2 }},
		{"event above the epoch", "event at position 6", func(b *store.Batch) { b.Events[1].Position = 6 }},
		{"body too long", "event at position 4", func(b *store.Batch) { b.Events[1].Body = make([]byte, 65536) }},
		{"too many live devices", "256 live devices", func(b *store.Batch) { b.Events[1].Live = make([]uint32, 256) }},
		{"too many devices", "256 devices", func(b *store.Batch) { b.Accounts[0].Devices = make([]event.Device, 256) }},
		{"primary of no known type", "primary: key type 77", func(b *store.Batch) { b.Accounts[0].Primary = event.Key{77} }},
		{"device of no known type", "device 5: key type 77", func(b *store.Batch) { b.Accounts[0].Devices = []event.Device{{KeyIndex: 5, Key: event.Key{77}}} }},
		{"short tile", "tile 0 of 8703 bytes", func(b *store.Batch) { b.Tiles = []store.Tile{{Data: make([]byte, 8703)}} }},
		{"tile of no level", "at level -1", func(b *store.Batch) { b.Tiles = []store.Tile{{Level: -1, Data: make([]byte, 8704)}} }},
		{"tile above all levels", "at level 64", func(b *store.Batch) { b.Tiles = []store.Tile{{Level: 64, Data: make([]byte, 8704)}} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, m := one(t)
			spoilt := storetest.NewModel(8)
			spoilt.Next(1)
			b := spoilt.Next(2)
			c.spoil(b)
			err := s.Commit(b)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if err := m.Check(s); err != nil {
				t.Error(err)
			}
			if err := s.Commit(m.Next(2)); err != nil {
				t.Errorf("the good batch: %v", err)
			}
			if err := m.Check(s); err != nil {
				t.Error(err)
			}
		})
	}
	s, _ := one(t)
	if err := s.PutNote(9, nil); err == nil {
		t.Error("an empty checkpoint was kept")
	}
}

const flipDir = "MUSTER_TEST_FLIP_DIR"

// TestFlippedBitInLog: one bit flips in the middle of the live write-ahead log
// of a store that was just created. Opening must fail: Pebble could as well
// take the bit for the log's end and drop acknowledged epochs without a word,
// as it does without the newest format or without the flush in Create.
func TestFlippedBitInLog(t *testing.T) {
	if dir := os.Getenv(flipDir); dir != "" {
		if _, err := Open(Config{Dir: dir}); err != nil {
			fmt.Print(err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Create(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	m := storetest.NewModel(9)
	for range 10 { // fits the first memtable, so that no commit begins another log
		if err := s.Commit(m.Next(20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "pebble", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("write-ahead logs %v, %v; want one or more", logs, err)
	}
	live := slices.Max(logs) // Pebble may still keep the empty first one
	data, err := os.ReadFile(live)
	if err != nil {
		t.Fatal(err)
	}
	const block = 32 << 10 // after the last sync in a block there is nothing to tell
	if len(data) < 4*block {
		t.Fatalf("write-ahead log of %d bytes, want %d or more", len(data), 4*block)
	}
	for _, at := range []int{1000, block / 2, block + 5000, len(data) / 2} {
		bad := bytes.Clone(data)
		bad[at] ^= 1
		if err := os.WriteFile(live, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(os.Args[0], "-test.run=^TestFlippedBitInLog$")
		c.Env = append(os.Environ(), flipDir+"="+dir)
		out, err := c.CombinedOutput()
		if err == nil {
			t.Errorf("byte %d of %d damaged: the store opens", at, len(data))
		}
		t.Logf("byte %d: %s", at, out)
	}
}

func last[T any](seq iter.Seq2[T, error]) (err error) {
	for _, err = range seq {
	}
	return err
}

func drop(t *testing.T, s *Store, k key) {
	t.Helper()
	if err := s.db.pebble.Delete(k, pebbledb.NoSync); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *Store, k key, v []byte) {
	t.Helper()
	if err := s.db.Set(k, v, pebbledb.NoSync); err != nil {
		t.Fatal(err)
	}
}
