package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/answer"
)

// unread is a body that nobody may look into.
type unread struct{ read bool }

func (b *unread) Read([]byte) (int, error) { b.read = true; return 0, errors.New("read") }
func (b *unread) Close() error             { return nil }

// TestRefusalsAreAlike: who may not do something is answered without his request's
// body having been read, by one code in one way, so that account and event can make
// no difference, in what is said as in how long it takes. Whatever length the
// body claims, status, headers and body of the answer are the same.
func TestRefusalsAreAlike(t *testing.T) {
	f := newFake(2)
	var handler http.Handler
	g := guard(t, f, func(cfg server.Config) (_ http.Handler, err error) {
		handler, err = server.New(cfg)
		return handler, err
	})
	if _, err := credential.Revoke(g.path, g.ids[credential.Operator]); err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{
		"no token": "", "an unknown one": "Bearer " + credential.NewToken().Reveal(),
		"a revoked one": "Bearer " + g.tokens[credential.Operator].Reveal(), "one that may only read": "Bearer " + g.tokens[credential.Read].Reveal(),
	}
	types := []string{"application/json", "application/proto", "application/grpc", "application/grpc-web+proto", "application/connect+proto", "text/plain", ""}
	for _, method := range []string{"Lookup", "Submit", "SubmitStream"} {
		for _, contentType := range types {
			answers := map[string]string{} // by token
			for who, authorization := range tokens {
				if method == "Lookup" && who == "one that may only read" {
					continue
				}
				for _, length := range []int64{0, 1, 100, 5000, 1 << 30, -1} {
					body := new(unread)
					r := httptest.NewRequest(http.MethodPost, service+method, body)
					r.ContentLength = length
					r.Header.Set("Content-Type", contentType)
					if authorization != "" {
						r.Header.Set("Authorization", authorization)
					}
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					if body.read {
						t.Fatalf("%s of type %q with %s: the body was read", method, contentType, who)
					}
					var said bytes.Buffer
					fmt.Fprintln(&said, w.Code)
					header := w.Result().Header
					trailers := strings.Split(header.Get("Trailer"), ",")
					slices.Sort(trailers) // Connect has them in the order of a map
					header["Trailer"] = trailers
					header.Write(&said)
					io.Copy(&said, w.Result().Body)
					if first, ok := answers[who]; ok && first != said.String() {
						t.Errorf("%s of type %q with %s, %d bytes:\n%s\nand not\n%s", method, contentType, who, length, &said, first)
					}
					answers[who] = said.String()
				}
			}
			// Nor whether a token was one once.
			if none := answers["no token"]; answers["an unknown one"] != none || answers["a revoked one"] != none {
				t.Errorf("%s of type %q tells tokens apart: %q", method, contentType, answers)
			}
		}
	}
}

// TestForbiddenEventsAreAlike: an event that takes an operator is refused in the
// same words for every account, and the log is not asked about any.
func TestForbiddenEventsAreAlike(t *testing.T) {
	f := newFake(2)
	f.submit = accepted
	g := guard(t, f, server.New)
	var first []answer.Outcome
	for _, account := range []byte{0, 1, 0xff} {
		for _, length := range []int{1, 60, 355} {
			e := append([]byte{6}, bytes.Repeat([]byte{account}, length-1)...)
			outcomes, err := g.client(t, credential.Write).Submit(t.Context(), [][]byte{e}, answer.Want{Receipt: true})
			if err != nil || outcomes[0].Refused == nil {
				t.Fatal(outcomes, err)
			}
			if first == nil {
				first = outcomes
			}
			if !reflect.DeepEqual(outcomes, first) {
				t.Errorf("%v and not %v", outcomes[0].Refused, first[0].Refused)
			}
		}
	}
	f.with(func() {
		if len(f.received) != 0 {
			t.Errorf("the log was asked about %d events", len(f.received))
		}
	})
}
