package main

import (
	"fmt"
	"math"
)

// target is one row of the table: what a figure must reach.
type target struct {
	figure string
	what   string
	stage  int     // at which the figure counts; 0: at the largest there is
	bound  float64 // at least, or with most at most
	most   bool
	digits int // after the point, when it is printed
	unit   string
}

var targets = []target{
	{figure: "ingest", what: "floor / durable ingest, through log.Submit", stage: 1_000_000, bound: 0.90, digits: 3},
	{figure: "ingest", what: "floor / durable ingest, through log.Submit", stage: 10_000_000, bound: 0.85, digits: 3},
	{figure: "api", what: "floor / ingest through the API, server process only", bound: 0.80, digits: 3},
	{figure: "busy-size", what: "both cores busy, epochs of 10,000 events: wall ratio / CPU ratio", bound: 0.95, digits: 3},
	{figure: "busy-time", what: "both cores busy, epochs of 1 s: wall ratio / CPU ratio", bound: 0.95, digits: 3},
	{figure: "hashes", what: "hashes an insert in the prefix tree beyond the least possible", stage: 1_000_000, bound: 8, most: true, digits: 2},
	{figure: "hashes", what: "hashes an insert in the prefix tree beyond the least possible", stage: 10_000_000, bound: 8, most: true, digits: 2},
	{figure: "prefix-written", what: "written to disk an event by the prefix tree, compactions included", stage: 10_000_000, bound: 600, most: true, unit: "B"},
	{figure: "disk", what: "disk an event, everything", bound: 700, most: true, unit: "B"},
	{figure: "published-p50", what: "device-add to published, 3 witnesses and 1 auditor, 80 % load, epochs of 100 ms: p50", bound: 1.5, most: true, digits: 2, unit: "epochs"},
	{figure: "published-p99", what: "the same: p99", bound: 3, most: true, digits: 2, unit: "epochs"},
	{figure: "lookup-alone", what: "first lookups at seq 1, stored proofs, alone", stage: 10_000_000, bound: 3000, unit: "a CPU-second"},
	{figure: "lookup-batch", what: "first lookups at seq 1, stored proofs, in batches of 100", stage: 10_000_000, bound: 5000, unit: "a CPU-second"},
	{figure: "size-seq1", what: "answer of a first lookup at seq 1, without GENESIS", stage: 10_000_000, bound: 6500, most: true, unit: "B"},
	{figure: "size-seq3", what: "answer of a first lookup at seq 3, without GENESIS", stage: 10_000_000, bound: 9000, most: true, unit: "B"},
	{figure: "size-batch", what: "answer of a first lookup at seq 1 in a batch of 100, each", stage: 10_000_000, bound: 4000, most: true, unit: "B"},
	{figure: "verify-seq1", what: "client verifies a first lookup at seq 1", bound: 1.0, most: true, digits: 3, unit: "ms"},
	{figure: "verify-seq3", what: "client verifies a first lookup at seq 3", bound: 1.4, most: true, digits: 3, unit: "ms"},
	{figure: "verify-batch", what: "client verifies a batch of 100 returning ones at seq 1", bound: 60, most: true, digits: 1, unit: "ms"},
	{figure: "audit", what: "audit", stage: 1_000_000, bound: 150_000, unit: "events a CPU-second"},
	{figure: "audit-fetched", what: "audit: fetched an event", stage: 1_000_000, bound: 72, most: true, digits: 2, unit: "B"},
	{figure: "audit-memory", what: "audit: live heap more for each event more (the map's top has 5 B)", bound: 8, most: true, digits: 1, unit: "B"},
	{figure: "memory", what: "server memory, resident at its most", stage: 10_000_000, bound: 1.5, most: true, digits: 2, unit: "GiB"},
	{figure: "restart-clean", what: "restart to serving after a clean stop", stage: 10_000_000, bound: 5, most: true, digits: 2, unit: "s"},
	{figure: "restart-killed", what: "restart to serving after kill -9", stage: 10_000_000, bound: 30, most: true, digits: 2, unit: "s"},
	{figure: "ingest-growth", what: "growth of CPU an event from 1M to 10M", stage: 10_000_000, bound: 1.2, most: true, digits: 3, unit: "times"},
	{figure: "import-command", what: "floor / `muster import`, server process only, like the API", bound: 0.80, digits: 3},
	{figure: "import", what: "floor / import, over all events", stage: 10_000_000, bound: 0.90, digits: 3},
}

// row is a target with what was measured.
type row struct {
	What    string  `json:"what"`
	Target  string  `json:"target"`
	Events  int     `json:"events,omitempty"` // at which the figure was measured
	Figure  string  `json:"figure"`
	Value   float64 `json:"value,omitempty"`
	Verdict string  `json:"verdict"`
}

// judge holds a target against the figure of its stage. Another stage's figure
// is shown, and decides nothing.
func (t *target) judge(figures []figure) row {
	sign := "≥"
	if t.most {
		sign = "≤"
	}
	what := t.what
	if t.stage > 0 {
		what += " at " + size(t.stage)
	}
	r := row{What: what, Target: sign + " " + t.text(t.bound), Figure: "–", Verdict: "not measured"}
	for _, f := range figures {
		if f.Row != t.figure || f.Stage < r.Events || t.stage > 0 && f.Stage > t.stage {
			continue
		}
		r.Events, r.Value, r.Figure = f.Stage, f.Value, t.text(f.Value)
		switch {
		case t.stage > 0 && f.Stage != t.stage:
			r.Verdict = "only at " + size(f.Stage)
		case t.most && f.Value <= t.bound, !t.most && f.Value >= t.bound:
			r.Verdict = "met"
		default:
			r.Verdict = "MISSED"
		}
	}
	return r
}

// text rounds to the side that flatters nobody.
func (t *target) text(value float64) string {
	shift := math.Pow10(t.digits)
	round := math.Floor
	if t.most {
		round = math.Ceil
	}
	// What lies within a billionth of a digit is that digit.
	s := fmt.Sprintf("%.*f", t.digits, round(math.Round(value*shift*1e9)/1e9)/shift)
	if t.unit != "" {
		s += " " + t.unit
	}
	return s
}

// size is a number of events for people: 100k, 1M, 10M.
func size(events int) string {
	switch {
	case events >= 1_000_000 && events%100_000 == 0:
		return fmt.Sprintf("%gM", float64(events)/1e6)
	case events >= 1000 && events%1000 == 0:
		return fmt.Sprintf("%dk", events/1000)
	}
	return fmt.Sprint(events)
}
