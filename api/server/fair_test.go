package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterlog/muster/api/server"
)

// overload offers ten times the capacity for a while, from 64 callers of which
// one sends nine tenths of it, in calls of other sizes, and counts what each
// got done and how often it was refused.
func overload(turns server.Turns, capacity int, seconds time.Duration) (served, refused map[string]int) {
	var mu sync.Mutex
	var running sync.WaitGroup
	served, refused = map[string]int{}, map[string]int{}
	var busyUntil time.Time
	send := func(id string, events int) {
		leave, err := turns.Enter(context.Background(), id, events, false)
		mu.Lock()
		if err != nil {
			refused[id]++
			mu.Unlock()
			return
		}
		// The log takes one event after the other.
		if now := time.Now(); busyUntil.Before(now) {
			busyUntil = now
		}
		busyUntil = busyUntil.Add(time.Duration(events) * time.Second / time.Duration(capacity))
		wait := time.Until(busyUntil)
		mu.Unlock()
		time.Sleep(wait)
		leave()
		mu.Lock()
		served[id] += events
		mu.Unlock()
	}
	offer := func(id string, events int, rate float64) {
		gap := time.Duration(float64(events) / rate * float64(time.Second))
		for at := time.Duration(0); at < seconds; at += gap {
			running.Go(func() { send(id, events) })
			time.Sleep(gap)
		}
	}
	began := time.Now()
	for i := range 64 {
		if i == 0 {
			running.Go(func() { offer("hog", 100, 9*float64(capacity)) })
		} else {
			running.Go(func() { offer(fmt.Sprint(i), 4, float64(capacity)/63) })
		}
	}
	time.Sleep(seconds - time.Since(began))
	running.Wait()
	return served, refused
}

// Of 64 callers at ten times the capacity, the one that sends nine tenths is
// refused, and the others, each of which asks for about its share, get it. The
// clock is the test's, so that this holds on any machine.
func TestFairShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const capacity, seconds = 4000, 20
		turns := server.NewTurns(2*capacity, capacity, 2*capacity, 1000)
		served, refused := overload(turns, capacity, seconds*time.Second)
		fair := capacity * seconds / 64
		for id, n := range served {
			if id != "hog" && n < fair*9/10 {
				t.Errorf("caller %s got %d of its share of %d", id, n, fair)
			}
		}
		if len(served) != 64 || refused["hog"] < 1000 {
			t.Errorf("%d callers were served, the greedy one was refused %d times", len(served), refused["hog"])
		}
		if !turns.Idle() {
			t.Error("something is kept of callers that have gone")
		}
	})
}

// By itself a caller gets everything: shares are of what others want too.
func TestOneCallerGetsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := server.NewTurns(1000, 800, 100_000, 100)
		var leaves []func()
		for range 8 {
			leave, err := turns.Enter(t.Context(), "one", 100, false)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		in := make(chan string, 2)
		go func() { turns.Enter(t.Context(), "one", 100, false); in <- "one" }()
		synctest.Wait()
		go func() { turns.Enter(t.Context(), "other", 200, false); in <- "other" }()
		if got := <-in; got != "other" {
			t.Errorf("%s came in, beyond what one may have", got)
		}
		leaves[0]()
		leaves[0]() // twice is once
		if got := <-in; got != "one" {
			t.Errorf("%s came in", got)
		}
	})
}

// A large call is not overtaken for ever by small ones.
func TestLargeCallComesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := server.NewTurns(1000, 1000, 10_000, 1000)
		leave, _ := turns.Enter(t.Context(), "small", 900, false)
		large := make(chan bool)
		go func() { turns.Enter(t.Context(), "large", 1000, false); close(large) }()
		synctest.Wait()
		in := make(chan bool, 10)
		for range 10 {
			go func() { turns.Enter(t.Context(), "small", 10, false); in <- true }()
		}
		synctest.Wait()
		if len(in) > 0 {
			t.Errorf("%d small calls overtook", len(in))
		}
		leave()
		<-large
	})
}

