package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// bomb is a store of which one read fails, or panics as a fault of the program
// would, with everything that led there on the stack.
type bomb struct {
	store.Store
	reads  atomic.Int64 // until it goes off; negative: it did
	panics bool
	full   atomic.Bool // nothing can be written
	dead   atomic.Bool // nothing can be read
}

var errBomb = errors.New("/var/lib/muster/store/pebble/000004.log: input/output error")

func (b *bomb) read() error {
	if b.dead.Load() {
		return errBomb
	}
	if b.reads.Add(-1) != 0 {
		return nil
	}
	if b.panics {
		panic("a fault of the program")
	}
	return errBomb
}

func (b *bomb) Commit(batch *store.Batch) error {
	if b.full.Load() {
		return errBomb
	}
	return b.Store.Commit(batch)
}

func (b *bomb) Account(id name.AccountID) (*store.Account, error) {
	if err := b.read(); err != nil {
		return nil, err
	}
	return b.Store.Account(id)
}

func (b *bomb) EventAt(position uint64) (*store.Event, error) {
	if err := b.read(); err != nil {
		return nil, err
	}
	return b.Store.EventAt(position)
}

func (b *bomb) NoteAbove(position uint64) ([]byte, uint64, error) {
	if err := b.read(); err != nil {
		return nil, 0, err
	}
	return b.Store.NoteAbove(position)
}

// book takes what a logger writes.
type book struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// bombed is the real handler, log and store, with everything logged that anybody
// logs, debugging too, and each answer that is none seen.
type bombed struct {
	*testing.T
	*client.Client
	*bomb
	dir           logDir
	token         credential.Token
	said, refused book
}

func newBombed(t *testing.T) *bombed {
	r := &bombed{T: t, dir: logDir(filepath.Join(t.TempDir(), "log"))}
	mustMuster(t, "init", "--dir", string(r.dir), "--origin", "example.org/canary")
	var err error
	if r.token, _, err = credential.Add(r.dir.credentials(), credential.Operator, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	credentials, err := credential.Open(r.dir.credentials())
	if err != nil {
		t.Fatal(err)
	}
	cfg, s, err := r.dir.open(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r.bomb = &bomb{Store: s}
	cfg.Store, cfg.Epoch = r.bomb, time.Millisecond
	cfg.Logger = slog.New(slog.NewTextHandler(&r.said, &slog.HandlerOptions{AddSource: true, Level: slog.LevelDebug}))
	l, err := log.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ran })
	handler, err := server.New(server.Config{Backend: &backend{Log: l, cfg: cfg}, Credentials: credentials, Logger: cfg.Logger})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	at := proxy(t, web.URL, func(a *http.Response) error {
		if a.StatusCode == http.StatusOK {
			return nil // what it says to whom, TestCanaries looks at
		}
		dump, err := httputil.DumpResponse(a, true)
		r.refused.Write(dump)
		return err
	})
	if r.Client, err = client.New(client.Config{URL: at, Token: r.token}); err != nil {
		t.Fatal(err)
	}
	return r
}

// fail has each read of the store in turn fail or panic under a call, and counts
// how often the call failed.
func (r *bombed) fail(call func() error) (failed int) {
	for _, r.panics = range []bool{false, true} {
		for n := int64(1); ; n++ {
			r.reads.Store(n)
			if err := call(); err == nil {
				break // it has no more reads
			}
			failed++
		}
	}
	r.reads.Store(-1)
	return failed
}

