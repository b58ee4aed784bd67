package main

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
)

// cost of some events.
type cost struct {
	events    int
	cpu, wall time.Duration
}

func (c cost) cpuMicros() float64  { return c.cpu.Seconds() * 1e6 / float64(c.events) }
func (c cost) wallMicros() float64 { return c.wall.Seconds() * 1e6 / float64(c.events) }

// floor is what the cryptography of events costs, on all cores, and nothing
// else: each signature verified singly, one VRF evaluation, one commitment.
func floor(key *vrf.PrivateKey, batches [][][]byte) (cost, error) {
	type signed struct {
		key       event.Key
		message   []byte
		signature [64]byte
	}
	type work struct {
		*event.Event
		body   []byte
		signed []signed
	}
	var all []work
	for _, batch := range batches {
		for _, body := range batch {
			e, err := event.Parse(body)
			if err != nil {
				return cost{}, err
			}
			w := work{e, body, nil}
			for _, s := range e.Signatures {
				by := e.Primary
				if s.Role == event.Subject {
					by = e.Subject
				}
				w.signed = append(w.signed, signed{by, e.SignedBytes(s.Role), s.Bytes})
			}
			all = append(all, w)
		}
	}
	const piece = 64
	var bad atomic.Bool
	return metered(len(all), func() error {
		parallel((len(all)+piece-1)/piece, func(n int) {
			for _, w := range all[n*piece : min((n+1)*piece, len(all))] {
				for _, s := range w.signed {
					if !event.VerifySignature(s.key, s.message, s.signature) {
						bad.Store(true)
					}
				}
				key.Evaluate(w.Account.Label().VRFInput(w.Seq))
				commitment.Commit(name.Opening{}, w.Account.Label(), w.Seq, w.body)
			}
		})
		if bad.Load() {
			return errors.New("a signature does not verify")
		}
		return nil
	})
}
