package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/log/durable"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// Config says what is watched, against what, and who is told.
type Config struct {
	Verifier *verifier.Verifier // with the policy; better one with more witnesses than clients ask for
	Store    verifier.Store     // what was verified before
	Source   verifier.Source    // the log
	Accounts []name.Identifier  // 1 to MaxAccounts
	Dir      string             // of the journal and of evidence; one monitor at a time
	Disk     durable.Disk       // where Dir lies; zero: the operating system's

	Promised []Promised   // what the log has promised about the accounts
	Approved *Approvals   // what the owner expects; nil: nothing
	Out      io.Writer    // takes one JSON line for each alert
	Hook     Hook         // takes each alert after it was printed; nil: nobody
	Logger   *slog.Logger // of what is no alert: a hook that fails, an account that the log does not know; nil: slog.Default()

	Files follow.Source // the log's public files, to prove what a failure leaves open; nil: that stays open
	Scan  bool          // reads every leaf of Files for the indexes that only the accounts' events can have

	Interval time.Duration // between two passes; 0: DefaultInterval
	Repeat   time.Duration // of an alert about a failure that lasts; 0: DefaultRepeat
	Timeout  time.Duration // for one account's questions; 0: DefaultTimeout
	Now      func() time.Time
}

// Hook takes alerts. An error means that the alert may not have arrived: it is
// given again, under the same id, before any later one.
type Hook interface {
	Post(ctx context.Context, id string, line []byte) error
}

// Monitor watches. It is for one goroutine.
type Monitor struct {
	cfg      Config
	client   *verifier.Client
	origin   name.Origin
	journal  *journal
	dirty    bool                         // the journal has what is not on the disk
	looked   map[[32]byte]bool            // failures in whose checkpoints evidence was looked for
	notes    map[verifier.Check]time.Time // when the checkpoints of a fork that is not proven were last kept
	unproven []unproven                   // insertions whose evidence is tried for again
	kept     map[int]bool                 // promises that are settled, by their place in Promised
	unknown  map[name.Identifier]bool     // accounts of which was said that the log does not know them
	lock     io.Closer

	backoff  time.Duration // of the hook; 0: it took the last alert
	nextPost time.Time
	replace  func(path string, data []byte) error
}

