package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	musterv1 "github.com/musterlog/muster/api/v1"
)

// Calls whose bodies would take more than a credential's room are refused by
// their header, before anything is read; another credential's are not.
func TestBodiesAreBounded(t *testing.T) {
	g := guard(t, newFake(2), server.New)
	// As many as have room, while as much is left for others.
	const cost = musterv1.MaxRequest + server.CallOverhead
	const fit = (server.MaxCallBytes/cost + 1) / 2
	const more = 12
	refused := make(chan *http.Response, fit+more)
	for range fit + more {
		c := dialRaw(t, g.url)
		fmt.Fprintf(c, "POST %sSubmit HTTP/1.1\r\nHost: log\r\nContent-Type: application/proto\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
			service, g.tokens[credential.Write].Reveal(), musterv1.MaxRequest)
		go func() { // of a body that never comes
			if r, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				refused <- r
			}
		}()
	}
	for range more {
		r := <-refused
		if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "1" {
			t.Errorf("%s, %v", r.Status, r.Header)
		}
	}
	if _, err := g.client(t, credential.Operator).Lookup(t.Context(), nil); err != nil {
		t.Errorf("another credential: %v", err)
	}
	if len(refused) > 0 {
		t.Errorf("more than %d were answered", more)
	}
}

// Answers that their clients do not read take no more memory than there is for
// them, and another credential's lookups are answered.
func TestAnswersAreBounded(t *testing.T) {
	const size = 16 << 20
	full := make([]byte, size)
	f := newFake(2)
	f.lookup = func(_ context.Context, request []byte) ([]byte, error) { return full[:size-len(request)], nil }
	g := guard(t, f, server.New)
	ask := func() (net.Conn, *http.Response) {
		c := dialRaw(t, g.url)
		fmt.Fprintf(c, "POST %sLookup HTTP/1.1\r\nHost: log\r\nContent-Type: application/proto\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
			service, g.tokens[credential.Read].Reveal())
		r, err := http.ReadResponse(bufio.NewReader(c), nil) // and nothing of the body
		if err != nil {
			t.Fatal(err)
		}
		return c, r
	}
	// As many as have room, while as much is left for others.
	const fit = (server.MaxAnswerBytes/(server.AnswerCopies*size) + 1) / 2
	var unread []net.Conn
	for i := range fit + 3 {
		c, r := ask()
		unread = append(unread, c)
		if i < fit && r.StatusCode != http.StatusOK {
			t.Fatalf("lookup %d: %s", i, r.Status)
		}
		if i >= fit && (r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") != "1") {
			t.Errorf("lookup %d, beyond its room: %s, %v", i, r.Status, r.Header)
		}
	}
	if _, err := g.client(t, credential.Write).Lookup(t.Context(), []byte{1}); err != nil {
		t.Errorf("another credential: %v", err)
	}
	unread[0].Close()
	for r := new(http.Response); r.StatusCode != http.StatusOK; time.Sleep(time.Millisecond) { // until the server knows
		_, r = ask()
	}
}

// What needs no credential takes no body, so that strangers who announce large ones
// keep nobody from asking.
func TestStrangersHaveNoBodies(t *testing.T) {
	g := guard(t, newFake(2), server.New)
	for range server.MaxCallBytes / musterv1.MaxRequest {
		c := dialRaw(t, g.url)
		fmt.Fprintf(c, "POST %sInfo HTTP/1.1\r\nHost: log\r\nContent-Type: application/proto\r\nContent-Length: %d\r\n\r\n", service, musterv1.MaxRequest)
	}
	for range 20 {
		if _, err := g.client(t, credential.Read).Info(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A credential has its share of the lookups that run at once, and all of its
// lookups are answered in the end.
func TestLookupsAreBounded(t *testing.T) {
	f := newFake(2)
	var mu sync.Mutex
	var once sync.Once
	running, most := 0, 0
	full, release := make(chan bool), make(chan bool)
	f.lookup = func(_ context.Context, request []byte) ([]byte, error) {
		if len(request) > 0 {
			return nil, nil // the other's
		}
		mu.Lock()
		if running++; running == server.LookupsEach {
			once.Do(func() { close(full) })
		}
		most = max(most, running)
		mu.Unlock()
		<-release
		mu.Lock()
		running--
		mu.Unlock()
		return nil, nil
	}
	g := guard(t, f, server.New)
	var calls sync.WaitGroup
	c := g.client(t, credential.Read)
	for range 2 * server.LookupsEach {
		calls.Go(func() {
			if _, err := c.Lookup(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	<-full
	if _, err := g.client(t, credential.Write).Lookup(t.Context(), []byte{1}); err != nil {
		t.Errorf("another credential: %v", err)
	}
	close(release)
	calls.Wait()
	if most > server.LookupsEach {
		t.Errorf("%d at once, want %d at most", most, server.LookupsEach)
	}
}
