package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/name"
)

type serveFlags struct {
	dir, origin, listen string
	init, cosigned      bool
	epoch, heartbeat    time.Duration
}

func serveCommand(g *globals) *cobra.Command {
	f := new(serveFlags)
	c := &cobra.Command{
		Use:   "serve --dir DIR",
		Short: "Run the log",
		Args:  takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// In the environment it is for clients: what they trust is not what
			// this log waits for.
			f.cosigned = cmd.Flags().Changed("policy")
			return g.serve(cmd.Context(), f)
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "`DIR` of the log")
	c.Flags().BoolVar(&f.init, "init", false, "make the log first if there is none")
	c.Flags().StringVar(&f.origin, "origin", "", "with --init: the log's name for ever")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8650", "loopback `ADDRESS` to serve on")
	c.Flags().DurationVar(&f.epoch, "epoch", log.DefaultEpoch, "longest that an event waits")
	c.Flags().DurationVar(&f.heartbeat, "heartbeat", log.DefaultHeartbeat, "how often an empty epoch is published at least")
	return c
}

// checkLoopback keeps the log to this machine while nobody has to say who he is.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usage("--listen %s: want HOST:PORT, such as 127.0.0.1:8650", address)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return usage("--listen %s: only loopback addresses are served, since whoever reaches the log may do everything: use 127.0.0.1:PORT, and a proxy that authenticates in front of it", address)
	}
	return nil
}

func (g *globals) serve(ctx context.Context, f *serveFlags) error {
	if f.dir == "" {
		return usage("serve needs --dir DIR, the log's folder")
	}
	if err := checkLoopback(f.listen); err != nil {
		return err
	}
	if f.epoch <= 0 || f.heartbeat <= 0 {
		return usage("--epoch and --heartbeat must be longer than nothing")
	}
	if err := g.prepare(f); err != nil {
		return err
	}
	cfg, s, err := logDir(f.dir).open()
	if err != nil {
		return err
	}
	defer s.Close()
	if f.origin != "" && f.origin != string(cfg.Origin) {
		return usage("%s holds log %s, not %s: choose another --dir for another log", f.dir, cfg.Origin, f.origin)
	}
	cfg.Epoch, cfg.Heartbeat = f.epoch, f.heartbeat
	if f.cosigned {
		if err := g.addCosigners(&cfg); err != nil {
			return err
		}
	}
	l, err := log.Open(cfg)
	if err != nil {
		return fmt.Errorf("opening the log in %s: %w", f.dir, err)
	}
	limitMemory(l.Events())
	credentials, err := credential.Open(logDir(f.dir).credentials())
	if err != nil {
		return err
	}
	handler, err := server.New(server.Config{Backend: &backend{Log: l, cfg: cfg}, Credentials: credentials})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("%w: is another log serving there? choose another --listen", err)
	}
	if !credentials.Required() {
		g.say("everyone who reaches this address may do everything: submit, remove devices, erase (`muster token add` ends that)")
	}
	if l.Published() == nil {
		g.say("waiting for cosigners: nothing is published before the quorum of %s is met; tiles and entries are served", g.policy)
	}
	g.say("serving %s on http://%s", cfg.Origin, listener.Addr())
	err = g.runLog(ctx, l, server.Server(handler), listener)
	var m *evidence.Misbehaviour
	if errors.As(err, &m) {
		path, kept := logDir(f.dir).keepEvidence(m)
		if kept != nil {
			return errors.Join(err, fmt.Errorf("keeping the evidence: %w", kept))
		}
		g.say("evidence that this log's key signed two histories: %s", path)
	}
	return err
}

// limitMemory lets garbage wait while there is room: to collect it whenever
// memory has doubled would cost a log that fills two percent of its time. Who
// sets the runtime's own variables knows better.
func limitMemory(events uint64) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(log.Memory(events))
	}
}

// addCosigners reads whose cosignatures a checkpoint needs, and where to ask.
func (g *globals) addCosigners(cfg *log.Config) error {
	policy, err := g.loadPolicy()
	if err != nil {
		return err
	}
	var urls []string
	for _, w := range policy.Witnesses {
		if w.URL != "" {
			urls = append(urls, w.URL)
		}
	}
	cosigners, err := client.NewCosigners("muster/"+version(), urls...)
	if err != nil {
		return fmt.Errorf("%s: %w", g.policy, err)
	}
	cfg.Policy, cfg.Cosigners = policy, make(map[string]log.Cosigner)
	for u, c := range cosigners {
		cfg.Cosigners[u] = c
	}
	return nil
}

func (g *globals) prepare(f *serveFlags) error {
	if !f.init {
		if f.origin != "" {
			return usage("--origin goes with --init")
		}
		return nil
	}
	exists, err := logDir(f.dir).exists()
	if err != nil || exists {
		return err
	}
	if f.origin == "" {
		return usage("--init needs --origin: the log's name for ever")
	}
	return g.initLog(logDir(f.dir), f.origin)
}

// drainTime bounds how long a stopping server waits for answers on their way.
const drainTime = 4 * time.Second

// runLog runs sequencer and server until ctx ends or the log cannot go on.
// The server stops last, so that events sealed on the way out are acknowledged.
func (g *globals) runLog(ctx context.Context, l *log.Log, s *http.Server, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sequenced := make(chan error, 1)
	go func() { sequenced <- l.Run(ctx); cancel() }()
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()

	var serveErr error
	select {
	case <-ctx.Done():
	case serveErr = <-served:
		cancel()
	}
	runErr := <-sequenced
	drain, stop := context.WithTimeout(context.Background(), drainTime)
	defer stop()
	if err := s.Shutdown(drain); err != nil {
		s.Close()
	}
	if errors.Is(serveErr, http.ErrServerClosed) {
		serveErr = nil
	}
	if err := errors.Join(runErr, serveErr); err != nil {
		return fmt.Errorf("the log stopped: %w", err)
	}
	g.say("stopped; every acknowledged event is stored")
	return nil
}

// backend is the log as the API sees it.
type backend struct {
	*log.Log
	cfg log.Config
}

func (b *backend) Admit(events [][]byte) server.Batch { return b.Log.Admit(events) }

func (b *backend) Checkpoint() []byte { return b.Published() }

func (b *backend) Tile(_ context.Context, level int, n uint64, width int) ([]byte, error) {
	data, err := b.Log.Tile(level, n, width)
	return data, found(err)
}

func (b *backend) Entries(_ context.Context, n uint64, width int) ([]byte, error) {
	data, err := b.Log.Entries(n, width)
	return data, found(err)
}

// found says "not found" in the edge's word for it.
func found(err error) error {
	if errors.Is(err, log.ErrNotFound) {
		return server.ErrNotFound
	}
	return err
}

func (b *backend) Info() server.Info {
	size, epoch := b.Position()
	return server.Info{
		Origin: name.Origin(b.cfg.Origin), LogKey: b.cfg.Signer.Key().String(), Genesis: b.Genesis(), Size: size, Epoch: epoch,
		EpochInterval: b.cfg.Epoch, Heartbeat: b.cfg.Heartbeat, MaxDevices: log.DefaultMaxDevices, Version: version(),
	}
}
