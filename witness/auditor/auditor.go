// Package auditor replays every leaf of a log, rebuilds the map of every
// epoch, and says so with its signature; a log that breaks a rule it convicts
// (protocol section 7.2).
//
// What it needs to know is small: the prefix tree's leaves, how far it came,
// and the newest checkpoint that it follows. Every later checkpoint must
// extend that one, so nothing that was replayed can be taken back.
package auditor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/witness/follow"
)

// Config is what an auditor is made of. Dir, Log and Source are required.
type Config struct {
	Dir    string         // gets the folders map and evidence, and the file stopped
	Log    checkpoint.Key // the log's, whose name is the origin
	Source follow.Source  // the log's public files
	Poll   time.Duration  // how often to look for a newer checkpoint; 0: DefaultPoll
	Logger *slog.Logger   // nil: slog.Default()

	// Batch is how many EVENTs are replayed in one pass and committed at once while
	// the auditor catches up; at the end all of it is. A crash costs that much of
	// the replay. 0: DefaultBatch.
	Batch      int
	CacheBytes int64 // of the store; 0: DefaultCacheBytes

	Disk  durable.Disk  // where Dir lies, but for the map; zero: the operating system's
	store pebble.Config // of the map; tests have its FS
}

// Auditor follows one log. Its methods may be called from any goroutine; one
// of them reads at a time.
type Auditor struct {
	cfg  Config
	turn chan struct{} // holds one token: whoever has it may use what follows

	store *pebble.Replica // has the leaves below done.size
	at    state           // how far leaves were judged by themselves
	done  state           // how far they were replayed, durably
	tree  *prefix.Tree    // of the EVENTs below done.size
	base  *prefix.Tree    // that of the newest EPOCH below it; nil: to be built again if it is needed

	// What was judged and not replayed: its EVENTs in the log's order, and the
	// places up to which maps can be built.
	pending []prefix.Leaf
	ends    []end
	sorted  []prefix.Leaf // reused

	broken   *Broken
	owed     *evidence.Misbehaviour // what the disk did not take yet of a stop; nil: nothing
	unmarked bool                   // nor that there was a stop
	shown    uint64                 // size of the largest checkpoint that the log published, since the start
}

// Broken says that the log broke a rule. The auditor that found it has stopped
// for good, and so does every later one on its folder: one without Evidence
// reads the log to make it, and finds nothing in order.
type Broken struct {
	Position uint64 // of the leaf at which the auditor stopped
	Rule     string // which rule, in words
	Evidence string // path of the file that convicts the log; empty: none is kept yet
}

func (b *Broken) Error() string {
	if b.Evidence == "" {
		return fmt.Sprintf("the log broke a rule: %s; nothing more of it is cosigned", b.Rule)
	}
	return fmt.Sprintf("the log broke a rule: %s; nothing more of it is cosigned; evidence: %s", b.Rule, b.Evidence)
}

// ErrBackwards says that the log publishes a smaller checkpoint than before. That
// is an alarm and no evidence: anybody may replay an old one.
var ErrBackwards = errors.New("the log shows an older checkpoint than before")

// Open opens an auditor on its folder, or begins one. A *Broken is the error
// of one that has stopped and has its evidence.
func Open(cfg Config) (*Auditor, error) {
	a, err := open(cfg)
	if broken := new(*Broken); errors.As(err, broken) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("opening auditor: %w", err)
	}
	return a, nil
}

