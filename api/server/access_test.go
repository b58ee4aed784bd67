package server_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
)

// guarded is a server with credentials, and one token of each scope.
type guarded struct {
	url, path string
	tokens    map[credential.Scope]credential.Token
	ids       map[credential.Scope]string
}

func guard(t *testing.T, f *fake, handler func(server.Config) (http.Handler, error)) *guarded {
	t.Helper()
	g := &guarded{path: filepath.Join(t.TempDir(), "credentials"), tokens: map[credential.Scope]credential.Token{}, ids: map[credential.Scope]string{}}
	for s := credential.Audit; s <= credential.Operator; s++ {
		token, c, err := credential.Add(g.path, s, "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		g.tokens[s], g.ids[s] = token, c.ID()
	}
	set, err := credential.Open(g.path)
	if err != nil {
		t.Fatal(err)
	}
	g.url = serveWith(t, f, func(cfg server.Config) (http.Handler, error) {
		cfg.Credentials = set
		return handler(cfg)
	})
	return g
}

func (g *guarded) client(t *testing.T, s credential.Scope) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: g.url, HTTP: new(http.Client), Token: g.tokens[s]})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func accepted(events [][]byte, _ answer.Want) []answer.Outcome {
	out := make([]answer.Outcome, len(events))
	for i := range events {
		out[i].Seq = uint32(events[i][0])
	}
	return out
}

// Only an operator's OPERATOR_REMOVE and ERASE reach the log; the others' are
// refused in their places, alone and among others, in calls and streams. All that
// somebody signs goes with a token to write, REGISTER and REREGISTER too.
func TestOperatorEvents(t *testing.T) {
	f := newFake(2)
	f.submit = accepted
	g := guard(t, f, server.New)
	for _, events := range [][][]byte{
		{{5}}, {{6, 1, 2}}, {{5}, {6}}, {{1}, {5}, {2}, {6}, {3}, {4}, {7}}, {{1}, {2}},
	} {
		for _, s := range []credential.Scope{credential.Write, credential.Operator} {
			f.with(func() { f.received = nil })
			outcomes, err := g.client(t, s).Submit(t.Context(), events, answer.Want{})
			if err != nil {
				t.Fatal(err)
			}
			var reach [][]byte
			for i, e := range events {
				forbidden := s < credential.Operator && (e[0] == 5 || e[0] == 6)
				if r := outcomes[i].Refused; (r != nil && r.Rule == event.RuleForbidden) != forbidden || !forbidden && outcomes[i].Seq != uint32(e[0]) {
					t.Errorf("%v %v: outcome %d is %+v", s, events, i, outcomes[i])
				}
				if !forbidden {
					reach = append(reach, e)
				}
			}
			f.with(func() {
				if !reflect.DeepEqual(f.received, reach) {
					t.Errorf("%v %v: the log got %v", s, events, f.received)
				}
			})
			stream, err := g.client(t, s).Stream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sendAll(t, stream, events)
			stream.CloseSend()
			a, err := stream.Receive()
			if err != nil || a.Events != uint64(len(events)) || len(a.Refused) != len(events)-len(reach) {
				t.Errorf("%v %v: the stream answers %+v, %v", s, events, a, err)
			}
			stream.Close()
		}
	}
}

// Who may not look up learns nothing of any account: the answer is the same to
// the byte, and the log is not even asked, so that it takes no other time.
func TestForbiddenTellsNothing(t *testing.T) {
	f := newFake(2)
	asked := 0
	f.lookup = func(context.Context, []byte) ([]byte, error) { asked++; return nil, answer.ErrRequest }
	g := guard(t, f, server.New)
	if _, err := credential.Revoke(g.path, g.ids[credential.Operator]); err != nil {
		t.Fatal(err)
	}
	var first string
	for _, authorization := range []string{
		"", "Bearer " + credential.NewToken().Reveal(), "Bearer " + g.tokens[credential.Operator].Reveal(), "Bearer nonsense",
		"Basic " + g.tokens[credential.Read].Reveal(), g.tokens[credential.Read].Reveal(),
	} {
		for _, body := range []string{`{"request":"AAAA"}`, `{"request":"` + strings.Repeat("A", 8000) + `"}`, `{`, ``} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+service+"Lookup", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Header.Del("Date")
			var said bytes.Buffer
			response.Header.Write(&said)
			io.Copy(&said, response.Body)
			response.Body.Close()
			if first == "" {
				first = said.String()
			}
			if response.StatusCode != http.StatusUnauthorized || said.String() != first {
				t.Errorf("%q, %d bytes: status %d\n%s\nand not\n%s", authorization[:min(6, len(authorization))], len(body), response.StatusCode, &said, first)
			}
		}
	}
	if asked != 0 {
		t.Errorf("the log was asked %d times", asked)
	}
}

