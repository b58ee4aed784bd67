package simulation

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/name"
)

// TestSimulation runs worlds, each for sixty steps.
func TestSimulation(t *testing.T) {
	from, to := durabletest.Seeds(t, 12)
	total := map[string]int{}
	for seed := from; seed < to; seed++ {
		runSeed(t, seed, total)
		total["seeds"]++
	}
	for what, n := range total {
		t.Logf("count %s %d", what, n)
	}
}

// TestSeedsThatFailed runs those again that once found something. 230: a witness
// that was being asked for the true checkpoint of a size, and at that moment for
// a thief's.
func TestSeedsThatFailed(t *testing.T) {
	for _, seed := range []uint64{230} {
		runSeed(t, seed, map[string]int{})
	}
}

func runSeed(t *testing.T, seed uint64, total map[string]int) {
	t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed)
			for range 60 {
				w.step()
				if t.Failed() {
					break
				}
			}
			if !t.Failed() {
				w.settle()
			}
			w.close()
			w.report(total)
		})
	})
}

// step does one thing, and has the judge look at what came of it.
func (w *world) step() {
	what := w.choose()
	w.steps[what]++
	synctest.Wait()
	w.check(what)
	for w.ended() {
		w.start(w.stop())
		w.steps["starts"]++
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
		after := 0 // at once
		if w.draw(3) > 0 {
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
		w.storm = []float64{0, 0.1, 0.3, 0.6}[w.draw(4)]
		return "changes of the weather"
	case n < 93:
		w.mu.Lock()
		w.skew = time.Duration(w.draw(40)-20) * time.Second
		w.mu.Unlock()
		return "clocks set"
	case n < 96:
		w.forge()
		return "forged checkpoints"
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

// forge is what a thief of the log's key does: it signs another history and asks
// every witness for a cosignature, at sizes around the true one. No honest one
// may give it.
func (w *world) forge() {
	for _, c := range w.cosigners {
		seen, done := c.running()
		if seen == nil {
			continue
		}
		newest := seen.Newest(string(origin))
		done()
		if newest == nil || c.traitor {
			continue
		}
		note, err := checkpoint.Parse(newest)
		w.must(err)
		// Larger than what was seen: one of the same size convicts the log.
		forged := checkpoint.Checkpoint{Origin: origin, Size: note.Size + 1 + uint64(w.draw(3)), Root: name.TreeRoot{byte(w.draw(256)), 1}}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		w.forged = append(w.forged, w.signer.Sign(forged))
		a, err := c.add(ctx, request(note.Size, nil, w.forged[len(w.forged)-1]))
		cancel()
		if err == nil && a.Status == 200 {
			w.t.Errorf("%s cosigned a forged checkpoint of size %d", c.url, forged.Size)
		}
	}
}

// settle ends all faults. Then everything that was signed must become public,
// and everybody must see it.
func (w *world) settle() {
	w.storm, w.settled = 0, true
	w.mu.Lock()
	w.skew = 0
	w.mu.Unlock()
	m := w.stop()
	m.calm()
	w.start(m)
	for _, c := range w.cosigners {
		w.must(c.start())
	}
	for range 20 {
		time.Sleep(time.Minute)
		synctest.Wait()
		w.check("the end")
		done := true
		for _, p := range w.people {
			if !p.settled() {
				done = false
				p.send(answer.WaitPublished)
			}
		}
		if done {
			break
		}
	}
	for _, p := range w.people {
		if !p.settled() {
			w.t.Errorf("%s: %d of %d events were acknowledged", p.phone.Identifier, p.promised, len(p.chain))
		}
		p.published = len(p.chain) // what was promised is long due
	}
	time.Sleep(2 * time.Minute)
	for _, c := range w.clients {
		if err := w.judge.look(c, true, w.people...); err != nil {
			w.t.Error(err)
		}
	}
	w.pass(5 * time.Minute)
	if err := w.judge.told(); err != nil {
		w.t.Error(err)
	}
	w.audit()
	if found := w.evidence(); len(found) > 0 {
		w.t.Errorf("an honest log was convicted: %v", found)
	}
}

// audit is what the auditor says in the end.
func (w *world) audit() {
	r, err := w.replay.Catch(context.Background())
	if err != nil {
		w.t.Errorf("the auditor: %v", err)
		return
	}
	events := 0
	for _, p := range w.people {
		events += len(p.chain)
	}
	if r.Events != uint64(events) {
		w.t.Errorf("the auditor replayed %d events, %d were signed", r.Events, events)
	}
}

func (w *world) close() {
	w.storm = 0
	time.Sleep(5 * time.Minute) // whatever is on its way arrives
	w.stop()
	for _, c := range w.cosigners {
		c.stop()
	}
	w.replay.Close()
	w.owner.m.Close()
}

func (w *world) report(total map[string]int) {
	total["power cuts"] += w.crashes
	total["forged checkpoints refused"] += len(w.forged)
	total["judgements"] += w.judge.checks
	total["leaves"] += len(w.judge.leaves)
	for _, p := range w.people {
		total["events"] += len(p.chain)
		total["acknowledgements"] += p.acks
	}
	c := &w.counts
	total["messages"] += c.messages
	total["messages lost"] += c.lost
	total["messages late"] += c.late
	total["messages again"] += c.again
	total["messages changed"] += c.changed
	total["messages replayed"] += c.replay
	for what, n := range w.steps {
		total["steps: "+what] += n
	}
}
