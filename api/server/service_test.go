package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/api/v1/musterv1connect"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
)

const service = "/muster.v1.MusterService/"

func TestSubmitOutcomes(t *testing.T) {
	for _, asked := range []answer.Want{{}, {Receipt: true}, {Wait: answer.WaitDurable}} {
		t.Run(fmt.Sprintf("%+v", asked), func(t *testing.T) {
			f := newFake(2)
			events := [][]byte{{1}, {}, bytes.Repeat([]byte{2}, 2000), {3, 4}, {5}}
			got, err := dial(t, serve(t, f)).Submit(t.Context(), events, asked)
			if err != nil {
				t.Fatal(err)
			}
			var received [][]byte
			f.with(func() { received = f.received })
			if len(received) != len(events) {
				t.Fatalf("%d events arrived, want %d", len(received), len(events))
			}
			for i := range events {
				if !bytes.Equal(received[i], events[i]) {
					t.Errorf("event %d arrived as %x", i, received[i])
				}
			}
			want := mixed(len(events), asked)
			for i := range want {
				if (got[i].Err == nil) != (want[i].Err == nil) || got[i].Err != nil && got[i].Err.Error() != want[i].Err.Error() {
					t.Errorf("outcome %d: error %v, want %v", i, got[i].Err, want[i].Err)
				}
				got[i].Err, want[i].Err = nil, nil
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Errorf("outcome %d: %+v, want %+v", i, got[i], want[i])
				}
			}
			var refused *event.Error = got[1].Refused
			if refused == nil || refused.Rule != event.RuleSignature || refused.Role != event.Subject {
				t.Errorf("refusal came back as %+v", refused)
			}
		})
	}
}

// A promise is no answer to who waits for the log, and nobody waits in a way
// that this server does not know.
func TestSubmitWaits(t *testing.T) {
	f := newFake(2)
	f.submit = func([][]byte, answer.Want) []answer.Outcome {
		return []answer.Outcome{{Promised: true, Receipt: []byte("promise")}}
	}
	url := serve(t, f)
	if o, err := dial(t, url).Submit(t.Context(), [][]byte{{1}}, answer.Want{}); err == nil {
		t.Errorf("a promise was taken for a logged event: %+v", o)
	}
	raw := musterv1connect.NewMusterServiceClient(http.DefaultClient, url)
	_, err := raw.Submit(t.Context(), &musterv1.SubmitRequest{Events: [][]byte{{1}}, Wait: 2})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("wait 2: %v, want invalid_argument", err)
	}
}

func TestSubmitCounts(t *testing.T) {
	f := newFake(2)
	raw := musterv1connect.NewMusterServiceClient(http.DefaultClient, serve(t, f))
	for _, c := range []struct {
		events int
		code   connect.Code // 0: good
	}{{0, connect.CodeInvalidArgument}, {1, 0}, {1000, 0}, {1001, connect.CodeInvalidArgument}} {
		t.Run(fmt.Sprint(c.events), func(t *testing.T) {
			r, err := raw.Submit(t.Context(), &musterv1.SubmitRequest{Events: make([][]byte, c.events)})
			switch {
			case c.code == 0 && err != nil:
				t.Fatal(err)
			case c.code == 0 && len(r.GetResults()) != c.events:
				t.Errorf("%d results, want %d", len(r.GetResults()), c.events)
			case c.code != 0 && (err == nil || connect.CodeOf(err) != c.code):
				t.Errorf("got %v, want %v", err, c.code)
			}
		})
	}
	t.Run("the backend loses one", func(t *testing.T) {
		f.with(func() {
			f.submit = func(events [][]byte, _ answer.Want) []answer.Outcome { return mixed(len(events)-1, answer.Want{}) }
		})
		_, err := raw.Submit(t.Context(), &musterv1.SubmitRequest{Events: make([][]byte, 3)})
		if err == nil || connect.CodeOf(err) != connect.CodeInternal {
			t.Errorf("got %v, want internal", err)
		}
	})
}

