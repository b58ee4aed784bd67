package main

import (
	"context"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/log/answer"
)

// saysAfter is how long a command waits for the log in silence: a few times
// the usual epoch.
const saysAfter = 3 * time.Second

// sendAgain is what whoever gets no answer to an event can do.
const sendAgain = "sending them again is safe: an event that is logged stays one event"

// patient is a log's API that says once what it waits for, if that takes long.
type patient struct {
	*client.Client
	say  func(format string, args ...any)
	told bool
}

// Submit sends events, and waits as long as the log lets it.
func (p *patient) Submit(ctx context.Context, events [][]byte, want answer.Want) (outcomes []answer.Outcome, err error) {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		outcomes, err = p.Client.Submit(ctx, events, want)
	}()
	select {
	case <-answered:
		return outcomes, err
	case <-time.After(saysAfter):
	}
	if !p.told {
		p.told = true
		p.say("waiting for the log to publish its next epoch, which takes until the quorum of its cosigners is there: `muster status` says which of them answer")
	}
	<-answered
	return outcomes, err
}
