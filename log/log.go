// Package log is the running log: it admits account events, seals them into
// epochs one after the other, publishes checkpoints, and answers reads from
// the newest published one. It speaks no network protocol and trusts its
// store no further than it must: see SignedHead.
package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/vrf"
)

// Config is what a log is made of. Origin, Signer, VRF, Store and Head are
// required and belong to one log for ever; the others may change at a restart.
type Config struct {
	Origin name.Origin
	Signer *checkpoint.Signer
	VRF    *vrf.PrivateKey
	Store  store.Store
	Head   SignedHead

	// Predecessor is for Create alone: empty, or the text of the last checkpoint
	// of the sealed log that this one continues (protocol section 4.2).
	Predecessor string

	Epoch          time.Duration    // longest that an event waits; 0: DefaultEpoch
	Heartbeat      time.Duration    // an empty epoch at least this often; 0: DefaultHeartbeat
	MaxEpochEvents int              // an epoch is cut at this many; 0: MaxEpochEvents
	MaxPending     int              // events that wait for their epoch; 0: MaxPending
	MergeDelay     time.Duration    // a receipt promises to log its event within it; 0: DefaultMergeDelay
	PurgeInterval  time.Duration    // how often what was erased is removed from the store's files; 0: DefaultPurgeInterval
	MaxDevices     int              // companions an account may have; 0: DefaultMaxDevices
	Prefix         prefix.Memory    // what the prefix tree takes; zero: DefaultPrefix
	Now            func() time.Time // nil: time.Now

	// Elapsed is the time that has passed since any moment, whatever Now was set to
	// meanwhile. nil: by the monotonic clock if Now reads it, as time.Now does;
	// else by Now, which then cannot leap.
	Elapsed func() time.Duration

	// ClockIsRight says that somebody has looked at the clock before this start: it
	// is believed however old the newest epoch is. For one start, not for ever.
	ClockIsRight bool

	// MLDSA signs beside Signer, if it is there: a key of type MLDSA44 that is
	// named like the log (protocol section 7.3).
	MLDSA *checkpoint.Cosigner

	// Policy is what a checkpoint must meet before it is published, and
	// Cosigners are those of its witnesses that can be asked, by their URL in
	// it. nil, or quorum none: the log's own signature is enough.
	Policy        *checkpoint.Policy
	Cosigners     map[string]Cosigner
	CosignTimeout time.Duration // longest that a cosigner is waited for; 0: DefaultCosignTimeout

	// Unconfirmed lets a log go on though Policy asks none of those who cosigned
	// the newest published checkpoint: the caller knows that nothing was signed
	// beyond this store. For one start, not for ever.
	Unconfirmed bool

	Logger  *slog.Logger // who does not cosign; nil: slog.Default()
	Metrics Metrics      // nil: nobody counts
}

