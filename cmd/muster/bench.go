package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/name"
)

type benchFlags struct {
	accounts, adds int
	rate, out      string
	duration       time.Duration
	serverPID      int
	testing        bool
}

func benchCommand(g *globals) *cobra.Command {
	f := new(benchFlags)
	c := &cobra.Command{
		Use:   "bench",
		Short: "Load a test log, and time it",
		Long: `REGISTERS THROW-AWAY ACCOUNTS, WHICH A LOG NEVER FORGETS. Never run it against a
log that anybody uses: every event stays for ever, in the log, on its auditors'
disks and in its proofs. It refuses to run without --this-log-is-for-testing.

Signs a registration and --adds device-adds for each of --accounts accounts,
sends the registrations, and then, with the clock running, the device-adds over
one stream. Prints how many a second were published, and how long they took from
sending to the answer that they are published under the log's policy.

With --rate R it sends R events a second, whatever the log does, and times each
from when it was due; --rate max sends what the log takes. --server-pid adds the
server process's own CPU time. --out FILE writes all events as muster import
reads them, and sends nothing.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.bench(cmd.Context(), f)
		},
	}
	c.Flags().IntVar(&f.accounts, "accounts", 2000, "throw-away accounts to register")
	c.Flags().IntVar(&f.adds, "adds", 5, "device-adds for each account, 1 to 16")
	c.Flags().StringVar(&f.rate, "rate", "max", "events a second, or max")
	c.Flags().DurationVar(&f.duration, "duration", 0, "stop sending after this time; 0: when all are sent")
	c.Flags().IntVar(&f.serverPID, "server-pid", 0, "`PID` of the server, if it runs here on Linux: measure its CPU time")
	c.Flags().StringVar(&f.out, "out", "", "write the events to `FILE` and send nothing")
	c.Flags().BoolVar(&f.testing, "this-log-is-for-testing", false, "I know that the log keeps these accounts for ever")
	return c
}

// load checks the flags.
func (f *benchFlags) load() (*benchLoad, error) {
	l := &benchLoad{limit: f.duration}
	if f.rate != "max" {
		var err error
		if l.rate, err = strconv.ParseFloat(f.rate, 64); err != nil || !(l.rate > 0 && l.rate <= 1e7) {
			return nil, usage("--rate %s: want events a second, such as 5000, or max", f.rate)
		}
	}
	switch {
	case f.accounts < 1 || f.adds < 1 || f.adds > 16:
		return nil, usage("want at least one account, and 1 to 16 device-adds for each")
	case f.duration < 0:
		return nil, usage("--duration must not be negative")
	case !f.testing && f.out == "":
		return nil, usage("bench fills a log with throw-away accounts, which it keeps FOR EVER: if that log is for testing only, add --this-log-is-for-testing")
	}
	return l, nil
}

func (g *globals) bench(ctx context.Context, f *benchFlags) error {
	load, err := f.load()
	if err != nil {
		return err
	}
	c, err := g.unverified()
	if err != nil {
		return err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	g.say("signing %d events for log %s", f.accounts*(1+f.adds), info.GetOrigin())
	registers, adds, err := benchEvents(name.Origin(info.GetOrigin()).LogID(), f.accounts, f.adds)
	if err != nil {
		return err
	}
	if f.out != "" {
		return writeEvents(f.out, registers, adds)
	}
	g.say("registering %d accounts", f.accounts)
	if _, err := (&benchLoad{events: registers}).run(ctx, c); err != nil {
		return fmt.Errorf("registering accounts: %w", err)
	}
	load.events = adds
	return g.measure(ctx, c, f, load)
}

// measure runs the load and prints its figures.
func (g *globals) measure(ctx context.Context, c *client.Client, f *benchFlags, load *benchLoad) error {
	before, err := serverCPU(f.serverPID)
	if err != nil {
		return err
	}
	g.say("sending up to %d device-adds", len(load.events))
	figures, failed := load.run(ctx, c)
	if figures == nil {
		return failed
	}
	after, err := serverCPU(f.serverPID)
	if err != nil {
		return err
	}
	report := newBenchReport(f, figures, after-before)
	if g.json {
		err = g.printJSON(report)
	} else {
		g.print("%s", report)
	}
	if failed != nil {
		return failed
	}
	return err
}

// benchReport is the figures as scripts read them.
type benchReport struct {
	Accounts    int                `json:"accounts"`
	Sent        int                `json:"sent"`
	Accepted    int                `json:"accepted"`
	Refused     int                `json:"refused"`
	Unanswered  int                `json:"unanswered"`
	Seconds     float64            `json:"seconds"` // from the first event to the last answer
	Rate        float64            `json:"rate"`    // accepted a second
	LatencyMs   map[string]float64 `json:"latency_ms"`
	ServerCPUUs *float64           `json:"server_cpu_us,omitempty"` // an accepted event
}

func newBenchReport(f *benchFlags, b *benchFigures, cpu time.Duration) *benchReport {
	r := &benchReport{
		Accounts: f.accounts, Sent: b.sent, Accepted: len(b.latencies) - b.refused, Refused: b.refused,
		Unanswered: b.sent - len(b.latencies), Seconds: b.took.Seconds(), LatencyMs: map[string]float64{},
	}
	r.Rate = float64(r.Accepted) / r.Seconds
	for _, q := range []float64{0.5, 0.99, 1} {
		r.LatencyMs[fmt.Sprintf("p%g", 100*q)] = float64(b.quantile(q).Microseconds()) / 1000
	}
	if f.serverPID != 0 && r.Accepted > 0 {
		us := float64(cpu.Microseconds()) / float64(r.Accepted)
		r.ServerCPUUs = &us
	}
	return r
}

func (r *benchReport) String() string {
	var b strings.Builder
	row := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-22s "+format+"\n", append([]any{what}, args...)...)
	}
	row("device-adds accepted", "%d of %d sent, in %.2f s", r.Accepted, r.Sent, r.Seconds)
	row("rate", "%.0f events/s", r.Rate)
	row("sent to published", "p50 %.1f ms, p99 %.1f ms, most %.1f ms", r.LatencyMs["p50"], r.LatencyMs["p99"], r.LatencyMs["p100"])
	row("errors", "%d refused, %d without an answer", r.Refused, r.Unanswered)
	if r.ServerCPUUs != nil {
		row("server CPU", "%.1f µs an event", *r.ServerCPUUs)
	}
	return b.String()
}

// serverCPU is the processor time of a process so far, all its threads, user
// and system; of process 0, nothing.
func serverCPU(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("--server-pid: %w", err)
	}
	// The name before ") " may hold anything; utime and stime are fields 14 and
	// 15, in ticks of 10 ms.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	ticks := 0
	for _, i := range []int{11, 12} {
		if i >= len(fields) {
			return 0, fmt.Errorf("--server-pid: /proc/%d/stat has no CPU time", pid)
		}
		n, err := strconv.Atoi(string(fields[i]))
		if err != nil {
			return 0, fmt.Errorf("--server-pid: /proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

func writeEvents(path string, parts ...[][]byte) error {
	var data []byte
	for _, events := range parts {
		for _, e := range events {
			data = tile.AppendEntry(data, e)
		}
	}
	return durable.Create(path, data, 0o600)
}
