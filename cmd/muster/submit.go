package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
)

const (
	submitBatch = 500     // events a request: the server waits once for all of them
	maxLine     = 1 << 20 // an event is some hundred bytes; other members may be long
)

func submitCommand(g *globals) *cobra.Command {
	var wait, receipts string
	cmd := &cobra.Command{
		Use:   "submit FILE|-",
		Short: "Send signed events, as JSON lines",
		Long: `Sends events to the log and waits until they are published. FILE holds JSON
lines, each an object whose "event" is the base64 of an encoded Event; other
members are ignored, and lines without "event" are skipped.

With --wait durable it waits only until the log has promised to log them, and
signed that. --receipts FILE appends each promise that came as a JSON line with
the base64 "event" and "durable": who keeps them can show a log that broke one.`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			want, err := parseWait(wait, receipts)
			if err != nil {
				return err
			}
			in := g.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			c, err := g.unverified()
			if err != nil {
				return err
			}
			s := &submitter{terminal: g.terminal, progress: g.progress("submitting"), want: want}
			s.log = &patient{Client: c, say: s.interrupt}
			if receipts != "" {
				f, err := os.OpenFile(receipts, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
				if err != nil {
					return err
				}
				defer f.Close()
				s.receipts = f
			}
			return s.run(cmd.Context(), in, g.json)
		},
	}
	cmd.Flags().StringVar(&wait, "wait", "published", "what to wait for: published or durable")
	cmd.Flags().StringVar(&receipts, "receipts", "", "with --wait durable: the file that promises are appended to")
	return cmd
}

func parseWait(wait, receipts string) (want answer.Want, err error) {
	switch {
	case wait == "durable":
		want.Wait = answer.WaitDurable
	case wait != "published":
		return want, usage("--wait %q: want published or durable", wait)
	case receipts != "":
		return want, usage("--receipts keeps promises: add --wait durable")
	}
	return want, nil
}

type submitter struct {
	*terminal
	log      *patient
	progress *progress
	want     answer.Want
	receipts *os.File // nil: promises are not kept

	lines  []int // line number of each event that waits
	events [][]byte

	accepted, refused, skipped int
}

func (s *submitter) run(ctx context.Context, in io.Reader, asJSON bool) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // which editors put before a text
		}
		if err := s.line(ctx, n, line); err != nil {
			return err
		}
	}
	if err := s.flush(ctx); err != nil { // what was read, even if the rest cannot be
		return err
	}
	s.progress.end()
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%d events were accepted, then reading line %d failed: %w", s.accepted, n+1, err)
	}
	if asJSON {
		if err := s.printJSON(map[string]int{"accepted": s.accepted, "refused": s.refused, "skipped": s.skipped}); err != nil {
			return err
		}
	} else {
		s.print("%d accepted, %d refused, %d lines without an event skipped\n", s.accepted, s.refused, s.skipped)
	}
	if s.refused > 0 {
		return fmt.Errorf("%d of %d events were refused", s.refused, s.refused+s.accepted)
	}
	return nil
}

func (s *submitter) line(ctx context.Context, n int, line []byte) error {
	var row struct {
		Event *string `json:"event"`
	}
	if len(line) == 0 {
		s.skipped++
		return nil
	}
	if err := json.Unmarshal(line, &row); err != nil {
		s.refuse(n, "", fmt.Sprintf("not a JSON object with a text \"event\": %v", err))
		return nil
	}
	if row.Event == nil {
		s.skipped++
		return nil
	}
	body, err := base64.StdEncoding.Strict().DecodeString(*row.Event)
	if err != nil {
		s.refuse(n, "", fmt.Sprintf("\"event\" is not standard base64: %v", err))
		return nil
	}
	s.lines, s.events = append(s.lines, n), append(s.events, body)
	if len(s.events) < submitBatch {
		return nil
	}
	return s.flush(ctx)
}

func (s *submitter) flush(ctx context.Context) error {
	if len(s.events) == 0 {
		return nil
	}
	outcomes, err := s.log.Submit(ctx, s.events, s.want)
	if err != nil {
		return fmt.Errorf("lines %d to %d: %w (%s)", s.lines[0], s.lines[len(s.lines)-1], err, sendAgain)
	}
	for i, o := range outcomes {
		switch {
		case o.Refused != nil:
			account := ""
			if e, err := event.Parse(s.events[i]); err == nil {
				account = e.Account.String()
			}
			s.refuse(s.lines[i], account, string(o.Refused.Rule)+": "+o.Refused.Detail)
		case o.Err != nil:
			return fmt.Errorf("%d events were accepted, then line %d: %w (%s)", s.accepted, s.lines[i], o.Err, sendAgain)
		default:
			s.accepted++
			if err := s.keep(s.events[i], &o); err != nil {
				return err
			}
		}
	}
	s.lines, s.events = s.lines[:0], nil
	s.progress.at(s.accepted + s.refused)
	return nil
}

// keep appends a promise to the receipts. They are verified when they are used.
func (s *submitter) keep(body []byte, o *answer.Outcome) error {
	if s.receipts == nil || !o.Promised {
		return nil
	}
	line, err := json.Marshal(struct {
		Event   []byte `json:"event"`
		Durable []byte `json:"durable"`
	}{body, o.Receipt})
	if err != nil {
		return err
	}
	if _, err := s.receipts.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("keeping a receipt: %w (send the events again for the same ones)", err)
	}
	return nil
}

func (s *submitter) refuse(line int, account, why string) {
	s.refused++
	if account != "" {
		account = " (account " + account + ")"
	}
	s.interrupt("line %d%s: refused: %s", line, account, why)
}

// interrupt says something in a line of its own.
func (s *submitter) interrupt(format string, args ...any) {
	s.progress.end()
	s.say(format, args...)
}
