package auditor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/follow/followtest"
)

// lyingEpoch is the number of EPOCHs with the first that breaks a rule.
const lyingEpoch = 6

// powered is an auditor on a disk that may lose its power.
type powered struct {
	*liarLog
	shown   atomic.Pointer[followtest.Files]
	opened  atomic.Bool
	audited atomic.Uint64 // events that were said to be in order
	broken  atomic.Pointer[auditor.Broken]
}

func (p *powered) open(d durabletest.Disk, files *followtest.Files) (*auditor.Auditor, error) {
	return auditor.OpenOn(auditor.Config{
		Dir: "/a", Log: p.Signer.Key(), Source: files, Logger: slog.New(slog.DiscardHandler), CacheBytes: 1 << 20, Batch: 4,
	}, d)
}

// run has the auditor follow an honest log, start anew, and find it lying.
func (p *powered) run(t *testing.T, d durabletest.Disk) {
	a, err := p.open(d, p.shown.Load())
	if err != nil {
		t.Fatal(err)
	}
	p.opened.Store(true)
	const last = lyingEpoch - 3 // after two that were there
	for i := range last + 1 {
		for range 2 * i {
			p.event()
		}
		if i == last {
			delete(p.Map, indexOf(uint64(len(p.Leaves)-1)))
		}
		p.Seal()
		p.shown.Store(p.files())
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if a, err = p.open(d, p.shown.Load()); err != nil {
			t.Fatal(err)
		}
		r, err := a.Catch(t.Context())
		var b *auditor.Broken
		switch {
		case i == last && errors.As(err, &b) && b.Evidence != "":
			p.broken.Store(b)
		case i == last || err != nil:
			t.Fatalf("epoch %d: %v", i, err)
		default:
			p.audited.Store(r.Events)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.open(d, p.shown.Load()); !errors.As(err, new(*auditor.Broken)) {
		t.Fatalf("an auditor that stopped opens again: %v", err)
	}
}

// left starts the auditor on what a power cut left. It has replayed what it said was
// in order, and goes on to the same end; once it has said that the log broke a
// rule it never starts again, and has its evidence.
func (p *powered) left(d durabletest.Disk) error {
	opened, stopped, audited, files := p.opened.Load(), p.broken.Load(), p.audited.Load(), p.shown.Load()
	events, lies := eventsOf(files)
	a, err := p.open(d, files)
	switch {
	case err != nil && !opened:
		return nil // it never ran; the error says to begin again
	case err == nil && stopped != nil:
		return errors.Join(errors.New("it starts again after it stopped"), a.Close())
	case err == nil:
		if had := a.Events(); had < audited {
			err = fmt.Errorf("it has replayed %d events after it said that %d are in order", had, audited)
		} else if _, err = a.Catch(context.Background()); err == nil && (lies || a.Events() != events) {
			err = fmt.Errorf("it has replayed %d of %d events, and finds them in order; the log lies: %v", a.Events(), events, lies)
		}
		err = errors.Join(err, a.Close())
	}
	var b *auditor.Broken
	if !errors.As(err, &b) || !lies {
		return err
	}
	if stopped != nil && *b != *stopped {
		return fmt.Errorf("it stopped because of %v, and now it says %v", stopped, b)
	}
	data, err := d.Files.ReadFile(b.Evidence)
	if err != nil {
		return err
	}
	f, err := evidence.Parse(data)
	if err == nil {
		_, err = f.Verify(p.Signer.Key())
	}
	return err
}

// eventsOf counts the events that are shown: the newest epoch may lie.
func eventsOf(files *followtest.Files) (events uint64, lies bool) {
	epochs := 0
	for i := range files.Size() {
		switch files.Leaf(i)[0] {
		case 1:
			events++
		case 2:
			epochs++
		}
	}
	return events, epochs == lyingEpoch
}

// TestPowerCut: whatever a power cut leaves of an auditor's folder, it has
// forgotten nothing that it said.
func TestPowerCut(t *testing.T) {
	durabletest.PowerCuts(t, func(t *testing.T, seed uint64) (run func(durabletest.Disk), left func(durabletest.Disk) error) {
		p := &powered{liarLog: newLiar(1, int(seed%5))}
		p.shown.Store(p.files())
		return func(d durabletest.Disk) { p.run(t, d) }, p.left
	})
}
