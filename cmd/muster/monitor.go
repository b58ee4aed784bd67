package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/witness/monitor"
)

type monitorFlags struct {
	watch, approve []string
	once, scan     bool
	webhook, dir   string
	receipts       string
	interval       time.Duration
}

func monitorCommand(g *globals) *cobra.Command {
	f := new(monitorFlags)
	c := &cobra.Command{
		Use:   "monitor --watch ID",
		Short: "Watch accounts, and tell of everything that happens to them",
		Long: `Verifies the accounts' whole histories again and again. Each event and each
failure is one JSON line on standard output and one POST to the webhook, at
least once also across crashes; "alarm" is true for all that no --approve
expects. With --once it passes once and exits 3 if there was an alarm or a
failed check, 1 if the log could not be reached or the webhook did not take
everything.

A line of an --approve FILE is EVENT_ID, KEY, or one of register, add, remove
and reregister with a KEY, in hexadecimal as alerts print them.

The webhook is the URL that you name, private addresses included. Its
redirects are not followed.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.monitor(cmd.Context(), f) },
	}
	c.Flags().StringArrayVar(&f.watch, "watch", nil, "account `ID` to watch; may be repeated")
	c.Flags().StringArrayVar(&f.approve, "approve", nil, "`FILE` of what is expected, or one KEY or EVENT_ID; may be repeated")
	c.Flags().BoolVar(&f.once, "once", false, "one pass, then exit")
	c.Flags().BoolVar(&f.scan, "scan", false, "also read every leaf of the log for events that the answers hide: needs no auditor")
	c.Flags().StringVar(&f.receipts, "receipts", "", "`FILE` of promises that muster submit --wait durable kept: one that the log breaks is evidence")
	c.Flags().StringVar(&f.webhook, "webhook", "", "`URL` that each alert is posted to")
	c.Flags().StringVar(&f.dir, "dir", "", "`DIR` of the monitor's journal and evidence; default monitor in --state")
	c.Flags().DurationVar(&f.interval, "interval", monitor.DefaultInterval, "between two passes; what a log shows in between only an auditor sees")
	return c
}

// alarmed is what --once ends with after an alarm or a failed check.
type alarmed struct{ error }

func (g *globals) monitor(ctx context.Context, f *monitorFlags) error {
	cfg, err := g.monitorConfig(f)
	if err != nil {
		return err
	}
	m, err := monitor.New(cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	if !f.once {
		g.say("watching %s at %s", strings.Join(f.watch, " "), cfg.Verifier.Policy.Log.Name)
		return m.Run(ctx)
	}
	o, err := m.Pass(ctx)
	for err == nil && o.Unread > 0 && !o.Failed && !o.Unreachable {
		alarms := o.Alarms
		o, err = m.Pass(ctx) // one pass reads so many leaves, and --once promises all
		o.Alarms += alarms
	}
	switch {
	case err != nil:
		return err
	case o.Alarms > 0 || o.Failed:
		return alarmed{fmt.Errorf("%d alarms: see the lines above", o.Alarms)}
	case o.Unreachable:
		return errors.New("the log could not be reached for every account: run it again")
	case o.Waiting > 0:
		return fmt.Errorf("%d alerts wait for the webhook: run it again", o.Waiting)
	}
	return nil
}

func (g *globals) monitorConfig(f *monitorFlags) (monitor.Config, error) {
	var cfg monitor.Config
	if len(f.watch) == 0 {
		return cfg, usage("monitor needs --watch ID, an account")
	}
	if f.interval <= 0 {
		return cfg, usage("--interval must be longer than nothing")
	}
	ids, err := identifiers(f.watch)
	if err != nil {
		return cfg, err
	}
	approved, err := readApprovals(f.approve)
	if err != nil {
		return cfg, err
	}
	if f.webhook != "" {
		hook, err := monitor.NewWebhook(f.webhook)
		if err != nil {
			return cfg, usageError{err}
		}
		cfg.Hook = hook
	}
	r, err := g.reader()
	if err != nil {
		return cfg, err
	}
	if cfg.Dir = f.dir; cfg.Dir == "" {
		state, err := g.stateDir()
		if err != nil {
			return cfg, err
		}
		cfg.Dir = filepath.Join(state, "monitor")
	}
	cfg.Verifier, cfg.Store, cfg.Source = r.Verifier, r.Store, r.source
	cfg.Accounts, cfg.Approved, cfg.Interval = ids, approved, f.interval
	cfg.Files, cfg.Scan = r.source, f.scan
	if cfg.Promised, err = readPromised(f.receipts); err != nil {
		return cfg, err
	}
	cfg.Out, cfg.Now = g.out, time.Now
	return cfg, nil
}

// readPromised reads what submit --receipts wrote: JSON lines.
func readPromised(path string) (promised []monitor.Promised, err error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the receipts: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var p struct {
			Event   []byte `json:"event"`
			Durable []byte `json:"durable"`
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return promised, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the receipts %s: promise %d: %w", path, len(promised)+1, err)
		}
		promised = append(promised, monitor.Promised{Event: p.Event, Durable: p.Durable})
	}
}

// readApprovals joins files and single lines into one list.
func readApprovals(args []string) (*monitor.Approvals, error) {
	var text strings.Builder
	for _, arg := range args {
		if _, err := monitor.ParseApprovals(arg); err == nil {
			text.WriteString(arg + "\n")
			continue
		}
		data, err := os.ReadFile(arg)
		if err != nil {
			return nil, fmt.Errorf("--approve %s: neither a KEY nor an EVENT_ID, and no file: %w", arg, err)
		}
		if _, err := monitor.ParseApprovals(string(data)); err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		text.Write(append(data, '\n'))
	}
	return monitor.ParseApprovals(text.String())
}
