// Command mutants removes each check of the verifier in turn and runs the tests
// that should notice: the package's own, then those of the verifier and the test
// vectors. A mutant that survives is explained in survivors.txt, or a test is
// missing. Nothing in the tree is changed: the go command reads a mutant from an
// overlay.
//
//	go run ./testdata/torture/mutants                      all: some hours
//	go run ./testdata/torture/mutants -only verifier       packages that match
//	go run ./testdata/torture/mutants -sample 20           every 20th mutant
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// target is what is mutated: files of a package.
type target struct {
	dir   string
	files []string // none: all
	tests []string // that must notice, beside the package's own
}

var targets = []target{
	{dir: "verifier", tests: []string{"./testdata"}},
	{dir: "log/answer", tests: []string{"./verifier", "./testdata"}},
	{dir: "log/prefix", files: []string{"verify.go"}, tests: []string{"./verifier", "./testdata"}},
	{dir: "log/checkpoint", tests: []string{"./verifier", "./testdata"}},
	{dir: "log/event", tests: []string{"./verifier", "./testdata"}},
	{dir: "log/evidence", tests: []string{"./verifier"}},
}

func main() {
	only := flag.String("only", "", "`regexp` of the packages to mutate")
	sample := flag.Int("sample", 1, "run every n-th mutant")
	from := flag.Int("from", 0, "begin at this one, to go on after an interruption")
	list := flag.Bool("list", false, "list the mutants and end")
	flag.Parse()
	if err := run(*only, *sample, *from, *list); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(only string, sample, from int, list bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var all []*mutant
	for _, t := range targets {
		if !wanted.MatchString(t.dir) {
			continue
		}
		found, err := t.mutants()
		if err != nil {
			return err
		}
		if !list {
			if err := t.whole(); err != nil {
				return err
			}
		}
		all = append(all, found...)
	}
	explained, err := readSurvivors("testdata/torture/mutants/survivors.txt")
	if err != nil {
		return err
	}
	var killed, known int
	var survived []string
	for i, m := range all {
		if i < from || (i-from)%sample != 0 {
			continue
		}
		if list {
			fmt.Println(i, m)
			continue
		}
		by, err := m.kill()
		switch {
		case err != nil:
			return fmt.Errorf("mutant %d, %v: %w", i, m, err)
		case by != "":
			killed++
			fmt.Printf("%d killed by %s: %v\n", i, by, m)
		case slices.Contains(explained, m.id()):
			known++
			fmt.Printf("%d explained: %v\n", i, m)
		default:
			survived = append(survived, m.String())
			fmt.Printf("%d SURVIVED: %v\n", i, m)
		}
	}
	fmt.Printf("count mutants killed %d\ncount mutants explained %d\ncount mutants unexplained %d\n", killed, known, len(survived))
	if len(survived) > 0 {
		return errors.New("mutants survived: write a test for each, or explain it in survivors.txt")
	}
	return nil
}
