package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	latencyEpoch  = 100 * time.Millisecond
	latencySample = 60_000 // device-adds in a row, for some ten seconds: from them follows what the log takes at most
	latencyTime   = 10 * time.Second
	tick          = 5 * time.Millisecond // events that are due within one travel together
	tickEvents    = 20                   // about as many: what the log takes at most, it takes in messages of this size
	load          = 0.8                  // of what the log takes at most
)

// published is how long a device-add takes from its submission until it is
// published under three witnesses and an auditor: real processes on loopback,
// events that come evenly whether or not earlier ones are answered.
func (b *bench) published() (err error) {
	if b.stage != b.last {
		return nil // its log is its own, of one size
	}
	dir := filepath.Join(b.dir, "published")
	if err := errors.Join(b.close(), os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	var all []*process
	defer func() { stopAll(all...) }()
	if all, err = b.cosigned(dir); err != nil {
		return err
	}
	url := all[0].url
	if err := send(b.ctx, url, eventsAt(0, 0, latencySample, batchSize)); err != nil {
		return err
	}
	adds := eventsAt(1, 0, latencySample, tickEvents)
	began := time.Now()
	if err := send(b.ctx, url, adds); err != nil {
		return err
	}
	capacity := latencySample / time.Since(began).Seconds()
	rate := load * capacity
	n := int(rate * latencyTime.Seconds())
	if err := send(b.ctx, url, eventsAt(0, latencySample, n, batchSize)); err != nil {
		return err
	}
	adds = eventsAt(1, latencySample, n, batchSize)
	before := spent(all)
	waits, err := pace(b.ctx, url, slices.Concat(adds...), rate)
	if err != nil {
		return err
	}
	after := spent(all)
	slices.Sort(waits)
	at := func(part float64) float64 {
		return waits[int(part*float64(len(waits)-1))].Seconds() / latencyEpoch.Seconds()
	}
	s := samples{"capacity_per_s": {capacity}, "rate_per_s": {rate}}
	for _, part := range []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1} {
		s["part"], s["epochs"] = append(s["part"], part), append(s["epochs"], at(part))
	}
	for i, name := range []string{"sender", "log", "w1", "w2", "w3", "auditor"} {
		s["cpu_us_"+name] = []float64{float64((after[i] - before[i]).Microseconds()) / float64(n)}
	}
	b.figure("published-p50", at(0.5), s)
	b.figure("published-p99", at(0.99), nil)
	return os.RemoveAll(dir)
}

// spent is the CPU time so far of this process and of the others.
func spent(others []*process) []time.Duration {
	all := []time.Duration{cpu()}
	for _, p := range others {
		at, _ := processCPU(p.Process.Pid)
		all = append(all, at)
	}
	return all
}

// cosigned makes a log that publishes what three witnesses and an auditor all
// cosigned. The log's own process is the first.
func (b *bench) cosigned(dir string) (all []*process, err error) {
	logDir := filepath.Join(dir, "log")
	if err := createLog(logDir); err != nil {
		return nil, err
	}
	signer, err := logKey()
	if err != nil {
		return nil, err
	}
	vkey := signer.Key().String()
	logs := filepath.Join(dir, "policy")
	text := "log " + vkey + "\n"
	if err := os.WriteFile(logs, []byte(text), 0o600); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	for _, role := range []string{"w1", "w2", "w3", "auditor"} {
		folder := filepath.Join(dir, role)
		args := []string{"witness", "--dir", folder, "--logs", logs, "--name", role + ".example", "--init"}
		file := "witness.vkey"
		if role == "auditor" {
			args = []string{"audit", "--dir", folder, "--log", "http://" + address, "--vkey", vkey, "--name", role + ".example"}
			file = "auditor.vkey"
		}
		p, err := b.start(args...)
		if err != nil {
			return all, err
		}
		all = append(all, p)
		if err := p.answers(b.ctx, time.Minute, p.listens); err != nil {
			return all, err
		}
		key, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return all, err
		}
		text += fmt.Sprintf("witness %s %s %s\n", role, strings.TrimSpace(string(key)), p.url)
	}
	text += "group witnesses all w1 w2 w3\ngroup auditors all auditor\ngroup both all witnesses auditors\nquorum both\n"
	policy := filepath.Join(dir, "cosigned")
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		return all, err
	}
	p, _, err := b.serveAt(address, logDir, "--policy", policy, "--epoch", latencyEpoch.String())
	if p != nil {
		all = append([]*process{p}, all...)
	}
	return all, err
}

// eventsAt is the event with this seq of each of n accounts, in batches.
func eventsAt(seq, first, n, size int) (batches [][][]byte) {
	batches = make([][][]byte, (n+size-1)/size)
	parallel(len(batches), func(k int) {
		for i := k * size; i < min((k+1)*size, n); i++ {
			batches[k] = append(batches[k], sign(first+i, seq, seq+1)...)
		}
	})
	return batches
}

// pace submits events at a rate, and says how long each took from when it was
// due until it was answered.
func pace(ctx context.Context, url string, events [][]byte, rate float64) ([]time.Duration, error) {
	waits := make([]time.Duration, len(events))
	due := func(i int) time.Duration { return time.Duration(float64(i) / rate * float64(time.Second)) }
	began := time.Now()
	from, known := 0, 0
	err := stream(ctx, url, func() ([][]byte, bool) {
		to := from
		for to == from && from < len(events) {
			time.Sleep(tick)
			for to < len(events) && to < from+batchSize && due(to) <= time.Since(began) {
				to++
			}
		}
		batch := events[from:to]
		from = to
		return batch, len(batch) > 0
	}, func(answered int) {
		for now := time.Since(began); known < answered; known++ {
			waits[known] = now - due(known)
		}
	})
	return waits, err
}
