package pebble

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/musterlog/muster/log/prefix"
)

// BenchmarkReplica adds leaves in commits of a size, and tells what the disk
// got for each of them: tables, compactions and write-ahead log, and what lies
// there in the end. MUSTER_BENCH_EVENTS=10000000 is the size to quote.
func BenchmarkReplica(b *testing.B) {
	events := benchEvents(b, 300_000)
	for _, size := range []int{1 << 18, 1 << 16, 1 << 13} {
		b.Run("commit="+strconv.Itoa(size), func(b *testing.B) {
			var written, kept uint64
			for b.Loop() {
				written, kept = fillReplica(b, events, size)
			}
			b.ReportMetric(float64(written)/float64(events), "B-written/event")
			b.ReportMetric(float64(kept)/float64(events), "B-disk/event")
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N*events), "ns/event")
		})
	}
}

// benchEvents is how many events a benchmark is about.
func benchEvents(b *testing.B, usual int) int {
	s := os.Getenv("MUSTER_BENCH_EVENTS")
	if s == "" {
		return usual
	}
	events, err := strconv.Atoi(s)
	if err != nil {
		b.Fatal(err)
	}
	return events
}

func fillReplica(b *testing.B, events, size int) (written, kept uint64) {
	r, err := OpenReplica(Config{Dir: b.TempDir(), CacheBytes: 32 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	random := rand.New(rand.NewPCG(1, 1))
	leaves := make([]prefix.Leaf, size)
	for done := 0; done < events; done += size {
		for i := range leaves {
			for at := 0; at < 32; at += 8 {
				binary.BigEndian.PutUint64(leaves[i].Index[at:], random.Uint64())
				binary.BigEndian.PutUint64(leaves[i].Hash[at:], random.Uint64())
			}
			leaves[i].Position = uint64(done + i)
		}
		leaves = prefix.Sorted(nil, leaves)
		if err := r.Commit(leaves[:min(size, events-done)], []byte("record")); err != nil {
			b.Fatal(err)
		}
	}
	m := r.store.db.pebble.Metrics()
	t := m.Total()
	return t.TableBytesIngested + t.TableBytesFlushed + t.TableBytesCompacted + m.WAL.BytesWritten, m.DiskSpaceUsage()
}
