package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/checkpoint"
)

func policyCommand(g *globals) *cobra.Command {
	c := groupCommand("policy", "Look at trust policies", "check")
	c.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Say how many dishonest and how many unavailable cosigners a policy tolerates",
		Long: `Reads a trust policy and says what its quorum is worth. A policy tolerates d
dishonest cosigners if no d of them, together with the log, can have two
clients believe two histories; it tolerates u unavailable ones if without any u
of them checkpoints are still believed. Both are worked out over all sets of
cosigners, so for groups of groups too.`,
		Args: takes(1),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("reading the trust policy: %w", err)
			}
			policy, err := checkpoint.ParsePolicy(data)
			if err != nil {
				return fmt.Errorf("trust policy %s: %w", args[0], err)
			}
			return g.checkPolicy(policy)
		},
	})
	return c
}

type policyJSON struct {
	Origin      string   `json:"origin"`
	Quorum      string   `json:"quorum"`
	Cosigners   int      `json:"cosigners"` // that the quorum counts
	Auditors    []string `json:"auditors"`
	Trust       string   `json:"trust"`
	Dishonest   *int     `json:"dishonest"` // tolerated; −1: not even none; null: too many cosigners to work it out
	Unavailable *int     `json:"unavailable"`
	Idle        []string `json:"idle"` // cosigners that the quorum does not count
	Warnings    []string `json:"warnings"`
}

func (g *globals) checkPolicy(p *checkpoint.Policy) error {
	idle := p.Idle()
	out := policyJSON{
		Origin: p.Log.Name, Quorum: p.Quorum, Cosigners: len(p.Witnesses) - len(idle),
		Auditors: append([]string{}, p.Auditors()...), Trust: string(p.Trust()),
		Idle: append([]string{}, idle...), Warnings: []string{},
	}
	t, err := p.Tolerates()
	if err == nil {
		out.Dishonest, out.Unavailable = &t.Dishonest, &t.Unavailable
	}
	out.Warnings = append(out.Warnings, warnings(p, t, err)...)
	if g.json {
		return g.printJSON(out)
	}
	g.print("log %s, quorum %s of %d cosigners\n", out.Origin, out.Quorum, out.Cosigners)
	g.print("  %s\n", trustInWords(p.Trust()))
	if err == nil {
		g.print("  dishonest cosigners tolerated: %d\n", max(t.Dishonest, 0))
		g.print("  unavailable cosigners tolerated: %d\n", t.Unavailable)
	}
	if len(out.Auditors) > 0 {
		g.print("  auditors: %s\n", strings.Join(out.Auditors, " "))
	}
	for _, w := range out.Warnings {
		g.print("warning: %s\n", w)
	}
	return nil
}

// warnings is what whoever wrote a policy may not have meant.
func warnings(p *checkpoint.Policy, t checkpoint.Tolerance, unknown error) (w []string) {
	say := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	switch {
	case unknown != nil:
		say("%v", unknown)
	case p.Quorum == "none":
		say("no cosigner is asked for: the log can show everybody another history")
	case t.Dishonest < 0:
		say("two parts of the cosigners meet the quorum each: the log can show two histories though all cosigners are honest")
	case t.Dishonest == 0:
		say("one dishonest cosigner is enough for the log to show two histories")
	}
	counts := map[string]bool{p.Quorum: true}
	for i := len(p.Groups) - 1; i >= 0; i-- {
		g := p.Groups[i]
		if !counts[g.Name] {
			say("group %s is not counted by the quorum", g.Name)
			continue
		}
		for _, m := range g.Members {
			counts[m] = true
		}
		if n := len(g.Members); 3*g.Need <= 2*n {
			say("group %s asks for %d of %d, at most two thirds: with %d of them dishonest, two parts of the others meet it each", g.Name, g.Need, n, max(2*g.Need-n, 0))
		}
	}
	if idle := p.Idle(); len(idle) > 0 {
		say("not counted by the quorum: %s", strings.Join(idle, " "))
	}
	for _, witness := range p.Witnesses {
		if witness.URL == "" {
			say("%s has no URL: a client does not need one, but `muster serve --policy` cannot ask it", witness.Name)
		}
	}
	return w
}

func trustInWords(t checkpoint.Trust) string {
	switch t {
	case checkpoint.Audited:
		return "audited: no quorum without an auditor, who has replayed every leaf"
	case checkpoint.Unaudited:
		return "unaudited: cosigners see the tree grow; nobody but the log vouches that the map follows from it"
	}
	return "unwitnessed: nobody but the log vouches for anything"
}
