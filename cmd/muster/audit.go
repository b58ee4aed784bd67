package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/witness"
	"github.com/musterlog/muster/witness/auditor"
)

type auditFlags struct {
	dir, vkey, listen, name string
	once                    bool
}

func auditCommand(g *globals) *cobra.Command {
	f := new(auditFlags)
	c := &cobra.Command{
		Use:   "audit --dir DIR --log URL --vkey VKEY",
		Short: "Replay every leaf of a log and rebuild its maps; cosign what is in order",
		Long: `audit reads all that the log signed, and checks every rule that can be checked
without opening a commitment: which leaves stand where, that no index occurs
twice, and that every epoch's map follows from its events.

When the log breaks a rule, audit stops for good and writes evidence that
convicts the log to DIR/evidence. Its exit code is then 3, also when it is
started again.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.audit(cmd.Context(), f) },
	}
	c.Flags().StringVar(&f.dir, "dir", "", "`DIR` of the auditor: what it replayed is not replayed again")
	c.Flags().StringVar(&f.vkey, "vkey", "", "the log's verifier key")
	c.Flags().StringVar(&f.listen, "listen", "", "cosign at this `ADDRESS`, as a C2SP witness does")
	c.Flags().StringVar(&f.name, "name", "", "with --listen: the key's `NAME` for ever (default random)")
	c.Flags().BoolVar(&f.once, "once", false, "check all that there is, and stop")
	c.MarkFlagsMutuallyExclusive("once", "listen")
	return c
}

func (g *globals) audit(ctx context.Context, f *auditFlags) error {
	if f.dir == "" || f.vkey == "" {
		return usage("audit needs --dir DIR, its folder, and --vkey VKEY, the log's key (its operator publishes it: DIR/log.vkey)")
	}
	if f.name != "" && f.listen == "" {
		return usage("--name goes with --listen")
	}
	key, err := checkpoint.ParseKey(f.vkey)
	if err != nil {
		return usageError{err}
	}
	source, err := g.unverified()
	if err != nil {
		return err
	}
	a, err := auditor.Open(auditor.Config{Dir: f.dir, Log: key, Source: source})
	if err != nil {
		return err
	}
	switch {
	case f.once:
		err = g.auditOnce(ctx, a)
	case f.listen == "":
		g.say("auditing %s", key.Name)
		err = a.Run(ctx)
	default:
		err = g.auditor(ctx, a, key, f)
	}
	return errors.Join(err, a.Close())
}

func (g *globals) auditOnce(ctx context.Context, a *auditor.Auditor) error {
	before, began := a.Events(), time.Now()
	r, err := a.Catch(ctx)
	if err != nil {
		return err
	}
	seconds := max(time.Since(began).Seconds(), 1e-3)
	fmt.Fprintf(g.out, "%s is in order: %d leaves, %d events, %d epochs\n", r.Checkpoint.Origin, r.Leaves, r.Events, r.Epochs)
	fmt.Fprintf(g.out, "root of size %d: %s\n", r.Checkpoint.Size, r.Checkpoint.Root)
	fmt.Fprintf(g.out, "replayed %d events in %.1f s, %.0f a second\n", r.Events-before, seconds, float64(r.Events-before)/seconds)
	return nil
}

// auditor cosigns until ctx ends. Once the log has broken a rule it goes on to
// answer, with 503 and why.
func (g *globals) auditor(ctx context.Context, a *auditor.Auditor, key checkpoint.Key, f *auditFlags) error {
	keys := cosignerDir{f.dir, "auditor"}
	// A key without its state, or a state without its key, is a folder that lost
	// something: it is not made anew under the old name.
	begin := missing(keys.path(".key")) && missing(filepath.Join(f.dir, "state"))
	cosigners, err := keys.open(f.name, begin)
	if err != nil {
		return err
	}
	w, err := witness.Open(witness.Config{
		Dir: f.dir, Init: begin, Logs: []witness.Log{{Key: key}}, Cosigners: cosigners, Check: a.Judge,
	})
	if errors.Is(err, witness.ErrNoState) {
		return fmt.Errorf("%w: restore it as it last was, or delete %s and begin as a new auditor with another key", err, f.dir)
	}
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return errors.Join(fmt.Errorf("%w: is another auditor serving there? choose another --listen", err), w.Close())
	}
	g.say("clients trust it by %s, in a group named auditors", keys.path(".vkey"))
	g.say("auditing %s", key.Name)
	g.say("auditor %s on http://%s", cosigners[0].Key().Name, listener.Addr())
	followed := make(chan error, 1)
	go func() {
		err := a.Run(ctx)
		if err != nil {
			g.say("%v", err)
		}
		followed <- err
	}()
	err = serveUntil(ctx, server.Server(w.Handler()), listener)
	return errors.Join(err, <-followed, w.Close())
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}
