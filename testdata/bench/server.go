package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/verifier"
)

// server is the real `muster serve` on the log's folder: what it starts in,
// what its API costs, and what it takes in memory and on the disk.
func (b *bench) server() (err error) {
	if err := b.ready(0); err != nil { // for the VRF key
		return err
	}
	vrfKey, policy := b.cfg.VRF, b.cfg.Policy
	if err := b.close(); err != nil {
		return err
	}
	var p *process
	defer func() { stopAll(p) }()

	clean, killed := samples{}, samples{}
	if p, err = b.restarted(clean, warm); err != nil {
		return err
	}
	n := b.perRound()
	if err := b.throughAPI(p, vrfKey, n); err != nil {
		return err
	}
	if err := b.importCommand(p, vrfKey); err != nil {
		return err
	}
	if err := b.servedLookups(p, policy.Log.String()); err != nil {
		return err
	}
	now, most, err := resident(p.Process.Pid)
	if err != nil {
		return err
	}
	b.figure("memory", float64(most)/(1<<30), samples{"resident_bytes": {float64(now)}, "most_resident_bytes": {float64(most)}})

	for _, files := range []string{warm, cold} {
		batches, done, err := b.town.deviceAdds(n) // so that there is something to replay
		if err != nil {
			return err
		}
		if err := errors.Join(send(b.ctx, p.url, batches), done(), p.kill()); err != nil {
			return err
		}
		if p, err = b.restarted(killed, files); err != nil {
			return err
		}
	}
	b.figure("restart-killed", killed[cold][0], killed)

	running, err := onDisk(b.logDir())
	if err != nil {
		return err
	}
	if err := p.stop(); err != nil {
		return err
	}
	stopped, err := onDisk(b.logDir())
	if err != nil {
		return err
	}
	b.figure("disk", float64(stopped)/float64(b.town.Events), samples{"stopped_bytes": {float64(stopped)}, "running_bytes": {float64(running)}})
	if p, err = b.restarted(clean, cold); err != nil {
		return err
	}
	b.figure("restart-clean", clean[cold][0], clean)
	return p.stop()
}

// mostWarming bounds the rounds before a server counts as warm.
const mostWarming = 8

// throughAPI is device-adds of accounts all over the log over one stream, for a
// server that is warm: it was just started, so its caches are empty, and it gets
// the same load until two rounds in a row bring no more. What those rounds cost
// is kept beside the others.
func (b *bench) throughAPI(p *process, key *vrf.PrivateKey, n int) error {
	s := samples{}
	round := func() (spent, base float64, err error) {
		batches, done, err := b.town.deviceAdds(n)
		if err != nil {
			return 0, 0, err
		}
		c, err := p.spends(n, func() error { return send(b.ctx, p.url, batches) })
		if err != nil {
			return 0, 0, err
		}
		f, err := floor(key, batches)
		return c.cpuMicros(), f.cpuMicros(), errors.Join(err, done())
	}
	for best, since := 0.0, 0; since < 2 && len(s["warming_ratio"]) < mostWarming; {
		spent, base, err := round()
		if err != nil {
			return err
		}
		s["warming_ratio"] = append(s["warming_ratio"], base/spent)
		if since++; base/spent > 1.03*best {
			best, since = base/spent, 0
		}
	}
	for range rounds {
		spent, base, err := round()
		if err != nil {
			return err
		}
		s["server_cpu_us"], s["floor_cpu_us"] = append(s["server_cpu_us"], spent), append(s["floor_cpu_us"], base)
	}
	b.figure("api", median(s["floor_cpu_us"])/median(s["server_cpu_us"]), s)
	return nil
}

// importCommand is the next accounts' histories, by the built `muster import`.
func (b *bench) importCommand(p *process, key *vrf.PrivateKey) error {
	batches, hours, n := b.town.backfill(min(chunkEvents, b.stage/10))
	var file []byte
	for _, batch := range batches {
		for _, body := range batch {
			file = append(binary.BigEndian.AppendUint16(file, uint16(len(body))), body...)
		}
	}
	path := filepath.Join(b.dir, "import")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return err
	}
	spent, err := p.spends(n, func() error {
		c := exec.CommandContext(b.ctx, b.binary(), "import", path, "--cursor", path+".cursor", "--log", p.url)
		out, err := c.CombinedOutput()
		if err != nil {
			return fmt.Errorf("muster import: %w: %s", err, out)
		}
		return nil
	})
	if err := errors.Join(err, os.Remove(path), os.Remove(path+".cursor")); err != nil {
		return err
	}
	base, err := floor(key, sampled(batches))
	if err := errors.Join(err, b.town.grown(hours, n)); err != nil {
		return err
	}
	b.figure("import-command", base.cpuMicros()/spent.cpuMicros(), samples{
		"server_cpu_us": {spent.cpuMicros()}, "floor_cpu_us": {base.cpuMicros()}, "wall_us": {spent.wallMicros()},
	})
	return nil
}

// Where a server that starts finds the log's files: in the kernel's cache, as one
// does that follows another, or on the disk alone, as after a power cut.
const (
	warm = "files_cached_s"
	cold = "files_not_cached_s"
)

// restarted starts the server, and keeps how long it took until it answered.
func (b *bench) restarted(s samples, files string) (*process, error) {
	if files == cold {
		if err := forget(b.logDir()); err != nil {
			return nil, err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	// Its checkpoints were cosigned in this process, by nobody who could be asked.
	p, took, err := b.serveAt(address, b.logDir(), "--unconfirmed")
	s[files] = append(s[files], took.Seconds())
	return p, err
}

// spends is what do costs a process, with what it leaves to the background.
func (p *process) spends(events int, do func() error) (cost, error) {
	rest := func() (at time.Duration, err error) {
		for range 200 {
			before := at
			if at, err = processCPU(p.Process.Pid); err != nil || at == before {
				return at, err
			}
			time.Sleep(150 * time.Millisecond)
		}
		return at, nil
	}
	before, err := rest()
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return cost{}, err
	}
	wall := time.Since(began)
	after, err := rest()
	return cost{events, after - before, wall}, err
}

// servedLookups is first lookups over the API: what they cost the server.
func (b *bench) servedLookups(p *process, logKey string) error {
	over, err := client.New(client.Config{URL: p.url})
	if err != nil {
		return err
	}
	policy, err := trusting(logKey)
	if err != nil {
		return err
	}
	c := &lookups{&verifier.Verifier{Policy: policy}, over}
	questions := b.town.ending(1, mostLookups/4)
	known, err := c.state(b.ctx, questions[:1])
	if err != nil {
		return err
	}
	if _, _, err := c.ask(b.ctx, known, questions, lookupBatch); err != nil {
		return err
	}
	var spent []float64
	for range rounds {
		s, err := p.spends(len(questions), func() error { _, _, err := c.ask(b.ctx, known, questions, 1); return err })
		if err != nil {
			return err
		}
		spent = append(spent, s.cpuMicros())
	}
	b.figure("lookup-api", 1e6/median(spent), samples{"server_cpu_us": spent})
	return nil
}
