package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

// terminal is what a command talks to: results to out, everything else to err
// behind "muster: ".
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

func (t *terminal) say(format string, args ...any) {
	fmt.Fprintf(t.err, "muster: "+format+"\n", args...)
}

// logger has what a server finds while it runs: lines of slog's text form,
// behind the same "muster: ".
func (t *terminal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(sayer{t}, nil))
}

// sayer says whole lines.
type sayer struct{ *terminal }

func (s sayer) Write(line []byte) (int, error) {
	// In one write, so that lines of several goroutines stay whole.
	if _, err := fmt.Fprintf(s.err, "muster: %s", line); err != nil {
		return 0, err
	}
	return len(line), nil
}

func (t *terminal) print(format string, args ...any) {
	fmt.Fprintf(t.out, format, args...)
}

func (t *terminal) printJSON(v any) error {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// interactive says whether a person watches err.
func (t *terminal) interactive() bool { return isTerminal(t.err) }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress shows long work on a terminal, in one line that is redrawn at most
// ten times a second; elsewhere it shows nothing.
type progress struct {
	*terminal
	what  string
	start time.Time
	drawn time.Time
}

func (t *terminal) progress(what string) *progress {
	return &progress{terminal: t, what: what, start: time.Now()}
}

func (p *progress) at(done int) {
	if !p.interactive() || time.Since(p.drawn) < 100*time.Millisecond {
		return
	}
	p.drawn = time.Now()
	rate := float64(done) / max(time.Since(p.start).Seconds(), 1e-3)
	fmt.Fprintf(p.err, "\r\033[Kmuster: %s: %d (%.0f a second)", p.what, done, rate)
}

func (p *progress) end() {
	if p.interactive() && !p.drawn.IsZero() {
		fmt.Fprint(p.err, "\r\033[K")
	}
}
