package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/musterlog/muster/log"
)

// goBenchmark runs one benchmark of a package at the stage's size, which it
// finds in MUSTER_BENCH_EVENTS, and gives its figures by unit.
func (b *bench) goBenchmark(folder, pattern string, events int) (map[string]float64, error) {
	c := exec.CommandContext(b.ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", "1x", "-timeout", "1h", "./"+folder)
	c.Env = append(os.Environ(), "MUSTER_BENCH_EVENTS="+strconv.Itoa(events))
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, out)
	}
	for line := range bytes.Lines(out) {
		words := strings.Fields(string(line))
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		figures := make(map[string]float64)
		for i := 2; i+1 < len(words); i += 2 {
			if figures[words[i+1]], err = strconv.ParseFloat(words[i], 64); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", pattern, line, err)
			}
		}
		return figures, nil
	}
	return nil, fmt.Errorf("%s: no such benchmark in %s:\n%s", pattern, folder, out)
}

// audit is a replay of a log of the stage's size from its genesis, with its
// files in memory: what the auditor alone costs.
func (b *bench) audit() error {
	if b.stage > mostAudited {
		return nil
	}
	if err := b.close(); err != nil {
		return err
	}
	s := samples{}
	for range 3 {
		f, err := b.goBenchmark("witness/auditor", fmt.Sprintf("^BenchmarkAudit$/^epoch=%d$", log.MaxEpochEvents), b.stage)
		if err != nil {
			return err
		}
		for _, unit := range []string{"events/CPU-s", "B/event", "live-heap-MB"} {
			if f[unit] == 0 {
				return fmt.Errorf("BenchmarkAudit has no figure in %s: %v", unit, f)
			}
			s[unit] = append(s[unit], f[unit])
		}
	}
	b.figure("audit", median(s["events/CPU-s"]), s)
	b.figure("audit-fetched", median(s["B/event"]), nil)
	live := median(s["live-heap-MB"]) * 1e6
	b.figure("audit-live", live, nil)
	if million, ok := b.at("audit-live", 1_000_000); ok && b.stage > 1_000_000 {
		b.figure("audit-memory", (live-million)/float64(b.stage-1_000_000), nil)
	}
	return nil
}

// mostAudited is the largest log that is audited: it lies in memory.
const mostAudited = 3_000_000
