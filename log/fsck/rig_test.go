package fsck_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/fsck"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
)

const origin = name.Origin("keys.example.org/log1")

// rig is the store of a log that was run and stopped: with full tiles, an
// erased account, one whose content is still to be erased, VRF proofs and
// promised events.
type rig struct {
	t    *testing.T
	disk vfs.FS
	head head
	cfg  log.Config
}

type head []byte

func (h *head) Load() ([]byte, error)   { return *h, nil }
func (h *head) Store(note []byte) error { *h = note; return nil }

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, disk: vfs.NewMem()}
	signer, err := checkpoint.NewSigner(string(origin), liar.Seed("log"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.UnixMilli(1_790_000_000_000)
	r.cfg = log.Config{
		Origin: origin, Signer: signer, VRF: vrf.NewPrivateKey(liar.Seed("vrf")), Head: &r.head,
		Epoch: time.Millisecond, Heartbeat: time.Microsecond, Now: func() time.Time { return start },
	}
	s, err := pebble.Create(pebble.Config{Dir: "store", FS: r.disk})
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.Store = s
	if err := log.Create(r.cfg); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Empty epochs, for a full tile.
	r.run(func(l *log.Log) {
		for size := uint64(0); size < 300; size, _ = l.Position() {
			time.Sleep(time.Millisecond)
		}
	})
	r.cfg.Heartbeat = time.Hour
	r.run(r.story)
	dave := liar.NewPhone(origin, "dave", 1_790_000_000_000)
	s, err = pebble.Open(pebble.Config{Dir: "store", FS: r.disk})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Reserve([]store.Pending{
		{Account: dave.Account(), Seq: 0, MergeBy: 1_790_000_060_000, Body: dave.Register()},
		{Account: dave.Account(), Seq: 1, MergeBy: 1_790_000_060_000, Body: dave.Add()},
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) run(f func(*log.Log)) {
	r.t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: r.disk})
	if err != nil {
		r.t.Fatal(err)
	}
	r.cfg.Store = s
	l, err := log.Open(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	f(l)
	cancel()
	if err := <-done; err != nil {
		r.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) story(l *log.Log) {
	phone := func(id string) *liar.Phone { return liar.NewPhone(origin, name.Identifier(id), 1_790_000_000_000) }
	send := func(bodies ...[]byte) {
		r.t.Helper()
		for _, o := range l.Submit(context.Background(), bodies, answer.Want{Receipt: true}) {
			if o.Refused != nil || o.Err != nil {
				r.t.Fatalf("refused %v, error %v", o.Refused, o.Err)
			}
		}
	}
	alice, bob, carol := phone("alice"), phone("bob"), phone("carol")
	send(alice.Register(), alice.Add(), alice.Add())
	send(bob.Register(), bob.Add(), bob.Erase())
	send(alice.Remove(1), alice.Confirm(), bob.Reregister(false))
	send(carol.Register(), carol.Erase())
}

// check checks the store, and gives what was found.
func (r *rig) check(vrf *vrf.PrivateKey) (*fsck.Report, []string) {
	r.t.Helper()
	s, err := pebble.OpenReadOnly(pebble.Config{Dir: "store", FS: r.disk})
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	var found []string
	report, err := fsck.Check(context.Background(), fsck.Config{
		Store: s, Origin: origin, Key: r.cfg.Signer.Key(), VRF: vrf, Head: r.head,
		Found: func(d fsck.Difference) { found = append(found, d.String()) },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if report.Differences != uint64(len(found)) {
		r.t.Errorf("%d differences, told %d", report.Differences, len(found))
	}
	return report, found
}

// raw changes rows behind the store's back.
func (r *rig) raw(f func(db *pebbledb.DB)) {
	r.t.Helper()
	db, err := pebbledb.Open("store/pebble", &pebbledb.Options{FS: r.disk, FormatMajorVersion: pebbledb.FormatNewest, Logger: quiet{}})
	if err != nil {
		r.t.Fatal(err)
	}
	f(db)
	if err := db.Close(); err != nil {
		r.t.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

type row struct{ key, value []byte }

func (r row) String() string {
	if len(r.key) == 1 {
		return fmt.Sprintf("row %c:", r.key[0])
	}
	return fmt.Sprintf("row %c/%x", r.key[0], r.key[1:])
}

func (r *rig) rows() (all []row) {
	r.raw(func(db *pebbledb.DB) {
		it, err := db.NewIter(nil)
		if err != nil {
			r.t.Fatal(err)
		}
		defer it.Close()
		for more := it.First(); more; more = it.Next() {
			all = append(all, row{slices.Clone(it.Key()), slices.Clone(it.Value())})
		}
	})
	return all
}

func (r *rig) set(key, value []byte) {
	r.t.Helper()
	r.raw(func(db *pebbledb.DB) {
		if err := db.Set(key, value, pebbledb.Sync); err != nil {
			r.t.Fatal(err)
		}
	})
}

func (r *rig) drop(key []byte) {
	r.t.Helper()
	r.raw(func(db *pebbledb.DB) {
		if err := db.Delete(key, pebbledb.Sync); err != nil {
			r.t.Fatal(err)
		}
	})
}
