package simulation

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/witness"
)

var errNetwork = errors.New("connection reset by peer")

// link is the way between two parties: it delays, loses on either half of the way,
// delivers twice, delivers again much later, changes bits, and plays back what
// it saw before. How often, the weather says.
type link struct {
	storm *atomic.Int64 // chance that something befalls a message, in percent

	mu     sync.Mutex
	random *rand.Rand
	seen   [][]byte // answers that went by
	took   *tally
}

// draw is one number of the link's own sequence, so that links do not disturb
// each other's fates.
func (l *link) draw(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.IntN(n)
}

func (l *link) unlucky() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.Float64() < float64(l.storm.Load())/100
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// send brings one request to deliver and its answer back.
func (l *link) send(ctx context.Context, deliver func(context.Context) ([]byte, error)) ([]byte, error) {
	l.took.add("messages")
	if err := pause(ctx, time.Duration(1+l.draw(20))*time.Millisecond); err != nil {
		return nil, err
	}
	if !l.unlucky() {
		return l.keep(deliver(ctx))
	}
	switch l.draw(7) {
	case 0: // lost on the way there
		l.took.add("messages lost")
		return nil, errNetwork
	case 1: // lost on the way back
		l.took.add("messages lost")
		l.keep(deliver(ctx))
		return nil, errNetwork
	case 2: // nobody says anything any more
		l.took.add("messages lost")
		pause(ctx, 2*time.Minute)
		return nil, errNetwork
	case 3: // late
		l.took.add("messages late")
		if err := pause(ctx, time.Duration(l.draw(8000))*time.Millisecond); err != nil {
			return nil, err
		}
		return l.keep(deliver(ctx))
	case 4: // twice, the second time out of order, its answer is nobody's
		l.took.add("messages again")
		answer, err := l.keep(deliver(ctx))
		later := time.Duration(l.draw(20_000)) * time.Millisecond
		go func() {
			time.Sleep(later)
			deliver(context.Background())
		}()
		return answer, err
	case 5: // changed
		l.took.add("messages changed")
		answer, err := l.keep(deliver(ctx))
		if err != nil || len(answer) == 0 {
			return nil, errNetwork
		}
		return l.change(answer), nil
	default: // an answer to something else, or from earlier
		l.took.add("messages replayed")
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.seen) == 0 {
			return nil, errNetwork
		}
		return bytes.Clone(l.seen[l.random.IntN(len(l.seen))]), nil
	}
}

const linkMemory = 16

func (l *link) keep(answer []byte, err error) ([]byte, error) {
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen = append(l.seen, bytes.Clone(answer))
		if len(l.seen) > linkMemory {
			l.seen = l.seen[1:]
		}
	}
	return answer, err
}

func (l *link) change(answer []byte) []byte {
	answer = bytes.Clone(answer)
	at := l.draw(len(answer))
	switch l.draw(3) {
	case 0:
		return answer[:at]
	case 1:
		return append(answer, answer[at:]...)
	}
	answer[at] ^= 1 << l.draw(8)
	return answer
}

// remote is a witness as the log of one machine reaches it. It speaks the
// bodies of C2SP tlog-witness; a status travels before the answer.
type remote struct {
	*link
	from *machine // what a machine without power sends arrives nowhere
	at   *cosigner
}

func (r remote) AddCheckpoint(ctx context.Context, old uint64, proof []leaf.Hash, note []byte) ([]checkpoint.Line, error) {
	body := request(old, proof, note)
	answer, err := r.send(ctx, func(ctx context.Context) ([]byte, error) {
		if !r.from.alive() {
			return nil, errNetwork
		}
		a, err := r.at.add(ctx, body)
		if err != nil {
			return nil, err
		}
		return append(strconv.AppendInt(nil, int64(a.Status), 10), a.Body...), nil
	})
	switch {
	case err != nil:
		return nil, err
	case bytes.HasPrefix(answer, []byte("200")):
		return checkpoint.ParseLines(answer[3:])
	case bytes.HasPrefix(answer, []byte("409")):
		conflict, err := checkpoint.ParseConflict(answer[3:])
		if err != nil {
			return nil, err
		}
		return nil, conflict
	case bytes.HasPrefix(answer, []byte("422")):
		return nil, checkpoint.ErrInconsistent
	}
	return nil, errors.New(string(answer))
}

func request(old uint64, proof []leaf.Hash, note []byte) []byte {
	body := append([]byte("old "), strconv.AppendUint(nil, old, 10)...)
	for _, h := range proof {
		body = base64.StdEncoding.AppendEncode(append(body, '\n'), h[:])
	}
	return append(append(body, "\n\n"...), note...)
}

func (r remote) Checkpoint(ctx context.Context, origin name.Origin) ([]byte, error) {
	return r.send(ctx, func(context.Context) ([]byte, error) { return r.at.newest(origin) })
}

// cosigner is a witness that may be down.
type cosigner struct {
	*checkpoint.Cosigner
	url  string
	dir  string
	open func() (*witness.Witness, error)

	mu      sync.Mutex
	witness *witness.Witness // nil: down
	busy    sync.WaitGroup
	traitor bool // cosigns whatever it gets, or says what comes to its mind
	random  *rand.Rand
	took    *tally
}

func (c *cosigner) running() (*witness.Witness, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.witness == nil {
		return nil, nil
	}
	c.busy.Add(1)
	return c.witness, c.busy.Done
}

func (c *cosigner) add(ctx context.Context, body []byte) (*witness.Answer, error) {
	w, done := c.running()
	if w == nil {
		return nil, errNetwork
	}
	defer done()
	if c.traitor {
		_, raw, _ := bytes.Cut(body, []byte("\n\n"))
		note, err := checkpoint.Parse(raw)
		if err != nil {
			return nil, err
		}
		return c.betray(note), nil
	}
	return w.AddCheckpoint(ctx, body), nil
}

func (c *cosigner) newest(origin name.Origin) ([]byte, error) {
	w, done := c.running()
	if w == nil {
		return nil, errNetwork
	}
	defer done()
	if note := w.Newest(string(origin)); note != nil {
		return note, nil
	}
	return nil, errors.New("never cosigned")
}

// stop ends the witness between two requests; start has it go on from its files.
func (c *cosigner) stop() {
	c.mu.Lock()
	w := c.witness
	c.witness = nil
	c.mu.Unlock()
	if w != nil {
		c.busy.Wait()
		w.Close()
	}
}

func (c *cosigner) start() error {
	c.stop()
	w, err := c.open()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.witness = w
	return nil
}

// files is the log's public side as others reach it.
type files struct {
	*link
	w *world
}

func (f files) get(ctx context.Context, read func(*process) ([]byte, error)) ([]byte, error) {
	return f.send(ctx, func(context.Context) ([]byte, error) {
		p := f.w.serving()
		if p == nil {
			return nil, errNetwork
		}
		defer p.reading.Done()
		return read(p)
	})
}

func (f files) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	return f.get(ctx, func(p *process) ([]byte, error) { return p.log.Lookup(ctx, request) })
}

func (f files) Checkpoint(ctx context.Context) ([]byte, error) {
	return f.get(ctx, func(p *process) ([]byte, error) {
		if note := p.log.Published(); note != nil {
			return note, nil
		}
		return nil, errors.New("nothing is published yet")
	})
}

func (f files) Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error) {
	return f.get(ctx, func(p *process) ([]byte, error) { return p.log.Tile(level, n, width) })
}

func (f files) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	return f.get(ctx, func(p *process) ([]byte, error) { return p.log.Entries(n, width) })
}
