package main

import (
	"os"
	"testing"
	"time"
)

// A share of the latencies counts events, and the worst is one of them.
func TestBenchQuantiles(t *testing.T) {
	f := new(benchFigures)
	if got := f.quantile(0.5); got != 0 {
		t.Errorf("of no events: %v", got)
	}
	for ms := range 100 {
		f.latencies = append(f.latencies, time.Duration(ms+1)*time.Millisecond)
	}
	for share, want := range map[float64]int{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := f.quantile(share); got != time.Duration(want)*time.Millisecond {
			t.Errorf("quantile %v: %v, want %d ms", share, got, want)
		}
	}
}

// The clock of a process counts its work.
func TestServerCPU(t *testing.T) {
	before, err := serverCPU(os.Getpid())
	if err != nil {
		t.Skipf("no CPU times on this system: %v", err)
	}
	after := before
	for began := time.Now(); after == before && time.Since(began) < patience; {
		if after, err = serverCPU(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if after <= before || after > before+time.Minute {
		t.Errorf("CPU time went from %v to %v", before, after)
	}
}
