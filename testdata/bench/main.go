// Command bench measures what a log costs, beside the floor that its
// cryptography sets, and holds each figure against its target. A log in a
// folder grows by real device-adds, through log.Submit; at each of the stages
// it is measured. From the repository's root:
//
//	go run ./testdata/bench [-events 10000000] [-dir DIR] [-rows ingest,lookup]
//
// Figures are CPU time, user and system, of all threads, where no other unit is
// named; what is compared alternates within one run. Each figure is kept as soon
// as there is one, with every sample, in the file -out; a folder named by -dir
// is kept too, and grows on from where it is.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stages are the sizes, in events, at which a log is measured.
var stages = []int{100_000, 1_000_000, 3_000_000, 10_000_000}

// measurements in the order in which they run at a stage. The first ones use
// the log in this process, the later ones processes of their own.
var measurements = []struct {
	name string
	run  func(*bench) error
}{
	{"import", (*bench).grew},
	{"ingest", (*bench).ingest},
	{"lookup", (*bench).lookup},
	{"server", (*bench).server},
	{"published", (*bench).published},
	{"tree", (*bench).tree},
	{"audit", (*bench).audit},
}

// resultsFile is where a run's figures belong. Runs that only try something have
// another -out, and leave docs alone.
const resultsFile = "docs/results/performance.json"

// bench is one run.
type bench struct {
	ctx   context.Context
	dir   string
	stage int // what the log has grown to
	last  int // the stage at which the run ends
	town  *town
	*open // the log in this process; nil: closed
	*report
}

func main() {
	events := flag.Int("events", number("BENCH_EVENTS", 1_000_000), "grow the log to this many events; also $BENCH_EVENTS")
	dir := flag.String("dir", os.Getenv("BENCH_DIR"), "`folder` of the log, kept and grown on; also $BENCH_DIR (default a temporary one)")
	rows := flag.String("rows", "", "measure only these, separated by commas: "+names())
	out := flag.String("out", resultsFile, "`file` for the figures")
	again := flag.Bool("again", false, "measure what -out has of this commit, too")
	profile := flag.String("profile", "", "`file` for a CPU profile of this process, to see where a row that misses spends its time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	stopProfile, err := startProfile(*profile)
	if err == nil {
		err = errors.Join(run(ctx, *events, *dir, *rows, *out, *again), stopProfile())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func startProfile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, pprof.StartCPUProfile(f)
}

func number(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return otherwise
}

func names() string {
	var all []string
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return strings.Join(all, ",")
}

func run(ctx context.Context, events int, dir, rows, out string, again bool) error {
	if _, err := os.Stat("testdata/bench/main.go"); err != nil {
		return fmt.Errorf("run it from the repository's root: %w", err)
	}
	if rows != "" {
		for row := range strings.SplitSeq(rows, ",") {
			if !slices.Contains(strings.Split(names(), ","), row) {
				return fmt.Errorf("no measurement %q: there are %s", row, names())
			}
		}
	}
	if dir == "" {
		temporary, err := os.MkdirTemp("", "muster-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	b := &bench{ctx: ctx, dir: dir, last: events}
	var err error
	if b.report, err = openReport(out); err != nil {
		return err
	}
	if err := b.prepare(); err != nil {
		return err
	}
	if err = b.heal(); err == nil {
		err = b.measureAll(events, rows, again)
	}
	return errors.Join(err, b.close(), b.finish())
}

// measureAll grows the log from stage to stage, and measures it there.
func (b *bench) measureAll(events int, rows string, again bool) error {
	for _, b.stage = range sizes(events) {
		if err := b.grow(b.stage); err != nil {
			return err
		}
		if b.stage != b.last && b.town.Events > b.stage+b.stage/2 {
			progress("the log is past %d events: not measured there", b.stage)
			continue
		}
		for _, m := range measurements {
			if rows != "" && !slices.Contains(strings.Split(rows, ","), m.name) {
				continue
			}
			if !again && b.has(m.name, b.stage) {
				progress("%s at %d events: kept from before", m.name, b.stage)
				continue
			}
			b.measure(m.name, m.run)
			if err := b.ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// heal brings the town to where the log is, if a run was interrupted between the
// two: what it may have been submitting is submitted again, and measured by
// nobody, since the log knows some of it.
func (b *bench) heal() error {
	if err := b.ready(0); err != nil {
		return err
	}
	if b.open.events() == b.town.Events {
		return nil
	}
	progress("the log has %d events, %d are known: an interrupted run is repeated", b.open.events(), b.town.Events)
	if n := b.perRound(); n > 0 {
		batches, done, err := b.town.deviceAdds(n)
		if err != nil {
			return err
		}
		if err := errors.Join(b.open.submit(b.ctx, batches), done()); err != nil {
			return err
		}
	}
	batches, hours, n := b.town.backfill(chunkEvents)
	if err := b.open.submit(b.ctx, batches); err != nil {
		return err
	}
	b.town.Events = b.open.events() - n
	return b.town.grown(hours, n)
}

// perRound is how many accounts get a device-add in one round.
func (b *bench) perRound() int { return min(sampleEvents, b.town.Accounts/4) }

// sizes are the stages up to a number of events, which is the last one.
func sizes(events int) []int {
	all := slices.DeleteFunc(slices.Clone(stages), func(n int) bool { return n >= events })
	return append(all, events)
}

// measure runs one measurement; what goes wrong is kept in place of its figures.
func (b *bench) measure(name string, run func(*bench) error) {
	progress("%s at %d events", name, b.stage)
	began := time.Now()
	b.begin(name, b.stage)
	err := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v", r)
			}
		}()
		return run(b)
	}()
	if err != nil {
		progress("%s at %d events: %v", name, b.stage, err)
	}
	b.end(err, b.dir, time.Since(began))
}

// prepare builds the command, and makes the folder's log.
func (b *bench) prepare() error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	build := exec.CommandContext(b.ctx, "go", "build", "-o", b.binary(), "./cmd/muster")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building muster: %w", err)
	}
	if _, err := os.Stat(filepath.Join(b.logDir(), "log.key")); err != nil {
		if err := createLog(b.logDir()); err != nil {
			return err
		}
	}
	var err error
	b.town, err = openTown(filepath.Join(b.dir, "town.json"))
	return err
}

func (b *bench) binary() string { return filepath.Join(b.dir, "muster") }
func (b *bench) logDir() string { return filepath.Join(b.dir, "log") }

var began = time.Now()

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.0fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}

// median of some samples, which stay as they are.
func median[T cmp.Ordered](samples []T) T {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[len(sorted)/2]
}
