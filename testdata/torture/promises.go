package main

import (
	"fmt"
	"strings"
)

// promise is what the whole campaign must show.
type promise struct {
	what  string
	least uint64                   // 0: none at all
	parts string                   // the beginning of the names of those that count it
	count func(r *result) uint64   // of one part
	join  func(a, b uint64) uint64 // of two parts; nil: the sum
}

var promises = []promise{
	{what: "disks whose power went, opened again", least: 200_000, parts: "power cuts", count: counted("clones")},
	{what: "kills (SIGKILL) of a real server under load", least: 500, parts: "kill -9", count: counted("kills under load")},
	{what: "events acknowledged by the servers that were killed", least: 1_000_000, parts: "kill -9", count: counted("acknowledged events")},
	{what: "of these lost", parts: "kill -9", count: counted("acknowledged events lost")},
	{what: "forks of what they signed", parts: "kill -9", count: counted("forks")},
	{what: "worlds simulated", least: 20_000, parts: "simulation", count: counted("seeds")},
	{what: "comparisons with other libraries", least: 1_000_000, parts: "differential", count: counted("comparisons")},
	{what: "executions of the fuzz target that has fewest", least: 1_000_000, parts: "fuzz ", count: counted("executions"), join: func(a, b uint64) uint64 { return min(a, b) }},
	{what: "classes of lies told", least: 24, parts: liesName, count: func(r *result) (told uint64) {
		for _, c := range classes {
			if r.Counts[c.id+" told"] > 0 {
				told++
			}
		}
		return told
	}},
	{what: "tests that let one through", parts: liesName, count: func(r *result) (failed uint64) {
		for _, c := range classes {
			failed += r.Counts[c.id+" tests failed"]
		}
		return failed
	}},
	{what: "mutants that no test killed and nobody explained", parts: "mutants", count: counted("mutants unexplained")},
	{what: "failures of any kind", count: func(r *result) uint64 { return uint64(len(r.Failures)) }},
}

func counted(what string) func(*result) uint64 {
	return func(r *result) uint64 { return r.Counts[what] }
}

// figure is what is counted so far, and whether all that counts it has run whole.
func (p *promise) figure(all []*result) (n uint64, whole bool) {
	first := true
	whole = true
	for _, r := range all {
		if !strings.HasPrefix(r.Name, p.parts) {
			continue
		}
		switch k := p.count(r); {
		case first:
			n = k
		case p.join != nil:
			n = p.join(n, k)
		default:
			n += k
		}
		first = false
		whole = whole && r.Done >= r.Whole
	}
	return n, whole && !first
}

// verdict is what people read of a promise. Of what must not happen, nothing is said
// before everything ran in which it could.
func (p *promise) verdict(n uint64, whole bool) string {
	switch {
	case p.least == 0 && n > 0:
		return "**broken**"
	case !whole || n < p.least:
		return "not yet whole"
	}
	return "kept"
}

func promisesTable(all []*result) string {
	var s strings.Builder
	s.WriteString("| promise | wanted | so far | |\n|---|---|---|---|\n")
	for _, p := range promises {
		n, whole := p.figure(all)
		wanted := fmt.Sprint("at least ", p.least)
		if p.least == 0 {
			wanted = "none"
		}
		fmt.Fprintf(&s, "| %s | %s | %d | %s |\n", p.what, wanted, n, p.verdict(n, whole))
	}
	return s.String()
}
