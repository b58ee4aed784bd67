package server_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
)

// Floods of what costs its sender little. Each connection is closed, by what
// it sends or in time, whoever reads the answers or not.
func TestFrameFloods(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, 16<<10/len(s)) }
	begin := string(frame(headersFrame, endStream, 1, getOf("/checkpoint")))
	more := func(s string) string { return string(frame(continuedFrame, 0, 1, s)) }
	kinds := []struct {
		name, begin, endless string
		silent               bool // its answers are not read
		ends                 int
	}{
		{"fields", begin, more(fill("\x00\x01a\x01b")), false, protocolError},
		{"fields, a frame each", begin, strings.Repeat(more("\x00\x01a\x01b"), 1000), false, protocolError},
		{"one field", begin + more(literal(0, "a", 0, 1<<30, "")), more(fill("a")), false, compressionError},
		// Eight characters in five bytes, the most that the code saves.
		{"huffman", begin, more(fill(literal(0, "a", 0x80, 1000, strings.Repeat("\x00", 1000)))), false, protocolError},
		{"one huffman field", begin, more(literal(0, "a", 0x80, 15_000, strings.Repeat("\x00", 15_000))), false, compressionError},
		// A byte for each 4 KB: 64 MB in a frame.
		{"table", begin + more(literal(0x40, "a", 0, 4000, strings.Repeat("b", 4000))), more(fill("\xbe")), false, protocolError},
		// What adds nothing to the header is bounded by time alone.
		{"empty frames", begin, strings.Repeat(more(""), 1000), false, noError},
		{"table sizes", string(frame(headersFrame, endStream, 1, "")), more(fill("\x20")), false, noError},

		{"PING", "", fill(string(frame(pingFrame, 0, 0, "12345678"))), false, noError},
		{"PING, silent", "", fill(string(frame(pingFrame, 0, 0, "12345678"))), true, 0},
		{"SETTINGS", "", fill(string(frame(settingsFrame, 0, 0, ""))), false, noError},
		{"SETTINGS, silent", "", fill(string(frame(settingsFrame, 0, 0, ""))), true, 0},
	}
	const each = 4
	flood(t, server.Config{Backend: newFake(2)}, 100, 64, func(s *flooded) {
		var all sync.WaitGroup
		for _, k := range kinds {
			all.Go(func() {
				var sent atomic.Int64
				s.each(each, "", func(p *peer) {
					if !k.silent {
						go p.listen(false)
					}
					p.Write([]byte(k.begin))
					n, err := p.endless([]byte(k.endless))
					if err != nil {
						s.Errorf("%s: still connected after %d bytes", k.name, n)
						return
					}
					sent.Add(n)
					if k.silent {
						return
					}
					// What it said is lost if it closed while more was on its way.
					if said := <-p.ended; said != k.ends && said != -1 {
						s.Errorf("%s: the server closed it with error %d, want %d", k.name, said, k.ends)
					}
				})
				s.Logf("%-20s %6d KB each until it was closed", k.name, sent.Load()>>10/each)
			})
		}
		all.Wait()
	})
}

// A client that opens streams and resets them at once (CVE-2023-44487) has no
// more requests under way than one that does not, and is cut off.
func TestRapidReset(t *testing.T) {
	f := newFake(300)
	var running, most atomic.Int64
	release := make(chan struct{})
	f.spoil = func(b []byte) []byte {
		now := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		<-release
		return b
	}
	url := serve(t, f)
	c := dialRaw(t, url)
	cut := make(chan struct{})
	go func() { io.Copy(io.Discard, c); close(cut) }()
	b := append([]byte(preface), frame(settingsFrame, 0, 0, "")...)
	for i := range uint32(20_000) {
		b = append(b, frame(headersFrame, endStream|endHeaders, 2*i+1, getOf("/tile/0/000"))...)
		b = append(b, frame(resetFrame, 0, 2*i+1, "\x00\x00\x00\x08")...)
	}
	c.Write(b) // fails once it is cut off
	<-cut
	if n := most.Load(); n == 0 || n > server.MaxStreams {
		t.Errorf("%d requests ran at once, want 1 to %d", n, server.MaxStreams)
	}
	if _, err := dial(t, url).Checkpoint(t.Context()); err != nil {
		t.Errorf("another client: %v", err)
	}
	close(release)
}

// A frame of 1 MiB is refused by its header: its connection would keep the room
// for it.
func TestLargeFrames(t *testing.T) {
	large := append(frame(unknownFrame, 0, 0, string(make([]byte, 1<<20-1))), frame(pingFrame, 0, 0, "12345678")...)
	flood(t, server.Config{Backend: newFake(2)}, 1, 32, func(s *flooded) {
		s.each(64, "", func(p *peer) {
			go p.listen(true)
			p.Write(large) // fails once it is refused
			select {
			case <-p.pongs:
				s.Error("a frame of 1 MiB was taken")
			case <-p.ended:
			}
		})
	})
}

