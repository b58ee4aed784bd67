package simulation

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// person has an account, and is the model of it: chain is all that may ever be
// seen of it, in order.
type person struct {
	w     *world
	phone *liar.Phone

	mu        sync.Mutex
	chain     []signed
	published int                  // the first of chain that were acknowledged as published
	promised  int                  // and as published or promised: these are never sent again
	busy      bool                 // a call is on its way
	receipts  map[int][]byte       // by seq; those of a Published
	openings  map[int]name.Opening // as receipts and promises gave them
	promises  map[int]checkpoint.Receipt
}

// signed is one event and the account after it.
type signed struct {
	body  []byte
	after *event.Account
}

func newPerson(w *world, id string) *person {
	return &person{
		w: w, phone: liar.NewPhone(origin, name.Identifier(id), 0),
		receipts: map[int][]byte{}, openings: map[int]name.Opening{}, promises: map[int]checkpoint.Receipt{},
	}
}

// act signs what comes to a person's mind.
func (p *person) act(draw func(int) int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phone.TimeMs = max(p.phone.TimeMs, uint64(time.Now().Add(-time.Minute).UnixMilli()))
	body := p.event(draw)
	p.chain = append(p.chain, signed{body, p.phone.At.Clone()})
}

func (p *person) event(draw func(int) int) []byte {
	switch {
	case p.phone.At.Next == 0:
		return p.phone.Register()
	case p.phone.At.Primary.IsZero(): // nothing else may follow an ERASE
		return p.phone.Reregister(false)
	}
	devices := p.phone.At.Devices
	switch n := draw(12); {
	case n < 5 && len(devices) < 5:
		return p.phone.Add()
	case n < 9 && len(devices) > 0:
		i := devices[draw(len(devices))].KeyIndex
		switch n {
		case 6:
			return p.phone.LogOut(i)
		case 7:
			return p.phone.OperatorRemove(i)
		}
		return p.phone.Remove(i)
	case n == 9:
		return p.phone.Reregister(true)
	case n == 10:
		return p.phone.Reregister(false)
	case n == 11 && draw(3) == 0:
		p.w.took.add("erasures")
		return p.phone.Erase()
	}
	return p.phone.Confirm()
}

// send gives the log what it has not acknowledged, and takes note of what it
// says as long as its machine has power.
func (p *person) send(wait answer.Wait) {
	p.mu.Lock()
	var bodies [][]byte
	first := p.promised
	for _, l := range p.chain[first:] {
		bodies = append(bodies, l.body)
	}
	if p.busy || len(bodies) == 0 {
		p.mu.Unlock()
		return
	}
	p.busy = true
	p.mu.Unlock()
	go func() {
		outcomes, alive := p.submit(bodies, answer.Want{Wait: wait, Receipt: true})
		p.mu.Lock()
		defer p.mu.Unlock()
		p.busy = false
		if !alive {
			return // the answer never arrived
		}
		for i := range outcomes {
			o := &outcomes[i]
			known, err := p.took(first+i, o)
			if err != nil {
				p.w.t.Error(err)
			}
			if !known {
				return
			}
			p.promised = max(p.promised, first+i+1)
			if !o.Promised {
				p.published = max(p.published, first+i+1)
			}
		}
	}()
}

func (p *person) submit(bodies [][]byte, want answer.Want) (_ []answer.Outcome, alive bool) {
	log := p.w.serving()
	if log == nil {
		return nil, false
	}
	defer log.reading.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	outcomes := log.log.Submit(ctx, bodies, want)
	return outcomes, log.alive()
}

// known is how many events were acknowledged as published.
func (p *person) known() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.published
}

func (p *person) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.promised == len(p.chain) && !p.busy
}

// sees is nil if this is what a client may believe of the account, which had so
// many published events when it asked.
func (p *person) sees(f *verifier.Found, atLeast int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	if f.Status != verifier.Unknown {
		n = int(f.Seq) + 1
	}
	switch {
	case n > len(p.chain):
		return fmt.Errorf("seq %d, but %d events were ever signed", f.Seq, len(p.chain))
	case n < atLeast:
		return fmt.Errorf("%d events, but %d were acknowledged", n, atLeast)
	case n == 0:
		return nil
	}
	at, erased := p.chain[n-1].after, p.erased(n)
	if f.Event != at.Head || f.Primary != at.Primary || f.Generation != at.Generation || !slices.Equal(f.Devices, at.Devices) {
		return fmt.Errorf("at seq %d it has %+v, want %+v", f.Seq, f, at)
	}
	for _, e := range f.Events {
		if string(e.Bytes()) != string(p.chain[e.Seq].body) {
			return fmt.Errorf("seq %d is another event than was signed", e.Seq)
		}
		if int(e.Seq) < erased {
			return fmt.Errorf("seq %d, which an ERASE at seq %d deleted", e.Seq, erased)
		}
		p.w.took.add("events that lookups opened")
	}
	return nil
}
