// Command mutants removes each check of the verifier in turn and runs the tests
// that should notice: those of the package, of the verifier and of the test vectors
// in which the check refuses something. In all others the mutant does what the whole
// does. A mutant that survives is explained in survivors.txt, or a test is missing.
// Nothing in the tree is changed: the go command reads the mutants from an overlay.
//
//	go run ./testdata/torture/mutants                      all: an hour at most
//	go run ./testdata/torture/mutants -only ^verifier$     packages that match
//	go run ./testdata/torture/mutants -sample 20           every 20th mutant
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// target is what is mutated: the files of a package that judge. Those that make
// proofs and signatures make them for a judge.
type target struct {
	dir   string
	files []string // none: all
	tests []string // that must notice, beside the package's own
}

var targets = []target{
	{dir: "verifier", tests: []string{"./testdata"}},
	{dir: "log/answer", files: []string{"answer.go", "limits.go", "nodes.go", "prooffile.go", "receipt.go", "request.go"}, tests: []string{"./verifier", "./testdata"}},
	{dir: "log/prefix", files: []string{"verify.go"}, tests: []string{"./verifier", "./testdata"}},
	{dir: "log/checkpoint", files: []string{"checkpoint.go", "conflict.go", "key.go", "note.go", "policy.go", "receipt.go", "tolerance.go", "verify.go"}, tests: []string{"./verifier", "./testdata"}},
	{dir: "log/event", files: []string{"account.go", "check.go", "devices.go", "event.go", "key.go", "parties.go", "payload.go", "publickey.go", "torsion.go"}, tests: []string{"./verifier", "./testdata"}},
	{dir: "log/evidence", tests: []string{"./verifier"}},
}

func main() {
	only := flag.String("only", "", "`regexp` of the packages to mutate")
	sample := flag.Int("sample", 1, "run every n-th mutant")
	short := flag.Bool("short", false, "let no test take its time")
	list := flag.Bool("list", false, "list the mutants and end")
	packages := flag.Bool("packages", false, "list the packages, each with those whose tests must notice, and end")
	flag.Parse()
	if *packages {
		for _, t := range targets {
			fmt.Println("./"+t.dir, strings.Join(t.tests, " "))
		}
		return
	}
	if err := run(*only, *sample, *short, *list); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(only string, sample int, short, list bool) error {
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
		all = append(all, found...)
	}
	if list {
		for i, m := range all {
			fmt.Println(i, m)
		}
		return nil
	}
	explained, err := readSurvivors("testdata/torture/mutants/survivors.txt")
	if err != nil {
		return err
	}
	s, err := newSchema(all)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.record(all, short); err != nil {
		return err
	}
	var killed, known int
	var survived []string
	for i := 0; i < len(all); i += sample {
		m := all[i]
		switch by := s.kill(m); {
		case by != "":
			killed++
			fmt.Printf("%d killed by %s: %v\n", i, by, m)
		case slices.Contains(explained, m.id()):
			known++
			fmt.Printf("%d explained: %v\n", i, m)
		default:
			survived = append(survived, m.String())
			fmt.Printf("%d SURVIVED %d tests in which it refuses: %v\n", i, len(s.able(m)), m)
		}
	}
	fmt.Printf("count mutants killed %d\ncount mutants explained %d\ncount mutants unexplained %d\n", killed, known, len(survived))
	if len(survived) > 0 {
		return errors.New("mutants survived: write a test for each, or explain it in survivors.txt")
	}
	return nil
}
