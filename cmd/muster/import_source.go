package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"

	musterv1 "github.com/musterlog/muster/api/v1"
)

const (
	importChunk  = 1 << 20 // bytes of a chunk: half of what a message may have
	importBuffer = 512 << 10
)

// position is a place between two events of an input.
type position struct {
	Events uint64 `json:"events"` // before it
	Offset int64  `json:"offset"` // in bytes
	SHA256 string `json:"sha256"` // of the input up to here, in hex
}

// eventChunk is events that follow each other in an input.
type eventChunk struct {
	first  uint64 // number of the first one, from 0 on
	events [][]byte
	end    position
}

// eventSource reads events, each behind its length of 2 bytes, big-endian: as
// entry bundles of C2SP tlog-tiles hold leaves.
type eventSource struct {
	in   *bufio.Reader
	hash hash.Hash
	at   position
	err  error // why nothing can be read any more
}

func newEventSource(in io.Reader) *eventSource {
	return &eventSource{in: bufio.NewReaderSize(in, importBuffer), hash: sha256.New()}
}

// skip reads up to a position, and refuses an input that has something else
// before it.
func (s *eventSource) skip(to position) error {
	if to.Offset == 0 {
		return nil
	}
	n, err := io.CopyN(s.hash, s.in, to.Offset)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading what was imported before: %w", err)
	}
	s.at = to
	if n < to.Offset || s.sum() != to.SHA256 {
		return errors.New("this input does not begin with what was imported before: is it another one, or was it changed?")
	}
	return nil
}

// jsonLine is how JSON lines begin, as people and editors write them. As a length
// two such characters would be thousands of bytes, far beyond any event with keys
// and signatures in it.
var jsonLine = regexp.MustCompile(`^\x{FEFF}?\s*\{\s*"[[:alpha:]]`)

// lines says that an input begins as JSON lines do.
func (s *eventSource) lines() bool {
	s.in.Peek(3) // an error comes again with the first event
	begin, _ := s.in.Peek(s.in.Buffered())
	return s.at.Offset == 0 && jsonLine.Match(begin)
}

func (s *eventSource) sum() string { return fmt.Sprintf("%x", s.hash.Sum(nil)) }

// next is what has come of the input, as one chunk: a full one, or all that
// there is for now. It is nil at the input's end, and at an error, before which
// all whole events came.
func (s *eventSource) next() (*eventChunk, error) {
	c := &eventChunk{first: s.at.Events}
	for size := 0; s.err == nil && len(c.events) < musterv1.MaxEvents && size < importChunk; {
		if len(c.events) > 0 && !s.ready() {
			break // whoever waits for more input keeps nothing back
		}
		var body []byte
		if body, s.err = s.event(); s.err != nil {
			break
		}
		c.events = append(c.events, body)
		size += len(body)
	}
	if len(c.events) == 0 && s.err == io.EOF {
		return nil, nil
	}
	if len(c.events) == 0 {
		return nil, s.err
	}
	s.at.SHA256 = s.sum()
	c.end = s.at
	return c, nil
}

// ready says that the next event has come whole.
func (s *eventSource) ready() bool {
	have := s.in.Buffered()
	if have < 2 {
		return false
	}
	length, _ := s.in.Peek(2) // is there
	return have >= 2+int(binary.BigEndian.Uint16(length))
}

// event is the next event; io.EOF at the input's end.
func (s *eventSource) event() ([]byte, error) {
	var length [2]byte
	_, err := io.ReadFull(s.in, length[:])
	if err == io.EOF {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(length[:]))
	if err == nil {
		_, err = io.ReadFull(s.in, body)
	}
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("reading event %d, at byte %d: %w", s.at.Events, s.at.Offset, err)
	}
	s.hash.Write(length[:])
	s.hash.Write(body)
	s.at.Events++
	s.at.Offset += int64(len(length) + len(body))
	return body, nil
}

// chunks reads ahead until the input or ctx ends; failed is final once the
// channel is closed.
func (s *eventSource) chunks(ctx context.Context) (chunks <-chan *eventChunk, failed *error) {
	out, failed := make(chan *eventChunk, 1), new(error)
	go func() {
		defer close(out)
		for {
			c, err := s.next()
			if *failed = err; c == nil {
				return
			}
			select {
			case out <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, failed
}
