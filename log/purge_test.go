package log_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/liar"
)

// purges hears of purges that had something to do.
type purges chan int

func (purges) Sealed(int, time.Duration)           {}
func (purges) Failed(int)                          {}
func (purges) Published(uint64, uint64, time.Time) {}
func (purges) Cosigned(string, error)              {}

func (p purges) Purged(erasures int, err error) {
	if erasures > 0 || err != nil {
		p <- erasures
	}
}

// TestEraseLeavesTheFiles: what an ERASE deletes is in the store's tables and
// its write-ahead log, and then in no file, while the log runs, and after one
// that was stopped before it came to it has started again.
func TestEraseLeavesTheFiles(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Chdir(t.TempDir())
		r := makeRigOn(t, vfs.Default)
		purged := make(purges, 10)
		r.cfg.Metrics = purged
		r.open()
		alice, bob, carol := r.phone("alice"), r.phone("bob"), r.phone("carol")
		secrets := r.registered(alice)
		r.stop()
		if !restart {
			r.cfg.PurgeInterval = time.Millisecond
		}
		r.open() // which brings them from the write-ahead log into a table
		secrets = append(secrets, r.registered(bob)...)
		kept := r.registered(carol)
		if found := holders(t, secrets); found[".sst"] == 0 || found[".log"] == 0 {
			t.Fatalf("restart %v: before the ERASE they are in %v", restart, found)
		}
		r.accepted(alice.Erase(), bob.Erase())
		r.accepted(carol.Add())
		if restart {
			if found := holders(t, secrets); found[".sst"] == 0 || found[".log"] == 0 {
				t.Errorf("before the purge they are in %v", found)
			}
			r.stop()
			r.open()
		}
		if n := <-purged; n != 2 {
			t.Errorf("restart %v: purged %d erasures, want 2", restart, n)
		}
		if found := holders(t, secrets); len(found) > 0 {
			t.Errorf("restart %v: after the purge they are in %v", restart, found)
		}
		if found := holders(t, kept); len(found) == 0 {
			t.Errorf("restart %v: what was not erased is nowhere", restart)
		}
		result, _ := r.look(nil, history(carol))
		r.sees(carol, result.Accounts[0])
		r.stop()
	}
}

// registered registers a phone with a device, and gives what the log keeps of it.
func (r *rig) registered(p *liar.Phone) (secrets [][]byte) {
	r.t.Helper()
	secrets = [][]byte{p.Register(), p.Add()}
	r.accepted(secrets...)
	for seq := range uint32(2) {
		e, err := r.event(p.Account(), seq)
		if err != nil {
			r.t.Fatal(err)
		}
		secrets = append(secrets, e.Opening[:])
	}
	return secrets
}

// holders says how often 16 bytes of a secret, from anywhere in its random part,
// are in files, by the ends of their names.
func holders(t *testing.T, secrets [][]byte) map[string]int {
	t.Helper()
	parts := make(map[[16]byte]bool)
	for _, secret := range secrets {
		from := 0
		if len(secret) > 16 {
			from = 121 // in the primary key: what is before it stays, or is the same for all
		}
		for ; from+16 <= len(secret); from++ {
			parts[[16]byte(secret[from:])] = true
		}
	}
	found := make(map[string]int)
	err := filepath.WalkDir("store", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compacted meanwhile
		}
		for at := 0; at+16 <= len(data); at++ {
			if parts[[16]byte(data[at:])] {
				found[filepath.Ext(path)]++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