// shut is a client's setting that lets no byte of an answer in (RFC 9113,
// section 6.5.2), wide one that lets all in.
const (
	shut = "\x00\x04\x00\x00\x00\x00"
	wide = "\x00\x04\x7f\xff\xff\xff"
)

// A client that lets no answer in has its requests here until their time is
// over. They are counted for as long, however small they are, and leave places
// to all other connections.
func TestClosedWindows(t *testing.T) {
	const connections = 140 // with 32 requests each, more than there may be
	flood(t, server.Config{Backend: newFake(2)}, 1, 256, func(s *flooded) {
		var waiting, refused atomic.Int64
		s.each(connections, shut, func(p *peer) {
			go p.listen(true)
			for i := range uint32(server.MaxStreams) {
				p.Write(frame(headersFrame, endStream|endHeaders, 2*i+1, getOf("/checkpoint")))
			}
			for range server.MaxStreams { // each has a header, but no more
				select {
				case alone := <-p.heads:
					if alone {
						refused.Add(1)
					} else {
						waiting.Add(1)
					}
				case <-p.reset: // its handler did not begin in time
				case said := <-p.ended:
					s.Errorf("the connection ended with error %d", said)
					return
				}
			}
		})
		s.Logf("%d requests wait, %d were refused", waiting.Load(), refused.Load())
		if n := waiting.Load(); n > server.MaxRequests+connections || n < server.MaxRequests/2 {
			s.Errorf("%d requests wait, want %d at most", n, server.MaxRequests+connections)
		}
	})
}

// Who lets no answer in does not keep a body here, either, that nobody asked for.
func TestUnreadBodies(t *testing.T) {
	piece := string(make([]byte, 16<<10))
	path := filepath.Join(t.TempDir(), "credentials")
	if _, _, err := credential.Add(path, credential.Write, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	set, err := credential.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, header := range map[string]string{
		"of a file": getOf("/tile/0/000"), "of nothing": getOf("/nothing"), "of a call without a token": callOf("SubmitStream"),
	} {
		t.Run(what, func(t *testing.T) {
			flood(t, server.Config{Backend: newFake(300), Credentials: set}, 1, 256, func(s *flooded) {
				const connections = 32
				before := live()
				s.each(connections, shut, func(p *peer) {
					go p.listen(true)
					p.Write(frame(headersFrame, endHeaders, 1, header))
					for range 1 << 20 / len(piece) { // all that the server lets in
						p.Write(frame(dataFrame, 0, 1, piece))
					}
					p.Write(frame(pingFrame, 0, 0, "12345678"))
					select {
					case <-p.pongs: // it has all that was sent before
					case said := <-p.ended:
						s.Errorf("the connection ended with error %d", said)
					}
				})
				if now := live(); now > before+connections<<20/4 {
					s.Errorf("%d bodies of 1 MiB hold %d MiB", connections, (now-before)>>20)
				}
			})
		})
	}
}

// live is what this process's heap holds that is not garbage.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A client that asks for much and reads nothing, not even that its time is
// over, is cut off although it goes on sending: else it would keep 32 places.
func TestNobodyReads(t *testing.T) {
	f := newFake(2)
	f.lookup = func(context.Context, []byte) ([]byte, error) { return make([]byte, 400<<10), nil } // more than sockets hold
	flood(t, server.Config{Backend: f}, 100, 256, func(s *flooded) {
		s.each(4, wide, func(p *peer) {
			p.Write(frame(windowUpdateFrame, 0, 0, "\x7f\xff\x00\x00"))
			for i := range uint32(server.MaxStreams) {
				p.Write(frame(headersFrame, endStream|endHeaders, 2*i+1, callOf("Lookup")))
			}
			var err error
			for ; err == nil; time.Sleep(10 * time.Millisecond) {
				_, err = p.Write(frame(unknownFrame, 0, 0, ""))
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.Error("still connected")
			}
		})
	})
}

// A connection whose other end vanished without a word is closed, although it
// has a request open, and one that answers PINGs is not.
func TestVanishedPeers(t *testing.T) {
	s := floodedServer(t, server.Config{Backend: newFake(2)}, 10, false)
	var peers [2]*peer
	for i := range peers {
		p, err := s.connect(shut)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		go p.listen(i == 0)
		p.Write(frame(headersFrame, endStream|endHeaders, 1, getOf("/checkpoint")))
		<-p.heads
		peers[i] = p
	}
	alive, vanished := peers[0], peers[1]
	select {
	case <-vanished.ended:
	case <-vanished.reset:
		t.Error("who answers no PING is still connected when its request's time is over")
	}
	alive.Write(frame(pingFrame, 0, 0, "12345678"))
	select {
	case <-alive.pongs:
	case <-alive.ended:
		t.Error("who answers PINGs was cut off")
	}
}
