package server_test

import (
	"net"
	"net/http/httptest"
	"testing"

	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/api/tile"
)

// overlong is a header over the limit, in the fields that take most memory:
// many and small.
func overlong() string {
	header := getOf("/checkpoint")
	for i := range 26 * 26 {
		header += literal(0, string([]byte{'a' + byte(i/26), 'a' + byte(i%26)}), 0, 0, "")
	}
	return header
}

// What net/http answers by itself is counted by no room of ours: there is little
// of it on a connection whose client lets nothing in.
func TestRefusedHeadersAreFew(t *testing.T) {
	flood(t, server.Config{Backend: newFake(2)}, 1, 256, func(s *flooded) {
		const connections = 16
		header, before := overlong(), live()
		s.each(connections, shut, func(p *peer) {
			go p.listen(true)
			for i := range uint32(server.MaxStreams) {
				p.Write(frame(headersFrame, endStream|endHeaders, 2*i+1, header))
			}
			for range server.MaxStreams {
				select {
				case <-p.heads:
				case <-p.reset: // its time was over
				case said := <-p.ended:
					s.Errorf("the connection ended with error %d", said)
					return
				}
			}
		})
		if now := live(); now > before+2*connections<<20 { // its client has a part of it
			s.Errorf("the headers of %d connections hold %d MiB", connections, (now-before)>>20)
		}
	})
}

// It is given up soon if its client does not let it in, unlike what a handler
// works on or answers, in both versions of HTTP.
func TestRefusedHeadersAreShort(t *testing.T) {
	f := newFake(300)
	began, release := make(chan bool, 1), make(chan bool)
	f.spoil = func(b []byte) []byte { began <- true; <-release; return b }
	h, err := server.New(server.Config{Backend: f})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = server.Server(h)
	if limit := s.Config.WriteTimeout; limit > server.HeaderTimeout {
		t.Errorf("an answer of net/http itself may wait for %v", limit)
	}
	s.Config.WriteTimeout /= 50
	s.Start()
	defer s.Close()
	slow := make(chan error, 1)
	go func() { _, err := dial(t, s.URL).Tile(t.Context(), 0, 0, tile.Full); slow <- err }()
	<-began
	p, err := (&flooded{T: t, dial: func() (net.Conn, error) { return net.Dial("tcp", s.Listener.Addr().String()) }}).connect(shut)
	if err != nil {
		t.Fatal(err)
	}
	go p.listen(true)
	p.Write(frame(headersFrame, endStream|endHeaders, 1, getOf("/checkpoint")))
	p.Write(frame(headersFrame, endStream|endHeaders, 3, overlong()))
	p.Write(frame(headersFrame, endStream|endHeaders, 5, getOf("/checkpoint")+literal(0, "connection", 0, 5, "close")))
	for range 2 {
		select {
		case stream := <-p.reset:
			if stream == 1 {
				t.Error("the answer of a handler was given up")
			}
		case said := <-p.ended:
			t.Fatalf("the connection ended with error %d", said)
		}
	}
	p.Close()
	release <- true
	if err := <-slow; err != nil {
		t.Errorf("a handler that works for long: %v", err)
	}
}
