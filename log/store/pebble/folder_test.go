package pebble_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/store/storetest"
)

func TestCreateAndOpenRefuse(t *testing.T) {
	root := t.TempDir()
	path := func(name string) string { return filepath.Join(root, name) }
	s, err := pebble.Create(pebble.Config{Dir: path("made")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		do         func(pebble.Config) (*pebble.Store, error)
		cfg        pebble.Config
	}{
		{"creating where a store is", "there is a store already", pebble.Create, pebble.Config{Dir: path("made")}},
		{"opening where no folder is", "there is no store", pebble.Open, pebble.Config{Dir: path("nothing")}},
		{"opening an empty folder", "there is no store", pebble.Open, pebble.Config{Dir: emptyDir(t, path("empty"))}},
		{"opening a half-made store", "creation was interrupted", pebble.Open, pebble.Config{Dir: foreign(t, path("half"), "")}},
		{"opening a newer layout", `layout "muster store 9"`, pebble.Open, pebble.Config{Dir: foreign(t, path("newer"), "muster store 9")}},
		{"creating without a folder", "without Dir", pebble.Create, pebble.Config{}},
		{"opening without a folder", "without Dir", pebble.Open, pebble.Config{}},
		{"a negative cache", "none negative", pebble.Open, pebble.Config{Dir: path("made"), CacheBytes: -1}},
		{"tables too large", "at most", pebble.Open, pebble.Config{Dir: path("made"), MemTableBytes: 1 << 31}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := c.do(c.cfg)
			if err == nil {
				s.Close()
			}
			wantError(t, err, c.want)
		})
	}
	for _, name := range []string{"nothing", "empty/LOCK", "empty/pebble"} {
		if _, err := os.Stat(path(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v; a refused Open must leave nothing behind", name, err)
		}
	}
	// What was refused is unharmed, and locked by nobody.
	s, err = pebble.Open(pebble.Config{Dir: path("made")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestRefusedFolderKeepsItsFormat: the program that wrote it still opens it.
func TestRefusedFolderKeepsItsFormat(t *testing.T) {
	const older = pebbledb.FormatNewest - 1
	dir := foreignOf(t, filepath.Join(t.TempDir(), "older"), "muster store 0", older)
	_, err := pebble.Open(pebble.Config{Dir: dir})
	wantError(t, err, `layout "muster store 0"`)
	if d, err := pebbledb.Peek(filepath.Join(dir, "pebble"), vfs.Default); err != nil || d.FormatMajorVersion != older {
		t.Errorf("format %v, %v; want %v as before", d.FormatMajorVersion, err, older)
	}
}

// TestFolderIsPrivate: the rows name accounts and open commitments.
func TestFolderIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := pebble.Create(pebble.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %04o, want 0700", info.Mode().Perm())
	}
}

func emptyDir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// foreign is a Pebble store that Create did not make, or not to the end.
func foreign(t *testing.T, dir, layout string) string {
	t.Helper()
	return foreignOf(t, dir, layout, pebbledb.FormatNewest)
}

// foreignOf is one of an engine with this newest format.
func foreignOf(t *testing.T, dir, layout string, format pebbledb.FormatMajorVersion) string {
	t.Helper()
	db, err := pebbledb.Open(filepath.Join(dir, "pebble"), &pebbledb.Options{FormatMajorVersion: format, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	if layout != "" {
		if err := db.Set([]byte("v"), []byte(layout), pebbledb.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(f string, a ...any) {
	panic(f)
}

const openerDir = "MUSTER_TEST_OPENER_DIR"

// TestSecondProcess is also the second process: it exits 0 if it could open
// the store.
func TestSecondProcess(t *testing.T) {
	if dir := os.Getenv(openerDir); dir != "" {
		if _, err := pebble.Open(pebble.Config{Dir: dir}); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(3)
		}
		os.Exit(0)
	}
	dir := filepath.Join(t.TempDir(), "store")
	s, err := pebble.Create(pebble.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	second := func() error {
		c := exec.Command(os.Args[0], "-test.run=^TestSecondProcess$")
		c.Env = append(os.Environ(), openerDir+"="+dir)
		if out, err := c.CombinedOutput(); err != nil {
			return errors.New(string(out))
		}
		return nil
	}
	const refusal = "open in another process"
	wantError(t, second(), refusal)

	// As a backup or a walk through the folder does. It takes Pebble's own lock
	// away; ours must stand.
	for _, file := range []string{"LOCK", "pebble/LOCK"} {
		if _, err := os.ReadFile(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, second(), refusal)
	_, err = pebble.Open(pebble.Config{Dir: dir})
	wantError(t, err, refusal) // in one process too

	if err := s.Commit(storetest.NewModel(1).Next(3)); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second(); err != nil {
		t.Errorf("after Close: %v, want the second process to open the store", err)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}
