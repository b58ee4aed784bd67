package log_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/musterlog/muster/log"
)

// A signed head that is a link to another disk stays one, and the head is there.
func TestHeadFileBehindALink(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	link, head := filepath.Join(here, "signed-head"), filepath.Join(there, "head of log1")
	if err := os.Symlink(head, link); err != nil {
		t.Fatal(err)
	}
	f := log.HeadFile(link)
	if note, err := f.Load(); note != nil || err != nil {
		t.Fatalf("before the first: %q, %v", note, err)
	}
	for _, want := range []string{"one", "two"} {
		if err := f.Store([]byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(head); err != nil || string(got) != want {
			t.Errorf("the other disk has %q, %v; want %q", got, err, want)
		}
		if got, err := f.Load(); err != nil || string(got) != want {
			t.Errorf("loaded %q, %v; want %q", got, err, want)
		}
		if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("it is a link no more: %v", err)
		}
	}
	for _, dir := range []string{here, there} {
		if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
			t.Errorf("%s has %v, %v", dir, all, err)
		}
	}
}
