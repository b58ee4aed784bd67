package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/musterlog/muster/testdata/machine"
)

// report is what was measured, in a file from the first figure on.
type report struct {
	path string

	Commit  string          `json:"commit"`
	Date    string          `json:"date"`
	Machine machine.Machine `json:"machine"`

	Rows    []row    `json:"rows"`
	Figures []figure `json:"figures"`
	Runs    []done   `json:"runs"`
	Growth  []growth `json:"growth"`
}

// figure is one number with the samples that it comes from.
type figure struct {
	Row     string  `json:"row"`
	Stage   int     `json:"stage"`
	Events  int     `json:"events"` // in the log when it was measured
	Value   float64 `json:"value"`
	Samples samples `json:"samples,omitempty"`
}

// samples by their name, which ends in the unit.
type samples map[string][]float64

// done is a measurement that ran.
type done struct {
	Measurement string  `json:"measurement"`
	Stage       int     `json:"stage"`
	Seconds     float64 `json:"seconds"`
	Error       string  `json:"error,omitempty"`
}

// openReport goes on with a report of the same commit and machine, or begins one.
func openReport(path string) (*report, error) {
	r := &report{path: path}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, r)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if commit := thisCommit(); r.Commit != commit || r.Machine != machine.This() {
		*r = report{path: path, Commit: commit, Machine: machine.This()}
	}
	return r, nil
}

// thisCommit is what was built, with a plus if it was changed since. What is
// written into docs changes no figure.
func thisCommit() string {
	head, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	commit := strings.TrimSpace(string(head))
	if changes, err := exec.Command("git", "status", "--porcelain", "--", ":!docs").Output(); err != nil || len(changes) > 0 {
		commit += "+"
	}
	return commit
}

func (r *report) has(measurement string, stage int) bool {
	return slices.ContainsFunc(r.Runs, func(d done) bool {
		return d.Measurement == measurement && d.Stage == stage && d.Error == ""
	})
}

func (r *report) begin(measurement string, stage int) {
	r.Runs = slices.DeleteFunc(r.Runs, func(d done) bool { return d.Measurement == measurement && d.Stage == stage })
	r.Runs = append(r.Runs, done{Measurement: measurement, Stage: stage, Error: "it did not end"})
}

// end keeps an error without the folder that it happened in: the report is
// published, and says nothing about the paths of a machine.
func (r *report) end(err error, dir string, took time.Duration) {
	d := &r.Runs[len(r.Runs)-1]
	d.Seconds, d.Error = took.Seconds(), ""
	if err != nil {
		d.Error = strings.ReplaceAll(err.Error(), dir+"/", "")
	}
	if err := r.save(); err != nil {
		progress("%v", err)
	}
}

// figure keeps one figure of this stage, in place of an earlier one.
func (b *bench) figure(row string, value float64, s samples) {
	b.Figures = slices.DeleteFunc(b.Figures, func(f figure) bool { return f.Row == row && f.Stage == b.stage })
	b.Figures = append(b.Figures, figure{Row: row, Stage: b.stage, Events: b.town.Events, Value: value, Samples: s})
	progress("    %s: %.4g", row, value)
	b.Growth = b.town.Growth
	if err := b.save(); err != nil {
		progress("%v", err)
	}
}

// at is a row's figure of a stage.
func (r *report) at(row string, stage int) (value float64, ok bool) {
	for _, f := range r.Figures {
		if f.Row == row && f.Stage == stage {
			return f.Value, true
		}
	}
	return 0, false
}

// save writes the report, judged anew.
func (r *report) save() error {
	r.Date = time.Now().UTC().Format(time.RFC3339)
	r.Rows = r.Rows[:0]
	for i := range targets {
		r.Rows = append(r.Rows, targets[i].judge(r.Figures))
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(r.path+".new", append(compact(data), '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(r.path+".new", r.path)
}

// compact puts lists of numbers on one line.
func compact(data []byte) []byte {
	var out []byte
	for i := 0; i < len(data); i++ {
		if data[i] == '[' {
			if end := strings.IndexByte(string(data[i:]), ']'); end > 0 && !strings.ContainsAny(string(data[i:i+end]), `{"`) {
				out = append(out, strings.Join(strings.Fields(string(data[i:i+end+1])), " ")...)
				i += end
				continue
			}
		}
		out = append(out, data[i])
	}
	return out
}
