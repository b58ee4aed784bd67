package pebble

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// BenchmarkPurge erases accounts of 5 events each, which lie all over the log,
// and tells what a purge of them writes into tables (MB-written), beside what
// the whole store has (MB-store). docs/operating.md quotes it.
func BenchmarkPurge(b *testing.B) {
	s, err := Create(Config{Dir: filepath.Join(b.TempDir(), "store")})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l := newSpread(b, s, benchEvents(b, 600_000)/5)
	for range 5 {
		l.round()
	}
	for _, n := range []int{1, 10, 100} {
		b.Run("accounts="+strconv.Itoa(n), func(b *testing.B) {
			var written []uint64
			for b.Loop() {
				b.StopTimer()
				l.erase(n)
				before := l.written()
				b.StartTimer()
				if done, err := s.Purge(b.Context()); err != nil || done != n {
					b.Fatalf("purged %d accounts of %d: %v", done, n, err)
				}
				written = append(written, l.written()-before)
			}
			slices.Sort(written)
			b.ReportMetric(float64(written[0])/1e6, "MB-written-least")
			b.ReportMetric(float64(written[len(written)/2])/1e6, "MB-written-median")
			b.ReportMetric(float64(written[len(written)-1])/1e6, "MB-written-most")
			b.ReportMetric(float64(s.db.pebble.Metrics().DiskSpaceUsage())/1e6, "MB-store")
		})
	}
}

// spread is a log in which the events of each account lie far apart.
type spread struct {
	*testing.B
	store    *Store
	random   *rand.ChaCha8
	order    *rand.Rand
	accounts []store.Account
	state    store.State
	erased   int // accounts, from the first on
}

func newSpread(b *testing.B, s *Store, accounts int) *spread {
	source := rand.NewChaCha8([32]byte{1})
	l := &spread{B: b, store: s, random: source, order: rand.New(source)}
	for range accounts {
		var id name.AccountID
		l.random.Read(id[:])
		l.accounts = append(l.accounts, store.Account{Account: *event.NewAccount(name.LogID{9}, id), Erase: store.None})
	}
	return l
}

// round logs one more event of every account, in an order of its own.
func (l *spread) round() {
	for numbers := range slices.Chunk(l.order.Perm(len(l.accounts)), 10_000) {
		l.commit(numbers, false)
	}
}

// erase logs an ERASE of the next n accounts, and lets the engine come to rest.
func (l *spread) erase(n int) {
	var numbers []int
	for range n {
		numbers = append(numbers, l.erased)
		l.erased++
	}
	l.commit(numbers, true)
	for l.store.db.pebble.Metrics().Compact.NumInProgress > 0 {
		time.Sleep(10 * time.Millisecond)
	}
}

func (l *spread) commit(numbers []int, erase bool) {
	b := &store.Batch{First: l.state.Size}
	if b.First == 0 {
		l.leaf(b, (&leaf.Genesis{Origin: "keys.example.org/log1", VRFKey: [32]byte{1}}).Bytes())
	}
	for _, n := range numbers {
		a := &l.accounts[n]
		if erase {
			b.Erase = append(b.Erase, store.Erasure{Account: a.ID, Before: a.Next})
		}
		l.event(b, a)
	}
	epoch := leaf.Epoch{Epoch: l.state.Epochs, TimeMs: l.state.TimeMs + 1000, First: max(b.First, 1), Keys: l.state.Keys + uint64(len(numbers))}
	l.leaf(b, epoch.Bytes())
	b.State = store.State{Size: b.First + uint64(len(b.Leaves)), Epochs: epoch.Epoch + 1, Keys: epoch.Keys, TimeMs: epoch.TimeMs, First: epoch.First}
	l.state = b.State
	if err := l.store.Commit(b); err != nil {
		l.Fatal(err)
	}
}

// event adds a device, as most events do.
func (l *spread) event(b *store.Batch, a *store.Account) {
	e := store.Event{
		Account: a.ID, Seq: a.Next, Position: b.First + uint64(len(b.Leaves)), Previous: a.Position,
		Anchor: a.Next, Erase: store.None, Body: make([]byte, 355),
	}
	l.random.Read(e.Body)
	l.random.Read(e.Opening[:])
	var key [32]byte
	l.random.Read(key[:])
	a.Introduced = append(slices.Clone(a.Introduced), key)
	a.Devices = append(slices.Clone(a.Devices), event.Device{KeyIndex: e.Seq, Key: event.Key(append([]byte{event.KeyCurve25519}, key[:]...))})
	for _, d := range a.Devices {
		e.Live = append(e.Live, d.KeyIndex)
	}
	a.Anchor, a.Position, a.Next = e.Seq, e.Position, a.Next+1
	after := *a
	b.Accounts, b.Events = append(b.Accounts, &after), append(b.Events, e)
	var logged leaf.Event
	l.random.Read(logged.Index[:])
	l.random.Read(logged.Commitment[:])
	b.Prefix = append(b.Prefix, prefix.Leaf{Index: logged.Index, Hash: prefix.LeafHash(logged.Index, prefix.Value(e.Position, logged.Commitment)), Position: e.Position})
	l.leaf(b, logged.Bytes())
}

// leaf appends a leaf, and the tile that it fills.
func (l *spread) leaf(b *store.Batch, data []byte) {
	b.Leaves = append(b.Leaves, bytes.Clone(data))
	if size := b.First + uint64(len(b.Leaves)); size%256 == 0 {
		tile := make([]byte, tileBytes)
		l.random.Read(tile)
		b.Tiles = append(b.Tiles, store.Tile{N: size/256 - 1, Data: tile})
	}
}

// written is what went into tables so far.
func (l *spread) written() uint64 {
	m := l.store.db.pebble.Metrics().Total()
	return m.TableBytesFlushed + m.TableBytesCompacted
}