func open(cfg Config) (_ *Auditor, err error) {
	if cfg.Dir == "" || cfg.Source == nil || cfg.Log.Type != checkpoint.Ed25519 {
		return nil, errors.New("want a folder, a log's URL, and the Ed25519 vkey of the log (type 01, not a cosigner's)")
	}
	if _, err := name.ParseOrigin(cfg.Log.Name); err != nil {
		return nil, fmt.Errorf("the vkey's name: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Batch <= 0 {
		cfg.Batch = DefaultBatch
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = DefaultCacheBytes
	}
	if cfg.Poll <= 0 {
		cfg.Poll = DefaultPoll
	}
	a := &Auditor{cfg: cfg, turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	if _, err := checkpoint.ParseKey(cfg.Log.String()); err != nil {
		return nil, err
	}
	if err := cfg.Disk.MakeFolder(a.evidence()); err != nil {
		return nil, err
	}
	if a.broken, err = a.loadStopped(); err != nil {
		return nil, err
	}
	if a.broken != nil && a.broken.Evidence != "" {
		return nil, a.broken
	}
	at := cfg.store
	at.Dir, at.CacheBytes = filepath.Join(cfg.Dir, "map"), cfg.CacheBytes
	if a.store, err = pebble.OpenReplica(at); err == nil {
		if err = a.load(); err != nil {
			err = errors.Join(err, a.store.Close())
		}
	}
	if err != nil && a.broken != nil { // that it has stopped is the news, also without a map
		err = errors.Join(a.broken, err)
	}
	return a, err
}

// load takes up where the newest commit left off. What it reads is compared
// with the newest EPOCH: a store that lost leaves is found here.
func (a *Auditor) load() error {
	record, err := a.store.Record()
	if err != nil {
		return err
	}
	if record != nil {
		if a.at, err = parseState(record); err != nil {
			return fmt.Errorf("%w: delete %s to replay the log from its beginning", err, a.cfg.Dir)
		}
	}
	a.done = a.at
	if n := a.at.note; n != nil && string(n.Origin) != a.cfg.Log.Name {
		return fmt.Errorf("%s is of log %s, not of %s: choose another folder", a.cfg.Dir, n.Origin, a.cfg.Log.Name)
	}
	if a.tree, err = prefix.BuildWith(treeMemory, a.store.PrefixLeaves(), a.at.size); err != nil {
		return err
	}
	if a.at.size == a.at.next() { // the last leaf is an EPOCH: its map must be the one at hand
		a.base = a.tree
		if e := a.at.epoch; e != nil && (a.tree.Root() != e.PrefixRoot || a.tree.Len() != e.Keys) {
			return fmt.Errorf("%w: delete %s to replay the log from its beginning", prefix.ErrStore, a.cfg.Dir)
		}
	}
	return nil
}

// Close gives the folder free. What is not committed is replayed by the next
// auditor on it.
func (a *Auditor) Close() error {
	<-a.turn
	return a.store.Close()
}

func (a *Auditor) evidence() string { return filepath.Join(a.cfg.Dir, "evidence") }

// Events is how many EVENT leaves were replayed, now or by an earlier auditor on
// the folder.
func (a *Auditor) Events() uint64 {
	<-a.turn
	defer func() { a.turn <- struct{}{} }()
	return a.tree.Len()
}

// Report is how far an auditor came.
type Report struct {
	Leaves, Events, Epochs uint64
	Checkpoint             checkpoint.Checkpoint // the newest that all of it lies under
	Sealed                 bool
}

// Catch replays the log up to its published checkpoint, the newest. Of an
// auditor that has stopped the error is a *Broken whatever the log answers.
func (a *Auditor) Catch(ctx context.Context) (Report, error) {
	r, err := a.catch(ctx)
	if err != nil && ctx.Err() == nil {
		err = cmp.Or(a.stopped(), err)
	}
	return r, err
}

func (a *Auditor) catch(ctx context.Context) (Report, error) {
	note, err := a.published(ctx)
	if err != nil {
		return Report{}, err
	}
	if err := a.Check(ctx, note); err != nil {
		return Report{}, err
	}
	n, err := checkpoint.Open(a.cfg.Log, note)
	if err != nil {
		return Report{}, err
	}
	select {
	case <-a.turn:
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
	defer func() { a.turn <- struct{}{} }()
	if n.Size < a.shown {
		return Report{}, fmt.Errorf("%w: size %d after %d", ErrBackwards, n.Size, a.shown)
	}
	a.shown = n.Size
	r := Report{Leaves: a.at.size, Events: a.tree.Len(), Checkpoint: a.at.note.Checkpoint}
	if e := a.at.epoch; e != nil {
		r.Epochs, r.Sealed = e.Epoch+1, e.Sealed
	}
	return r, nil
}

// published is the newest checkpoint, unverified.
func (a *Auditor) published(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	return a.cfg.Source.Checkpoint(ctx)
}

// Run looks for newer checkpoints until ctx ends, and replays up to each. Its
// error is a *Broken, or that the auditor cannot trust its own disk; whatever
// else goes wrong is written to the logger and tried again.
func (a *Auditor) Run(ctx context.Context) error {
	var told string
	for {
		_, err := a.Catch(ctx)
		switch {
		case ctx.Err() != nil:
			return a.stopped()
		case errors.As(err, new(*Broken)):
			return a.settle(ctx)
		case errors.Is(err, prefix.ErrStore):
			return err
		case err == nil:
			told = ""
		case err.Error() != told: // the same again is no news
			told = err.Error()
			a.cfg.Logger.Warn("the log cannot be followed; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return a.stopped()
		case <-time.After(a.cfg.Poll):
		}
	}
}

// settle is the *Broken of an auditor that has stopped, once the disk has taken
// what convicts the log, or ctx ends. The log need not answer for that.
func (a *Auditor) settle(ctx context.Context) error {
	for {
		<-a.turn
		done := a.makeGood()
		a.turn <- struct{}{}
		if done {
			return a.stopped()
		}
		select {
		case <-ctx.Done():
			return a.stopped()
		case <-time.After(a.cfg.Poll):
		}
	}
}

// stopped is the *Broken of an auditor that has stopped, or nil.
func (a *Auditor) stopped() error {
	<-a.turn
	defer func() { a.turn <- struct{}{} }()
	if a.broken != nil {
		return a.broken
	}
	return nil
}

// state is how far the auditor came.
type state struct {
	size  uint64           // leaves replayed
	epoch *leaf.Epoch      // the newest among them; nil before the first
	note  *checkpoint.Note // the newest checkpoint that all that was read lies under, or was read under; nil before the first
}

// atEpoch says that the last leaf is an EPOCH.
func (s *state) atEpoch() bool { return s.epoch != nil && s.size == s.next() }

// next is the position after the newest EPOCH: `first` of the next one.
func (s *state) next() uint64 {
	if s.epoch != nil {
		return s.epoch.Position() + 1
	}
	return min(s.size, 1)
}
