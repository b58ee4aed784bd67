package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
)

const (
	// chunkEvents are signed, then submitted, then forgotten: some 50 MB.
	chunkEvents = 100_000

	// firstChunk is smaller, so that an account's events lie apart in a small log.
	firstChunk = 20_000

	// sampleEvents of a chunk have their floor measured.
	sampleEvents = 20_000

	// inFlight batches are submitted at once: enough for three epochs.
	inFlight = 32

	rounds = 5
)

// metered is what do costs, with what it leaves to the background.
func metered(events int, do func() error) (cost, error) {
	runtime.GC()
	settle()
	began, before := time.Now(), cpu()
	err := do()
	wall := time.Since(began)
	settle()
	return cost{events, cpu() - before, wall}, err
}

// submit has the log in this process log batches, many at a time, and waits
// until all are published.
func (o *open) submit(ctx context.Context, batches [][][]byte) error {
	return together(batches, func(batch [][]byte) ([]answer.Outcome, error) { return o.log.Submit(ctx, batch, answer.Want{}), nil })
}

// imports submits batches of a growth; busy is its middle, if it has one.
func (o *open) imports(ctx context.Context, batches [][][]byte, events int) (whole, busy cost, err error) {
	var published func() []instant
	whole, err = metered(events, func() error {
		published = o.watch()
		return o.submit(ctx, batches)
	})
	return whole, middle(published(), events), err
}

// ingest is device-adds of accounts all over the log, through log.Submit, beside
// the floor of the same events.
func (b *bench) ingest() error {
	if err := b.ready(log.MaxEpochEvents); err != nil {
		return err
	}
	n := b.perRound()
	var whole, base, ratio []float64
	for range rounds {
		w, f, err := b.ingestRound(n)
		if err != nil {
			return err
		}
		whole, base = append(whole, w.cpuMicros()), append(base, f.cpuMicros())
		ratio = append(ratio, f.cpuMicros()/w.cpuMicros())
	}
	b.figure("ingest", median(base)/median(whole), samples{"cpu_us_per_event": whole, "floor_cpu_us_per_event": base, "ratio": ratio})
	b.figure("ingest-cpu", median(whole), nil)
	b.figure("ingest-floor", median(base), nil)
	if million, ok := b.at("ingest-cpu", 1_000_000); ok && b.stage > 1_000_000 {
		b.figure("ingest-growth", median(whole)/million, nil)
	}
	return nil
}

func (b *bench) ingestRound(n int) (whole, base cost, err error) {
	batches, done, err := b.town.deviceAdds(n)
	if err != nil {
		return cost{}, cost{}, err
	}
	if whole, err = metered(n, func() error { return b.open.submit(b.ctx, batches) }); err != nil {
		return cost{}, cost{}, err
	}
	base, err = floor(b.cfg.VRF, batches)
	return whole, base, errors.Join(err, done())
}