// TestCanariesInTraces: neither log lines nor the traces of panics nor what callers
// are told has a secret or a key. The log names accounts by account_id (protocol
// section 1), which also shows that the search reads traces; callers are told nothing.
func TestCanariesInTraces(t *testing.T) {
	r := newBombed(t)
	text := hex.EncodeToString(randomBytes(16))
	p := liar.NewPhone("example.org/canary", name.Identifier(text), 1767225600000)
	id := p.Account()
	events := [][]byte{p.Register(), p.Add()}
	if o, err := r.Submit(t.Context(), events, answer.Want{}); err != nil || o[0].Err != nil || o[1].Err != nil {
		t.Fatal(o, err)
	}
	lookups := r.fail(func() error {
		_, err := r.Lookup(t.Context(), (&answer.Request{Asks: []answer.Ask{{Account: id, Most: 10}}}).Bytes())
		return err
	})
	receipts := r.fail(func() error {
		o, err := r.Submit(t.Context(), events[:1], answer.Want{Receipt: true})
		if err == nil {
			err = o[0].Err
		}
		return err
	})

	seed, err := readSeed(r.dir.path("vrf.key"))
	if err != nil {
		t.Fatal(err)
	}
	canaries := []*canary{{"identifier", "", []byte(text)}, {"account id", "", id[:]}, {"token", "", []byte(r.token.Reveal())}, {"VRF key", "", seed[:]}}
	for _, k := range append(slices.Collect(maps.Values(p.Companions)), p.Primary) {
		secret, public := k.Seed(), k.Public()
		canaries = append(canaries, &canary{"device secret", "", secret[:]}, &canary{"device key", "", public[1:]})
	}
	for e, err := range r.Events(0, math.MaxUint64) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Account != id {
			continue
		}
		canaries = append(canaries, &canary{"opening", "", e.Opening[:]})
	}
	sought, seen := newSearch(canaries), map[string]bool{}
	for surface, b := range map[string]*book{"the server's log": &r.said, "what callers are told": &r.refused} {
		for found, at := range sought.in(b.Bytes()) {
			if b == &r.said && found.kind == "account id" {
				seen[found.spelling] = true
				continue
			}
			t.Errorf("%s is in %s as %s: …%q", found.kind, surface, found.spelling, b.Bytes()[max(0, at-200):min(b.Len(), at+60)])
		}
	}
	if !seen["hex"] || !seen["trace"] {
		t.Errorf("the account is in log lines and traces as %v only: are they still searched?", seen)
	}
	if panics := strings.Count(r.said.String(), "panic while answering"); panics < 4 || lookups < 4 || receipts < 3 {
		t.Errorf("%d panics, %d lookups and %d receipts failed: is the store still asked?\n%s", panics, lookups, receipts, r.said.String())
	}
	t.Logf("%d lookups and %d receipts failed; %d bytes of log, %d of answers", lookups, receipts, r.said.Len(), r.refused.Len())
}

// TestFaultsAreForTheOperator: what a store says of a fault names files. It stands
// in the server's log, and whoever sent an event is told that there is a fault.
func TestFaultsAreForTheOperator(t *testing.T) {
	r := newBombed(t)
	p := liar.NewPhone("example.org/canary", "alice", 1767225600000)
	events := [][]byte{p.Register()}
	unary := func() error {
		o, err := r.Submit(t.Context(), events, answer.Want{Receipt: true})
		if err == nil {
			err = o[0].Err
		}
		return err
	}
	for _, c := range []struct {
		name  string
		spoil func()
	}{
		{"an epoch that cannot be written", func() { r.full.Store(true) }},
		{"a row that cannot be read", func() { r.dead.Store(true) }},
	} {
		before := r.said.Len()
		c.spoil()
		err := unary()
		r.full.Store(false)
		r.dead.Store(false)
		if said := r.said.String()[before:]; !strings.Contains(said, errBomb.Error()) {
			t.Errorf("%s: the server's log says %q, want the cause", c.name, said)
		}
		if err == nil || !strings.Contains(err.Error(), string(answer.Fault)) || strings.Contains(err.Error(), "/var/lib") {
			t.Errorf("%s: the submitter is told %v", c.name, err)
		}
		if err := unary(); err != nil {
			t.Errorf("after %s: %v", c.name, err)
		}
	}
}
