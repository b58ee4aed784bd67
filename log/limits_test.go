package log_test

import (
	"runtime/debug"
	"testing"

	"github.com/musterlog/muster/log"
)

// Who sets the runtime's own variables is left alone; else the limit grows with
// the log.
func TestLimitMemory(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) })
	limited := func(events uint64, gogc, gomemlimit string) int64 {
		t.Setenv("GOGC", gogc)
		t.Setenv("GOMEMLIMIT", gomemlimit)
		debug.SetMemoryLimit(1 << 40)
		log.LimitMemory(events)
		return debug.SetMemoryLimit(-1)
	}
	small, large := limited(0, "", ""), limited(1<<24, "", "")
	if small >= 1<<40 || large < small+1<<24 {
		t.Errorf("limits of %d and %d bytes, want the second one to have room for 2^24 events", small, large)
	}
	if percent := debug.SetGCPercent(100); percent <= 100 {
		t.Errorf("garbage is collected at %d percent, as by default", percent)
	}
	for _, set := range [][2]string{{"50", ""}, {"", "2GiB"}} {
		if got := limited(0, set[0], set[1]); got != 1<<40 {
			t.Errorf("with GOGC=%s GOMEMLIMIT=%s the limit became %d bytes", set[0], set[1], got)
		}
	}
}
