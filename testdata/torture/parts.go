package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// part is one test that takes its amount from the environment.
type part struct {
	name  string
	what  string // what one of its amount is, for people
	blind string // what it cannot show

	pkg   string // as the go command takes it
	test  string // regexp of the test's name; a fuzz target's whole name
	whole uint64 // amount of the whole campaign, at this scale
	chunk uint64 // amount of one run, after which the results are kept

	fuzz    bool
	mutants string   // package whose checks are removed in turn
	noticed []string // packages whose tests must notice, too
	lies    bool
	starts  bool   // the built program
	amount  string // environment variable that takes the amount itself; "": MUSTER_SEEDS takes from:to
}

const liesName = "lies that are signed again"

// The amounts that the campaign promises.
var parts = []part{
	{
		name: "simulation", pkg: "./testdata/torture/simulation", test: "TestSimulation", whole: 20_000, chunk: 50, what: "seeds of a whole world",
		blind: "Goroutines of one step interleave as the scheduler likes; disks lose what was not synced, and never lie about it.",
	},
	{
		name: "power cuts of store and signed head", pkg: "./testdata/torture/simulation", test: "TestPowerCuts", whole: 120, chunk: 2, what: "seeds of a log whose power goes at every operation",
		blind: "The disk is a model: unsynced data is lost in whole writes, and what was synced stays.",
	},
	{
		name: "power cuts of the store", pkg: "./log/store/pebble", test: "^TestPowerCut$", whole: 60, chunk: 2, what: "seeds of a store whose power goes at every operation",
		blind: "As above.",
	},
	{
		name: "power cuts of store and signed head on one disk", pkg: "./log", test: "^TestPowerCut$", whole: 50, chunk: 5, what: "seeds of a log whose power goes at every operation",
		blind: "As above.",
	},
	{
		name: "power cuts of small files", pkg: "./log/durable", test: "^TestPowerCut$", whole: 400, chunk: 20, what: "seeds of files whose power goes at every operation",
		blind: "As above.",
	},
	{
		name: "power cuts of a witness", pkg: "./witness", test: "^TestPowerCut$", whole: 200, chunk: 10, what: "seeds of a witness's folder whose power goes at every operation",
		blind: "As above.",
	},
	{
		name: "power cuts of an auditor", pkg: "./witness/auditor", test: "^TestPowerCut$", whole: 100, chunk: 10, what: "seeds of an auditor's folder whose power goes at every operation",
		blind: "As above.",
	},
	{
		name: "power cuts of a monitor", pkg: "./witness/monitor", test: "^TestPowerCut$", whole: 100, chunk: 10, what: "seeds of a monitor's folder whose power goes at every operation",
		blind: "As above; the client's state lies on a disk of its own, where each file is the old one or the new one.",
	},
	{
		name: "kill -9", starts: true, pkg: "./testdata/interop", test: "^TestKillUnderLoad$", whole: 500, chunk: 25, what: "kills of a real server under load, 2000 acknowledged events each",
		blind: "The page cache outlives the process: a kill tests the order of what is done, not that it reaches the disk.",
	},
	{
		name: "kill -9, read by a client", starts: true, pkg: "./cmd/muster", test: "^TestKill$", whole: 100, chunk: 25, amount: "MUSTER_TEST_KILLS", what: "kills, before and after which a client with a state verifies all histories",
		blind: "As above.",
	},
	{
		name: "kill -9 of a witness", starts: true, pkg: "./cmd/muster", test: "^TestWitnessKill$", whole: 100, chunk: 25, amount: "MUSTER_TEST_KILLS", what: "rounds of three lives, in which two forks ask for a cosignature",
		blind: "As above.",
	},
	{
		name: "flipped bits", pkg: "./testdata/torture/simulation", test: "TestFlippedBits", whole: 998, chunk: 20, what: "seeds of which each changes a bit of every 499th byte, of a closed store or a live one",
		blind: "One bit at a time, in a store of a few epochs; a bit in an empty part of a file has no effect, and is counted as such.",
	},
	{
		name: "failing writes", pkg: "./testdata/torture/simulation", test: "TestFaults", whole: 160, chunk: 4, what: "writes of the log, each failing in 8 ways",
		blind: "One disk fails at a time, and reads do not; the signed head's disk fails whole.",
	},
	{
		name: "differential", pkg: "./testdata/torture/differential", test: "TestDifferential", whole: 1000, chunk: 10, what: "seeds of random trees and maps, held against other libraries",
		blind: "Trees of up to some thousand leaves.",
	},
	{
		name: "forged evidence", pkg: "./log/evidence", test: "TestForgeries", whole: 1_000_000, chunk: 100_000, amount: "MUSTER_TEST_FORGERIES", what: "forged evidence files",
		blind: "Forgeries that somebody thought of, and random changes of them.",
	},
	{
		name: "unlinkable leaves", pkg: "./log", test: "TestUnlinkable", whole: 100_000, chunk: 100_000, amount: "MUSTER_TEST_LEAVES", what: "public leaves, in eight statistics",
		blind: "One seed, and the questions that somebody thought of; times and sizes of epochs are public.",
	},
	{
		name: liesName, lies: true, whole: uint64(len(classes)), chunk: uint64(len(classes)), what: "classes of lies",
		blind: "Lies that somebody thought of.",
	},
}

// allParts are the mutants of each package that judges, those above, and every fuzz
// target that the tree has.
func allParts() ([]part, error) {
	judges, err := exec.Command("go", "run", "./testdata/torture/mutants", "-packages").Output()
	if err != nil {
		return nil, fmt.Errorf("go run ./testdata/torture/mutants: %w", err)
	}
	var all []part
	for line := range strings.Lines(string(judges)) {
		pkgs := strings.Fields(line)
		all = append(all, part{
			name: "mutants of " + strings.TrimPrefix(pkgs[0], "./"), mutants: pkgs[0], noticed: pkgs[1:], whole: 1, chunk: 1, what: "time that each check was removed in turn",
			blind: "A mutant lacks one whole check; wrong constants are the fuzzers' and the vectors' business.",
		})
	}
	all = append(all, parts...)
	out, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		short := "./" + strings.TrimPrefix(pkg, "github.com/musterlog/muster/")
		targets, err := fuzzTargets(short)
		if err != nil {
			return nil, err
		}
		for _, target := range targets {
			all = append(all, part{
				name: "fuzz " + strings.TrimPrefix(short, "./") + " " + target, pkg: short, test: target, fuzz: true,
				whole: 1_000_000, chunk: 250_000, what: "executions", blind: "Inputs that coverage leads to.",
			})
		}
	}
	return all, nil
}

var fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz\w*)\(`)

func fuzzTargets(dir string) (targets []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, m := range fuzzFunc.FindAllSubmatch(data, -1) {
			targets = append(targets, string(m[1]))
		}
	}
	return targets, err
}

// packages are those whose tests a part runs.
func (p *part) packages() (pkgs []string) {
	switch {
	case p.mutants != "":
		return append([]string{"./testdata/torture/mutants", p.mutants}, p.noticed...)
	case p.lies:
		for _, c := range classes {
			for pkg := range c.tests {
				pkgs = append(pkgs, "./"+pkg)
			}
		}
		return pkgs
	}
	return []string{p.pkg}
}
