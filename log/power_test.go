package log_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
)

// powered is a log whose store and signed head lie on a disk that may lose its
// power.
type powered struct {
	t *testing.T

	mu        sync.Mutex
	made      bool
	published map[eventPlace]uint64 // positions that were acknowledged
	signed    map[uint64]name.TreeRoot
}

type eventPlace struct {
	account name.AccountID
	seq     uint32
}

// start runs the log until stop is called.
func (p *powered) start(d durabletest.Disk, create bool) (l *log.Log, s *pebble.Store, stop func() error, err error) {
	at := pebble.Config{Dir: "store", FS: d.FS, CacheBytes: 1 << 20, MemTableBytes: 64 << 10}
	open := pebble.Open
	if create {
		open = pebble.Create
	}
	if s, err = open(at); err != nil {
		return nil, nil, nil, err
	}
	signer, err := checkpoint.NewSigner(string(origin), liar.Seed("log"))
	if err != nil {
		return nil, nil, nil, err
	}
	cfg := log.Config{
		Origin: origin, Signer: signer, VRF: vrf.NewPrivateKey(liar.Seed("vrf")), Head: log.HeadFileOn(d.Files, "/head"), Store: s,
		Epoch: time.Millisecond, Heartbeat: time.Hour, Now: func() time.Time { return time.UnixMilli(int64(start)) },
		Prefix: prefix.Memory{Bucket: 64, Held: 1 << 10},
	}
	if create {
		if err := log.Create(cfg); err != nil {
			return nil, nil, nil, errors.Join(err, s.Close())
		}
	}
	if l, err = log.Open(cfg); err != nil {
		return nil, nil, nil, errors.Join(err, s.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, s, func() error { cancel(); return errors.Join(<-done, s.Close()) }, nil
}

// submit has one event published, and the checkpoint over it remembered.
func (p *powered) submit(l *log.Log, phone *liar.Phone, event []byte) error {
	o := l.Submit(context.Background(), [][]byte{event}, answer.Want{})[0]
	if o.Refused != nil || o.Err != nil {
		return fmt.Errorf("an event is not logged: %v, %w", o.Refused, o.Err)
	}
	note, err := checkpoint.Parse(l.Published())
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published[eventPlace{phone.Account(), o.Seq}] = o.Position
	p.signed[note.Size] = note.Root
	return nil
}

func (p *powered) run(d durabletest.Disk) {
	l, _, stop, err := p.start(d, true)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.made = true
	p.mu.Unlock()
	phone := liar.NewPhone(origin, "alice", start)
	for _, make := range []func() []byte{phone.Register, phone.Add, phone.Confirm, phone.Confirm} {
		if err := p.submit(l, phone, make()); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := stop(); err != nil {
		p.t.Fatal(err)
	}
}

// left starts the log on what a power cut left: it has every published event at
// its place, shows no other tree of a size that it published, and goes on.
func (p *powered) left(d durabletest.Disk) error {
	p.mu.Lock()
	made, published, signed := p.made, maps.Clone(p.published), maps.Clone(p.signed)
	p.mu.Unlock()
	l, s, stop, err := p.start(d, false)
	if err != nil {
		if !made {
			return nil // it says to begin again
		}
		return err
	}
	check := func() error {
		newest := uint64(0)
		for place, position := range published {
			e, err := s.EventAt(position)
			if err != nil || e.Account != place.account || e.Seq != place.seq {
				return fmt.Errorf("event %d was published at %d: %v, %w", place.seq, position, e, err)
			}
			newest = max(newest, position)
		}
		clone := &powered{published: map[eventPlace]uint64{}, signed: map[uint64]name.TreeRoot{}}
		stranger := liar.NewPhone(origin, "bob", start)
		if err := clone.submit(l, stranger, stranger.Register()); err != nil {
			return err
		}
		for size, root := range clone.signed {
			if other, ok := signed[size]; size <= newest || ok && other != root {
				return fmt.Errorf("it goes on with a tree of %d leaves, after one with a leaf at %d was published", size, newest)
			}
		}
		return nil
	}
	return errors.Join(check(), stop())
}

// TestPowerCut: whatever a power cut leaves of a log's store and signed head on one
// disk, the log starts, has all that it published, and goes on.
func TestPowerCut(t *testing.T) {
	durabletest.PowerCuts(t, func(t *testing.T, seed uint64) (run func(durabletest.Disk), left func(durabletest.Disk) error) {
		p := &powered{t: t, published: map[eventPlace]uint64{}, signed: map[uint64]name.TreeRoot{}}
		return p.run, p.left
	})
}
