package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// liesCommand runs every test of every class.
func liesCommand() *exec.Cmd {
	names, pkgs := map[string]bool{}, map[string]bool{}
	for _, c := range classes {
		for pkg, tests := range c.tests {
			pkgs["./"+pkg] = true
			for _, t := range tests {
				name, _, _ := strings.Cut(t, "/")
				names[name] = true
			}
		}
	}
	run := "^(" + strings.Join(slices.Sorted(maps.Keys(names)), "|") + ")$"
	return exec.Command("go", append([]string{"test", "-json", "-count=1", "-timeout", "1h", "-run", run}, slices.Sorted(maps.Keys(pkgs))...)...)
}

// told is what became of one test: how many lies it told, and whether all were refused.
type told struct {
	lies   uint64 // that it counted itself; 0: it is one
	passed bool
	parent bool // of subtests, which count
}

var refusedLine = regexp.MustCompile(`: count refused (\d+)\n$`)

// readTests reads what go test -json says, by package and test.
func readTests(out []byte) map[string]map[string]*told {
	all := map[string]map[string]*told{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Action, Package, Test, Output string }
		if d.Decode(&e) != nil {
			return all
		}
		pkg := strings.TrimPrefix(e.Package, "github.com/musterlog/muster/")
		if all[pkg] == nil {
			all[pkg] = map[string]*told{}
		}
		t := all[pkg][e.Test]
		if t == nil {
			t = &told{}
			all[pkg][e.Test] = t
		}
		if m := refusedLine.FindStringSubmatch(e.Output); m != nil {
			n, _ := strconv.ParseUint(m[1], 10, 64)
			t.lies += n
		}
		t.passed = t.passed || e.Action == "pass"
		if i := strings.LastIndex(e.Test, "/"); i >= 0 && all[pkg][e.Test[:i]] != nil {
			all[pkg][e.Test[:i]].parent = true
		}
	}
}

// takeLies counts the lies of each class. A test that is not there, or did not pass,
// is a failure.
func (r *result) takeLies(out []byte) {
	all := readTests(out)
	for _, c := range classes {
		var lies, accepted uint64
		for pkg, patterns := range c.tests {
			for _, pattern := range patterns {
				n, failed := count(all[pkg], regexp.MustCompile("^"+pattern))
				if n == 0 || failed > 0 {
					r.fail(fmt.Sprintf("%s: %s in %s told %d lies, and %d tests failed", c.id, pattern, pkg, n, failed), nil)
				}
				lies, accepted = lies+n, accepted+failed
			}
		}
		r.Counts[c.id+" told"], r.Counts[c.id+" tests failed"] = lies, accepted
	}
}

// count adds up what the tests of some name told.
func count(tests map[string]*told, name *regexp.Regexp) (lies, failed uint64) {
	for test, t := range tests {
		if t.parent || !name.MatchString(strings.ReplaceAll(test, "_", " ")) {
			continue
		}
		lies += max(1, t.lies)
		if !t.passed {
			failed++
		}
	}
	return lies, failed
}

// liesTable is what people read of the classes.
func (r *result) liesTable() string {
	var s strings.Builder
	s.WriteString("| class | lies told | tests that let one through |\n|---|---|---|\n")
	for _, c := range classes {
		fmt.Fprintf(&s, "| %s %s | %d | %d |\n", c.id, c.what, r.Counts[c.id+" told"], r.Counts[c.id+" tests failed"])
	}
	return s.String()
}
