package witness_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/witness"
)

// powered is a witness on a disk that may lose its power, of a log with two
// histories that part after one leaf.
type powered struct {
	main, fork *testLog
	cfg        witness.Config
	opened     bool  // Open returned once
	cosigned   int64 // size of the newest that was cosigned
	asked      int64 // size of the one that is asked for now
}

func newPowered(seed uint64) *powered {
	base := newLog(fmt.Sprint("example.org/power", seed)).grow(1, "main")
	p := &powered{main: base.fork().grow(40, "main"), fork: base.fork().grow(40, "fork")}
	p.cfg = config("/w", p.main)
	p.cfg.Logger = slog.New(slog.DiscardHandler)
	p.cfg.Now = func() time.Time { return start }
	return p
}

func (p *powered) open(d durabletest.Disk, init bool) (*witness.Witness, error) {
	cfg := p.cfg
	cfg.Disk, cfg.Init = d.Files, init
	return witness.Open(cfg)
}

// run has the witness cosign one history, be shown the other, and start anew.
func (p *powered) run(t *testing.T, d durabletest.Disk, sizes []int64) {
	w, err := p.open(d, true)
	if err != nil {
		t.Fatal(err)
	}
	p.opened = true
	for i, size := range sizes {
		p.asked = size
		if a := w.AddCheckpoint(t.Context(), []byte(p.main.body(p.cosigned, size))); a.Status != http.StatusOK {
			t.Fatalf("size %d: %d %s", size, a.Status, a.Body)
		}
		p.cosigned = size
		if i%2 == 0 {
			continue
		}
		if a := w.AddCheckpoint(t.Context(), []byte(p.fork.body(size, size))); a.Status != http.StatusUnprocessableEntity {
			t.Fatalf("a fork of size %d: %d %s", size, a.Status, a.Body)
		}
		if err := w.Close(); err != nil { // waits for the evidence
			t.Fatal(err)
		}
		if w, err = p.open(d, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// left starts the witness on what a power cut left. It knows what it cosigned or was
// about to, refuses the other history, and cosigns on; what it kept as evidence
// is whole.
func (p *powered) left(d durabletest.Disk) error {
	if err := p.evidence(d); err != nil {
		return err
	}
	w, err := p.open(d, !p.opened)
	if err != nil {
		return err
	}
	defer w.Close()
	var size int64
	if note := w.Newest(p.main.origin); note != nil {
		n, err := checkpoint.Parse(note)
		if err != nil {
			return err
		}
		size = int64(n.Size)
		if n.Text != p.main.text(size) {
			return fmt.Errorf("it shows %q", n.Text)
		}
	}
	if size != p.cosigned && size != p.asked {
		return fmt.Errorf("it knows size %d after it cosigned %d, and was asked for %d", size, p.cosigned, p.asked)
	}
	ask := func(l *testLog, old, size int64) int {
		return w.AddCheckpoint(context.Background(), []byte(l.body(old, size))).Status
	}
	if size > 1 {
		for _, forked := range [][2]int64{{0, size}, {1, size}, {size, size}, {size, size + 1}, {0, size + 1}, {p.cosigned, size + 1}} {
			if got := ask(p.fork, forked[0], forked[1]); got != http.StatusConflict && got != http.StatusUnprocessableEntity {
				return fmt.Errorf("it answers the other history from %d to %d with %d", forked[0], forked[1], got)
			}
		}
	}
	if got := ask(p.main, size, size+1); got != http.StatusOK {
		return fmt.Errorf("it does not go on from %d: %d", size, got)
	}
	return nil
}

func (p *powered) evidence(d durabletest.Disk) error {
	names, err := d.FS.List("/w/evidence")
	if err != nil {
		return nil // it has no folder yet: Open makes it
	}
	for _, name := range names {
		data, err := d.Files.ReadFile(path.Join("/w/evidence", name))
		if err != nil || path.Ext(name) != ".evidence" {
			return err // a temporary file
		}
		f, err := evidence.Parse(data)
		if err == nil {
			_, err = f.Verify(p.main.key())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// TestPowerCut: whatever a power cut leaves of a witness's folder, it cosigns no
// second history.
func TestPowerCut(t *testing.T) {
	durabletest.PowerCuts(t, func(t *testing.T, seed uint64) (run func(durabletest.Disk), left func(durabletest.Disk) error) {
		p := newPowered(seed)
		return func(d durabletest.Disk) { p.run(t, d, []int64{1, 2, 3, 7, 8, 20}) }, p.left
	})
}
