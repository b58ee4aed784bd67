// Command torture runs the long campaign: simulations by seed, power cuts, faults
// of disks, comparisons with other libraries, fuzzing, and mutants of the
// verifier. The tests are those of make test, with more seeds. What ran is kept in
// docs/results/reliability.json after every chunk, so that a campaign that was
// interrupted goes on where it was; a part whose tests or what they test became other
// code begins anew.
//
//	go run ./testdata/torture                    all of it: many hours
//	go run ./testdata/torture -scale 0.01        a hundredth of each part
//	go run ./testdata/torture -only simulation   one part
//	go run ./testdata/torture -cores 2           two parts at a time
//
// A part takes one core: GOMAXPROCS is 1 for all that it runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// kept are the results that are published.
const kept = "docs/results/reliability.json"

func main() {
	results := flag.String("results", kept, "`file` that keeps what ran; the page beside it is made from it")
	scale := flag.Float64("scale", 1, "part of the whole campaign")
	only := flag.String("only", "", "parts to run: a `regexp` of their names")
	cores := flag.Int("cores", 1, "parts to run at a time")
	list := flag.Bool("list", false, "list the parts and end")
	page := flag.Bool("page", false, "write the page anew and end")
	flag.Parse()
	if err := run(*results, *scale, *only, *cores, *list, *page); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

func run(path string, scale float64, only string, cores int, list, page bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	c, err := load(path)
	if err != nil {
		return err
	}
	if path == kept && !list && !page && strings.HasSuffix(c.tree.commit, changed) {
		return errors.New("the tree has changes that are not committed: commit them, or keep a trial elsewhere by -results FILE")
	}
	if page {
		return c.page()
	}
	all, err := allParts()
	if err != nil {
		return err
	}
	c.arrange(all)
	var todo []job
	for _, p := range all {
		p.whole = max(p.chunk, uint64(float64(p.whole)*scale))
		if list {
			fmt.Printf("%-40s %10d %s\n", p.name, p.whole, p.what)
			continue
		}
		r, err := c.part(&p) // of all, so that the page has no result of other code
		if err != nil {
			return err
		}
		if wanted.MatchString(p.name) {
			todo = append(todo, job{p, r})
		}
	}
	if list {
		return nil
	}
	if err := c.save(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := errors.Join(c.runAll(ctx, todo, max(1, cores)), c.page()); err != nil {
		return err
	}
	return c.verdict()
}

// job is a part to run, with what became of it so far.
type job struct {
	part
	*result
}

// runAll runs parts, so many at a time, in their order, and ends early if one cannot
// be run.
func (c *campaign) runAll(ctx context.Context, todo []job, cores int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan job)
	var all sync.WaitGroup
	for range cores {
		all.Go(func() {
			for j := range next {
				if err := c.runPart(ctx, j.part, j.result); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, j := range todo {
		next <- j
	}
	close(next)
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