// TestProtocols asks the one port in every language it should speak.
func TestProtocols(t *testing.T) {
	url := serve(t, newFake(2))
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	over2 := &http.Client{Transport: &http.Transport{Protocols: h2c}}
	over1 := &http.Client{Transport: new(http.Transport)}
	t.Cleanup(over2.CloseIdleConnections)
	t.Cleanup(over1.CloseIdleConnections)
	for _, c := range []struct {
		name    string
		client  *http.Client
		options []connect.ClientOption
	}{
		{"connect over HTTP/1.1", over1, nil},
		{"connect over HTTP/2", over2, nil},
		{"connect with JSON", over1, []connect.ClientOption{connect.WithProtoJSON()}},
		{"connect with GET", over1, []connect.ClientOption{connect.WithHTTPGet()}},
		{"gRPC over HTTP/2 without TLS", over2, []connect.ClientOption{connect.WithGRPC()}},
		{"gRPC-Web over HTTP/1.1", over1, []connect.ClientOption{connect.WithGRPCWeb()}},
		{"gRPC-Web over HTTP/2", over2, []connect.ClientOption{connect.WithGRPCWeb()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := musterv1connect.NewMusterServiceClient(c.client, url, c.options...)
			info, err := m.Info(t.Context(), &musterv1.InfoRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if info.GetSize() != 1<<60 || info.GetEpoch() != 41 || info.GetEpochIntervalMs() != 1000 || info.GetHeartbeatMs() != 60000 ||
				info.GetMaxDevices() != 16 || info.GetOrigin() != "keys.example.org/log1" || info.GetServerVersion() != "test" || info.GetReadOnly() != "its store is damaged" ||
				!bytes.Equal(info.GetGenesis(), []byte{0, 0, 1}) || !strings.HasSuffix(info.GetLogVkey(), "+AAAA") {
				t.Errorf("info came as %v", info)
			}
			looked, err := m.Lookup(t.Context(), &musterv1.LookupRequest{Request: []byte("me")})
			if err != nil {
				t.Fatal(err)
			}
			if string(looked.GetAnswer()) != "answer to me" {
				t.Errorf("answer came as %q", looked.GetAnswer())
			}
			_, err = m.Submit(t.Context(), &musterv1.SubmitRequest{})
			if err == nil || connect.CodeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("submitting nothing: %v, want invalid_argument", err)
			}
		})
	}
}

// TestPlainPost is what a person does with curl.
func TestPlainPost(t *testing.T) {
	url := serve(t, newFake(2))
	b64 := base64.StdEncoding.EncodeToString
	big := `{"request":"` + b64(make([]byte, musterv1.MaxRequest)) + `"}`
	events := func(n, size int) string {
		list := strings.Repeat(`"`+b64(make([]byte, size))+`",`, n)
		return `{"events":[` + strings.TrimSuffix(list, ",") + `]}`
	}
	for _, c := range []struct {
		name, method, body string
		status             int
		want               string
	}{
		{"info", "Info", `{}`, 200, `"size":"1152921504606846976"`},
		{"lookup", "Lookup", `{"request":"` + b64([]byte("x")) + `"}`, 200, `"answer":"` + b64([]byte("answer to x")) + `"`},
		{"submit", "Submit", `{"events":["AQ==","Ag=="],"receipts":true}`, 200, `"refused":{"rule":"bad-signature","role":1,"message":`},
		{"submit the most", "Submit", events(1000, 1024), 200, `"accepted"`},
		{"submit nothing", "Submit", `{}`, 400, `"code":"invalid_argument"`},
		{"no JSON", "Info", `{`, 400, `"code":"invalid_argument"`},
		{"no base64", "Lookup", `{"request":"%"}`, 400, `"code":"invalid_argument"`},
		{"too big", "Lookup", big, 429, `"code":"resource_exhausted"`},
		{"unknown method", "Delete", `{}`, 404, ""},
		{"no method", "", `{}`, 404, ""},
		{"method in other letters", "info", `{}`, 404, ""},
		{"something behind the method", "Info/", `{}`, 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.Post(url+service+c.method, "application/json", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			squeezed := strings.ReplaceAll(string(body), " ", "")
			if r.StatusCode != c.status || !strings.Contains(squeezed, strings.ReplaceAll(c.want, " ", "")) {
				t.Errorf("%d %.300s, want %d with %s", r.StatusCode, body, c.status, c.want)
			}
			if got := r.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q, want no-store", got)
			}
		})
	}
}

