package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/testdata/machine"
)

// campaign is what ran at one commit on one machine.
type campaign struct {
	Commit  string          `json:"commit"`
	Begun   time.Time       `json:"begun"`
	Changed time.Time       `json:"changed"`
	Machine machine.Machine `json:"machine"`
	Parts   []*result       `json:"parts"`

	path string // of this file
	temp string // of test binaries

	mu sync.Mutex // over Parts and the file

	building sync.Mutex
	built    map[string]bool // test binaries
}

// result is what became of one part.
type result struct {
	Name     string            `json:"name"`
	What     string            `json:"what"`
	Blind    string            `json:"blind_spot"`
	Done     uint64            `json:"done"`
	Seconds  float64           `json:"seconds"`
	Counts   map[string]uint64 `json:"counts"`
	Failures []failure         `json:"failures"`
}

type failure struct {
	What   string   `json:"what"`
	Tests  []string `json:"tests"`
	Output string   `json:"output"`
}

// load takes up a campaign of this commit, or begins one.
func load(path string) (*campaign, error) {
	commit, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return nil, fmt.Errorf("git rev-parse: %w: run it in the repository's folder", err)
	}
	now := &campaign{Commit: strings.TrimSpace(string(commit)), Begun: time.Now().UTC(), Machine: machine.This(), path: path, built: map[string]bool{}}
	if now.temp, err = filepath.Abs(filepath.Join("bin", "torture")); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(now.temp, 0o755); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return now, nil
	}
	if err != nil {
		return nil, err
	}
	before := &campaign{path: path, temp: now.temp, built: now.built}
	if err := json.Unmarshal(data, before); err != nil {
		return nil, fmt.Errorf("reading %s: %w: move it away to begin anew", path, err)
	}
	if before.Commit != now.Commit {
		fmt.Printf("%s is of commit %.12s: beginning anew at %.12s\n", path, before.Commit, now.Commit)
		return now, nil
	}
	return before, nil
}

func (c *campaign) part(p *part) *result {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.Parts, func(r *result) bool { return r.Name == p.name })
	if i < 0 {
		c.Parts = append(c.Parts, &result{Name: p.name, Counts: map[string]uint64{}, Failures: []failure{}})
		i = len(c.Parts) - 1
	}
	r := c.Parts[i]
	r.What, r.Blind = p.what, p.blind
	return r
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
	fmt.Fprintf(&s, "# Reliability\n\nCommit %.12s, %s, %s, %d cores, %s, %s. Made by `make torture` from [reliability.json](reliability.json), which has every figure.\n\n",
		c.Commit, c.Changed.Format(time.DateOnly), c.Machine.CPU, c.Machine.Cores, c.Machine.Kernel, c.Machine.Go)
	s.WriteString("| part | amount | failures | hours |\n|---|---|---|---|\n")
	for _, r := range c.Parts {
		fmt.Fprintf(&s, "| %s | %d %s | %d | %.2f |\n", r.Name, r.Done, r.What, len(r.Failures), r.Seconds/3600)
	}
	for _, r := range c.Parts {
		if strings.HasPrefix(r.Name, "fuzz ") && len(r.Failures) == 0 {
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
