package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/witness"
)

type witnessFlags struct {
	dir, listen, logs, name string
	init                    bool
}

func witnessCommand(g *globals) *cobra.Command {
	f := new(witnessFlags)
	c := &cobra.Command{
		Use:   "witness --dir DIR --logs FILE",
		Short: "Cosign logs as long as each only grows",
		Long: `witness is a C2SP tlog-witness for any C2SP log. It cosigns a checkpoint if it
extends all that it cosigned before, and never two histories of one log.

It remembers that in DIR. Without its state it refuses to run: a witness that
forgot would cosign whatever it is shown first. --init says that it is new.`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.witness(cmd.Context(), f) },
	}
	c.Flags().StringVar(&f.dir, "dir", "", "`DIR` of the witness")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8651", "`ADDRESS` to serve on")
	c.Flags().StringVar(&f.logs, "logs", "", "`FILE` of the logs to cosign: lines \"log <vkey> [<url>]\", or a whole policy")
	c.Flags().StringVar(&f.name, "name", "", "the key's `NAME` for ever, such as w1.example.net (default random)")
	c.Flags().BoolVar(&f.init, "init", false, "begin without a state: make what is missing")
	return c
}

func (g *globals) witness(ctx context.Context, f *witnessFlags) error {
	if f.dir == "" || f.logs == "" {
		return usage("witness needs --dir DIR, its folder, and --logs FILE, the logs to cosign")
	}
	if _, _, err := net.SplitHostPort(f.listen); err != nil {
		return usage("--listen %s: want HOST:PORT, such as 127.0.0.1:8651", f.listen)
	}
	text, err := os.ReadFile(f.logs)
	if err != nil {
		return fmt.Errorf("reading the logs: %w", err)
	}
	logs, err := witness.ParseLogs(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.logs, err)
	}
	keys := cosignerDir{f.dir, "witness"}
	forgot := missing(filepath.Join(f.dir, "state", "origins")) && !missing(keys.path(".key"))
	cosigners, err := keys.open(f.name, f.init)
	if err != nil {
		return err
	}
	if f.init && forgot {
		g.say("this witness has a key but no state: from now on it believes what each log shows it first. If it has ever cosigned, that helps a log to fork: stop it, and bring its state back or give it a new --dir and key")
	}
	w, err := witness.Open(witness.Config{
		Dir: f.dir, Init: f.init, Logs: logs, Cosigners: cosigners,
	})
	if errors.Is(err, witness.ErrNoState) {
		return fmt.Errorf("%w: restore it as it last was; --init only for a witness that has never cosigned, since it believes what each log shows it first", err)
	}
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return errors.Join(fmt.Errorf("%w: is another witness serving there? choose another --listen", err), w.Close())
	}
	g.say("clients trust it by %s", keys.path(".vkey"))
	g.say("witness %s on http://%s", cosigners[0].Key().Name, listener.Addr())
	err = serveUntil(ctx, server.Server(w.Handler()), listener)
	return errors.Join(err, w.Close())
}

// serveUntil answers until ctx ends, and then what is on its way.
func serveUntil(ctx context.Context, s *http.Server, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(context.Background(), drainTime)
	defer stop()
	if err := s.Shutdown(drain); err != nil {
		s.Close()
	}
	<-served
	return nil
}
