// Package witness cosigns checkpoints of any C2SP log, and only such as extend
// all that it cosigned before (C2SP tlog-witness, protocol section 7.1). Its
// word is: as of this time, this is the largest tree that I saw of this log.
//
// Its state is a few files. For each log there is one step, from the check of
// the recorded size to the record on the disk, that one request takes at a
// time, the first contact included. Only then a cosignature is made: one that
// nobody records does not exist, and a crash at any line leaves a witness that
// refuses every history but the recorded one.
package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable"
)

// Config is what a witness is made of. Dir, Logs and Cosigners are required.
type Config struct {
	// Dir has the witness's state in a folder "state", and gets what convicts a
	// log into a folder "evidence". One witness runs on it at a time.
	Dir string

	// Init has a witness begin without a state: it takes the first checkpoint of
	// each log on trust. A state that is there is kept.
	Init bool

	Logs []Log // whose checkpoints are cosigned; new ones may come, and old ones go, at each start

	// Cosigners sign, each for itself. One is Ed25519; a key of type ML-DSA-44
	// leaves out checkpoints with extension lines, which it cannot cover.
	Cosigners []*checkpoint.Cosigner

	// Check is asked before a checkpoint is recorded, when all rules of a witness
	// are met, by one request of a log at a time; an auditor replays the log
	// here. ErrBehind and ErrStopped are errors with a meaning. May be nil.
	// note is the checkpoint with the lines by the log's keys, verified.
	Check func(ctx context.Context, c checkpoint.Foreign, note []byte) error

	Disk   durable.Disk     // where Dir lies; zero: the operating system's
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // faults, forks, and what Check refused; nil: slog.Default()
}

// What Check may answer with, wrapped.
var (
	// ErrBehind: not yet. The log is told to ask again.
	ErrBehind = errors.New("not yet checked")
	// ErrStopped: never. The witness cosigns no checkpoint of this log any more.
	ErrStopped = errors.New("the log broke a rule")
)

// Witness is a running witness. Its methods may be called from any goroutine.
type Witness struct {
	cfg    Config
	folder folder
	lock   io.Closer
	byName map[string]*logState // by origin
	byHash map[string]*logState // by the hexadecimal SHA-256 of the origin

	bodyTime   time.Duration  // longest that a body may take
	background sync.WaitGroup // evidence that is being written
	// For tests, else nil: between the check and the record, between the record
	// and the cosignature.
	stall, stored func()
}

// logState is one log.
type logState struct {
	keys []checkpoint.Key // that sign for this origin

	waiting atomic.Int32  // requests that wait for the turn
	turn    chan struct{} // holds one token: whoever has it may read and write the fields below
	record  *record
	stopped error // why nothing is cosigned any more

	shown     atomic.Pointer[[]byte] // the last cosigned checkpoint with all lines; nil: never
	convicted atomic.Bool            // evidence against the log was written
}

// Open runs a witness on its folder. Without its state the error is
// ErrNoState unless Init is set, and while another one runs on the folder it
// is durable.ErrLocked.
func Open(cfg Config) (*Witness, error) {
	w, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening witness: %w", err)
	}
	return w, nil
}

func (c *Config) check() error {
	if c.Dir == "" || len(c.Logs) == 0 {
		return errors.New("a witness needs a folder and a log")
	}
	ed25519 := 0
	for _, s := range c.Cosigners {
		if s.Key().Type == checkpoint.Cosignature {
			ed25519++
		}
	}
	if ed25519 == 0 {
		return errors.New("a witness needs an Ed25519 cosigner: the other type does not sign every checkpoint")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return checkLogs(c.Logs)
}

func open(cfg Config) (*Witness, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	w := &Witness{
		cfg: cfg, folder: folder{cfg.Disk, filepath.Join(cfg.Dir, "state")}, bodyTime: bodyTime,
		byName: make(map[string]*logState), byHash: make(map[string]*logState),
	}
	var origins []string
	for _, l := range cfg.Logs {
		origin := l.Key.Name
		s := w.byName[origin]
		if s == nil {
			s = &logState{turn: make(chan struct{}, 1)}
			s.turn <- struct{}{}
			w.byName[origin], w.byHash[hashOf(origin)] = s, s
			origins = append(origins, origin)
		}
		s.keys = append(s.keys, l.Key)
	}
	var err error
	if w.lock, err = w.folder.open(cfg.Init); err != nil {
		return nil, err
	}
	records, err := w.folder.load(origins, cfg.Init)
	if err == nil {
		err = cfg.Disk.MakeFolder(w.evidence())
	}
	if err != nil {
		return nil, errors.Join(err, w.lock.Close())
	}
	for origin, r := range records {
		s := w.byName[origin]
		if s.record = r; r.time > 0 {
			// A crash may have come between the record and the cosignatures. Equal
			// arguments give equal ones, so this says nothing new.
			s.show(r.note(w.cosign(r)...))
		}
	}
	return w, nil
}

// Close waits for requests that have their turn and for evidence that is being
// written, and gives the folder free. Nothing is cosigned after it.
func (w *Witness) Close() error {
	for _, s := range w.byName {
		<-s.turn // for good: who waits for it gives up at its deadline
	}
	w.background.Wait()
	return w.lock.Close()
}

// Keys are the public keys of the cosigners.
func (w *Witness) Keys() (keys []checkpoint.Key) {
	for _, c := range w.cfg.Cosigners {
		keys = append(keys, c.Key())
	}
	return keys
}

// Newest is the last cosigned checkpoint of an origin as a note with the lines
// of the log and the witness, or nil if there is none.
func (w *Witness) Newest(origin string) []byte {
	if s := w.byName[origin]; s != nil {
		return s.newest()
	}
	return nil
}

func (s *logState) newest() []byte {
	if note := s.shown.Load(); note != nil {
		return *note
	}
	return nil
}

func (s *logState) show(note []byte) { s.shown.Store(&note) }

// cosign signs what is recorded, with every key that can.
func (w *Witness) cosign(r *record) (lines []checkpoint.Line) {
	for _, c := range w.cfg.Cosigners {
		if c.Cosignable(r.text) == nil {
			lines = append(lines, c.Cosign(r.text, r.time))
		}
	}
	return lines
}