// New opens the monitor's folder, and makes it if there is none.
func New(cfg Config) (*Monitor, error) {
	if cfg.Verifier == nil || cfg.Store == nil || cfg.Source == nil || cfg.Out == nil || cfg.Now == nil || cfg.Dir == "" {
		return nil, errors.New("a monitor needs a verifier, a store, a source, an output, a clock and a folder")
	}
	if len(cfg.Accounts) == 0 || len(cfg.Accounts) > MaxAccounts {
		return nil, fmt.Errorf("watching %d accounts: want 1 to %d: name one with --watch", len(cfg.Accounts), MaxAccounts)
	}
	if cfg.Scan && cfg.Files == nil {
		return nil, errors.New("a scan needs the log's public files")
	}
	if err := cfg.checkPromised(); err != nil {
		return nil, err
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	cfg.Interval = cmp.Or(cfg.Interval, DefaultInterval)
	cfg.Repeat = cmp.Or(cfg.Repeat, DefaultRepeat)
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	m := &Monitor{
		cfg: cfg, looked: map[[32]byte]bool{}, notes: map[verifier.Check]time.Time{}, kept: map[int]bool{}, unknown: map[name.Identifier]bool{}, origin: name.Origin(cfg.Verifier.Policy.Log.Name), replace: cfg.Disk.Replace,
		client: &verifier.Client{Verifier: cfg.Verifier, Store: cfg.Store, Source: source{cfg.Source}, Now: cfg.Now},
	}
	if err := cfg.Disk.MakeFolder(m.path("evidence")); err != nil {
		return nil, fmt.Errorf("making the monitor's folder: %w", err)
	}
	var err error
	if m.lock, err = cfg.Disk.Lock(m.path("lock")); err != nil {
		return nil, fmt.Errorf("opening the monitor's folder: %w: two monitors need two folders", err)
	}
	if m.journal, err = readJournal(cfg.Disk, m.path("journal.json"), m.origin); err != nil {
		m.lock.Close()
		return nil, err
	}
	m.forget()
	return m, nil
}

// Close gives the folder back.
func (m *Monitor) Close() error { return m.lock.Close() }

func (m *Monitor) path(file string) string { return filepath.Join(m.cfg.Dir, file) }

// Outcome is what one pass found.
type Outcome struct {
	Alarms      int  // alarms printed
	Failed      bool // an answer did not pass a check, or could not be judged
	Unreachable bool // no answer came
	Waiting     int  // alerts that the hook has not taken

	Unread uint64 // leaves that a scan left to the next pass
}

// Run passes until ctx ends. It returns an error when alerts can no longer be
// kept or printed.
func (m *Monitor) Run(ctx context.Context) error {
	for {
		if _, err := m.Pass(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(m.cfg.Interval):
		}
	}
}

// Pass verifies every account once, and tells what is new.
func (m *Monitor) Pass(ctx context.Context) (Outcome, error) {
	var o Outcome
	v := &view{results: map[name.Identifier]*verifier.Result{}, next: map[name.Identifier]uint32{}}
	for _, account := range m.cfg.Accounts {
		if err := m.watch(ctx, account, v, &o); err != nil {
			return o, err
		}
		// Told at once: the next account's questions may take a minute.
		if err := m.deliver(ctx, &o); err != nil {
			return o, err
		}
	}
	m.proveAgain(ctx)
	m.scan(ctx, v, &o)
	m.promises(ctx, v, &o)
	if err := m.deliver(ctx, &o); err != nil {
		return o, err
	}
	o.Waiting = len(m.journal.Queue)
	return o, ctx.Err()
}

// watch verifies one account and queues what is new of it.
func (m *Monitor) watch(ctx context.Context, account name.Identifier, v *view, o *Outcome) error {
	w := m.journal.Accounts[account]
	if w == nil {
		w = &watch{Verified: m.cfg.Now().UTC(), Troubles: map[string]*trouble{}}
		m.journal.Accounts[account], m.dirty = w, true
	}
	result, err := m.look(ctx, account, w)
	if err == nil {
		err = m.take(account, w, &result.Accounts[0])
	}
	if err == nil {
		err = m.learn(v, account, result)
	}
	if ctx.Err() != nil {
		return ctx.Err() // nobody's failure
	}
	if err != nil {
		m.failed(ctx, account, w, err, o)
		return nil
	}
	m.missed(account, &result.Accounts[0])
	m.recovered(account, w)
	return nil
}

// missed says once of an account that the log does not know it. Of a name that
// was mistyped there is never anything to tell, and who waits for alerts must not
// take that for peace.
func (m *Monitor) missed(account name.Identifier, f *verifier.Found) {
	if f.Status == verifier.Unknown && !m.unknown[account] {
		m.unknown[account] = true
		m.cfg.Logger.Warn("the log knows no such account yet: is its name right? it is watched all the same", "account", account, "origin", m.origin)
	}
}

// look asks for the devices, which costs little, and for the history only if
// there is something to tell.
func (m *Monitor) look(ctx context.Context, account name.Identifier, w *watch) (*verifier.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	q := verifier.Question{Account: account.AccountID()}
	if w.Begun && m.covers(account) {
		result, err := m.client.Lookup(ctx, q)
		if err != nil || w.at(&result.Accounts[0]) {
			return result, err
		}
	}
	q.History = true
	return m.client.Lookup(ctx, q)
}

// at reports whether everything was told as far as the account has come.
func (w *watch) at(f *verifier.Found) bool {
	if f.Status == verifier.Unknown {
		return w.Next == 0
	}
	return w.Next == f.Seq+1 && w.Event == f.Event.String()
}

// take queues the events after the cursor and moves the cursor behind them, in
// memory: save does both at once. What does not fit waits for the next pass.
func (m *Monitor) take(account name.Identifier, w *watch, f *verifier.Found) error {
	if w.Begun && w.at(f) {
		return nil
	}
	if err := w.check(f); err != nil {
		return err
	}
	baseline := !w.Begun
	w.Begun, m.dirty = true, true
	for _, l := range f.Events {
		if l.Seq < w.Next {
			continue
		}
		if len(m.journal.Queue) >= maxQueue-reserve {
			break
		}
		a := m.tell(account, l)
		a.Baseline = baseline
		if l.Type == event.Erase && l.Seq > w.Next {
			from := w.Next
			a.ErasedFrom = &from
		}
		m.journal.Queue = append(m.journal.Queue, queued{Alert: a})
		w.Next, w.Event = l.Seq+1, l.ID().String()
	}
	return nil
}

// check holds the history against the journal, which may know more than a
// client's state that was restored or lost.
func (w *watch) check(f *verifier.Found) error {
	if w.Next == 0 {
		return nil
	}
	if f.Status == verifier.Unknown || f.Seq+1 < w.Next {
		return &verifier.Failure{Check: verifier.CheckHistory, Account: &f.ID, Err: fmt.Errorf("its newest event is older than seq %d, which this monitor told of", w.Next-1)}
	}
	for _, l := range f.Events {
		if l.Seq == w.Next-1 && l.ID().String() != w.Event {
			return &verifier.Failure{Check: verifier.CheckHistory, Account: &f.ID, Err: fmt.Errorf("seq %d is not the event %s that this monitor told of", l.Seq, w.Event)}
		}
	}
	return nil
}
