package main

import (
	"fmt"
	"regexp"
	"testing"
)

// What go test -json says is counted by subtest, or by what a test counted itself; a
// lie that was let through is told.
func TestCountLies(t *testing.T) {
	const pkg = `"Package":"github.com/musterlog/muster/verifier","Test"`
	all := readTests([]byte(`
		{"Action":"run",` + pkg + `:"TestLies"}
		{"Action":"run",` + pkg + `:"TestLies/a_ghost"}
		{"Action":"pass",` + pkg + `:"TestLies/a_ghost"}
		{"Action":"run",` + pkg + `:"TestLies/a_ghost_again"}
		{"Action":"output",` + pkg + `:"TestLies/a_ghost_again","Output":"    x_test.go:7: believed\n"}
		{"Action":"fail",` + pkg + `:"TestLies/a_ghost_again"}
		{"Action":"fail",` + pkg + `:"TestLies"}
		{"Action":"run",` + pkg + `:"TestBits"}
		{"Action":"output",` + pkg + `:"TestBits","Output":"    x_test.go:9: count refused 40\n"}
		{"Action":"output",` + pkg + `:"TestBits","Output":"    x_test.go:9: count refused 2\n"}
		{"Action":"pass",` + pkg + `:"TestBits"}`))["verifier"]
	for _, c := range []struct {
		name         string
		lies, failed uint64
	}{
		{"TestLies", 2, 1},
		{"TestLies/a ghost", 2, 1},
		{"TestLies/a ghost$", 1, 0},
		{"TestBits", 42, 0},
		{"TestNothing", 0, 0},
	} {
		if lies, failed := count(all, regexp.MustCompile("^"+c.name)); lies != c.lies || failed != c.failed {
			t.Errorf("%s: %d lies, %d failed, want %d and %d", c.name, lies, failed, c.lies, c.failed)
		}
	}
	r := &result{Counts: map[string]uint64{}}
	if r.takeLies(nil); len(r.Failures) < len(classes) {
		t.Errorf("no test ran, and %d failures are told", len(r.Failures))
	}
}

// The classes are M1 to M24, and each has tests.
func TestClasses(t *testing.T) {
	if len(classes) != 24 {
		t.Errorf("%d classes, want 24", len(classes))
	}
	for i, c := range classes {
		if want := fmt.Sprint("M", i+1); c.id != want || len(c.tests) == 0 {
			t.Errorf("class %s with tests in %d packages, want %s with some", c.id, len(c.tests), want)
		}
		for _, patterns := range c.tests {
			for _, p := range patterns {
				if _, err := regexp.Compile(p); err != nil {
					t.Errorf("%s: %v", c.id, err)
				}
			}
		}
	}
}
