package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/evidence"
)

// halter brings what the engine says about damaged files to a log that may not
// be open yet.
type halter struct {
	mu  sync.Mutex
	log *log.Log
	why error
}

func (h *halter) corrupted(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why == nil {
		h.why = why
	}
	h.tell()
}

func (h *halter) set(l *log.Log) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = l
	h.tell()
}

func (h *halter) tell() {
	if h.log != nil && h.why != nil {
		h.log.Halt(fmt.Errorf("%w: check the disk, and the store with `muster fsck`; then bring back a copy that is whole, and what it lacks with `muster recover`", h.why))
	}
}

// openLog opens a log to run it; one that must sign nothing, to be read.
func openLog(cfg log.Config) (*log.Log, error) {
	l, err := log.Open(cfg)
	if errors.Is(err, log.ErrReadOnly) {
		return log.OpenToRead(cfg, err)
	}
	return l, err
}

// sayState says what a log that just started does not do, and why.
func (g *globals) sayState(l *log.Log) {
	successor, sealed := l.Sealed()
	switch {
	case sealed && successor != "":
		g.say("this log has ended and goes on as %s: it serves reads", successor)
	case sealed:
		g.say("this log has ended: it serves reads")
	case l.ReadOnly() == nil && l.Published() == nil:
		g.say("waiting for cosigners: nothing is published before the quorum of %s is met; tiles and entries are served", g.policy)
	}
}

// sequence runs the log until ctx ends. If it must sign nothing more it says so
// at once, keeps the evidence, and lets the reads go on until ctx ends.
func (g *globals) sequence(ctx context.Context, dir logDir, l *log.Log) error {
	err := l.Run(ctx)
	var m *evidence.Misbehaviour
	if errors.As(err, &m) {
		path, kept := dir.keepEvidence(m)
		if kept != nil {
			return errors.Join(err, fmt.Errorf("keeping the evidence: %w", kept))
		}
		g.say("evidence that this log's key signed two histories: %s", path)
	}
	if errors.Is(err, log.ErrReadOnly) {
		g.say("READ ONLY: %v", err)
		g.say("what was published is still served; nothing is signed, and no event is taken")
		<-ctx.Done()
	}
	return err
}
