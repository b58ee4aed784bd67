package log_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/pebble"
)

// spoiled is a store that keeps an epoch of events otherwise than it was given: a bit
// flipped on the way, before the engine made its checksum.
type spoiled struct {
	store.Store
	spoil func(*store.Batch) // of a copy, whose slices are its own
}

func (s *spoiled) Commit(b *store.Batch) error {
	if len(b.Events) == 0 {
		return s.Store.Commit(b)
	}
	c := *b
	c.Leaves, c.Events, c.Prefix, c.Tiles = slices.Clone(b.Leaves), slices.Clone(b.Events), slices.Clone(b.Prefix), slices.Clone(b.Tiles)
	s.spoil(&c)
	return s.Store.Commit(&c)
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// What the store keeps otherwise than it was made is not signed, neither by the
// process that made it nor by the next one, which has nothing but the store.
func TestSpoiledEpochIsNotSigned(t *testing.T) {
	for _, c := range []struct {
		name   string
		events int // of the epoch; with 260 a tile becomes full
		spoil  func(*store.Batch)
		want   string // of the restart
	}{
		{"an EVENT leaf's commitment", 2, func(b *store.Batch) { b.Leaves[0] = flipped(b.Leaves[0], len(b.Leaves[0])-1) }, "its newest EPOCH says"},
		{"an EVENT leaf's index", 2, func(b *store.Batch) { b.Leaves[0] = flipped(b.Leaves[0], 10) }, "its newest EPOCH says"},
		{"an event's body", 2, func(b *store.Batch) { b.Events[0].Body = flipped(b.Events[0].Body, 100) }, "not the one that its leaf commits to"},
		{"an event's opening", 2, func(b *store.Batch) { b.Events[0].Opening[3] ^= 1 }, "not the one that its leaf commits to"},
		{"what an event says of the one before it", 2, func(b *store.Batch) { b.Events[0].Previous ^= 1 }, "says that the one before it"},
		{"an event that leads past the one before it", 2, func(b *store.Batch) { b.Events[1].Previous = b.Events[0].Previous }, "says that the one before it"},
		{"a lost event", 2, func(b *store.Batch) { b.Events = b.Events[:1] }, "no event belongs to the EVENT leaf"},
		{"a hash tile", 260, func(b *store.Batch) {
			for i := range b.Tiles {
				b.Tiles[i].Data = flipped(b.Tiles[i].Data, 200*32)
			}
		}, "is not that of the leaves below it"},
		{"the map", 2, func(b *store.Batch) { b.Prefix[0].Hash[7] ^= 1 }, "the map does not have the leaf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			p := r.phone("alice")
			r.accepted(p.Register())
			r.stop()
			signed := bytes.Clone(r.head.note)
			r.openStore()
			r.store.Store = &spoiled{r.store.Store, c.spoil}
			r.cfg.Epoch, r.cfg.MaxEpochEvents = time.Hour, c.events // all in one epoch, however slow the machine is
			l, err := log.Open(r.cfg)
			if err != nil {
				t.Fatal(err)
			}
			r.head.fail = errors.New("the power is gone") // should the read-back let it pass
			r.run(l)
			bodies := [][]byte{p.Add()}
			for range c.events - 1 {
				bodies = append(bodies, p.Confirm())
			}
			r.log.Submit(t.Context(), bodies, answer.Want{})
			noticed := "reading back what was stored"
			if c.events == 260 || c.name == "the map" { // which the process itself does not read
				noticed = r.head.fail.Error()
			}
			if err := r.ends(); err == nil || !strings.Contains(err.Error(), noticed) {
				t.Errorf("the log ended with %v, want %q", err, noticed)
			}
			r.cancel()
			r.store.Close()
			r.head.fail, r.log = nil, nil

			r.openStore()
			defer r.store.Close()
			if _, err := log.Open(r.cfg); !errors.Is(err, log.ErrReadOnly) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("started again: error %v, want one with %q", err, c.want)
			}
			if !bytes.Equal(r.head.note, signed) {
				t.Errorf("it was signed: %s", r.head.note)
			}
		})
	}
}

// An epoch that was committed whole, and not signed, is signed by the next process.
func TestUnsignedEpochIsSigned(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register(), p.Add())
	r.head.fail = errors.New("the power is gone")
	r.submit(p.Remove(1), r.phone("bob").Register())
	if err := r.ends(); err == nil {
		t.Error("the log goes on")
	}
	r.head.fail = nil
	r.stop()
	r.open()
	r.accepted(p.Add())
}

// A store that came back without its signed head signs nothing, not even as young as
// init made it: the log may have gone on elsewhere.
func TestFirstBackupSignsNothing(t *testing.T) {
	r := makeRig(t)
	disk, _ := r.backup()
	r.open()
	r.accepted(r.phone("alice").Register())
	r.stop()
	s, err := pebble.Open(pebble.Config{Dir: "store", FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r.cfg.Store, r.head.note = s, nil
	if _, err := log.Open(r.cfg); !errors.Is(err, log.ErrReadOnly) || r.head.note != nil {
		t.Errorf("error %v, want a log that is read-only; signed %q", err, r.head.note)
	}
}
