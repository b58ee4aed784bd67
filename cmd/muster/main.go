// Command muster runs a transparency log of account devices, and verifies
// what such a log says. `muster help` lists its commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/auditor"
)

// Exit codes, fixed for scripts.
const (
	exitOK     = 0
	exitFailed = 1 // could not
	exitUsage  = 2
	exitRefuse = 3 // verification failed
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	slog.SetDefault(t.logger()) // also for net/http, which only knows package log
	os.Exit(run(ctx, os.Args[1:], t))
}

// run is the whole command; tests call it as the binary does.
func run(ctx context.Context, args []string, t *terminal) int {
	g := &globals{terminal: t}
	root := newRoot(g)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	t.say("%s", plain(err))
	var failure *verifier.Failure
	switch {
	case !g.started || errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, &failure):
		if g.opened != nil {
			g.convict(ctx, g.opened, failure)
			g.explain(ctx, g.opened, failure)
		}
		return exitRefuse
	case errors.As(err, new(*evidence.Misbehaviour)), errors.As(err, new(*auditor.Broken)),
		errors.As(err, new(alarmed)), errors.As(err, new(noEvidence)), errors.As(err, new(damaged)),
		errors.Is(err, checkpoint.ErrLogSignature): // a log that signs with another key
		return exitRefuse
	}
	return exitFailed
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// takes refuses any other number of arguments, and shows how the command is used.
func takes(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("want `%s`, got %d arguments: see `%s --help`", strings.TrimSuffix(c.UseLine(), " [flags]"), len(args), c.CommandPath())
		}
		return nil
	}
}

// groupCommand only holds others: alone, or with a word that none of them has,
// it says which there are.
func groupCommand(use, short, want string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			return usage("%s: want %s, got %q: see `%s --help`", use, want, strings.Join(args, " "), c.CommandPath())
		},
	}
}

func newRoot(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "muster",
		Short: "A transparency log of account devices: run it, or verify what it says",
		Long: `muster records every device that is added to or removed from an account, and
every full re-registration, in one append-only log. Clients verify each device
list they are given; owners see every event on their account.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			// Cobra checks these only after this hook, when a failure counts as the
			// command's own.
			if err := cmd.ValidateFlagGroups(); err != nil {
				return err
			}
			g.started = true
			return nil
		},
	}
	root.SetIn(g.in)
	root.SetOut(g.out)
	root.SetErr(g.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	g.addFlags(root)
	root.AddGroup(
		&cobra.Group{ID: "read", Title: "Verify:"},
		&cobra.Group{ID: "agent", Title: "Be a device (a small agent for trying things out):"},
		&cobra.Group{ID: "operate", Title: "Run a log:"},
		&cobra.Group{ID: "honest", Title: "Keep a log honest:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("read", devicesCommand(g), verifyCommand(g), codeCommand(g), proofCommand(g), verifyProofCommand(g), policyCommand(g), statusCommand(g))
	add("agent", registerCommand(g), linkCommand(g), unlinkCommand(g), confirmCommand(g), reregisterCommand(g))
	add("operate", initCommand(g), serveCommand(g), sealCommand(g), fsckCommand(g), backupCommand(g), recoverCommand(g), submitCommand(g), importCommand(g), benchCommand(g), operatorCommand(g), tokenCommand(g))
	add("honest", witnessCommand(g), auditCommand(g), monitorCommand(g), evidenceCommand(g))
	root.AddCommand(demoCommand(g), versionCommand(g))
	for _, c := range root.Commands() {
		if only, ok := heeds[c.Name()]; ok {
			helpWith(c, only)
		}
	}
	return root
}
