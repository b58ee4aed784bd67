package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"connectrpc.com/connect"

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

// plain is what a person is told of an error that ended a command. The error names
// the log; what a time limit is called within Go says nobody what to do.
func plain(err error) string {
	return late(err, fmt.Sprintf("it had %v, longer than a log works on anything: it hangs, or the way to it is cut: try again, and tell its operator if that does not help", client.Timeout))
}

// late is an error in words, with those that are given in place of what Go says when
// a time limit ends a request.
func late(err error, words string) string {
	text := err.Error()
	var answered *connect.Error
	var limit net.Error
	switch asked := errors.As(err, &answered); {
	case asked && errors.Is(err, context.Canceled):
		return strings.Replace(text, answered.Error(), "interrupted", 1)
	case asked && errors.Is(err, context.DeadlineExceeded):
		return strings.Replace(text, answered.Error(), words, 1)
	case asked && answered.Code() == connect.CodeDeadlineExceeded: // the other end says so
		return strings.Replace(text, answered.Message(), "it gave up after the longest that it works on one request: it is overloaded, or its disk is slow: try again later", 1)
	case errors.Is(err, context.DeadlineExceeded) && errors.As(err, &limit):
		return strings.Replace(text, limit.Error(), words, 1)
	}
	return text
}
