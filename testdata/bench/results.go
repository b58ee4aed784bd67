package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// finish prints the table, draws the pictures, and puts both into the results'
// page.
func (b *bench) finish() error {
	if err := b.save(); err != nil {
		return err
	}
	fmt.Printf("\nmuster %s, %s, %d cores, %s\n\n", b.Commit, b.Machine.CPU, b.Machine.Cores, b.Machine.Go)
	table := b.table()
	var width [4]int
	for _, cells := range table {
		for i, c := range cells {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for _, cells := range table {
		var s strings.Builder
		for i, c := range cells {
			s.WriteString(c + strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+2))
		}
		fmt.Println(strings.TrimRight(s.String(), " "))
	}
	for _, d := range b.Runs {
		if d.Error != "" {
			fmt.Printf("%s at %s: %s\n", d.Measurement, size(d.Stage), d.Error)
		}
	}
	dir := filepath.Dir(b.path)
	var err error
	for _, c := range b.charts() {
		err = errors.Join(err, c.draw(dir))
	}
	err = errors.Join(err, b.page(filepath.Join(dir, "performance.md")))
	if b.path == resultsFile {
		err = errors.Join(err, b.scale("docs/scale.md"))
	}
	return err
}

func (b *bench) table() [][]string {
	table := [][]string{{"what", "target", "figure", "verdict"}}
	for _, r := range b.Rows {
		table = append(table, []string{r.What, r.Target, r.Figure, r.Verdict})
	}
	return table
}

func (b *bench) page(path string) error {
	if _, err := os.Stat(path); err != nil {
		if err := os.WriteFile(path, []byte("# Performance\n\n"+partBegin+partEnd), 0o644); err != nil {
			return err
		}
	}
	var s strings.Builder
	fmt.Fprintf(&s, "Commit %s, %s, %s, %d cores, %s, %s. Every sample is in [performance.json](performance.json).\n\n", b.Commit, b.Date[:10], b.Machine.CPU, b.Machine.Cores, b.Machine.OS, b.Machine.Go)
	for i, cells := range b.table() {
		fmt.Fprintf(&s, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			s.WriteString("|---|---|---|---|\n")
		}
	}
	s.WriteString("\n")
	for _, c := range b.charts() {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), c.file)); err == nil {
			fmt.Fprintf(&s, "![%s](%s)\n\n", c.title, c.file)
		}
	}
	return replacePart(path, strings.TrimSpace(s.String())+"\n")
}

// charts are the curves over the log's size.
func (b *bench) charts() []chart {
	imported, floor := line{name: "import"}, line{name: "floor of import"}
	for _, g := range b.Growth {
		imported.points = append(imported.points, point{float64(g.Events), g.CPU})
		floor.points = append(floor.points, point{float64(g.Events), g.Floor})
	}
	return []chart{
		{"ingest.svg", "CPU time of an event, and of its cryptography alone", "µs an event", []line{
			b.curve("device-add, any account", "ingest-cpu", 1), b.curve("floor of device-add", "ingest-floor", 1), imported, floor,
		}},
		{"lookup.svg", "First lookups at seq 1 with stored proofs", "lookups a CPU-second", []line{
			b.curve("in batches of 100", "lookup-batch", 1), b.curve("alone", "lookup-alone", 1), b.curve("alone, over the API", "lookup-api", 1),
		}},
		{"memory.svg", "Memory at its most", "MiB", []line{
			b.curve("server, resident", "memory", 1024), b.curve("auditor, live heap", "audit-live", 1.0/(1<<20)),
		}},
		{"disk.svg", "Bytes an event", "B an event", []line{
			b.curve("written, everything", "import-written", 1), b.curve("on disk, everything", "disk", 1), b.curve("written, prefix tree", "prefix-written", 1),
		}},
	}
}

// curve is a figure at each stage, by the log's real size, times a factor.
func (b *bench) curve(name, row string, factor float64) line {
	l := line{name: name, dots: true}
	for _, f := range b.Figures {
		if f.Row == row {
			l.points = append(l.points, point{float64(max(f.Stage, f.Events)), f.Value * factor})
		}
	}
	slices.SortFunc(l.points, func(a, b point) int { return int(a.x - b.x) })
	return l
}
