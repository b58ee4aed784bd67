// Package simulation runs a whole world in one process and on one fake clock:
// the real log on disks that lose power, real witnesses, an auditor, a monitor
// and clients, over a network that loses, delays, repeats and changes messages.
// All of it follows from a seed. After every step a judge holds what everybody
// was shown against a model of the accounts and against another library's tree.
package simulation

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/statefile"
	"github.com/musterlog/muster/witness"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/monitor"
)

const origin = name.Origin("keys.example.org/simulated")

const witnesses = 3 // of which two are asked for, beside the auditor

var quiet = slog.New(slog.DiscardHandler)

// world is everything that one seed makes.
type world struct {
	t      *testing.T
	dir    string
	random *rand.Rand
	storm  atomic.Int64 // chance that something befalls a message, in percent
	skew   time.Duration
	took   *tally

	policy    *checkpoint.Policy
	signer    *checkpoint.Signer
	cosigners []*cosigner // the last one is the auditor's
	replay    *auditor.Auditor
	audited   atomic.Uint64 // size up to which it found nothing wrong

	mu      sync.Mutex
	process *process // that runs now

	people  []*person
	clients []*client
	owner   *owner
	judge   *judge
	settled bool // all faults have ended

	forged    [][]byte           // what a thief signed with the log's key
	fooled    map[*cosigner]bool // that saw two roots of one size by it
	strangers int                // clients that the thief met
	backup    *machine           // an old copy of the disks
	astray    bool               // the log runs on it, and must end
	sealing   bool               // Seal is run in the place of Run
}

// process is one life of the log.
type process struct {
	*machine
	store   *pebble.Store
	log     *log.Log
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error          // of Run, once ended is closed
	reading sync.WaitGroup // requests that are being answered
}

func newWorld(t *testing.T, seed uint64, took *tally) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 0)), took: took, fooled: map[*cosigner]bool{}}
	w.dir = folder(t)
	var err error
	if w.signer, err = checkpoint.NewSigner(string(origin), liar.Seed("log", string(origin))); err != nil {
		t.Fatal(err)
	}
	text := "log " + w.signer.Key().String() + "\n"
	for i := range witnesses + 1 {
		text += w.newCosigner(i)
	}
	text += "group two 2 w0 w1 w2\ngroup both 2 two w3\nquorum both\n"
	if w.policy, err = checkpoint.ParsePolicy([]byte(text)); err != nil {
		t.Fatal(err)
	}
	w.judge = newJudge(w)
	w.create()
	for _, c := range w.cosigners {
		w.must(c.start())
	}
	w.cosigners[witnesses-1].traitor = seed%3 == 0
	for i := range 4 {
		w.people = append(w.people, newPerson(w, fmt.Sprintf("+1555000%04d", i)))
	}
	for i := range 3 {
		w.clients = append(w.clients, newClient(w, i))
	}
	w.owner = newOwner(w)
	return w
}

// folder is in memory if it can be: what is synced here is real, and slow on a disk.
func folder(t *testing.T) string {
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "muster-simulation-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) newLink() *link {
	return &link{storm: &w.storm, random: rand.New(rand.NewPCG(w.random.Uint64(), 1)), took: w.took}
}

// newCosigner makes the i-th witness, and gives its line in the policy. The last
// one cosigns only what its auditor replayed.
func (w *world) newCosigner(i int) string {
	name := fmt.Sprint("w", i)
	key, err := checkpoint.NewCosigner(checkpoint.Cosignature, name+".example.org", liar.Seed(name))
	w.must(err)
	c := &cosigner{Cosigner: key, url: "https://" + name + ".example.org/", dir: filepath.Join(w.dir, name), random: w.newRandom(), took: w.took}
	cfg := witness.Config{
		Dir: c.dir, Init: true, Cosigners: []*checkpoint.Cosigner{key}, Logger: quiet,
		Logs: []witness.Log{{Key: w.signer.Key()}},
	}
	if i == witnesses {
		cfg.Check = func(ctx context.Context, c checkpoint.Foreign, note []byte) error {
			err := w.replay.Judge(ctx, c, note)
			if err == nil {
				w.audited.Store(max(w.audited.Load(), c.Size))
			} else {
				w.took.add("checkpoints that the auditor could not judge yet")
			}
			return err
		}
	}
	c.open = func() (*witness.Witness, error) {
		if i == witnesses {
			if err := w.restartAuditor(); err != nil {
				return nil, err
			}
		}
		return witness.Open(cfg)
	}
	w.cosigners = append(w.cosigners, c)
	return fmt.Sprintf("witness %s %s %s\n", name, key.Key(), c.url)
}

func (w *world) restartAuditor() (err error) {
	if w.replay != nil {
		w.must(w.replay.Close())
	}
	w.replay, err = auditor.Open(auditor.Config{
		Dir: filepath.Join(w.dir, "auditor"), Log: w.signer.Key(), Source: files{w.newLink(), w}, Logger: quiet, CacheBytes: 1 << 20,
	})
	return err
}

func (w *world) config(m *machine) log.Config {
	began := time.Now()
	cfg := log.Config{
		Origin: origin, Signer: w.signer, VRF: vrfKey, Head: m,
		Prefix: prefix.Memory{Bucket: 8, Held: 64}, Logger: quiet, MaxEpochEvents: 6,
		Policy: w.policy, Cosigners: map[string]log.Cosigner{},
		Now:     func() time.Time { return time.Now().Add(w.clock()) },
		Elapsed: func() time.Duration { return time.Since(began) }, // which nobody sets
	}
	for _, c := range w.cosigners {
		cfg.Cosigners[c.url] = remote{w.newLink(), m, c}
	}
	return cfg
}