// Once the large call that all waited behind has given up, they come in.
func TestLargeCallGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := server.NewTurns(10, 10, 100, 10)
		turns.Enter(t.Context(), "first", 5, false)
		ctx, cancel := context.WithCancel(t.Context())
		go turns.Enter(ctx, "large", 10, false)
		synctest.Wait()
		in := make(chan bool)
		go func() { turns.Enter(t.Context(), "small", 5, false); close(in) }()
		synctest.Wait()
		cancel()
		<-in
	})
}

// A turn is worth the same cost for everybody, whatever the size of the calls.
func TestTurnsCountCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const quantum = 10
		turns := server.NewTurns(10, 1000, 1000, quantum)
		first, _ := turns.Enter(t.Context(), "first", 10, false)
		got := map[string]int{}
		var mu sync.Mutex
		var running sync.WaitGroup
		for id, cost := range map[string]int{"large": 10, "small": 2, "middle": 5} {
			for range 200 / cost {
				running.Go(func() {
					leave, err := turns.Enter(t.Context(), id, cost, true)
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Second) // the others of this round come in meanwhile
					mu.Lock()
					defer mu.Unlock()
					got[id] += cost
					if d := max(got["large"], got["small"], got["middle"]) - min(got["large"], got["small"], got["middle"]); d > 2*quantum {
						t.Errorf("after %v one is %d ahead", got, d)
					}
					leave()
				})
			}
		}
		synctest.Wait()
		first()
		running.Wait()
	})
}

// Who gives up, in the queue or inside, leaves nothing behind and blocks nobody.
func TestTurnsGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(7, 7))
		turns := server.NewTurns(100, 60, 100_000, 40)
		var running sync.WaitGroup
		for i := range 2000 {
			cost, life := 1+random.IntN(40), time.Duration(random.IntN(50))*time.Millisecond
			work := time.Duration(random.IntN(20)) * time.Millisecond
			running.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), life)
				defer cancel()
				leave, err := turns.Enter(ctx, fmt.Sprint(i%17), cost, i%3 == 0)
				if err != nil {
					return
				}
				time.Sleep(work) // ctx may end in it
				if i%2 == 0 {
					leave()
				}
			})
			if i%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		running.Wait()
		synctest.Wait()
		if !turns.Idle() {
			t.Error("something is kept of calls that gave up")
		}
		leave, err := turns.Enter(t.Context(), "next", 40, false)
		if err != nil {
			t.Fatal(err)
		}
		leave()
	})
}

// Who is patient waits beyond what others may have waiting, and comes in in its
// turn; who is not is told to come again at once.
func TestPatientCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := server.NewTurns(10, 10, 20, 10)
		type entered struct {
			leave func()
			err   error
		}
		enter := func(patient bool) chan entered {
			done := make(chan entered, 1)
			go func() {
				leave, err := turns.Enter(t.Context(), "a", 10, patient)
				done <- entered{leave, err}
			}()
			synctest.Wait()
			return done
		}
		inside := <-enter(false)
		second := enter(false)
		if e := <-enter(false); !errors.Is(e.err, server.ErrTooMuch) {
			t.Errorf("more than is free for the others: %v", e.err)
		}
		patient := enter(true)
		for _, waits := range []chan entered{second, patient} {
			if len(waits) > 0 {
				t.Fatal("it came in while there was no room")
			}
			inside.leave()
			if inside = <-waits; inside.err != nil {
				t.Fatal(inside.err)
			}
			synctest.Wait()
		}
	})
}

// A caller has as much room as all others have left, so that there is always
// some for one more.
func TestRoom(t *testing.T) {
	r := server.NewRoom(1200)
	take := func(id string) (n int) {
		for r.Take(id, 100) != nil {
			n++
		}
		return n
	}
	if a, b, c := take("a"), take("b"), take("c"); a != 6 || b != 3 || c < 1 {
		t.Errorf("%d, %d and %d of 12", a, b, c)
	}
	give := server.NewRoom(100)
	for range 100 {
		back := give.Take("a", 50)
		if back == nil {
			t.Fatal("what was given back is not free")
		}
		back()
	}
}
