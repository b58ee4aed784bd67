package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/testdata/machine"
)

// campaign is what ran.
type campaign struct {
	Begun    time.Time         `json:"begun"`
	Changed  time.Time         `json:"changed"`
	Machines []machine.Machine `json:"machines"` // on which it ran, one after the other
	Parts    []*result         `json:"parts"`

	tree *tree
	path string // of this file
	temp string // of test binaries
	lock io.Closer

	mu sync.Mutex // over Parts and the file

	building sync.Mutex
	built    map[string]bool // test binaries
}

// result is what became of one part.
type result struct {
	Name     string            `json:"name"`
	Commit   string            `json:"commit"`
	Code     string            `json:"code"` // of tests and what they test: see tree.code
	What     string            `json:"what"`
	Blind    string            `json:"blind_spot"`
	Done     uint64            `json:"done"`
	Whole    uint64            `json:"whole"` // what Done must come to
	Seconds  float64           `json:"seconds"`
	Counts   map[string]uint64 `json:"counts"`
	Failures []failure         `json:"failures"`
}

type failure struct {
	What   string   `json:"what"`
	Tests  []string `json:"tests"`
	Output string   `json:"output"`
}

// load takes up a campaign, or begins one.
func load(path string) (*campaign, error) {
	c := &campaign{Begun: time.Now().UTC(), path: path, built: map[string]bool{}}
	var err error
	if c.tree, err = readTree(); err != nil {
		return nil, err
	}
	if c.temp, err = filepath.Abs(filepath.Join("bin", "torture")); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.temp, 0o755); err != nil {
		return nil, err
	}
	// Two would write each other's results away.
	if c.lock, err = durable.Lock(filepath.Join(c.temp, "lock")); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, c)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w: move it away to begin anew", path, err)
	}
	if m := machine.This(); !slices.Contains(c.Machines, m) {
		c.Machines = append(c.Machines, m)
	}
	return c, nil
}

// arrange puts results in the order of the parts, and drops those of parts that are no more.
func (c *campaign) arrange(all []part) {
	place := func(r *result) int { return slices.IndexFunc(all, func(p part) bool { return p.name == r.Name }) }
	c.Parts = slices.DeleteFunc(c.Parts, func(r *result) bool { return place(r) < 0 })
	slices.SortStableFunc(c.Parts, func(a, b *result) int { return cmp.Compare(place(a), place(b)) })
}

func shortCommit(id string) string {
	hash, changes, _ := strings.Cut(id, " ")
	return strings.TrimSpace(fmt.Sprintf("%.12s %s", hash, changes))
}

// part is what became of a part so far, if its code is what it was; else it begins anew.
func (c *campaign) part(p *part) (*result, error) {
	code, err := c.tree.code(p)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := &result{Name: p.name, Commit: c.tree.commit, Code: code, Counts: map[string]uint64{}, Failures: []failure{}}
	i := slices.IndexFunc(c.Parts, func(r *result) bool { return r.Name == p.name })
	if i < 0 {
		i = len(c.Parts)
		c.Parts = append(c.Parts, now)
	}
	r := c.Parts[i]
	if r.Code != code || strings.HasSuffix(c.tree.commit, changed) || strings.HasSuffix(r.Commit, changed) {
		r = now
		c.Parts[i] = r
	}
	r.What, r.Blind, r.Whole = p.what, p.blind, p.whole
	return r, nil
}

func (c *campaign) save() error {
	c.Changed = time.Now().UTC()
	data, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	if err := durable.Replace(c.path, append(data, '\n')); err != nil {
		return err
	}
	return os.Chmod(c.path, 0o644)
}

// page writes what people read.
func (c *campaign) page() error {
	var s strings.Builder
	fmt.Fprintf(&s, "# Reliability\n\nMade by `make torture` from [reliability.json](reliability.json), which has every figure; %s", c.Changed.Format(time.DateOnly))
	for _, m := range c.Machines {
		fmt.Fprintf(&s, "; %s, %d cores, %s, kernel %s, %s", m.CPU, m.Cores, m.OS, m.Kernel, m.Go)
	}
	s.WriteString(".\nA part's result stands until its tests or what they test are other code; its commit is that of its beginning.\n\n" +
		promisesTable(c.Parts) + "\n| part | commit | done | of | failures | hours |\n|---|---|---|---|---|---|\n")
	for _, r := range c.Parts {
		fmt.Fprintf(&s, "| %s | %s | %d | %d %s | %d | %.2f |\n", r.Name, shortCommit(r.Commit), r.Done, r.Whole, r.What, len(r.Failures), r.Seconds/3600)
	}
	for _, r := range c.Parts {
		if len(r.Failures) == 0 && (r.Done == 0 || strings.HasPrefix(r.Name, "fuzz ")) {
			continue // the table says it all
		}
		fmt.Fprintf(&s, "\n## %s\n\nBlind spot: %s\n\n", r.Name, r.Blind)
		if r.Name == liesName {
			s.WriteString(r.liesTable())
		} else {
			for _, what := range slices.Sorted(maps.Keys(r.Counts)) {
				fmt.Fprintf(&s, "- %s: %d\n", what, r.Counts[what])
			}
		}
		for _, f := range r.Failures {
			fmt.Fprintf(&s, "- **failed** at %s: %s\n", f.What, strings.Join(f.Tests, ", "))
		}
	}
	return os.WriteFile(strings.TrimSuffix(c.path, ".json")+".md", []byte(s.String()), 0o644)
}

// verdict is an error if anything failed.
func (c *campaign) verdict() error {
	failures := 0
	for _, r := range c.Parts {
		failures += len(r.Failures)
	}
	if failures > 0 {
		return fmt.Errorf("%d failures, see %s", failures, cmp.Or(c.path, "the results"))
	}
	return nil
}
