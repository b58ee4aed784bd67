package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
)

const (
	submitBatch = 500     // events a request: the server waits once for all of them
	maxLine     = 1 << 20 // an event is some hundred bytes; other members may be long
)

func submitCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "submit FILE|-",
		Short: "Send signed events, as JSON lines",
		Long: `Sends events to the log and waits until they are published. FILE holds JSON
lines, each an object whose "event" is the base64 of an encoded Event; other
members are ignored, and lines without "event" are skipped.`,
		Args: takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := g.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			c, err := g.source(nil)
			if err != nil {
				return err
			}
			s := &submitter{terminal: g.terminal, client: c, progress: g.progress("submitting")}
			return s.run(cmd.Context(), in, g.json)
		},
	}
}

type submitter struct {
	*terminal
	client   *client.Client
	progress *progress

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
		if err := s.line(ctx, n, lines.Bytes()); err != nil {
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
	outcomes, err := s.client.Submit(ctx, s.events, answer.Want{})
	if err != nil {
		return fmt.Errorf("lines %d to %d: %w (sending them again is safe: an event that is logged stays one event)", s.lines[0], s.lines[len(s.lines)-1], err)
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
			return errors.Join(fmt.Errorf("line %d: %w", s.lines[i], o.Err))
		default:
			s.accepted++
		}
	}
	s.lines, s.events = s.lines[:0], nil
	s.progress.at(s.accepted + s.refused)
	return nil
}

func (s *submitter) refuse(line int, account, why string) {
	s.refused++
	s.progress.end()
	if account != "" {
		account = " (account " + account + ")"
	}
	s.say("line %d%s: refused: %s", line, account, why)
}
