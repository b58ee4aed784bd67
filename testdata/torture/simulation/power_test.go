package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/durable/durabletest"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier"
)

// TestPowerCuts takes the power away before every operation on either disk, the
// store's and the signed head's, which lose what was not synced independently of
// each other. Whatever is left, the log opens, or was never made; it has all
// that it acknowledged, signs no second head of any size, and goes on.
func TestPowerCuts(t *testing.T) {
	from, to := durabletest.Seeds(t, 1)
	clones, again := 0, 0
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, a := cutEverywhere(t, seed)
				clones, again = clones+c, again+a
			})
		})
	}
	t.Logf("count clones %d", clones)
	t.Logf("count clones cut again while they started %d", again)
	if clones < 100*int(to-from) {
		t.Errorf("%d clones: does the hook still see the writes?", clones)
	}
	if again < 10*int(to-from) {
		t.Errorf("%d clones were cut again while they started: do they still write then?", again)
	}
}

// left is what a power cut leaves.
type left struct {
	machine   *machine
	made      bool  // the log was made before
	promised  []int // by person
	published []int
}

// newLogWorld is a world of a log alone, without cosigners.
func newLogWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 3)), took: &tally{}}
	var err error
	w.signer, err = checkpoint.NewSigner(string(origin), liar.Seed("log", string(origin)))
	w.must(err)
	w.policy, err = checkpoint.ParsePolicy([]byte("log " + w.signer.Key().String() + "\nquorum none\n"))
	w.must(err)
	w.judge = newJudge(w)
	w.audited.Store(1 << 60)
	return w
}

func cutEverywhere(t *testing.T, seed uint64) (clones, again int) {
	w := newLogWorld(t, seed)
	for i := range 2 {
		w.people = append(w.people, newPerson(w, fmt.Sprintf("+1555000%04d", i)))
	}
	var mu sync.Mutex
	var all []*left
	made := false
	m := newMachine()
	m.watch = func() { // under the machine's lock
		mu.Lock()
		defer mu.Unlock()
		l := &left{made: made}
		for _, p := range w.people {
			p.mu.Lock()
			l.promised, l.published = append(l.promised, p.promised), append(l.published, p.published)
			p.mu.Unlock()
		}
		for _, percent := range []int{0, 50, 100} {
			heads := [][]byte{m.head}
			if m.coming != nil {
				heads = append(heads, m.coming)
			}
			for _, head := range heads {
				clone := *l
				clone.machine = newMachine()
				clone.machine.mem = m.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, uint64(len(all))))})
				clone.machine.head, clone.machine.signed = head, maps.Clone(m.signed)
				all = append(all, &clone)
			}
		}
	}
	w.createOn(m)
	mu.Lock()
	made = true
	mu.Unlock()
	w.start(m)
	for range 6 {
		for _, p := range w.people {
			for range 1 + w.draw(2) {
				p.act(w.draw)
			}
			p.send(answer.Wait(w.draw(2)))
		}
		time.Sleep(time.Duration(w.draw(2500)) * time.Millisecond)
		synctest.Wait()
	}
	w.stop()
	for i, l := range all {
		if cutAgain := l.check(w, uint64(i)); cutAgain {
			again++
		}
		if t.Failed() {
			t.Errorf("at clone %d of %d, %+v", i, len(all), l)
			break
		}
	}
	return len(all), again
}

// check runs the log on what was left, and sometimes cuts the power again.
func (l *left) check(before *world, n uint64) (again bool) {
	t := before.t
	w := newLogWorld(t, n)
	m := l.machine
	if w.draw(3) == 0 {
		m.plan(1+w.draw(30), cut{[]int{0, 50, 100}[w.draw(3)], n, w.draw(2) == 0})
	}
	p, err := w.open(m)
	for err != nil && !m.alive() {
		again = true
		m = m.next
		p, err = w.open(m)
	}
	if err != nil {
		if l.made {
			t.Errorf("the log does not open: %v", err)
		}
		return again
	}
	w.process = p
	for i, old := range before.people {
		person := newPerson(w, string(old.phone.Identifier))
		person.chain, person.promised, person.published = old.chain, l.promised[i], l.published[i]
		w.people = append(w.people, person)
	}
	for range 8 {
		for w.ended() {
			again = true
			w.start(w.stop())
		}
		done := true
		for _, p := range w.people {
			if p.send(answer.WaitPublished); !p.settled() {
				done = false
			}
		}
		if done || t.Failed() {
			break
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
	}
	time.Sleep(3 * time.Second) // what was promised is due
	w.believed()
	w.stop()
	return again
}

// believed has a client look at everybody, who must be where they know to be. Whatever
// was signed before must begin what is public now.
func (w *world) believed() {
	w.check("the end")
	if err := w.judge.beginnings(w.process.machine); err != nil {
		w.t.Error(err)
	}
	for _, p := range w.people {
		f, err := w.ask(p)
		if err == nil {
			err = p.sees(f, len(p.chain))
		}
		if err != nil {
			w.t.Errorf("%s: %v", p.phone.Identifier, err)
		}
	}
}

// ask is what a client that never looked before believes of an account.
func (w *world) ask(p *person) (*verifier.Found, error) {
	l, err := (&verifier.Verifier{Policy: w.policy}).Lookup(nil, verifier.Question{Account: p.phone.Account(), History: true})
	if err != nil {
		return nil, err
	}
	for request := l.Request(); request != nil; request = l.Request() {
		data, err := w.process.log.Lookup(context.Background(), request)
		if err != nil {
			return nil, err
		}
		if err := l.Answer(data, time.Now()); err != nil {
			return nil, err
		}
	}
	r, _, err := l.Result()
	if err != nil {
		return nil, err
	}
	return &r.Accounts[0], nil
}
