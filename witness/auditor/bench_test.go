package auditor_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/witness/auditor"
	"github.com/musterlog/muster/witness/follow"
	"github.com/musterlog/muster/witness/follow/followtest"
)

// cpu is the processor time of this process, all threads, user and system.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bulk is an honest log of n events with random indexes.
func bulk(b *testing.B, n, epoch int) *followtest.Files {
	signer, err := checkpoint.NewSigner(string(origin), liar.Seed("bulk"))
	if err != nil {
		b.Fatal(err)
	}
	f := followtest.New(origin, (&leaf.Genesis{Origin: origin}).Bytes())
	random := rand.NewChaCha8([32]byte{1})
	// All leaves stay in the tree's memory: nothing is read.
	tree, err := prefix.BuildWith(prefix.Memory{Bucket: 8, Held: n}, func(func(prefix.Leaf, error) bool) {}, 0)
	if err != nil {
		b.Fatal(err)
	}
	var keys, epochs uint64
	seal := func(batch []prefix.Leaf) {
		position := f.Size()
		if tree, err = tree.Update(nil, batch, position); err != nil {
			b.Fatal(err)
		}
		keys += uint64(len(batch))
		f.Append((&leaf.Epoch{Epoch: epochs, TimeMs: start + epochs, First: position - uint64(len(batch)), Keys: keys, PrefixRoot: tree.Root()}).Bytes())
		epochs++
	}
	seal(nil)
	var batch []prefix.Leaf
	for i := range n {
		e := new(leaf.Event)
		random.Read(e.Index[:])
		random.Read(e.Commitment[:])
		p := f.Size()
		batch = append(batch, prefix.Leaf{Index: e.Index, Position: p, Hash: prefix.LeafHash(e.Index, prefix.Value(p, e.Commitment))})
		f.Append(e.Bytes())
		if len(batch) == epoch || i == n-1 {
			seal(batch)
			batch = batch[:0]
		}
	}
	f.Note = signer.Sign(checkpoint.Checkpoint{Origin: origin, Size: f.Size(), Root: f.Root(f.Size())})
	return f
}

// BenchmarkAudit replays a log from its genesis: events a CPU-second of the
// whole process, bytes fetched an event, and the most live memory beyond what
// holds the log itself. MUSTER_BENCH_EVENTS=1000000 is the size to quote.
func BenchmarkAudit(b *testing.B) {
	events := 100_000
	if s := os.Getenv("MUSTER_BENCH_EVENTS"); s != "" {
		var err error
		if events, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for _, epoch := range []int{10_000, 1_000} {
		b.Run("epoch="+strconv.Itoa(epoch), func(b *testing.B) {
			f := bulk(b, events, epoch)
			signer, err := checkpoint.NewSigner(string(origin), liar.Seed("bulk"))
			if err != nil {
				b.Fatal(err)
			}
			var used time.Duration
			var fetched, peak uint64
			for b.Loop() {
				b.StopTimer()
				s := &metered{Source: f}
				runtime.GC()
				stop := watchHeap(&peak, live())
				b.StartTimer()
				began := cpu()
				a, err := auditor.Open(auditor.Config{Dir: b.TempDir(), Log: signer.Key(), Source: s})
				if err != nil {
					b.Fatal(err)
				}
				r, err := a.Catch(context.Background())
				if err != nil || r.Events != uint64(events) {
					b.Fatalf("%+v, %v", r, err)
				}
				a.Close()
				used += cpu() - began
				fetched += s.bytes.Load()
				stop()
			}
			n := float64(b.N * events)
			b.ReportMetric(n/used.Seconds(), "events/CPU-s")
			b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(fetched)/n, "B/event")
			b.ReportMetric(float64(peak)/1e6, "live-heap-MB")
		})
	}
}

// live is what the heap held when it was last collected. What is garbage until
// the next time depends on the log, which lies in the same heap.
func live() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// watchHeap follows the most that the heap holds beyond what it did before.
func watchHeap(peak *uint64, before uint64) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				if now := live(); now > before {
					*peak = max(*peak, now-before)
				}
			}
		}
	}()
	return func() { close(done); <-ended }
}

type metered struct {
	follow.Source
	bytes atomic.Uint64
}

func (m *metered) Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error) {
	data, err := m.Source.Tile(ctx, level, n, width)
	m.bytes.Add(uint64(len(data)))
	return data, err
}

func (m *metered) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	data, err := m.Source.Entries(ctx, n, width)
	m.bytes.Add(uint64(len(data)))
	return data, err
}