// TestLargestRequest: the limit counts the message, in every protocol.
func TestLargestRequest(t *testing.T) {
	url := serve(t, newFake(2))
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	over2 := &http.Client{Transport: &http.Transport{Protocols: h2c}}
	t.Cleanup(over2.CloseIdleConnections)
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			m := musterv1connect.NewMusterServiceClient(over2, url, options...)
			request := make([]byte, musterv1.MaxRequest-4) // a tag and three bytes of length stand before it
			if _, err := m.Lookup(t.Context(), &musterv1.LookupRequest{Request: request}); err != nil {
				t.Errorf("the largest: %v", err)
			}
			request = append(request, 0)
			_, err := m.Lookup(t.Context(), &musterv1.LookupRequest{Request: request})
			if err == nil || connect.CodeOf(err) != connect.CodeResourceExhausted {
				t.Errorf("a byte more: %v, want resource_exhausted", err)
			}
		})
	}
}

func TestCompressedIsRefused(t *testing.T) {
	url := serve(t, newFake(2))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(`{}`))
	z.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+service+"Info", &packed)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Encoding", "gzip")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode == http.StatusOK {
		t.Error("a compressed request was read")
	}
}

// endless is a body that never ends by itself; it counts what was taken.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.taken.Add(int64(len(p)))
	return len(p), nil
}

func TestEndlessBodyIsCut(t *testing.T) {
	url := serve(t, newFake(2))
	body := new(endless)
	response, err := http.Post(url+service+"Lookup", "application/proto", io.LimitReader(body, 1<<32))
	if err == nil {
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			t.Error("an endless request was answered")
		}
	}
	if n := body.taken.Load(); n > 32<<20 {
		t.Errorf("the server took %d bytes", n)
	}
}

func TestLookupErrors(t *testing.T) {
	secret := errors.New("pebble: /var/lib/muster: account 0102 is unreadable")
	f := newFake(2)
	c := dial(t, serve(t, f))
	for _, test := range []struct {
		name string
		err  error
		code connect.Code
		says string
	}{
		{"malformed", fmt.Errorf("%w: an account is cut short", answer.ErrRequest), connect.CodeInvalidArgument, "an account is cut short"},
		{"behind", fmt.Errorf("%w: size 5, the client has 9", answer.ErrBehind), connect.CodeUnavailable, "the client has 9"},
		{"deadline", context.DeadlineExceeded, connect.CodeInternal, "operator"},
		{"fault", secret, connect.CodeInternal, "operator"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.with(func() {
				f.lookup = func(context.Context, []byte) ([]byte, error) { return nil, test.err }
			})
			_, err := c.Lookup(t.Context(), []byte("x"))
			if err == nil || connect.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %v with %q", err, test.code, test.says)
			}
			if err != nil && strings.Contains(err.Error(), "pebble") {
				t.Errorf("the cause was told to the caller: %v", err)
			}
		})
	}
}

// TestCallEnds: the backend is told when nobody waits any more, and in any case
// after some time.
func TestCallEnds(t *testing.T) {
	f := newFake(2)
	began, ended := make(chan bool, 1), make(chan error, 1)
	f.lookup = func(ctx context.Context, _ []byte) ([]byte, error) {
		_, ends := ctx.Deadline()
		began <- ends
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := dial(t, serve(t, f))
	go func() {
		if !<-began {
			t.Error("the backend got a call without a deadline")
		}
		cancel()
	}()
	if _, err := c.Lookup(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the backend got %v, want canceled", err)
	}
}

func TestPanicCostsOneRequest(t *testing.T) {
	f := newFake(300)
	f.submit = func([][]byte, answer.Want) []answer.Outcome { panic("a secret in a panic") }
	f.lookup = func(context.Context, []byte) ([]byte, error) { panic("a secret in a panic") }
	f.spoil = func([]byte) []byte { panic("a secret in a panic") }
	url := serve(t, f)
	c := dial(t, url)
	_, submitted := c.Submit(t.Context(), [][]byte{{1}}, answer.Want{})
	_, looked := c.Lookup(t.Context(), nil)
	for _, err := range []error{submitted, looked} {
		if err == nil || connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want internal without its cause", err)
		}
	}
	for _, path := range []string{"/tile/0/000", "/tile/entries/000.p/3"} {
		response, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != 500 || response.Header.Get("Cache-Control") != "no-store" || strings.Contains(string(body), "secret") {
			t.Errorf("%s: %d %s %q", path, response.StatusCode, body, response.Header)
		}
	}
	if _, err := c.Info(t.Context()); err != nil {
		t.Errorf("after the panics: %v", err)
	}
}
