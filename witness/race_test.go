package witness_test

import (
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
)

// TestForkRace: two forks of one size, submitted by 50 goroutines at once, at
// first contact and at a later size, 400 rounds. The stall between check and
// record lasts until all 50 have asked, so that without the one step all of
// them would be past the check. At most one fork is ever cosigned.
func TestForkRace(t *testing.T) {
	const goroutines = 50
	rounds := 400
	if testing.Short() {
		rounds = 40
	}
	logs := make([]*testLog, rounds)
	for i := range logs {
		logs[i] = newLog(fmt.Sprintf("example.org/race/%d", i))
	}
	r := newRig(t, logs...)

	var asked atomic.Int64
	var all chan struct{} // closed when all have asked
	stalls := 0           // guarded by the log's turn
	r.SetStall(func() {
		stalls++
		<-all
		for range 10 {
			runtime.Gosched()
		}
	})
	cosigned := [2]int{}
	for _, l := range logs {
		forks := [2]*testLog{l.fork(), l.fork()}
		var from int64
		for step, to := range []int64{2, 5} { // first contact, then later
			for f := range forks {
				forks[f].grow(int(to-from), fmt.Sprint("fork ", f, " of ", to))
			}
			bodies := [2]string{forks[0].body(from, to), forks[1].body(from, to)}
			texts := [2]string{forks[0].text(to), forks[1].text(to)}
			asked.Store(0)
			all = make(chan struct{})
			var wins [2]atomic.Int64
			var group sync.WaitGroup
			for g := range goroutines {
				group.Go(func() {
					if asked.Add(1) == goroutines {
						close(all)
					}
					a := r.add(bodies[g%2])
					switch a.Status {
					case http.StatusOK:
						if _, err := verify(a.Body, texts[g%2], both...); err != nil {
							t.Error(err)
						}
						wins[g%2].Add(1)
					case http.StatusConflict:
						if want := fmt.Sprintf("%d\n", to); string(a.Body) != want {
							t.Errorf("409 with %q, want %q", a.Body, want)
						}
					default:
						t.Errorf("status %d: %s", a.Status, a.Body)
					}
				})
			}
			group.Wait()
			a, b := wins[0].Load(), wins[1].Load()
			if a > 0 && b > 0 || a+b != 1 {
				t.Fatalf("%s, size %d: the forks were cosigned %d and %d times", l.origin, to, a, b)
			}
			winner := 0
			if b > 0 {
				winner = 1
			}
			cosigned[step]++
			// The loser is refused for good, whatever it says was before.
			if got := r.add(request(to, "", forks[1-winner].note(to))).Status; got != http.StatusUnprocessableEntity {
				t.Fatalf("the other fork at the recorded size: %d", got)
			}
			note, err := checkpoint.Parse(r.Newest(l.origin))
			if err != nil || note.Text != texts[winner] {
				t.Fatalf("shown is another checkpoint than was cosigned: %v", err)
			}
			forks[1-winner] = forks[winner].fork()
			from = to
		}
	}
	if stalls != 2*rounds {
		t.Errorf("%d requests got past the check, want %d", stalls, 2*rounds)
	}
	t.Logf("%d rounds of %d goroutines: %d first contacts and %d later sizes cosigned, each one fork of two", rounds, goroutines, cosigned[0], cosigned[1])
}

// TestRollbackRace is C2SP's own race: A takes N to N + 1, B to N + 3. Never
// does A come after B.
func TestRollbackRace(t *testing.T) {
	l := newLog("example.org/any").grow(400, "main")
	r := newRig(t, l)
	r.want(http.StatusOK, l.body(0, 1))
	for n := int64(1); n+3 < 60; {
		var group sync.WaitGroup
		var ok [2]atomic.Bool
		for i, to := range []int64{n + 1, n + 3} {
			body := l.body(n, to)
			group.Go(func() { ok[i].Store(r.add(body).Status == http.StatusOK) })
		}
		group.Wait()
		if ok[0].Load() == ok[1].Load() {
			t.Fatalf("from %d: cosigned %v and %v, want one", n, ok[0].Load(), ok[1].Load())
		}
		to := n + 1
		if ok[1].Load() {
			to = n + 3
		}
		note, err := checkpoint.Parse(r.Newest(l.origin))
		if err != nil || note.Size != uint64(to) {
			t.Fatalf("%v, shown size %d, cosigned %d", err, note.Size, to)
		}
		n = to
	}
}

// TestLogsDoNotWait: a log whose request stalls holds up no other.
func TestLogsDoNotWait(t *testing.T) {
	slow, quick := newLog("example.org/slow").grow(3, "main"), newLog("example.org/quick").grow(3, "main")
	r := newRig(t, slow, quick)
	stalled, release := make(chan struct{}), make(chan struct{})
	r.SetStall(func() { close(stalled); <-release })
	done := make(chan int)
	go func() { done <- r.add(slow.body(0, 2)).Status }()
	<-stalled
	r.SetStall(nil)
	r.want(http.StatusOK, quick.body(0, 3))
	if r.Newest(slow.origin) != nil {
		t.Error("shown before it is recorded")
	}
	close(release)
	if got := <-done; got != http.StatusOK {
		t.Errorf("the slow log: %d", got)
	}
}
