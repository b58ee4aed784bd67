package server_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterlog/muster/api/server"
)

// Kinds of frames, their flags and errors (RFC 9113, sections 6 and 7).
const (
	dataFrame, headersFrame, resetFrame, settingsFrame        = 0, 1, 3, 4
	pingFrame, goAwayFrame, windowUpdateFrame, continuedFrame = 6, 7, 8, 9
	unknownFrame                                              = 0xee

	endStream, ack, endHeaders = 1, 1, 4

	noError, protocolError, compressionError = 0, 1, 9
)

// preface begins a client's connection (section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame is one of HTTP/2 (RFC 9113, section 4.1).
func frame(kind, flags byte, stream uint32, payload string) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// literal is a header field of HPACK (RFC 7541, section 6.2): indexed 0x40 puts
// it into the table, 0 does not; huffman 0x80 says that the value is so coded.
func literal(indexed byte, name string, huffman byte, length int, value string) string {
	b := append([]byte{indexed, byte(len(name))}, name...)
	if length < 127 {
		return string(append(b, huffman|byte(length))) + value
	}
	b = append(b, huffman|127)
	for length -= 127; length >= 128; length >>= 7 {
		b = append(b, byte(length)|128)
	}
	return string(append(b, byte(length))) + value
}

// getOf is a request's header: GET, http, and literals of path and authority.
func getOf(path string) string {
	return "\x82\x86" + literal(0, ":path", 0, len(path), path) + literal(0, ":authority", 0, 3, "log")
}

// callOf is the header of a call of the account API.
func callOf(method string) string {
	path, kind := service+method, "application/proto"
	if method == "SubmitStream" {
		kind = "application/connect+proto"
	}
	return "\x83\x86" + literal(0, ":path", 0, len(path), path) + literal(0, ":authority", 0, 3, "log") + literal(0, "content-type", 0, len(kind), kind)
}

// flooded is a server that a test attacks.
type flooded struct {
	*testing.T
	dial   func() (net.Conn, error)
	client *http.Client // of somebody else: a new connection for each request
	url    string
}

// flood serves as muster serve does, with TLS and without, so many times as
// impatient, and attacks each. Meanwhile somebody else is answered, and memory
// stays within a bound, in MiB, of what it was.
func flood(t *testing.T, cfg server.Config, hurry time.Duration, most uint64, attack func(*flooded)) {
	for _, secure := range []bool{true, false} {
		t.Run(map[bool]string{true: "TLS", false: "cleartext"}[secure], func(t *testing.T) {
			s := floodedServer(t, cfg, hurry, secure)
			before, finish := inUse(), make(chan struct{})
			var meanwhile sync.WaitGroup
			var answered, peak atomic.Uint64
			meanwhile.Go(func() {
				for ; ; time.Sleep(2 * time.Millisecond) {
					select {
					case <-finish:
						return
					default:
					}
					r, err := s.client.Get(s.url + "/checkpoint")
					if err != nil {
						t.Errorf("somebody else: %v", err)
						return
					}
					if r.Body.Close(); r.StatusCode != http.StatusOK {
						t.Errorf("somebody else: %s", r.Status)
						return
					}
					answered.Add(1)
				}
			})
			meanwhile.Go(func() {
				for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
					peak.Store(max(peak.Load(), inUse()))
					select {
					case <-finish:
						return
					default:
					}
				}
			})
			attack(s)
			close(finish)
			meanwhile.Wait()
			if answered.Load() == 0 {
				t.Error("nobody else was answered")
			}
			grown := (max(peak.Load(), before) - before) >> 20
			if grown > most {
				t.Errorf("memory grew by %d MiB, want %d at most", grown, most)
			}
			t.Logf("memory grew by %d MiB; somebody else got %d answers", grown, answered.Load())
		})
	}
}

// inUse is the memory of this process's heap and stacks.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func floodedServer(t *testing.T, cfg server.Config, hurry time.Duration, secure bool) *flooded {
	cfg.Logger = slog.New(slog.DiscardHandler)
	h, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = server.Server(h)
	// A time-out that the server does not have stays none.
	s.Config.IdleTimeout /= hurry
	s.Config.HTTP2.SendPingTimeout /= hurry
	s.Config.HTTP2.PingTimeout /= hurry
	s.Config.HTTP2.WriteByteTimeout /= hurry
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	t.Cleanup(s.Close)
	address := s.Listener.Addr().String()
	if !secure {
		s.Start()
		plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		return &flooded{t, func() (net.Conn, error) { return net.Dial("tcp", address) }, plain, s.URL}
	}
	s.StartTLS()
	config := s.Client().Transport.(*http.Transport).TLSClientConfig
	other := config.Clone()
	other.NextProtos = []string{"http/1.1"}
	mine := config.Clone()
	mine.NextProtos = []string{"h2"}
	return &flooded{t, func() (net.Conn, error) {
		c, err := tls.Dial("tcp", address, mine)
		if err == nil && c.ConnectionState().NegotiatedProtocol != "h2" {
			t.Error("the server does not speak HTTP/2")
		}
		return c, err
	}, &http.Client{Transport: &http.Transport{TLSClientConfig: other, DisableKeepAlives: true}}, s.URL}
}

// peer speaks HTTP/2 by the frame.
type peer struct {
	net.Conn
	heads chan bool   // of each answer: whether it has no body
	pongs chan bool   // one for each answer to a PING
	reset chan uint32 // each stream that the server gave up
	ended chan int    // gets the error of the server's GOAWAY, or -1, once it has closed the connection
}

// each runs an attack from so many connections at once, which are opened one
// after the other: a machine with much to do has ten seconds for a handshake.
func (s *flooded) each(connections int, settings string, attack func(p *peer)) {
	var attackers sync.WaitGroup
	defer attackers.Wait()
	for range connections {
		p, err := s.connect(settings)
		if err != nil {
			s.Error(err)
			return
		}
		attackers.Go(func() { attack(p) })
	}
}

// tooLong ends an attack that the server bears for ever.
const tooLong = 4 * time.Minute

// connect opens a connection with some settings, and reads nothing.
func (s *flooded) connect(settings string) (*peer, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	s.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(tooLong))
	p := &peer{c, make(chan bool, server.MaxStreams), make(chan bool, 1), make(chan uint32, server.MaxStreams), make(chan int, 1)}
	_, err = c.Write(append([]byte(preface), frame(settingsFrame, 0, 0, settings)...))
	return p, err
}

// listen reads what the server says. Who is alive answers its PINGs.
func (p *peer) listen(alive bool) {
	said := -1
	defer func() { p.ended <- said }()
	for r := bufio.NewReader(p); ; {
		var header [9]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return
		}
		payload := make([]byte, int(header[0])<<16|int(header[1])<<8|int(header[2]))
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		switch {
		case header[3] == headersFrame:
			select {
			case p.heads <- header[4]&endStream != 0:
			default: // nobody asks
			}
		case header[3] == resetFrame:
			select {
			case p.reset <- binary.BigEndian.Uint32(header[5:]):
			default:
			}
		case header[3] == goAwayFrame:
			said = int(binary.BigEndian.Uint32(payload[4:]))
		case header[3] == pingFrame && header[4]&ack != 0:
			select {
			case p.pongs <- true:
			default:
			}
		case header[3] == pingFrame && alive:
			p.Write(frame(pingFrame, ack, 0, string(payload)))
		}
	}
}

// endless sends until the connection is closed, and says how many bytes it could.
func (p *peer) endless(b []byte) (sent int64, err error) {
	for {
		n, err := p.Write(b)
		sent += int64(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, err
		}
		if err != nil {
			return sent, nil
		}
	}
}
