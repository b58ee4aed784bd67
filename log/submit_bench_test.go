package log_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
)

// BenchmarkSubmit is what a device-add allocates from its bytes to its
// publication, in calls of a thousand that fill an epoch each. Time is better
// read from testdata/bench, which has the cryptography beside it.
func BenchmarkSubmit(b *testing.B) {
	const accounts = 1000
	dir := b.TempDir()
	s, err := pebble.Create(pebble.Config{Dir: dir + "/store"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	signer, err := checkpoint.NewSigner(string(origin), liar.Seed("log"))
	if err != nil {
		b.Fatal(err)
	}
	cfg := log.Config{
		Origin: origin, Signer: signer, VRF: vrf.NewPrivateKey(liar.Seed("vrf")), Head: log.HeadFile(dir + "/head"), Store: s,
		Epoch: time.Hour, MaxEpochEvents: accounts, MaxDevices: 255,
	}
	if err := log.Create(cfg); err != nil {
		b.Fatal(err)
	}
	l, err := log.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	defer func() { cancel(); <-done }()

	phones := make([]*liar.Phone, accounts)
	round := make([][]byte, accounts)
	submit := func() {
		for i, o := range l.Submit(ctx, round, answer.Want{}) {
			if o.Refused != nil || o.Err != nil {
				b.Fatal(i, o.Refused, o.Err)
			}
		}
	}
	for i := range phones {
		phones[i] = liar.NewPhone(origin, name.Identifier(fmt.Sprint("phone", i)), start)
		round[i] = phones[i].Register()
	}
	submit()
	var before, after runtime.MemStats
	var allocations, bytes uint64
	for b.Loop() {
		b.StopTimer()
		for i, p := range phones {
			if len(p.At.Devices) >= 4 {
				round[i] = p.Remove(p.At.Devices[0].KeyIndex)
			} else {
				round[i] = p.Add()
			}
		}
		runtime.ReadMemStats(&before)
		b.StartTimer()
		submit()
		b.StopTimer()
		runtime.ReadMemStats(&after)
		allocations += after.Mallocs - before.Mallocs
		bytes += after.TotalAlloc - before.TotalAlloc
		b.StartTimer()
	}
	events := float64(b.N * accounts)
	b.ReportMetric(float64(allocations)/events, "allocs/event")
	b.ReportMetric(float64(bytes)/events, "B/event")
	b.ReportMetric(b.Elapsed().Seconds()*1e6/events, "µs/event")
}