func (w *world) clock() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.skew
}

func (w *world) disk(m *machine) pebble.Config {
	if m.fs != nil {
		return pebble.Config{Dir: filepath.Join(m.dir, "store"), FS: m.fs, CacheBytes: 1 << 20, MemTableBytes: 64 << 10}
	}
	return pebble.Config{Dir: "store", FS: &durabletest.Hook{FS: m.mem, Before: func(string, string) { m.operation() }}, CacheBytes: 1 << 20, MemTableBytes: 64 << 10}
}

func (w *world) create() {
	m := newMachine()
	m.took = w.took
	w.createOn(m)
	w.start(m)
}

func (w *world) createOn(m *machine) {
	s, err := pebble.Create(w.disk(m))
	w.must(err)
	cfg := w.config(m)
	cfg.Store = s
	w.must(log.Create(cfg))
	w.must(s.Close())
}

// start runs the log on a machine. The power may go during that, too.
func (w *world) start(m *machine) {
	for {
		p, err := w.open(m)
		if err == nil {
			w.mu.Lock()
			w.process = p
			w.mu.Unlock()
			return
		}
		switch {
		case !m.alive():
			m = m.next
		case !errors.Is(err, errDisk): // a fault of the disk ends a start, and the next one finds its way
			w.t.Fatalf("the log does not open: %v", err)
		}
	}
}

func (w *world) open(m *machine) (*process, error) {
	m.repair()
	s, err := pebble.Open(w.disk(m))
	if err != nil {
		return nil, err
	}
	cfg := w.config(m)
	cfg.Store = faulty{s, m}
	l, err := log.Open(cfg)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{machine: m, store: s, log: l, cancel: cancel, ended: make(chan struct{})}
	run := l.Run
	if w.sealing {
		run = func(ctx context.Context) error { return l.Seal(ctx, successor) }
	}
	go func() {
		defer close(p.ended)
		p.err = run(ctx)
	}()
	return p, nil
}

// serving is the process that answers, if there is one; the caller ends with
// reading.Done.
func (w *world) serving() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process == nil || !w.process.alive() {
		return nil
	}
	w.process.reading.Add(1)
	return w.process
}

// stop ends the process in good order, and gives the machine to go on with.
func (w *world) stop() *machine {
	w.mu.Lock()
	p := w.process
	w.process = nil
	w.mu.Unlock()
	p.cancel()
	<-p.ended
	p.reading.Wait()
	w.must(p.store.Close())
	if err := p.err; err != nil && p.alive() && !errors.Is(err, errDisk) && !w.astray {
		w.t.Errorf("the log ended: %v", err)
	}
	if p.twice != nil {
		w.t.Error(p.twice)
	}
	if !p.alive() {
		return p.next
	}
	return p.machine
}

// ended says that the process has to be started again.
func (w *world) ended() bool {
	select {
	case <-w.process.ended:
		return true
	default:
		return !w.process.alive()
	}
}

// client is somebody who looks at others' accounts.
type client struct {
	*verifier.Client
	seen map[*person]int // events that it was shown: never fewer again
}

func newClient(w *world, i int) *client {
	dir := filepath.Join(w.dir, fmt.Sprint("client", i))
	w.must(os.Mkdir(dir, 0o700))
	states, err := statefile.Open(dir)
	w.must(err)
	return &client{&verifier.Client{
		Verifier: &verifier.Verifier{Policy: w.policy}, Store: states, Source: files{w.newLink(), w}, Now: time.Now,
	}, map[*person]int{}}
}

// owner runs a monitor over all accounts.
type owner struct {
	cfg monitor.Config
	out bytes.Buffer
	m   *monitor.Monitor
}

func newOwner(w *world) *owner {
	o := &owner{}
	c := newClient(w, 99)
	f := files{w.newLink(), w}
	o.cfg = monitor.Config{
		Verifier: c.Verifier, Store: c.Store, Source: f, Files: f, Scan: true, Dir: filepath.Join(w.dir, "monitor"), Out: &o.out, Now: time.Now, Logger: quiet,
	}
	for _, p := range w.people {
		o.cfg.Accounts = append(o.cfg.Accounts, p.phone.Identifier)
	}
	w.must(o.restart())
	return o
}

func (o *owner) restart() (err error) {
	if o.m != nil {
		o.m.Close()
	}
	o.m, err = monitor.New(o.cfg)
	return err
}

// evidence is every file that anybody wrote to convict the log, but for what a
// thief of its key did: a witness that came to the size of a forged checkpoint
// just before it was asked holds two roots under one signature, and says so.
func (w *world) evidence() (all []string) {
	filepath.WalkDir(w.dir, func(path string, _ os.DirEntry, _ error) error {
		if !strings.HasSuffix(path, ".evidence") {
			return nil
		}
		data, err := os.ReadFile(path)
		w.must(err)
		if !slices.ContainsFunc(w.forged, func(note []byte) bool {
			return bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(note)))
		}) {
			all = append(all, path)
		}
		return nil
	})
	return all
}
