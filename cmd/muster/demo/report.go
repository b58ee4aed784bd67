package demo

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Report is all that a run has shown. Its members are for scripts.
type Report struct {
	Day      []Step   `json:"day"`
	Attacks  []Attack `json:"attacks"`
	Evidence string   `json:"evidence"` // folder of the evidence files
	Seconds  float64  `json:"seconds"`
	Caught   bool     `json:"caught"` // every attack, and every file convicts
}

// Step is one thing that happens on a normal day.
type Step struct {
	Did   string `json:"did"`
	Shown string `json:"shown"`
}

// Attack is one lie of the operator, and what became of it.
type Attack struct {
	Name    string   `json:"name"`
	Lie     string   `json:"lie"`
	Noticed []Notice `json:"noticed"` // in the order in which they noticed
	NoFile  string   `json:"no_file"` // why no file can convict; empty: one does
	Caught  bool     `json:"caught"`
}

// Notice is one party that noticed.
type Notice struct {
	By       Party    `json:"by"`
	Who      string   `json:"who"`
	After    float64  `json:"after_ms"` // from the moment of the lie
	Said     string   `json:"said"`
	Evidence string   `json:"evidence"` // path of the file; empty: an alarm only
	Kind     string   `json:"kind"`     // of the evidence
	Verdict  *Verdict `json:"verdict"`  // of the offline verifier, with the log gone
}

// Verdict is what a stranger learns from a file and the log's key.
type Verdict struct {
	Party     string `json:"party"`
	Statement string `json:"statement"`
	How       string `json:"how"`
	NotShown  string `json:"not_shown"`
}

// Party is who can notice.
type Party string

const (
	Client  Party = "client"  // a contact's app
	Owner   Party = "owner"   // the app on the phone of the account's owner
	Witness Party = "witness" // it refuses to cosign
	Auditor Party = "auditor"
	Monitor Party = "monitor"
)

// Printer shows a run as it happens.
type Printer struct {
	Out   io.Writer
	Style bool // for a terminal
}

func (p *Printer) bold(text string) string { return p.style("1", text) }
func (p *Printer) good(text string) string { return p.style("32", text) }
func (p *Printer) bad(text string) string  { return p.style("1;31", text) }

func (p *Printer) style(code, text string) string {
	if !p.Style {
		return text
	}
	return "\033[" + code + "m" + text + "\033[0m"
}

// Heading begins a part.
func (p *Printer) Heading(title, about string) {
	fmt.Fprintf(p.Out, "\n%s\n", p.bold(title))
	p.wrap("", "", about)
}

// Step shows one of the normal day.
func (p *Printer) Step(s Step) {
	fmt.Fprintln(p.Out)
	p.wrap("  ", "  ", s.Did)
	p.wrap("    → ", "      ", s.Shown)
}

// Attack shows one and who noticed.
func (p *Printer) Attack(n int, a Attack) {
	fmt.Fprintf(p.Out, "\n%s\n", p.bold(fmt.Sprintf("%2d  %s", n, a.Name)))
	p.wrap("    ", "    ", a.Lie)
	for _, found := range a.Noticed {
		p.field("noticed", fmt.Sprintf("%s, after %s", p.bold(found.Who), milliseconds(found.After)))
		p.field("", found.Said)
		if found.Verdict != nil {
			p.field("evidence", found.Kind+"  "+short(found.Evidence))
			p.field("verdict", p.good("convicts: ")+found.Verdict.Statement)
		}
	}
	if a.NoFile != "" {
		p.field("no file", a.NoFile)
	}
	if !a.Caught {
		p.field("", p.bad("NOT CAUGHT AS IT SHOULD BE"))
	}
}

// End sums up.
func (p *Printer) End(r *Report) {
	files := make(map[string]bool) // two may find the same
	for _, a := range r.Attacks {
		for _, n := range a.Noticed {
			if n.Evidence != "" {
				files[n.Evidence] = true
			}
		}
	}
	verdict := p.good("every one was caught")
	if !r.Caught {
		verdict = p.bad("NOT ALL OF THEM WERE CAUGHT")
	}
	fmt.Fprintln(p.Out)
	fmt.Fprintf(p.Out, "%d attacks, %s, in %.1f s. %d evidence files are kept in\n", len(r.Attacks), verdict, r.Seconds, len(files))
	fmt.Fprintf(p.Out, "  %s\n", r.Evidence)
	fmt.Fprintf(p.Out, "Each can be judged by anybody who has the log's key, which lies beside it:\n")
	fmt.Fprintf(p.Out, "  cd %s\n  muster evidence verify *.evidence --vkey \"$(cat log.vkey)\"\n", filepath.Join(r.Evidence, r.example()))
}

// example is the folder of the first attack that left a file.
func (r *Report) example() string {
	for _, a := range r.Attacks {
		for _, n := range a.Noticed {
			if n.Evidence != "" {
				return filepath.Base(filepath.Dir(n.Evidence))
			}
		}
	}
	return ""
}

// short is a file by its folder and the first digits of its name, in which
// nobody reads all 64.
func short(path string) string {
	name := filepath.Base(path)
	return filepath.Join(filepath.Base(filepath.Dir(path)), name[:min(12, len(name))]+"…"+filepath.Ext(name))
}

func milliseconds(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func (p *Printer) field(name, text string) {
	p.wrap(fmt.Sprintf("    %-10s", name), strings.Repeat(" ", 14), text)
}

// wrap prints a text in lines, the first after one margin and the others after
// another of the same width.
func (p *Printer) wrap(first, others, text string) {
	for _, line := range fold(text, lineWidth-len(others)) {
		fmt.Fprintln(p.Out, first+line)
		first = others
	}
}

// fold breaks a text into lines of at most width characters, where it can.
func fold(text string, width int) []string {
	var lines []string
	line, length := "", 0
	for _, word := range strings.Fields(text) {
		n := visible(word)
		if length > 0 && length+1+n > width {
			lines = append(lines, line)
			line, length = "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+n
	}
	return append(lines, line)
}

// visible is the number of characters that a terminal shows of a word.
func visible(word string) int {
	n, hidden := 0, false
	for _, r := range word {
		switch {
		case r == '\033':
			hidden = true
		case hidden:
			hidden = r != 'm'
		default:
			n++
		}
	}
	return n
}
