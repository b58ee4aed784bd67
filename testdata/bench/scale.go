package main

import (
	"encoding/base64"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// The formulas of docs/scale.md, which says where each comes from. Sizes are in
// bytes; n and events are numbers that may be far larger than any log here.

// mapPath is how many hashes a prefix proof has for some indexes at random, of
// which some are present in a tree of n leaves.
func mapPath(n float64, present, absent int) (hashes float64) {
	k := float64(present + absent)
	for d := 1.0; d < 64; d++ {
		w, above := math.Exp2(d), n/math.Exp2(d-1) // nodes at depth d; leaves below the parent of one
		searched := w * (math.Pow(1-1/w, k) - math.Pow(max(0, 1-2/w), k))
		// A search goes through the parent if it is an inner node.
		through := (float64(present)*-math.Expm1(-above) + float64(absent)*(1-math.Exp(-above)*(1+above))) / k
		hashes += searched * through
	}
	return hashes
}

// otherLeaf is how often a search for an absent index ends at another's leaf,
// which is then shown; else it ends at a missing child.
func otherLeaf(n float64) (p float64) {
	for d := 1.0; d < 64; d++ {
		l := n / math.Exp2(d)
		p += l * math.Exp(-l) * -math.Expm1(-l)
	}
	return p
}

// logPath is how many hashes prove the last leaf and k others at random in a
// log of n leaves.
func logPath(n float64, k int) (hashes float64) {
	empty := func(leaves float64) float64 { return math.Pow(max(0, 1-leaves/n), float64(k)) }
	for rest := math.Floor(n); rest > 1; {
		w := math.Exp2(math.Ceil(math.Log2(rest)) - 1) // what stands left of the last leaf
		hashes += empty(w)
		for c := w / 2; c >= 1; c /= 2 {
			hashes += w / c * (empty(c) - empty(2*c))
		}
		rest -= w
	}
	return hashes
}

// answerSize is a first lookup's of some accounts whose newest event, an
// ADD_DEVICE, has seq 1 or 3; each of an account's events lies anywhere.
func answerSize(events float64, seq, accounts int) float64 {
	size := events * (1 + 1.0/10_000) // an EPOCH leaf each 10,000
	signature := func(name string, bytes int) int {
		return len("— ") + len(name) + 1 + base64.StdEncoding.EncodedLen(4+bytes) + 1
	}
	note := len(origin) + 1 + len(fmt.Sprintf("%.0f", size)) + 1 + 45 + 1 + signature(string(origin), 64) + 4*signature("witness0.example", 8+64)
	present, absent := map[int]int{1: 2, 3: 3}[seq], map[int]int{1: 2, 3: 3}[seq] // Ladder (protocol 5.1)
	const version, closed, opened, event, device = 4 + 80 + 1, 8 + 32, 16 + 2, 355, 4 + 2 + 33
	account := 32 + 3*4 + 3 + (present+absent)*version + present*closed + opened + event + 2 + seq*device
	total := float64(2 + 2 + note + 2 + 2 + 2 + 65 + 4 + 3 + 3 + accounts*account)
	total += 32 * logPath(size, accounts*present)
	// One prefix proof for each 200 versions.
	versions := accounts * (present + absent)
	proofs := (versions + 199) / 200
	p, a := accounts*present/proofs, accounts*absent/proofs
	total += float64(proofs)*(3+32*mapPath(events, p, a)) + 2*float64(versions) + 64*otherLeaf(events)*float64(accounts*absent)
	return total
}

// scaled are the sizes that are reckoned and not measured.
var scaled = []float64{5e8, 5e9}

// scale puts formulas beside measurements into docs/scale.md.
func (b *bench) scale(path string) error {
	var measured []int
	for _, f := range b.Figures {
		if f.Row == "size-seq1" && !slices.Contains(measured, f.Stage) {
			measured = append(measured, f.Stage)
		}
	}
	slices.Sort(measured)
	if len(measured) == 0 {
		return nil
	}
	var s strings.Builder
	row := func(what string, value func(events float64, stage int) string) {
		fmt.Fprintf(&s, "| %s |", what)
		for _, n := range measured {
			fmt.Fprintf(&s, " %s |", value(b.eventsAt("size-seq1", n), n))
		}
		for _, n := range scaled {
			fmt.Fprintf(&s, " %s |", value(n, 0))
		}
		s.WriteString("\n")
	}
	fmt.Fprintf(&s, "| |")
	for _, n := range measured {
		fmt.Fprintf(&s, " %s |", size(n))
	}
	for _, n := range scaled {
		fmt.Fprintf(&s, " %gM |", n/1e6)
	}
	fmt.Fprintf(&s, "\n|---|%s\n", strings.Repeat("---|", len(measured)+len(scaled)))
	row("hashes on a path of the map: reckoned", func(n float64, _ int) string { return fmt.Sprintf("%.1f", mapPath(n, 1, 0)) })
	for _, a := range []struct {
		what, figure  string
		seq, accounts int
	}{
		{"answer at seq 1, B", "size-seq1", 1, 1},
		{"answer at seq 3, B", "size-seq3", 3, 1},
		{"answer at seq 1 in a batch of 100, B each", "size-batch", 1, lookupBatch},
	} {
		row(a.what+": reckoned", func(n float64, _ int) string {
			return fmt.Sprintf("%.0f", answerSize(n, a.seq, a.accounts)/float64(a.accounts))
		})
		row(a.what+": measured", b.measuredAt(a.figure, "%.0f", 1))
	}
	for _, m := range []struct {
		what, figure, format string
		factor               float64
	}{
		{"disk, B an event: measured", "disk", "%.0f", 1},
		{"written, B an event: measured", "import-written", "%.0f", 1},
		{"start with no file in the kernel's cache, s: measured", "restart-clean", "%.1f", 1},
		{"server memory at its most, MiB: measured", "memory", "%.0f", 1024},
		{"a device-add, µs of CPU: measured", "ingest-cpu", "%.0f", 1},
		{"its cryptography alone, µs: measured", "ingest-floor", "%.0f", 1},
		{"first lookups alone, a CPU-second: measured", "lookup-alone", "%.0f", 1},
		{"the same in batches of 100: measured", "lookup-batch", "%.0f", 1},
	} {
		row(m.what, b.measuredAt(m.figure, m.format, m.factor))
	}
	return replacePart(path, s.String())
}

// eventsAt is how many events the log had when a figure was measured.
func (b *bench) eventsAt(row string, stage int) float64 {
	for _, f := range b.Figures {
		if f.Row == row && f.Stage == stage {
			return float64(f.Events)
		}
	}
	return float64(stage)
}

func (b *bench) measuredAt(row, format string, factor float64) func(float64, int) string {
	return func(_ float64, stage int) string {
		value, ok := b.at(row, stage)
		if !ok {
			return ""
		}
		return fmt.Sprintf(format, value*factor)
	}
}

// A page is written by hand but for what stands between these lines.
const (
	partBegin = "<!-- written by make bench -->\n"
	partEnd   = "<!-- end -->\n"
)

// replacePart writes a page's part anew.
func replacePart(path, part string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), partBegin)
	_, after, ended := strings.Cut(rest, partEnd)
	if !ok || !ended {
		return fmt.Errorf("%s has not the lines %q and %q: nothing is written into it", path, partBegin, partEnd)
	}
	return os.WriteFile(path, []byte(before+partBegin+"\n"+part+"\n"+partEnd+after), 0o644)
}
