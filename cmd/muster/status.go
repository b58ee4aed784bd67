package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/verifier"
)

func statusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what a log says of itself: how far it is, and whether it signs",
		Long: `status asks the log at --log for its name and size, and whether it still signs
checkpoints and takes events. It takes no token. Nothing of the answer is
verified: muster devices, verify and audit are for that.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.status(cmd.Context()) },
	}
}

func (g *globals) status(ctx context.Context) error {
	source, err := g.source(nil)
	if err != nil {
		return err
	}
	info, err := source.Info(ctx)
	if err != nil {
		return err
	}
	if g.json {
		return g.printJSON(struct {
			Origin   string  `json:"origin"`
			Size     uint64  `json:"size"`
			Epoch    uint64  `json:"epoch"`
			ReadOnly *string `json:"read_only"` // why; null while it signs
			Version  string  `json:"version"`
		}{info.GetOrigin(), info.GetSize(), info.GetEpoch(), some(info.GetReadOnly()), info.GetServerVersion()})
	}
	g.print("%s: %d leaves are published, epoch %d; server %s\n", info.GetOrigin(), info.GetSize(), info.GetEpoch(), info.GetServerVersion())
	if why := info.GetReadOnly(); why != "" {
		g.print("READ ONLY: it signs nothing and takes no event: %s\n", why)
	} else {
		g.print("it signs checkpoints and takes events\n")
	}
	return nil
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// explain says what the log itself gives for a checkpoint that is too old: a
// read-only one goes on serving it. That is no excuse and changes no verdict.
func (g *globals) explain(ctx context.Context, r *reader, f *verifier.Failure) {
	if f.Check != verifier.CheckFreshness {
		return
	}
	ctx, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	if info, err := r.source.Info(ctx); err == nil && info.GetReadOnly() != "" {
		g.say("the log says that it signs nothing any more: %s", info.GetReadOnly())
	}
}
