package monitor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A webhook that is away for a while gets everything, in order; printing does
// not wait for it.
func TestWebhookAway(t *testing.T) {
	r := newRig(t)
	var got [][]byte
	away := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		body, _ := io.ReadAll(q.Body)
		if q.Method != http.MethodPost || q.Header.Get("Idempotency-Key") == "" || q.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %v", q.Method, q.Header)
		}
		got = append(got, body)
	}))
	defer s.Close()
	hook, err := NewWebhook(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.hook = hook
	r.logs(r.phone.Register(), r.phone.Add())
	m := r.open()
	alerts, o := r.pass(m)
	want(t, alerts, "registered 0 high ALARM", "device-added 1 high ALARM")
	if said := r.said.String(); o.Waiting != 2 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "waiting=2") {
		t.Errorf("%d wait, said %s", o.Waiting, said)
	}
	m.Close()
	away = false
	r.logs(r.phone.Erase()) // what waited is not lost with it
	alerts, o = r.once()
	want(t, alerts, "erased 2 critical ALARM")
	if o.Waiting != 0 {
		t.Errorf("%d still wait", o.Waiting)
	}
	want(t, parse(t, bytes.Join(got, []byte("\n"))), "registered 0 high ALARM", "device-added 1 high ALARM", "erased 2 critical ALARM")
}

// The back-off doubles, ends, and starts over.
func TestBackOff(t *testing.T) {
	r := newRig(t)
	tries := 0
	r.hook = hookFunc(func() error { tries++; return errors.New("no") })
	r.logs(r.phone.Register())
	m := r.open()
	for range 2 {
		r.pass(m)
	}
	if tries != 1 {
		t.Errorf("%d tries at one instant, want 1", tries)
	}
	for range 20 {
		r.late += maxBackoff
		r.pass(m)
	}
	if tries != 21 || m.backoff != maxBackoff {
		t.Errorf("%d tries, back-off %v", tries, m.backoff)
	}
}

type hookFunc func() error

func (f hookFunc) Post(context.Context, string, []byte) error { return f() }

// A webhook's redirect is an error and is not followed; its answer is not read
// to the end; its URL is not printed.
func TestHostileWebhook(t *testing.T) {
	followed := false
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer inner.Close()
	for _, c := range []struct {
		what   string
		answer http.HandlerFunc
		ok     bool
	}{
		{"redirect", func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, inner.URL, http.StatusTemporaryRedirect)
		}, false},
		{"refuses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, false},
		{"cuts", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		{"endless", func(w http.ResponseWriter, q *http.Request) {
			for q.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, true},
		{"nothing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := httptest.NewServer(c.answer)
			defer s.Close()
			h, err := NewWebhook(s.URL + "/secret")
			if err != nil {
				t.Fatal(err)
			}
			err = h.Post(context.Background(), "id", []byte("{}"))
			if (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("prints its URL: %v", err)
			}
		})
	}
	if followed {
		t.Error("the redirect was followed")
	}
	for _, bad := range []string{"", "ftp://x", "http://", "alerts.example.org", "https://x/#y"} {
		if _, err := NewWebhook(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
