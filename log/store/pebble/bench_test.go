package pebble

import (
	"path/filepath"
	"testing"

	"github.com/musterlog/muster/log/store/storetest"
)

// BenchmarkCommit commits epochs of 10,000 events to the disk. Beside the time
// of one epoch it reports, for each event: bytes that the batch holds (rows-B/event),
// and bytes written to the write-ahead log, by flushes and by compactions so far
// (written-B/event).
func BenchmarkCommit(b *testing.B) {
	const events = 10_000
	s, err := Create(Config{Dir: filepath.Join(b.TempDir(), "store")})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	m := storetest.NewModel(1)
	for b.Loop() {
		b.StopTimer()
		batch := m.Next(events)
		batch.Erase = nil // measured is the common case
		b.StartTimer()
		if err := s.Commit(batch); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(b.N * events)
	b.ReportMetric(float64(b.Elapsed().Microseconds())/n, "µs/event")
	rows := s.db.pebble.Metrics().WAL.BytesIn
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	total := s.db.pebble.Metrics()
	levels := total.Total()
	b.ReportMetric(float64(rows)/n, "rows-B/event")
	b.ReportMetric(float64(total.WAL.BytesWritten+levels.TableBytesFlushed+levels.TableBytesCompacted)/n, "written-B/event")
}
