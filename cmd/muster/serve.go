package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/name"
)

type serveFlags struct {
	dir, origin      string
	listen, admin    string
	init, cosigned   bool
	vouched          vouched
	epoch, heartbeat time.Duration
	tls              tlsFiles
	terminated       bool // TLS, by a proxy in front
	entries          string
}

func serveCommand(g *globals) *cobra.Command {
	f := new(serveFlags)
	c := &cobra.Command{
		Use:   "serve --dir DIR",
		Short: "Run the log",
		Long: `serve runs the log in DIR. On loopback it works without credentials and TLS,
and everybody who reaches it may do everything. On any other address it refuses
to start without both: make credentials with "muster token add", and name the
certificate with --tls-cert and --tls-key, or say --tls-terminated if a proxy in
front speaks TLS and nobody else can reach the address. The files may be
replaced while it runs.`,
		Args: takes(0),
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
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8650", "`ADDRESS` to serve on")
	c.Flags().StringVar(&f.tls.cert, "tls-cert", "", "`FILE` of the TLS certificate and its chain, PEM")
	c.Flags().StringVar(&f.tls.key, "tls-key", "", "`FILE` of its private key, PEM")
	c.Flags().StringVar(&f.tls.clientCA, "tls-client-ca", "", "`FILE` of the authorities whose certificate a client must show, PEM, beside its token")
	c.Flags().BoolVar(&f.terminated, "tls-terminated", false, "a proxy in front of the log speaks TLS")
	c.MarkFlagsMutuallyExclusive("tls-terminated", "tls-cert")
	c.Flags().StringVar(&f.entries, "entries", "public", "who may read all leaves: public, or restricted to tokens")
	c.Flags().StringVar(&f.admin, "admin", "", "`ADDRESS` of /healthz, /readyz, /metrics and, on loopback, /debug/pprof; :PORT is on loopback")
	f.vouched.flags(c)
	c.Flags().DurationVar(&f.epoch, "epoch", log.DefaultEpoch, "longest that an event waits")
	c.Flags().DurationVar(&f.heartbeat, "heartbeat", log.DefaultHeartbeat, "how often an empty epoch is published at least")
	return c
}

// vouched is what an operator who has looked says for one start, in place of
// cosigners.
type vouched struct{ unconfirmed, clock bool }

func (v *vouched) flags(c *cobra.Command) {
	c.Flags().BoolVar(&v.unconfirmed, "unconfirmed", false, "for one start: sign though none of the cosigners from before is asked whether this store is the newest")
	c.Flags().BoolVar(&v.clock, "clock-is-right", false, "for one start: believe this machine's clock though the newest epoch is old")
}

func (v *vouched) set(cfg *log.Config) { cfg.Unconfirmed, cfg.ClockIsRight = v.unconfirmed, v.clock }

// check is what can be said before anything is opened.
func (f *serveFlags) check() error {
	switch {
	case f.dir == "":
		return usage("serve needs --dir DIR, the log's folder")
	case f.entries != "public" && f.entries != "restricted":
		return usage("--entries %q: want public or restricted", f.entries)
	case f.epoch <= 0 || f.heartbeat <= 0:
		return usage("--epoch and --heartbeat must be longer than nothing")
	}
	if err := f.tls.check(); err != nil {
		return err
	}
	local, err := isLoopback(f.listen)
	if err != nil {
		return usage("--listen %s: %w", f.listen, err)
	}
	if !local && f.tls.cert == "" && !f.terminated {
		return usage("--listen %s: others reach this address, and could read every token on the way: add --tls-cert FILE and --tls-key FILE, or --tls-terminated if a proxy in front of it speaks TLS, or use 127.0.0.1:PORT", f.listen)
	}
	return nil
}

// guard reads who may do what. Where others than this machine's reach the log,
// and behind a proxy that lets them, somebody has to be named.
func (f *serveFlags) guard() (*credential.Set, error) {
	credentials, err := credential.Open(logDir(f.dir).credentials())
	if err != nil || credentials.Required() {
		return credentials, err
	}
	if f.entries == "restricted" {
		return nil, fmt.Errorf("%s has no credentials, and without any everybody may do everything: --entries restricted would keep nobody out. Make one first with `muster token add --dir %s --scope audit`", f.dir, f.dir)
	}
	if local, err := isLoopback(f.listen); err != nil || !local || f.terminated {
		return nil, errors.Join(err, fmt.Errorf("%s has no credentials, and whoever reached the log could do everything: make one first with `muster token add --dir %s --scope write`", f.dir, f.dir))
	}
	return credentials, nil
}

func (g *globals) serve(ctx context.Context, f *serveFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := g.prepare(f); err != nil {
		return err
	}
	credentials, err := f.guard()
	if err != nil {
		return err
	}
	halt := new(halter)
	cfg, s, err := logDir(f.dir).open(halt.corrupted)
	if err != nil {
		return err
	}
	expired, release := expiring(ctx), s.Close
	defer func() { within(expired, release) }()
	if f.origin != "" && f.origin != string(cfg.Origin) {
		return usage("%s holds log %s, not %s: choose another --dir for another log", f.dir, cfg.Origin, f.origin)
	}
	cfg.Epoch, cfg.Heartbeat = f.epoch, f.heartbeat
	f.vouched.set(&cfg)
	if f.cosigned {
		if err := g.addCosigners(&cfg); err != nil {
			return err
		}
	}
	counts := newMetrics()
	cfg.Metrics = counts
	l, err := openLog(cfg)
	if err != nil {
		return fmt.Errorf("opening the log in %s: %w", f.dir, err)
	}
	halt.set(l)
	counts.watch(l)
	stop, err := logDir(f.dir).serveControl(s)
	if err != nil {
		g.say("no backups while this log is served: %v", err)
		stop = func() {}
	}
	release = func() error {
		stop()
		l.Close()
		return s.Close()
	}
	log.LimitMemory(l.Events())
	handler, err := server.New(server.Config{Backend: &backend{Log: l, cfg: cfg}, Credentials: credentials, Metrics: counts, RestrictEntries: f.entries == "restricted"})
	if err != nil {
		return err
	}
	listener, scheme, err := f.open()
	if err != nil {
		return err
	}
	if f.admin != "" {
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		if err := g.admin(ctx, f.admin, counts, readiness(l)); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	if !credentials.Required() {
		g.say("everyone who reaches this address may do everything: submit, remove devices, erase (`muster token add` ends that)")
	}
	g.sayState(l)
	g.say("serving %s on %s://%s", cfg.Origin, scheme, listener.Addr())
	return g.runLog(ctx, expired, func(ctx context.Context) error { return g.sequence(ctx, logDir(f.dir), l) }, server.Server(handler), listener)
}

// readiness says whether lookups can be answered.
func readiness(l *log.Log) func() error {
	return func() error {
		if l.Published() == nil {
			return errors.New("nothing is published: the policy's quorum of cosigners is not met yet")
		}
		return nil
	}
}

// open is the listener, and how a client's URL begins.
func (f *serveFlags) open() (net.Listener, string, error) {
	var secure *tls.Config
	if f.tls.cert != "" {
		var err error
		if secure, err = f.tls.server(); err != nil {
			return nil, "", err
		}
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return nil, "", fmt.Errorf("%w: is another log serving there? choose another --listen", err)
	}
	listener = server.Listener(listener)
	if secure == nil {
		return listener, "http", nil
	}
	return tls.NewListener(listener, secure), "https", nil
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
	return g.initLog(logDir(f.dir), f.origin, "")
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
		EpochInterval: b.cfg.Epoch, Heartbeat: b.cfg.Heartbeat, MaxDevices: log.DefaultMaxDevices, Version: version(), ReadOnly: log.Told(b.Log.ReadOnly()),
	}
}
