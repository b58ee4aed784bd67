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

// goBenchmark runs one benchmark of a package some times at the stage's size,
// which it finds in MUSTER_BENCH_EVENTS, and gives its figures by unit.
func (b *bench) goBenchmark(folder, pattern string, times int, units ...string) (samples, error) {
	c := exec.CommandContext(b.ctx, "go", "test", "-vet=off", "-run", "^$", "-bench", pattern, "-benchtime", "1x", "-count", strconv.Itoa(times), "-timeout", "1h", "./"+folder)
	c.Env = append(os.Environ(), "MUSTER_BENCH_EVENTS="+strconv.Itoa(b.stage))
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, out)
	}
	s := samples{}
	for line := range bytes.Lines(out) {
		words := strings.Fields(string(line))
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(words); i += 2 {
			value, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %q: %w", pattern, line, err)
			}
			s[words[i+1]] = append(s[words[i+1]], value)
		}
	}
	for _, unit := range units {
		if len(s[unit]) != times {
			return nil, fmt.Errorf("%s in %s: %d figures in %s, want %d:\n%s", pattern, folder, len(s[unit]), unit, times, out)
		}
	}
	return s, nil
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
	times := 3
	if b.stage > 1_000_000 {
		times = 1 // for its memory
	}
	s, err := b.goBenchmark("witness/auditor", fmt.Sprintf("^BenchmarkAudit$/^epoch=%d$", log.MaxEpochEvents), times, "events/CPU-s", "B/event", "live-heap-MB")
	if err != nil {
		return err
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
