package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/musterlog/muster/log/durable"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCreateOverwritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := durable.Create(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.Create(path, []byte("two"), 0o600); err == nil {
		t.Error("a file was written over")
	}
	if got := content(t, path); got != "one" {
		t.Errorf("content %q, want one", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestReplaceAndRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "head")
	for _, want := range []string{"one", "a longer two", "3"} {
		if err := durable.Replace(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != want {
			t.Errorf("content %q, want %q", got, want)
		}
	}
	for range 2 {
		if err := durable.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if rest, _ := os.ReadDir(dir); len(rest) != 0 {
		t.Errorf("left behind: %v", rest)
	}
}

// What a crash left under the temporary name, or somebody put there, is
// removed and never written into.
func TestReplaceRemovesWhatIsInTheWay(t *testing.T) {
	for name, put := range map[string]func(temp, other string) error{
		"half a file": func(temp, _ string) error { return os.WriteFile(temp, []byte("ha"), 0o600) },
		"a link":      func(temp, other string) error { return os.Symlink(other, temp) },
	} {
		dir := t.TempDir()
		path, other := filepath.Join(dir, "head"), filepath.Join(dir, "other")
		if err := os.WriteFile(other, []byte("untouched"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := put(path+".new", other); err != nil {
			t.Fatal(err)
		}
		if err := durable.Replace(path, []byte("new")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := content(t, path) + ", " + content(t, other); got != "new, untouched" {
			t.Errorf("%s: %s", name, got)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode()&fs.ModeSymlink != 0 {
			t.Errorf("%s: the file is a link, %v", name, err)
		}
	}
}

// Where a path leads: to itself, or behind links, whether a file is there or not.
func TestBehind(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	here, disk := filepath.Join(dir, "here"), filepath.Join(dir, "mnt", "disk")
	err = errors.Join(os.Mkdir(here, 0o700), os.MkdirAll(disk, 0o700), os.WriteFile(filepath.Join(disk, "there"), nil, 0o600), os.Symlink(disk, filepath.Join(here, "folder")))
	for link, to := range map[string]string{
		"plain": disk + "/there", "dangling": disk + "/none", "relative": "../mnt/disk/there", "twice": "relative",
		"up": "folder/../none", "circle": "circle", "lost": dir + "/no such folder/file",
	} {
		err = errors.Join(err, os.Symlink(to, filepath.Join(here, link)))
	}
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		disk + "/there": disk + "/there", disk + "/none": disk + "/none", here + "/plain": disk + "/there", here + "/dangling": disk + "/none",
		here + "/relative": disk + "/there", here + "/twice": disk + "/there", here + "/up": dir + "/mnt/none",
	} {
		if got, err := (durable.Disk{}).Behind(path); err != nil || got != want {
			t.Errorf("behind %s is %s, %v; want %s", path, got, err, want)
		}
	}
	for _, path := range []string{here + "/circle", here + "/lost", disk + "/there/below"} {
		if got, err := (durable.Disk{}).Behind(path); err == nil {
			t.Errorf("behind %s is %s", path, got)
		}
	}
}

// A link in the file's place goes, and what it names stays as it is.
func TestReplaceWritesThroughNoLink(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "link"), filepath.Join(dir, "other")
	if err := errors.Join(os.WriteFile(other, []byte("untouched"), 0o600), os.Symlink(other, path)); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path) + ", " + content(t, other); got != "new, untouched" {
		t.Error(got)
	}
}

// A folder that cannot be written leaves the old file in force.
func TestReplaceFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no such folder", "head")
	if err := durable.Replace(path, []byte("x")); err == nil {
		t.Error("wrote into a folder that does not exist")
	}
}

func TestMakeFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := durable.MakeFolder(dir); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v; want a folder of mode 0700", info, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.MakeFolder(filepath.Join(dir, "file", "below")); err == nil {
		t.Error("made a folder below a file")
	}
}

// A folder is taken once, also within one process, and is free again when the
// file is closed.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "LOCK")
	first, err := durable.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Lock(path); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("the second lock: %v, want ErrLocked", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := durable.Lock(path)
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	again.Close()
}

// A secret is a plain file for its owner alone.
func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := durable.Create(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := durable.ReadSecret(path); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for what, at := range map[string]string{"a link": link, "a folder": filepath.Dir(path), "nothing": path + ".none"} {
		if _, err := durable.ReadSecret(at); err == nil {
			t.Errorf("%s was read", what)
		}
	}
	for _, mode := range []fs.FileMode{0o604, 0o640, 0o620, 0o601} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := durable.ReadSecret(path); err == nil {
			t.Errorf("a secret of mode %v was read", mode)
		}
	}
	if os.Geteuid() != 0 {
		return // only root can give a file away
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.Chown(path, 1, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.ReadSecret(path); err == nil {
		t.Error("somebody else's file was read")
	}
}