func (c *Config) check() error {
	switch {
	case c.Signer == nil || c.VRF == nil || c.Store == nil || c.Head == nil:
		return errors.New("a log needs a signer, a VRF key, a store and a signed head")
	case c.Signer.Key().Name != string(c.Origin):
		return fmt.Errorf("the log key is named %q, the log %q: they must be equal", c.Signer.Key().Name, c.Origin)
	case c.Epoch < 0 || c.Heartbeat < 0 || c.MergeDelay < 0 || c.PurgeInterval < 0 || c.MaxEpochEvents < 0 || c.MaxPending < 0:
		return errors.New("negative epoch, heartbeat, merge delay, purge interval, epoch size or number of waiting events")
	case c.MaxDevices < 0 || c.MaxDevices > 255:
		return fmt.Errorf("%d devices an account: want 1 to 255", c.MaxDevices)
	case c.CosignTimeout < 0:
		return errors.New("negative time-out for cosigners")
	}
	if k := c.MLDSA; k != nil && (k.Key().Type != checkpoint.MLDSA44 || k.Key().Name != string(c.Origin)) {
		return fmt.Errorf("the log's second key is %s %08x: want ML-DSA-44, named %q", k.Key().Name, k.Key().ID, c.Origin)
	}
	if err := c.checkPolicy(); err != nil {
		return err
	}
	c.Epoch = or(c.Epoch, DefaultEpoch)
	c.Heartbeat = or(c.Heartbeat, DefaultHeartbeat)
	c.MergeDelay = or(c.MergeDelay, DefaultMergeDelay)
	c.PurgeInterval = or(c.PurgeInterval, DefaultPurgeInterval)
	c.MaxEpochEvents = or(c.MaxEpochEvents, MaxEpochEvents)
	c.MaxPending = or(c.MaxPending, MaxPending)
	c.MaxDevices = or(c.MaxDevices, DefaultMaxDevices)
	c.CosignTimeout = or(c.CosignTimeout, DefaultCosignTimeout)
	c.Prefix = or(c.Prefix, DefaultPrefix())
	c.Logger = or(c.Logger, slog.Default())
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Elapsed == nil {
		began := c.Now()
		c.Elapsed = func() time.Duration { return c.Now().Sub(began) }
	}
	return nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Log is one running log. Its methods may be called from any goroutine; Run
// must run for Submit to return.
type Log struct {
	cfg     Config
	id      name.LogID
	genesis []byte

	mu       sync.Mutex                   // guards the fields up to ended; held for microseconds and one store read
	open     []*ticket                    // the epoch that is filling, in the order of acceptance
	since    time.Time                    // when the first of them came
	pending  map[name.AccountID][]*ticket // all that the store does not have yet, by account, ascending seq
	recent   recent                       // accounts whose events left pending last
	failed   uint64                       // times that events left pending and are not in the store
	promised []*ticket                    // and not yet on their way to the store
	cut      uint64                       // time_ms of the newest cut
	stopped  error                        // why no event is taken any more
	news     chan struct{}                // closed when something was published or ended changed, and replaced
	ended    error                        // why nothing is published any more

	admitting chan struct{} // holds one for each large call whose events are being admitted

	opened chan struct{} // signals: the open epoch has its first event
	full   chan struct{} // signals: the open epoch reached its size

	offered   chan struct{} // signals: a snapshot was signed that the publisher does not know
	confirmed chan struct{} // closed: a quorum cosigned the checkpoint that was the signed head at Open
	kept      uint64        // size whose published note an earlier process kept, 0 if none

	left     *snapshot    // committed, and perhaps not signed, when an earlier process ended; nil if all was signed
	signLeft func() error // signs it, once, from any goroutine

	reserving sync.Mutex   // held while promised events are on their way to the store; never taken under mu
	reading   sync.RWMutex // shared by who reads the store for a caller, by TryRLock alone; Close takes it for good

	halted context.Context // ends with the reason why nothing may be signed any more
	halt   context.CancelCauseFunc

	seq       sequencer                // of the goroutine in Run alone, after Open
	signed    atomic.Pointer[snapshot] // newest signed tree: its tiles are served
	published atomic.Pointer[snapshot] // newest published tree: it answers lookups
}

// snapshot is one signed tree, immutable.
type snapshot struct {
	tree       *tree
	prefixes   *prefix.Tree
	epoch      leaf.Epoch
	checkpoint checkpoint.Checkpoint
	note       []byte // signed by the log; if published, with the cosignatures
}

// Create makes the log in an empty store: GENESIS and the empty EPOCH 0. The
// log's key and VRF key are then fixed for ever. Use Open to run it; nothing is
// published before.
func Create(cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	state, err := cfg.Store.State()
	if err != nil {
		return fmt.Errorf("reading the store's state: %w", err)
	}
	if state.Size > 0 {
		return fmt.Errorf("the store has a log of %d leaves already", state.Size)
	}
	if head, err := cfg.Head.Load(); err != nil {
		return fmt.Errorf("reading the signed head: %w", err)
	} else if head != nil {
		return errors.New("a signed head exists without a store: a log of this name was signed before, and making it anew would fork it")
	}
	l := newLog(cfg)
	l.seq.tree, l.seq.prefixes = &tree{}, &prefix.Tree{}
	if cfg.Predecessor != "" {
		if p, err := checkpoint.ParseText(cfg.Predecessor); err != nil {
			return fmt.Errorf("the predecessor: %w", err)
		} else if p.Origin == cfg.Origin {
			return fmt.Errorf("a log cannot be its own predecessor: %s", p.Origin)
		}
	}
	genesis := &leaf.Genesis{Origin: cfg.Origin, VRFKey: cfg.VRF.Public(), Predecessor: cfg.Predecessor}
	return l.seal([][]byte{genesis.Bytes()}, nil, uint64(l.now().UnixMilli()))
}

func newLog(cfg Config) *Log {
	cfg.Store = &upper{Store: cfg.Store}
	l := &Log{
		cfg:     cfg,
		id:      cfg.Origin.LogID(),
		pending: make(map[name.AccountID][]*ticket),
		recent:  recent{most: recentAccounts},
		opened:  make(chan struct{}, 1),
		full:    make(chan struct{}, 1),
		offered: make(chan struct{}, 1),
		news:    make(chan struct{}),

		admitting: make(chan struct{}, admitCalls),
		confirmed: make(chan struct{}),
		signLeft:  func() error { return nil },
	}
	l.halted, l.halt = context.WithCancelCause(context.Background())
	return l
}

// Run seals and publishes epochs until ctx ends, then seals what is waiting
// and returns nil. Any other return says that the log does not know its state
// and must not go on: end the process. One that is ErrReadOnly, a *Forked for
// example, signs nothing more, and may go on being read. Under a policy with
// cosigners nothing new is signed before a quorum has confirmed that the store
// is where they saw it last (protocol section 8.2).
func (l *Log) Run(ctx context.Context) error {
	if why := context.Cause(l.halted); why != nil {
		l.refuseAll(why)
		l.end(why)
		return why
	}
	ctx, cancel := l.untilHalted(ctx)
	defer cancel()
	defer l.purging(ctx)()
	var err error
	switch {
	case l.seq.epoch.Sealed:
		err = l.runSealed(ctx)
	case l.cfg.cosigned():
		err = l.runCosigned(ctx)
	default:
		err = l.sequence(ctx, l.cfg.Heartbeat)
	}
	if errors.Is(err, ErrReadOnly) {
		l.halt(err)
	}
	err = or(err, context.Cause(l.halted))
	l.end(err)
	return err
}

// sequence is Run without the cosigners; an empty epoch is sealed after first,
// unless events come.
func (l *Log) sequence(ctx context.Context, first time.Duration) error {
	heartbeat := time.NewTimer(first)
	defer heartbeat.Stop()
	for {
		var idle bool
		select {
		case <-ctx.Done():
			return l.drain()
		case <-heartbeat.C:
			idle = true
		case <-l.opened:
			l.fill(ctx)
		}
		if ctx.Err() != nil {
			return l.drain()
		}
		sealed, err := l.sealOpen(idle)
		if err != nil {
			l.refuseAll(err)
			return err
		}
		if sealed {
			heartbeat.Reset(l.cfg.Heartbeat)
		}
	}
}

// drain ends a log in good order: no event is taken any more, and those that
// wait are sealed.
func (l *Log) drain() error {
	l.mu.Lock()
	l.stopped = or(l.stopped, ErrStopped)
	l.mu.Unlock()
	for {
		sealed, err := l.sealOpen(false)
		if err != nil {
			l.refuseAll(err)
			return err
		}
		if !sealed {
			return nil
		}
	}
}

// fill waits until the open epoch is full or its first event waited long enough,
// be it for this or for the epoch before to be sealed. After an epoch that failed,
// full is no reason to hurry: the promised events of that one may fill this one at
// once, and it would be tried again, and logged, as often as the machine can.
func (l *Log) fill(ctx context.Context) {
	full := l.full
	if l.seq.failed != nil {
		full = nil
	}
	l.mu.Lock()
	wait := time.NewTimer(l.cfg.Epoch - time.Since(l.since))
	l.mu.Unlock()
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-wait.C:
	case <-full:
	}
}
