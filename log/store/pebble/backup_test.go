package pebble

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/storetest"
)

// TestBackup: a copy has every row of its moment, and lives apart from its
// store. A folder that has a store is refused.
func TestBackup(t *testing.T) {
	disk := vfs.NewMem()
	s, err := Create(crashConfig(disk))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := storetest.NewModel(8)
	for range 20 {
		if err := s.Commit(m.Next(5)); err != nil {
			t.Fatal(err)
		}
	}
	rows := func(s *Store) (all []store.Row) { return slices.Collect(s.Rows()) }
	want := rows(s)
	if err := s.Backup("copy"); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup("copy"); err == nil {
		t.Error("copied over a copy")
	}
	if err := s.Commit(m.Next(5)); err != nil {
		t.Fatal(err)
	}
	cfg := crashConfig(disk)
	cfg.Dir = "copy"
	c, err := OpenReadOnly(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := rows(c)
	if len(want) < 100 || !slices.EqualFunc(got, want, func(a, b store.Row) bool { return a.Key == b.Key && a.Err == nil && b.Err == nil }) {
		t.Errorf("%d rows, want the %d of its moment", len(got), len(want))
	}
	if err := c.Commit(m.Next(5)); err == nil {
		t.Error("a store opened to be read was written to")
	}
}
