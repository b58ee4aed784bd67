package server_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/log/answer"
)

// TestSubmitFaults: the words of a fault are the operator's. They stand in the
// server's log, once for all events that failed together, and in no answer.
func TestSubmitFaults(t *testing.T) {
	const path = "/var/lib/muster/store/pebble/000004.log"
	outcomes := func(events [][]byte) []answer.Outcome {
		out := make([]answer.Outcome, len(events))
		for i := range out {
			out[i].Err = fmt.Errorf("the epoch could not be sealed: writing %s: no space left on device", path)
		}
		return out
	}
	f := newFake(2)
	f.submit = func(events [][]byte, _ answer.Want) []answer.Outcome {
		out := outcomes(events)
		out[0].Err = fmt.Errorf("%w: come again", answer.Unavailable("too many events are waiting"))
		return out
	}
	f.admit = func(events [][]byte) server.Batch { return server.Settled(outcomes(events)) }
	var logged bytes.Buffer
	url := serveWith(t, f, func(cfg server.Config) (http.Handler, error) {
		cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		return server.New(cfg)
	})
	got, err := dial(t, url).Submit(t.Context(), bodies(4), answer.Want{})
	if err != nil {
		t.Fatal(err)
	}
	if said := got[0].Err; said == nil || said.Error() != "too many events are waiting: come again" {
		t.Errorf("what is for the submitter came back as %v", said)
	}
	for _, o := range got[1:] {
		if o.Err == nil || o.Err.Error() != string(answer.Fault) {
			t.Errorf("the submitter is told %v, want %q", o.Err, answer.Fault)
		}
	}
	if n := strings.Count(logged.String(), path); n != 1 {
		t.Errorf("the server's log names the file %d times, want once:\n%s", n, &logged)
	}
	s := open(t, url)
	sendAll(t, s, bodies(4))
	if _, _, err := drain(s); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), string(answer.Fault)) || strings.Contains(err.Error(), path) {
		t.Errorf("a stream ended with %v, want unavailable without the cause", err)
	}
	if n := strings.Count(logged.String(), path); n != 2 {
		t.Errorf("after the stream the server's log names the file %d times, want twice:\n%s", n, &logged)
	}
}

// TestBodyIsNotQuoted: a token that was sent where it does not belong comes back
// in no answer.
func TestBodyIsNotQuoted(t *testing.T) {
	url, over := serve(t, newFake(2)), h2(t)
	token := credential.NewToken().Reveal()
	for _, body := range []string{token, "Bearer " + token, `"` + token + `"`, `{"events":["Bearer ` + token + `"]}`, `{"events":"` + token + `"}`, `{"events":` + token, `{` + token + `:1}`} {
		for kind, data := range map[string][]byte{
			"application/json": []byte(body), "application/json; charset=utf-8": []byte(body),
			"application/connect+json": message(uint32(len(body)), []byte(body)), "application/grpc-web+json": message(uint32(len(body)), []byte(body)),
		} {
			procedure := "Submit"
			if kind == "application/connect+json" {
				procedure = "SubmitStream"
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+service+procedure, bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", kind)
			response, err := over.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			said, err := httputil.DumpResponse(response, true)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if !strings.Contains(string(said), "are not the JSON of a muster.v1.Submit") && !strings.Contains(string(said), "are%20not%20the%20JSON") {
				t.Errorf("%q as %s: the answer is\n%s", body, kind, said)
			}
			if strings.Contains(string(said), token[:20]) {
				t.Errorf("%q as %s is quoted:\n%s", body, kind, said)
			}
		}
	}
}
