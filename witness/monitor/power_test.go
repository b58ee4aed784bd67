package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/verifier/statefile"
)

// powered is a monitor on a disk that may lose its power.
type powered struct {
	*rig
	events  int             // of the log
	printed bytes.Buffer    // by this monitor; those that are left print for themselves
	settled map[string]bool // alerts that were told, and were so when a pass ended
	posted  map[string]bool
	away    bool // the webhook is
}

type webhook struct {
	away   *bool
	posted map[string]bool
}

func (h webhook) Post(_ context.Context, id string, _ []byte) error {
	if *h.away {
		return errors.New("nobody listens")
	}
	h.posted[id] = true
	return nil
}

// start opens a monitor on a disk, with this state of the client.
func (p *powered) start(d durabletest.Disk, state string, out *bytes.Buffer, hook Hook) (*Monitor, error) {
	states, err := statefile.Open(state)
	if err != nil {
		return nil, err
	}
	cfg := p.config()
	cfg.Dir, cfg.Disk, cfg.Store, cfg.Out, cfg.Hook = "/m", d.Files, states, out, hook
	return New(cfg)
}

// run has the monitor tell of events, while its webhook is away and while it
// listens, and start anew.
func (p *powered) run(d durabletest.Disk) {
	for step, events := range []func() [][]byte{
		func() [][]byte { return [][]byte{p.phone.Register(), p.phone.Add()} },
		func() [][]byte { return nil },
		func() [][]byte { return [][]byte{p.phone.Remove(1)} },
		func() [][]byte { return [][]byte{p.phone.Reregister(false), p.phone.Add(), p.phone.Confirm()} },
	} {
		p.away = step%2 == 0
		m, err := p.start(d, p.state, &p.printed, webhook{&p.away, p.posted})
		if err != nil {
			p.t.Fatal(err)
		}
		bodies := events()
		p.logs(bodies...)
		p.events += len(bodies)
		for range 2 {
			if _, err := m.Pass(context.Background()); err != nil {
				p.t.Fatal(err)
			}
			for _, a := range parse(p.t, p.printed.Bytes()) {
				p.settled[a.ID] = true
			}
			p.late += maxBackoff // the webhook is tried again
		}
		if err := m.Close(); err != nil {
			p.t.Fatal(err)
		}
	}
	if len(p.settled) != p.events || len(p.posted) != p.events {
		p.t.Errorf("of %d events %d were told, and %d posted", p.events, len(p.settled), len(p.posted))
	}
}

// left has a monitor pass once over what a power cut left. Between it and the one
// before every event is told and posted; what was told when a pass ended is not told
// again.
func (p *powered) left(d durabletest.Disk) error {
	state := filepath.Join(p.t.TempDir(), "state")
	if err := copyState(p.state, state); err != nil {
		return err
	}
	var out bytes.Buffer
	listens, posted := false, maps.Clone(p.posted)
	m, err := p.start(d, state, &out, webhook{&listens, posted})
	if err != nil {
		return err
	}
	defer m.Close()
	if _, err := m.Pass(context.Background()); err != nil {
		return err
	}
	told := map[string]bool{}
	seqs := map[uint32]bool{}
	for _, a := range parse(p.t, out.Bytes()) {
		if p.settled[a.ID] {
			return fmt.Errorf("event %d is told again, after the pass that told it had ended", *a.Seq)
		}
		told[a.ID], seqs[*a.Seq] = true, true
	}
	for _, a := range parse(p.t, p.printed.Bytes()) {
		told[a.ID], seqs[*a.Seq] = true, true
	}
	if len(seqs) != p.events {
		return fmt.Errorf("of %d events only %v were told", p.events, slices.Sorted(maps.Keys(seqs)))
	}
	for id := range told {
		if !posted[id] {
			return fmt.Errorf("alert %s is never posted", id)
		}
	}
	return nil
}

// copyState is the client's state as it is on its own disk, where each file is
// the old one or the new one.
func copyState(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(from, "*.state"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(file)), data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return err
}

// TestPowerCut: whatever a power cut leaves of a monitor's folder, no event is
// forgotten, neither to be told nor that it was told.
func TestPowerCut(t *testing.T) {
	durabletest.PowerCuts(t, func(t *testing.T, seed uint64) (run func(durabletest.Disk), left func(durabletest.Disk) error) {
		p := &powered{rig: newRig(t), settled: map[string]bool{}, posted: map[string]bool{}}
		for range seed % 4 { // a log with more below the account
			p.log.Seal()
		}
		return p.run, p.left
	})
}
