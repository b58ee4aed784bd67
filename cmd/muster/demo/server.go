package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/liar"
)

// lying serves a log that lies, by the handlers that serve an honest one: the
// lie is in what is signed and proven, not in how it is carried.
type lying struct {
	mu     sync.Mutex
	log    *liar.Log
	submit func(l *liar.Log, event []byte) answer.Outcome // nil: takes no events
	asked  func(*answer.Request)                          // changes what is answered; nil: nothing
}

var _ server.Backend = (*lying)(nil)

// do changes what is served, between two requests.
func (s *lying) do(change func(l *liar.Log)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.log)
}

// Submit does with events what this liar does with them.
func (s *lying) Submit(_ context.Context, events [][]byte, _ answer.Want) []answer.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	outcomes := make([]answer.Outcome, len(events))
	for i, e := range events {
		if s.submit == nil {
			outcomes[i].Err = fmt.Errorf("this log takes no events")
		} else {
			outcomes[i] = s.submit(s.log, e)
		}
	}
	return outcomes
}

// Admit does it at once.
func (s *lying) Admit(events [][]byte) server.Batch {
	return server.Settled(s.Submit(context.Background(), events, answer.Want{}))
}

// becomes serves another log from now on, which takes questions for others.
func (s *lying) becomes(l *liar.Log, asked func(*answer.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log, s.asked = l, asked
}

// Lookup answers as the liar likes.
func (s *lying) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != nil {
		r, err := answer.ParseRequest(request)
		if err != nil {
			return nil, err
		}
		s.asked(r)
		request = r.Bytes()
	}
	return s.log.Lookup(ctx, request)
}

// Info is what the liar says of itself.
func (s *lying) Info() server.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return server.Info{
		Origin: s.log.Origin, LogKey: s.log.Signer.Key().String(), Genesis: s.log.Leaves[0], Size: uint64(len(s.log.Leaves)),
		Epoch: s.log.Epochs - 1, EpochInterval: time.Second, Heartbeat: time.Minute, MaxDevices: 16, Version: "liar",
	}
}

// Checkpoint is the newest note.
func (s *lying) Checkpoint() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Note
}

// Tile hashes the leaves below anew: a tree that is lied about is hashed
// honestly, since whoever signs another root than that of its leaves is caught
// by the first tile.
func (s *lying) Tile(_ context.Context, level int, n uint64, width int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := uint64(len(s.log.Leaves)) >> (8 * level); n*256+uint64(width) > have {
		return nil, server.ErrNotFound
	}
	var data []byte
	for i := range uint64(width) {
		hash, err := s.log.Node(uint(8*level), n*256+i)
		if err != nil {
			return nil, err
		}
		data = append(data, hash[:]...)
	}
	return data, nil
}

// Entries is the leaves as they are signed.
func (s *lying) Entries(_ context.Context, n uint64, width int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n*256+uint64(width) > uint64(len(s.log.Leaves)) {
		return nil, server.ErrNotFound
	}
	var data []byte
	for _, b := range s.log.Leaves[n*256 : n*256+uint64(width)] {
		data = append(binary.BigEndian.AppendUint16(data, uint16(len(b))), b...)
	}
	return data, nil
}

// listen serves a handler on loopback until stop is called.
func listen(handler http.Handler) (url string, stop func(), err error) {
	url, serve, err := reserve()
	if err != nil {
		return "", nil, err
	}
	return url, serve(handler), nil
}

// reserve takes an address, for what is served there later.
func reserve() (url string, serve func(http.Handler) (stop func()), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return "http://" + listener.Addr().String(), func(handler http.Handler) func() {
		s := server.Server(handler)
		go s.Serve(listener)
		return func() { s.Close() }
	}, nil
}

// honest is the real log as the handlers see it.
type honest struct {
	*log.Log
	cfg log.Config
}

var _ server.Backend = (*honest)(nil)

func (h *honest) Admit(events [][]byte) server.Batch { return h.Log.Admit(events) }

func (h *honest) Checkpoint() []byte { return h.Published() }

func (h *honest) Tile(_ context.Context, level int, n uint64, width int) ([]byte, error) {
	data, err := h.Log.Tile(level, n, width)
	return data, found(err)
}

func (h *honest) Entries(_ context.Context, n uint64, width int) ([]byte, error) {
	data, err := h.Log.Entries(n, width)
	return data, found(err)
}

func found(err error) error {
	if errors.Is(err, log.ErrNotFound) {
		return server.ErrNotFound
	}
	return err
}

func (h *honest) Info() server.Info {
	size, epoch := h.Position()
	return server.Info{
		Origin: h.cfg.Origin, LogKey: h.cfg.Signer.Key().String(), Genesis: h.Genesis(), Size: size, Epoch: epoch,
		EpochInterval: h.cfg.Epoch, Heartbeat: h.cfg.Heartbeat, MaxDevices: log.DefaultMaxDevices, Version: "demo",
	}
}
