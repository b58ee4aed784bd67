package main

import (
	"os"
	"time"

	"github.com/musterlog/muster/log"
)

// growth is what one part of the import cost, by event.
type growth struct {
	Events    int     `json:"events"` // in the log after it
	Added     int     `json:"added"`
	ByTime    bool    `json:"by_time,omitempty"` // epochs of 1 s, else of 10,000 events
	CPU       float64 `json:"cpu_us"`            // of all of it, with what it left to the background
	Floor     float64 `json:"floor_cpu_us"`
	FloorWall float64 `json:"floor_wall_us"`
	Busy      float64 `json:"busy_cpu_us,omitempty"` // between two publications in its middle
	BusyWall  float64 `json:"busy_wall_us,omitempty"`
	Written   float64 `json:"written_bytes"`
}

// byTime are the last parts before a stage, whose epochs are cut by time.
const byTime = 3 * chunkEvents

// grow appends accounts with their histories until the log has so many events:
// an import of what clients signed.
func (b *bench) grow(events int) error {
	for b.town.Events < events {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		left := events - b.town.Events
		g := growth{ByTime: events > 2*byTime && left <= byTime}
		epochEvents := log.MaxEpochEvents
		if g.ByTime {
			epochEvents = log.MaxPending // never full
		}
		if err := b.ready(epochEvents); err != nil {
			return err
		}
		if err := b.growBy(&g, min(chunkEvents, max(firstChunk, b.town.Events/4), left)); err != nil {
			return err
		}
		progress("%9d events: %.1f µs of CPU an event, floor %.1f, ratio %.3f", b.town.Events, g.CPU, g.Floor, g.Floor/g.CPU)
	}
	return nil
}

func (b *bench) growBy(g *growth, events int) error {
	log.LimitMemory(uint64(b.town.Events + events))
	batches, accounts, n := b.town.backfill(events)
	before, err := written(os.Getpid())
	if err != nil {
		return err
	}
	whole, busy, err := b.open.imports(b.ctx, batches, n)
	if err != nil {
		return err
	}
	after, err := written(os.Getpid())
	if err != nil {
		return err
	}
	base, err := floor(b.cfg.VRF, sampled(batches))
	if err != nil {
		return err
	}
	g.Events, g.Added = b.town.Events+n, n
	g.CPU, g.Written = whole.cpuMicros(), float64(after-before)/float64(n)
	g.Floor, g.FloorWall = base.cpuMicros(), base.wallMicros()
	if busy.events > 0 {
		g.Busy, g.BusyWall = busy.cpuMicros(), busy.wallMicros()
	}
	b.town.Growth = append(b.town.Growth, *g)
	return b.town.grown(accounts, n)
}

// sampled is a part of some batches, from all over.
func sampled(batches [][][]byte) (some [][][]byte) {
	for i := 0; i < len(batches); i += max(1, len(batches)*batchSize/sampleEvents) {
		some = append(some, batches[i])
	}
	return some
}

// instant is one publication.
type instant struct {
	at     time.Time
	cpu    time.Duration
	events int
}

// watch notes each publication until stop is called.
func (o *open) watch() (stop func() []instant) {
	quit, all := make(chan struct{}), make(chan []instant)
	first := o.events()
	go func() {
		var published []instant
		for have := first; ; {
			select {
			case <-quit:
				all <- published
				return
			case <-time.After(2 * time.Millisecond):
			}
			if n := o.events(); n > have {
				have = n
				published = append(published, instant{time.Now(), cpu(), n - first})
			}
		}
	}()
	return func() []instant { close(quit); return <-all }
}

// middle is what events cost from one publication to another: neither at the
// beginning nor at the end, when cores have nothing to do.
func middle(published []instant, events int) (c cost) {
	var from *instant
	for i := range published {
		p := &published[i]
		switch {
		case from == nil && p.events >= events/10:
			from = p
		case from != nil && p.events <= events*85/100:
			c = cost{p.events - from.events, p.cpu - from.cpu, p.at.Sub(from.at)}
		}
	}
	return c
}

// grew sums up all that grew the log so far.
func (b *bench) grew() error {
	var floor, whole, events float64
	ratios, written := samples{}, samples{}
	for _, g := range b.town.Growth {
		floor += g.Floor * float64(g.Added)
		whole += g.CPU * float64(g.Added)
		events += float64(g.Added)
		ratios["floor/cpu"] = append(ratios["floor/cpu"], g.Floor/g.CPU)
		written["bytes"] = append(written["bytes"], g.Written)
	}
	b.figure("import", floor/whole, ratios)
	b.figure("import-cpu", whole/events, nil)
	b.figure("import-floor", floor/events, nil)
	b.figure("import-written", mean(written["bytes"]), written)
	b.busy("busy-size", false)
	b.busy("busy-time", true)
	return nil
}

// busy compares what an import gains from both cores with what its cryptography
// alone gains: the ratio of wall times beside that of CPU times, in the newest
// parts of the growth.
func (b *bench) busy(row string, byTime bool) {
	s := samples{}
	for _, g := range b.town.Growth {
		if g.ByTime == byTime && g.BusyWall > 0 && g.Events <= b.stage && g.Events > b.stage-2*3*chunkEvents {
			cpu, wall := g.Floor/g.Busy, g.FloorWall/g.BusyWall
			s["cpu_ratio"], s["wall_ratio"] = append(s["cpu_ratio"], cpu), append(s["wall_ratio"], wall)
			s["wall/cpu"] = append(s["wall/cpu"], wall/cpu)
		}
	}
	if len(s["wall/cpu"]) > 0 {
		b.figure(row, median(s["wall/cpu"]), s)
	}
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}
