package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

func verifyCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "verify ID",
		Short: "Verify an account's whole history and show it as a timeline",
		Args:  takes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, result, err := g.lookup(cmd.Context(), args[0], true)
			if err != nil {
				return err
			}
			if g.json {
				return g.printJSON(historyJSON(id, result))
			}
			g.printDevices(id, &result.Accounts[0])
			g.printTimeline(&result.Accounts[0])
			g.say("%s", vouch(result, time.Now()))
			return nil
		},
	}
}

func historyJSON(id name.Identifier, r *verifier.Result) verifyJSON {
	f := &r.Accounts[0]
	out := verifyJSON{devicesJSON: foundJSON(id, r, f), Events: []eventJSON{}, ErasedBefore: f.ErasedBefore}
	for _, e := range f.Events {
		row := eventJSON{
			Seq: e.Seq, Type: e.Type.String(), Generation: e.Generation, Position: e.Position,
			TimeMs: e.TimeMs, KeyIndex: e.KeyIndex, Signers: e.Signers(),
		}
		if key := e.About(); !key.IsZero() {
			row.Key = key.String()
		}
		out.Events = append(out.Events, row)
	}
	return out
}

func (t *terminal) printTimeline(f *verifier.Found) {
	if len(f.Events) == 0 {
		return
	}
	t.print("\nhistory (times are the signers' own)\n")
	if f.ErasedBefore != nil && *f.ErasedBefore > 0 {
		t.print("  events 0 to %d are erased: that they happened is proven, what they were is gone\n", *f.ErasedBefore-1)
	}
	generation := ^uint32(0)
	for _, e := range f.Events {
		if e.Generation != generation {
			generation = e.Generation
			t.print("  generation %d\n", generation)
		}
		t.print("  %4d  %s  %s  by %s, at position %d\n", e.Seq,
			time.UnixMilli(int64(e.TimeMs)).UTC().Format("2006-01-02 15:04:05"), describe(e.Event), strings.Join(e.Signers(), " and "), e.Position)
	}
}

func describe(e *event.Event) string {
	short := func(k event.Key) string { return k.String()[:12] + "…" }
	switch e.Type {
	case event.Register:
		return "registered with " + short(e.Primary)
	case event.AddDevice:
		return "added device " + short(e.Subject)
	case event.RemoveDevice:
		return "removed device " + short(e.Subject)
	case event.OperatorRemove:
		return "the operator removed device " + short(e.Subject)
	case event.Reregister:
		if e.Subject.IsZero() {
			return "RE-REGISTERED with " + short(e.Primary) + ", not endorsed"
		}
		return "RE-REGISTERED with " + short(e.Primary) + ", endorsed by the key before"
	case event.Erase:
		return "ERASED"
	case event.Confirm:
		return "confirmed the device list"
	}
	return e.Type.String()
}
