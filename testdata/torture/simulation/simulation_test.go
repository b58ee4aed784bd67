package simulation

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/durable/durabletest"
)

// TestSimulation runs worlds, each for sixty steps.
func TestSimulation(t *testing.T) {
	from, to := durabletest.Seeds(t, 12)
	took := &tally{}
	for seed := from; seed < to; seed++ {
		runSeed(t, seed, took)
		took.add("seeds")
	}
	took.report(t, to-from)
}

func runSeed(t *testing.T, seed uint64, took *tally) {
	t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed, took)
			if seed%8 == 3 { // it costs as much as the rest
				w.crowd()
			}
			for i := range 60 {
				if w.step(); t.Failed() {
					break
				}
				if i == 30 {
					w.keepBackup()
				}
			}
			if !t.Failed() {
				w.settle()
			}
			if !t.Failed() {
				w.end(seed)
			}
			w.close()
		})
	})
}

// step does one thing, and has the judge look at what came of it.
func (w *world) step() {
	what := w.choose()
	w.took.add("steps: " + what)
	synctest.Wait()
	w.check(what)
	for w.ended() {
		w.start(w.stop())
		w.took.add("starts after a fault")
		synctest.Wait()
		w.check(what + ", and a start")
	}
}

func (w *world) check(what string) {
	w.t.Helper()
	if err := w.judge.afterStep(); err != nil {
		w.t.Errorf("after %s: %v", what, err)
	}
}

func (w *world) draw(n int) int { return w.random.IntN(n) }

func (w *world) anyone() *person { return w.people[w.draw(len(w.people))] }

// choose does what the seed says next.
func (w *world) choose() string {
	p := w.process
	switch n := w.draw(100); {
	case n < 30:
		who := w.anyone()
		for range 1 + w.draw(3) {
			who.act(w.draw)
		}
		who.send(answer.Wait(w.draw(2)))
		return "submissions"
	case n < 48:
		time.Sleep(time.Duration(w.draw(3000)) * time.Millisecond)
		return "pauses"
	case n < 52:
		time.Sleep(time.Duration(w.draw(150)) * time.Second)
		return "long pauses"
	case n < 62:
		who := w.anyone()
		if err := w.judge.look(w.clients[w.draw(len(w.clients))], w.draw(3) == 0, who, w.anyone()); err != nil {
			w.t.Error(err)
		}
		return "lookups"
	case n < 66:
		w.pass(time.Duration(w.draw(40)) * time.Second)
		return "monitor passes"
	case n < 71:
		if w.draw(4) == 0 {
			p.plan(0, w.promise())
			return "power cuts planned"
		}
		after := 0 // at once
		switch w.draw(4) {
		case 0, 1:
			after = atHead
		case 2:
			after = 1 + w.draw(40)
		}
		p.plan(after, cut{[]int{0, 50, 100}[w.draw(3)], w.random.Uint64(), w.draw(2) == 0})
		return "power cuts planned"
	case n < 73:
		w.start(w.stop())
		return "restarts of the log"
	case n < 77:
		c := w.cosigners[w.draw(len(w.cosigners))]
		w.must(c.start())
		return "restarts of a witness"
	case n < 80:
		w.cosigners[w.draw(len(w.cosigners))].stop()
		return "witnesses down"
	case n < 81:
		w.must(w.owner.restart())
		return "restarts of the monitor"
	case n < 83:
		p.mu.Lock()
		p.commit = errDisk
		p.mu.Unlock()
		return "failed commits"
	case n < 85:
		p.mu.Lock()
		p.write, p.kept, p.forever = errDisk, w.draw(2) == 0, w.draw(2) == 0
		p.mu.Unlock()
		return "failed heads"
	case n < 90:
		w.storm.Store([]int64{0, 10, 30, 60}[w.draw(4)])
		return "changes of the weather"
	case n < 91:
		w.setClock(time.Duration(w.draw(40)-20) * time.Second)
		return "clocks set"
	case n < 93:
		w.leap()
		return "clocks leap"
	case n < 95:
		w.forge()
		return "forged checkpoints"
	case n < 97:
		w.deceive()
		return "a thief's log"
	case n < 98:
		w.impose()
		return "events of a thief"
	}
	for _, who := range w.people {
		who.send(answer.WaitPublished)
	}
	return "all send again"
}

func (w *world) pass(longest time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	w.owner.m.Pass(ctx) // an outage is not an error that matters here
}

func (w *world) setClock(skew time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew = skew
}

// leap sets the log's clock hours off while events come, and back. An epoch of such a
// time would stop the log, or be refused by clients, for as many hours.
func (w *world) leap() {
	off := time.Duration(2+w.draw(4)) * time.Hour
	if w.draw(2) == 0 {
		off = -off
		w.took.add("clocks that leapt back")
	} else {
		w.took.add("clocks that leapt ahead")
	}
	before := w.clock()
	w.setClock(off)
	for range 3 {
		who := w.anyone()
		who.act(w.draw)
		who.send(answer.Wait(w.draw(2)))
		time.Sleep(time.Duration(1+w.draw(8)) * time.Second)
	}
	w.setClock(before)
}

// crowd makes the log longer than one full tile of hashes before anything befalls it.
func (w *world) crowd() {
	for range 5 {
		for _, p := range w.people {
			for range 12 {
				p.act(w.draw)
			}
			p.send(answer.WaitPublished)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.check("a crowd")
	}
	if len(w.judge.leaves) > 256 {
		w.took.add("worlds of more than a full tile")
	}
}
