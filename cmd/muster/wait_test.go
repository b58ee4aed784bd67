package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/api/client"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/api/v1/musterv1connect"
	"github.com/musterlog/muster/log/answer"
)

// givesUp is a log that works on a lookup for as long as it may.
type givesUp struct {
	musterv1connect.UnimplementedMusterServiceHandler
}

func (givesUp) Lookup(context.Context, *musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
	return nil, context.DeadlineExceeded
}

// TestTimeLimits: whoever meets a time limit is told which server did not answer,
// in what time, and what to do, and nothing of Go's contexts.
func TestTimeLimits(t *testing.T) {
	hangs, err := net.Listen("tcp", "127.0.0.1:0") // takes no connection
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	_, handler := musterv1connect.NewMusterServiceHandler(givesUp{})
	busy := httptest.NewServer(handler)
	defer busy.Close()
	over, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	ask := func(url string, limit time.Duration) *client.Client {
		c, err := client.New(client.Config{URL: url, HTTP: &http.Client{Timeout: limit}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	silent := "http://" + hangs.Addr().String()
	hasty := ask(silent, time.Nanosecond)
	cosigners, err := client.NewCosigners("test", silent)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		do   func() error
		from string
		want string
	}{
		"a call":                  {func() error { _, err := hasty.Info(t.Context()); return err }, silent, "it had 2m0s, "},
		"events":                  {func() error { _, err := hasty.Submit(t.Context(), [][]byte{{1}}, answer.Want{}); return err }, silent, "it had 2m0s, "},
		"a file":                  {func() error { _, err := hasty.Checkpoint(t.Context()); return err }, silent, "it had 2m0s, "},
		"a call that is late":     {func() error { _, err := ask(silent, 0).Info(over); return err }, silent, "it had 2m0s, "},
		"a person's Ctrl-C":       {func() error { _, err := ask(silent, 0).Info(interrupted); return err }, silent, ": interrupted"},
		"a cosigner":              {func() error { _, err := cosigners[silent].Checkpoint(over, "example.org/log1"); return err }, silent, "it had 2m0s, "},
		"a server that gave up":   {func() error { _, err := ask(busy.URL, 0).Lookup(t.Context(), []byte{1}); return err }, busy.URL, "it gave up "},
		"a fault of another kind": {func() error { return errors.New("of " + silent + ": broken") }, silent, ": broken"},
	} {
		text := plain(c.do())
		for _, word := range []string{"context", "deadline", "Timeout", "net/http"} {
			if strings.Contains(text, word) {
				t.Errorf("%s: %q says %q to a person", what, text, word)
			}
		}
		if !strings.Contains(text, c.from) || !strings.Contains(text, c.want) {
			t.Errorf("%s: %q, want %s and %q in it", what, text, c.from, c.want)
		}
	}
}
