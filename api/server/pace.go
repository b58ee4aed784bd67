package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	musterv1 "github.com/musterlog/muster/api/v1"
)

// pace is the body of a stream. What bounds a call as a whole, its bytes and
// the time that it takes to arrive and to be answered, bounds a stream message
// by message.
type pace struct {
	body      io.ReadCloser
	deadlines *http.ResponseController
	left      int64 // bytes that this message may still have
}

type paceKey struct{}

// paced makes the request of a stream from that of a call.
func paced(w http.ResponseWriter, r *http.Request) *http.Request {
	p := &pace{body: r.Body, deadlines: http.NewResponseController(w)}
	r = r.WithContext(context.WithValue(r.Context(), paceKey{}, p))
	r.Body = p
	return r
}

func paceOf(ctx context.Context) *pace { return ctx.Value(paceKey{}).(*pace) }

var errTooLong = errors.New("the message is too long")

// Read is of who receives messages. Connect itself would read a message that
// is too long to its end, which may be 4 GiB away.
func (p *pace) Read(b []byte) (int, error) {
	if p.left <= 0 {
		return 0, errTooLong
	}
	n, err := p.body.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, err
}

func (p *pace) Close() error { return p.body.Close() }

// message allows the next message: it has to arrive within a time. An error of
// a deadline is one of the stream, which its next read or write tells.
func (p *pace) message(within time.Duration) {
	p.left = musterv1.MaxRequest + maxBodySlack
	p.deadlines.SetReadDeadline(time.Now().Add(within))
}

// rest is while nothing is read: the time is ours, not the client's.
func (p *pace) rest() { p.deadlines.SetReadDeadline(time.Time{}) }

// answering bounds how long the client may take to read what is sent from now
// on; 0 for nothing.
func (p *pace) answering(within time.Duration) {
	var until time.Time
	if within > 0 {
		until = time.Now().Add(within)
	}
	p.deadlines.SetWriteDeadline(until)
}

// stop ends a read that is under way.
func (p *pace) stop() { p.deadlines.SetReadDeadline(time.Unix(1, 0)) }
