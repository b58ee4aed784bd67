package durable_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/durable/durabletest"
)

// TestPowerCut: a file that was replaced has its newest acknowledged content or the
// one that is under way; one that was created or kept is there, one that was removed
// is gone; folders stay. So it is with a signed head, a witness's record, a
// monitor's journal.
func TestPowerCut(t *testing.T) {
	durabletest.PowerCuts(t, func(t *testing.T, seed uint64) (run func(durabletest.Disk), left func(durabletest.Disk) error) {
		const dir = "/a/b"
		path := func(name string) string { return filepath.Join(dir, name) }
		version := func(n int) string { return strings.Repeat(fmt.Sprintf("%d of %d ", n, seed), 1+n*300) }
		var head, kept int // as far as they were acknowledged
		var created, removed bool
		run = func(d durabletest.Disk) {
			do := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			do(d.Files.MakeFolder(dir))
			do(d.Files.Create(path("key"), []byte("key"), 0o600))
			created = true
			for head < 6 {
				do(d.Files.Replace(path("head"), []byte(version(head+1))))
				head++
				do(d.Files.Keep(path(fmt.Sprint("evidence ", kept+1)), []byte(version(kept+1))))
				kept++
			}
			do(d.Files.Remove(path("key")))
			removed = true
			do(d.Files.Replace(path("head"), []byte(version(head+1))))
			head++
		}
		left = func(d durabletest.Disk) error {
			data, err := d.Files.ReadFile(path("key"))
			switch {
			case created && !removed && head < 6 && (err != nil || string(data) != "key"):
				return fmt.Errorf("the created file has %q, %v", data, err)
			case removed && !errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("the removed file is there: %v", err)
			}
			data, err = d.Files.ReadFile(path("head"))
			if head == 0 && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || string(data) != version(head) && string(data) != version(head+1) {
				return fmt.Errorf("after %d heads it has %.20q, %v", head, data, err)
			}
			for n := 1; n <= kept; n++ {
				if data, err := d.Files.ReadFile(path(fmt.Sprint("evidence ", n))); err != nil || string(data) != version(n) {
					return fmt.Errorf("evidence %d of %d has %.20q, %v", n, kept, data, err)
				}
			}
			// Whoever comes next goes on, whatever lies about.
			return d.Files.Replace(path("head"), []byte("next"))
		}
		return run, left
	})
}
