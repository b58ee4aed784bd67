package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/verifier"
)

// The guards compare CPU times of one process with each other, never with a
// clock. A healthy log is far within these bounds: what breaks them has changed
// the order of a cost, not its last tenth. A machine that is busy with other
// things may still disturb one attempt, not all.
const (
	attempts = 4

	// mostOverFloor: an event costs 1.1 to 1.3 times its cryptography in a log
	// of this size. At twice, everything else has become as dear as that.
	mostOverFloor = 2

	// mostGrowth: a lookup reads some rows more in a log ten times as large, and
	// its paths are a fifth longer. A cost that grows with the log gives ten.
	mostGrowth = 2
)

func guarded(t *testing.T) *bench {
	dir := t.TempDir()
	b := &bench{ctx: context.Background(), dir: dir, report: &report{path: filepath.Join(dir, "report")}}
	if err := createLog(b.logDir()); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.town, err = openTown(filepath.Join(dir, "town.json")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	if err := b.ready(log.MaxEpochEvents); err != nil {
		t.Fatal(err)
	}
	return b
}

// within tries a ratio until it is at most so much.
func within(t *testing.T, most float64, ratio func() (float64, error)) {
	for i := range attempts {
		r, err := ratio()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("attempt %d: %.2f, at most %.0f", i+1, r, most)
		if r <= most {
			return
		}
	}
	t.Errorf("more than %.0f in all attempts: profile it with `go run ./testdata/bench -events 100000`", most)
}

func (b *bench) backfilled(t *testing.T, events int) {
	batches, accounts, n := b.town.backfill(events)
	if err := b.open.submit(b.ctx, batches); err != nil {
		t.Fatal(err)
	}
	if err := b.town.grown(accounts, n); err != nil {
		t.Fatal(err)
	}
}

func TestIngestIsNearItsFloor(t *testing.T) {
	b := guarded(t)
	b.backfilled(t, 5000)
	within(t, mostOverFloor, func() (float64, error) {
		whole, base, err := b.ingestRound(700)
		return whole.cpuMicros() / base.cpuMicros(), err
	})
}

func TestLookupsDoNotGrowWithTheLog(t *testing.T) {
	b := guarded(t)
	c := &lookups{&verifier.Verifier{Policy: b.cfg.Policy}, b.open.log}
	b.backfilled(t, 1000)
	small, err := c.cost(b, 20)
	if err != nil {
		t.Fatal(err)
	}
	b.backfilled(t, 9000)
	within(t, mostGrowth, func() (float64, error) {
		large, err := c.cost(b, 20)
		return large / small, err
	})
}

// cost is the CPU of a first lookup of one of n accounts whose proofs are
// stored, in microseconds.
func (c *lookups) cost(b *bench, n int) (float64, error) {
	questions := b.town.ending(1, n)
	known, err := c.state(b.ctx, questions[:1])
	if err != nil {
		return 0, err
	}
	if _, _, err := c.ask(b.ctx, known, questions, 1); err != nil {
		return 0, err
	}
	for range 5 { // 640 lookups: a fifth of a second
		questions = append(questions, questions...)
	}
	_, spent, err := c.ask(b.ctx, known, questions, 1)
	return spent.cpuMicros(), err
}

// The server's rows start the built command on the folder that this process made.
func TestServerIsMeasured(t *testing.T) {
	b := guarded(t)
	t.Chdir("../..")
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	b.stage = 5000
	b.backfilled(t, b.stage)
	if err := b.server(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{"restart-clean", "api", "import-command", "memory", "restart-killed", "disk"} {
		if _, ok := b.at(row, b.stage); !ok {
			t.Errorf("no figure of %s", row)
		}
	}
}