// A revocation ends a stream that is open at its next chunk, which does not
// reach the log.
func TestRevokedStream(t *testing.T) {
	f := newFake(2)
	f.submit = accepted
	g := guard(t, f, server.New)
	s, err := g.client(t, credential.Write).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sendAll(t, s, [][]byte{{1}})
	if a, err := s.Receive(); err != nil || a.Events != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := credential.Revoke(g.path, g.ids[credential.Write]); err != nil {
		t.Fatal(err)
	}
	s.Send([][]byte{{2}})
	if _, err := s.Receive(); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("after its token was revoked: %v", err)
	}
	f.with(func() {
		if !reflect.DeepEqual(f.received, [][]byte{{1}}) {
			t.Errorf("the log got %v", f.received)
		}
	})
	if _, err := g.client(t, credential.Write).Submit(t.Context(), [][]byte{{1}}, answer.Want{}); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("a call with a revoked token: %v", err)
	}
}

// The first credential closes a log that was open, also to streams.
func TestFirstCredential(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	set, err := credential.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(2)
	f.submit = accepted
	url := serveWith(t, f, func(cfg server.Config) (http.Handler, error) { cfg.Credentials = set; return server.New(cfg) })
	s := open(t, url)
	sendAll(t, s, [][]byte{{6}})
	if a, err := s.Receive(); err != nil || a.Events != 1 || len(a.Refused) > 0 {
		t.Fatalf("an open log: %+v, %v", a, err)
	}
	if _, _, err := credential.Add(path, credential.Read, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	s.Send([][]byte{{1}})
	if _, err := s.Receive(); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("the stream that was open: %v", err)
	}
	if _, err := dial(t, url).Lookup(t.Context(), nil); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("a lookup: %v", err)
	}
}

// Tokens go over https and to this machine.
func TestTokenOverPlainHTTP(t *testing.T) {
	token := credential.NewToken()
	for url, want := range map[string]bool{
		"http://127.0.0.1:1": true, "http://[::1]:1": true, "http://localhost:1": true, "https://log.example.org": true,
		"http://log.example.org": false, "http://192.0.2.1:8650": false, "http://localhost.example.org": false, "http://127.0.0.1.example.org": false,
	} {
		_, err := client.New(client.Config{URL: url, Token: token})
		if (err == nil) != want || err != nil && strings.Contains(err.Error(), token.Reveal()) {
			t.Errorf("%s: %v", url, err)
		}
		if _, err := client.New(client.Config{URL: url}); err != nil {
			t.Errorf("%s without a token: %v", url, err)
		}
	}
}

// A log that cannot read its credentials lets nobody in, and says so to its
// operator alone.
func TestBrokenCredentials(t *testing.T) {
	g := guard(t, newFake(2), server.New)
	if err := os.Remove(g.path); err != nil {
		t.Fatal(err)
	}
	_, err := g.client(t, credential.Operator).Lookup(t.Context(), nil)
	if connect.CodeOf(err) != connect.CodeUnavailable || strings.Contains(err.Error(), g.path) {
		t.Errorf("%v", err)
	}
	if _, err := g.client(t, credential.Operator).Info(t.Context()); err != nil {
		t.Errorf("what asks for no token: %v", err)
	}
}

// One credential cannot take the streams of all others.
func TestStreamsOfOneCredential(t *testing.T) {
	f := newFake(2)
	f.submit = accepted
	g := guard(t, f, server.New)
	begin := func(s credential.Scope) (*client.Stream, error) {
		stream, err := g.client(t, s).Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stream.Close)
		stream.Send([][]byte{{1}})
		_, err = stream.Receive()
		return stream, err
	}
	var last *client.Stream
	for range server.MaxStreamsEach {
		var err error
		if last, err = begin(credential.Write); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := begin(credential.Write); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "with this token") {
		t.Errorf("a stream more: %v", err)
	}
	if _, err := begin(credential.Operator); err != nil {
		t.Errorf("another credential's: %v", err)
	}
	last.CloseSend()
	if _, err := last.Receive(); err != io.EOF {
		t.Fatal(err)
	}
	if _, err := begin(credential.Write); err != nil {
		t.Errorf("after one had ended: %v", err)
	}
}

// A stream that sends more than its share waits, and loses nothing.
func TestStreamWaitsForItsTurn(t *testing.T) {
	f := newFake(2)
	admitted := make(chan int, 100)
	publish := make(chan struct{})
	f.admit = func(events [][]byte) server.Batch {
		admitted <- len(events)
		return &batch{events: events, outcomes: func(context.Context) []answer.Outcome {
			<-publish
			return make([]answer.Outcome, len(events))
		}}
	}
	g := guard(t, f, server.Small(20))
	s, err := g.client(t, credential.Write).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 5 {
		sendAll(t, s, make([][]byte, 5))
	}
	for range 2 { // half of 20 in chunks of 5
		<-admitted
	}
	// Another credential's call is let in beside it, and so the stream's third
	// chunk had its chance.
	f.with(func() { f.submit = accepted })
	if _, err := g.client(t, credential.Operator).Submit(t.Context(), [][]byte{{1}}, answer.Want{}); err != nil {
		t.Fatal(err)
	}
	if n := len(admitted); n > 0 {
		t.Errorf("%d chunks more than its share came in", n)
	}
	close(publish)
	s.CloseSend()
	for answered := uint64(0); answered < 25; {
		a, err := s.Receive()
		if err != nil {
			t.Fatalf("after %d: %v", answered, err)
		}
		answered = a.Events
	}
}
