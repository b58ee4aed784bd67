// Command torture runs the long campaign: simulations by seed, power cuts, faults
// of disks, comparisons with other libraries, fuzzing, and mutants of the
// verifier. The tests are those of make test, with more seeds. What ran is kept in
// docs/results/reliability.json after every chunk, so that a campaign that was
// interrupted goes on where it was; at another commit it begins anew.
//
//	go run ./testdata/torture                    all of it: many hours
//	go run ./testdata/torture -scale 0.01        a hundredth of each part
//	go run ./testdata/torture -only simulation   one part
//
// It takes one core: GOMAXPROCS is 1 for all that it runs.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	results := flag.String("results", "docs/results/reliability.json", "`file` that keeps what ran; the page beside it is made from it")
	scale := flag.Float64("scale", 1, "part of the whole campaign")
	only := flag.String("only", "", "parts to run: a `regexp` of their names")
	list := flag.Bool("list", false, "list the parts and end")
	page := flag.Bool("page", false, "write the page anew and end")
	flag.Parse()
	if err := run(*results, *scale, *only, *list, *page); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

func run(path string, scale float64, only string, list, page bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	c, err := load(path)
	if err != nil {
		return err
	}
	if page {
		return c.page()
	}
	parts, err := allParts()
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	for _, p := range parts {
		if !wanted.MatchString(p.name) {
			continue
		}
		want := max(p.chunk, uint64(float64(p.whole)*scale))
		if list {
			fmt.Printf("%-40s %10d %s\n", p.name, want, p.what)
			continue
		}
		if err := c.runPart(p, want, stop); err != nil {
			return errors.Join(err, c.page())
		}
	}
	if list {
		return nil
	}
	if err := c.page(); err != nil {
		return err
	}
	return c.verdict()
}
