package server

import (
	"context"
	"errors"
	"sync"
)

// share is how much of something there is for all callers together.
type share struct {
	inside  int // that may be under way
	each    int // of which one caller may have this much
	waiting int // that may wait beside it
	quantum int // that a caller gets done in its turn; no call is larger
}

// turns lets the calls of many callers in, so that one who sends too much
// waits, and in the end is refused, and the others do not notice: deficit round
// robin (Shreedhar and Varghese, 1995) over one queue for each caller. Costs
// are counted, not calls, so that large ones earn nothing.
type turns struct {
	share

	mu     sync.Mutex
	free   int // of inside
	unused int // of waiting
	queues map[string]*queue
	ring   []*queue // those in which somebody waits; the first has its turn
}

// queue is one caller's.
type queue struct {
	id      string
	inside  int // cost of its calls that are under way
	held    int // cost of those that wait
	waiting []*call
	credit  int  // what it may still get done in this turn
	turn    bool // its turn has begun
}

type call struct {
	cost int
	in   chan struct{} // closed: it is in
}

func newTurns(s share) *turns {
	return &turns{share: s, free: s.inside, unused: s.waiting, queues: make(map[string]*queue)}
}

// errTooMuch says that a caller has as many calls waiting as it may.
var errTooMuch = errors.New("more is sent with this token than the log takes, and the others have their share: come again in a second, with less at once")

// enter waits until the caller's turn comes; leave, once or more often, or the
// end of ctx, ends it. Who is not patient gets errTooMuch when it has as much
// waiting as is still free for all others together: one that sends too much
// takes half of the queue, two a third each, and somebody new always finds room.
func (t *turns) enter(ctx context.Context, id string, cost int, patient bool) (leave func(), err error) {
	c := &call{cost: cost, in: make(chan struct{})}
	t.mu.Lock()
	q := t.queues[id]
	if q == nil {
		q = &queue{id: id}
		t.queues[id] = q
	}
	q.waiting = append(q.waiting, c)
	if len(q.waiting) == 1 {
		t.ring = append(t.ring, q)
	}
	q.held += cost
	t.unused -= cost
	t.dispatch()
	select {
	case <-c.in:
	default:
		// What waits has been counted already.
		if !patient && q.held > t.unused+cost {
			t.withdraw(q, c)
			t.mu.Unlock()
			return nil, errTooMuch
		}
	}
	t.mu.Unlock()
	select {
	case <-c.in:
	case <-ctx.Done():
		t.mu.Lock()
		defer t.mu.Unlock()
		select {
		case <-c.in:
			t.done(q, c)
		default:
			t.withdraw(q, c)
		}
		return nil, ctx.Err()
	}
	var once sync.Once
	out := func() {
		once.Do(func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.done(q, c)
		})
	}
	stop := context.AfterFunc(ctx, out)
	return func() { stop(); out() }, nil
}

// dispatch lets in what there is room for. It is called with mu.
func (t *turns) dispatch() {
	for blocked := 0; blocked < len(t.ring); {
		q := t.ring[0]
		c := q.waiting[0]
		switch {
		case q.inside > 0 && q.inside+c.cost > t.each:
			blocked++ // by itself: the others have their turns meanwhile, and it keeps the rest of its own
			t.ring = append(t.ring[1:], q)
		case c.cost > t.free && t.free < t.inside:
			return // nothing smaller overtakes it, or it would never come in
		case !q.turn:
			q.turn = true
			q.credit += t.quantum
		case q.credit < c.cost: // the turn is over
			q.turn = false
			blocked = 0
			t.ring = append(t.ring[1:], q)
		default:
			blocked = 0
			q.credit -= c.cost
			q.inside += c.cost
			t.free -= c.cost
			close(c.in)
			t.remove(q, 0)
		}
	}
}

// remove takes a call out of its queue, whether it came in or not.
func (t *turns) remove(q *queue, i int) {
	cost := q.waiting[i].cost
	q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
	q.held -= cost
	t.unused += cost
	if len(q.waiting) > 0 {
		return
	}
	q.credit, q.turn = 0, false // nobody saves turns up
	for i := range t.ring {
		if t.ring[i] == q {
			t.ring = append(t.ring[:i], t.ring[i+1:]...)
			break
		}
	}
}

func (t *turns) withdraw(q *queue, c *call) {
	for i := range q.waiting {
		if q.waiting[i] == c {
			t.remove(q, i)
			break
		}
	}
	t.forget(q)
	t.dispatch() // it may have been the one that all others waited behind
}

func (t *turns) done(q *queue, c *call) {
	q.inside -= c.cost
	t.free += c.cost
	t.forget(q)
	t.dispatch()
}

// forget keeps nothing of a caller that has nothing here.
func (t *turns) forget(q *queue) {
	if q.inside == 0 && len(q.waiting) == 0 && t.queues[q.id] == q {
		delete(t.queues, q.id)
	}
}

// room is what a request needs before anybody knows what is in it: memory for
// its body, a place among those that are answered. The rule is that of turns: a
// caller has no more than is free.
type room struct {
	mu   sync.Mutex
	free int64
	held map[string]int64 // by caller

	// Who has nothing gets what it asks for, beyond free if need be.
	first bool
}

func newRoom(size int64) *room { return &room{free: size, held: make(map[string]int64)} }

// take gives room back by the function that it returns, which is nil if there
// is none.
func (r *room) take(id string, size int64) (give func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[id]+size > r.free && !(r.first && r.held[id] == 0) {
		return nil
	}
	r.held[id] += size
	r.free -= size
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.free += size
		if r.held[id] -= size; r.held[id] == 0 {
			delete(r.held, id)
		}
	}
}
