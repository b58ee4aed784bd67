package main

import (
	"strings"
	"testing"
)

// A promise is kept by the figures of parts that ran whole, and by nothing else.
func TestPromises(t *testing.T) {
	seeds := func(n, done uint64) *result {
		return &result{Name: "simulation", Whole: 20_000, Done: done, Counts: map[string]uint64{"seeds": n}}
	}
	kills := func(lost, done uint64) *result {
		return &result{Name: "kill -9", Whole: 500, Done: done, Counts: map[string]uint64{"acknowledged events lost": lost}}
	}
	fuzz := func(name string, n uint64) *result {
		return &result{Name: "fuzz " + name, Whole: 1_000_000, Done: n, Counts: map[string]uint64{"executions": n}}
	}
	for _, c := range []struct {
		name, promise, verdict string
		all                    []*result
	}{
		{"whole", "worlds simulated", "kept", []*result{seeds(20_000, 20_000)}},
		{"half", "worlds simulated", "not yet whole", []*result{seeds(10_000, 10_000)}},
		{"whole, but it counted less", "worlds simulated", "not yet whole", []*result{seeds(19_999, 20_000)}},
		{"not run", "worlds simulated", "not yet whole", nil},
		{"none lost", "of these lost", "kept", []*result{kills(0, 500)}},
		{"none lost so far", "of these lost", "not yet whole", []*result{kills(0, 100)}},
		{"one lost", "of these lost", "**broken**", []*result{kills(1, 100)}},
		{"none lost, nothing run", "of these lost", "not yet whole", nil},
		{"all targets", "executions of the fuzz target that has fewest", "kept", []*result{fuzz("A", 1_000_000), fuzz("B", 1_000_000)}},
		{"one target is behind", "executions of the fuzz target that has fewest", "not yet whole", []*result{fuzz("A", 1_000_000), fuzz("B", 750_000), fuzz("C", 1_000_000)}},
		{"a failure", "failures of any kind", "**broken**", []*result{{Name: "differential", Failures: []failure{{}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := promisesTable(c.all)
			for line := range strings.Lines(table) {
				if cells := strings.Split(line, " | "); strings.TrimPrefix(cells[0], "| ") == c.promise {
					if got := strings.TrimSuffix(strings.TrimSpace(cells[3]), " |"); got != c.verdict {
						t.Errorf("%q, want %q", got, c.verdict)
					}
					return
				}
			}
			t.Errorf("no row %q in:\n%s", c.promise, table)
		})
	}
}

// Every promise has parts that count it: a name that changed would leave it unkept for ever.
func TestPromisesHaveParts(t *testing.T) {
	t.Chdir("../..")
	all, err := allParts()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range promises {
		found := false
		for _, part := range all {
			found = found || strings.HasPrefix(part.name, p.parts)
		}
		if !found {
			t.Errorf("no part is named %q, as %q wants", p.parts, p.what)
		}
	}
}
