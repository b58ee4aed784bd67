package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/client"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// statusTime bounds what one of those who are asked may take.
const statusTime = 5 * time.Second

func statusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what a log says of itself: how far it is, and whether it signs",
		Long: `status asks the log at --log for its name and size, and whether it still signs
checkpoints and takes events. It takes no token. Nothing of the answer is
verified: muster devices, verify and audit are for that.

With --policy it also asks each cosigner that the policy has a URL of what it
cosigned last. A log whose quorum is missing publishes nothing new, and keeps
what it is sent until the quorum is back.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.status(cmd.Context()) },
	}
}

func (g *globals) status(ctx context.Context) error {
	policy, err := g.policyIfNamed()
	if err != nil {
		return err
	}
	source, err := g.source(policy)
	if err != nil {
		return err
	}
	info, err := source.Info(ctx)
	if err != nil {
		return err
	}
	var cosigners []*cosignerJSON
	if policy != nil && policy.NeedsCosigners() {
		if info.GetOrigin() != policy.Log.Name {
			g.say("%s is a policy of %s: its cosigners are not asked about another log", g.policy, policy.Log.Name)
		} else if cosigners, err = askCosigners(ctx, policy); err != nil {
			return fmt.Errorf("%s: %w", g.policy, err)
		}
	}
	if g.json {
		return g.printJSON(struct {
			Origin    string          `json:"origin"`
			Size      uint64          `json:"size"`
			Epoch     uint64          `json:"epoch"`
			ReadOnly  *string         `json:"read_only"` // why; null while it signs
			Version   string          `json:"version"`
			Cosigners []*cosignerJSON `json:"cosigners"`
		}{info.GetOrigin(), info.GetSize(), info.GetEpoch(), some(info.GetReadOnly()), info.GetServerVersion(), append([]*cosignerJSON{}, cosigners...)})
	}
	g.printStatus(info)
	g.printCosigners(policy, cosigners)
	return nil
}

func (g *globals) printStatus(info *musterv1.InfoResponse) {
	if info.GetSize() == 0 {
		g.print("%s: nothing is published yet: it waits for the quorum of its cosigners; server %s\n", info.GetOrigin(), info.GetServerVersion())
	} else {
		g.print("%s: %d leaves are published, epoch %d; server %s\n", info.GetOrigin(), info.GetSize(), info.GetEpoch(), info.GetServerVersion())
	}
	if why := info.GetReadOnly(); why != "" {
		g.print("READ ONLY: it signs nothing and takes no event: %s\n", why)
	} else {
		g.print("it signs checkpoints and takes events\n")
	}
}

// cosignerJSON is what one cosigner of a policy says of the log.
type cosignerJSON struct {
	Name  string  `json:"name"`
	URL   string  `json:"url"`
	Size  *uint64 `json:"size"`  // that it cosigned last; null if it does not show any
	Time  *string `json:"time"`  // when, by its own clock, RFC 3339, UTC
	Error string  `json:"error"` // why it shows none
	at    time.Time
}

// askCosigners asks all at once what they cosigned last: one that does not
// answer keeps nobody waiting for the others.
func askCosigners(ctx context.Context, policy *checkpoint.Policy) (all []*cosignerJSON, err error) {
	ctx, done := context.WithTimeout(ctx, statusTime)
	defer done()
	var asking sync.WaitGroup
	defer asking.Wait()
	for _, w := range policy.Witnesses {
		if w.URL == "" {
			continue
		}
		remote, err := client.NewCosigners("muster/"+version(), w.URL)
		if err != nil {
			return nil, err
		}
		c := &cosignerJSON{Name: w.Name, URL: w.URL}
		all = append(all, c)
		asking.Go(func() {
			if err := c.ask(ctx, remote[w.URL], w.Key, name.Origin(policy.Log.Name)); err != nil {
				c.Error = late(err, fmt.Sprintf("no answer within %v: does it run, and is it reached from here?", statusTime))
			}
		})
	}
	return all, nil
}

func (c *cosignerJSON) ask(ctx context.Context, remote *client.Cosigner, key checkpoint.Key, origin name.Origin) error {
	raw, err := remote.Checkpoint(ctx, origin)
	if err != nil {
		return err
	}
	note, err := checkpoint.Parse(raw)
	if err != nil {
		return err
	}
	for _, line := range note.Lines {
		if !key.Made(line) {
			continue
		}
		at, err := key.Verify(note.Text, line)
		if err != nil {
			return err
		}
		c.at = time.Unix(int64(at), 0)
		when := c.at.UTC().Format(time.RFC3339)
		c.Size, c.Time = &note.Size, &when
		return nil
	}
	return errors.New("what it shows is not cosigned with the policy's key of it")
}

func (g *globals) printCosigners(policy *checkpoint.Policy, all []*cosignerJSON) {
	answered := make(map[string]bool)
	for _, c := range all {
		if answered[c.Name] = c.Size != nil; !answered[c.Name] {
			g.print("  %s MISSING: %s\n", c.Name, c.Error)
			continue
		}
		age := max(time.Since(c.at).Round(time.Second), 0)
		g.print("  %s at %s cosigned %d leaves %v ago\n", c.Name, c.URL, *c.Size, age)
	}
	if len(all) > 0 && len(all) == len(policy.Witnesses) && !policy.Met(answered) {
		g.print("the others are no quorum (%s): nothing new is published without it\n", policy.Quorum)
	}
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
	ctx, done := context.WithTimeout(ctx, statusTime)
	defer done()
	if info, err := r.source.Info(ctx); err == nil && info.GetReadOnly() != "" {
		g.say("the log says that it signs nothing any more: %s", info.GetReadOnly())
	}
}
