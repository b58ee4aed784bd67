package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/musterlog/muster/api/client"
	musterv1 "github.com/musterlog/muster/api/v1"
	"github.com/musterlog/muster/api/v1/musterv1connect"
)

// streaming is a service whose streams do what a test says.
type streaming struct {
	musterv1connect.UnimplementedMusterServiceHandler
	say []*musterv1.SubmitStreamResponse
}

// SubmitStream takes one chunk and then says what it has to say.
func (s *streaming) SubmitStream(_ context.Context, stream *connect.BidiStream[musterv1.SubmitStreamRequest, musterv1.SubmitStreamResponse]) error {
	if _, err := stream.Receive(); err != nil {
		return err
	}
	for _, m := range s.say {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func streamAgainst(t *testing.T, say ...*musterv1.SubmitStreamResponse) *client.Stream {
	t.Helper()
	_, handler := musterv1connect.NewMusterServiceHandler(&streaming{say: say})
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	c, err := client.New(client.Config{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	if err := stream.Send(make([][]byte, 5)); err != nil {
		t.Fatal(err)
	}
	return stream
}

func refusal(index uint64, role uint32) *musterv1.RefusedEvent {
	return &musterv1.RefusedEvent{Index: index, Refused: &musterv1.Refused{Rule: "seq", Role: role}}
}

// What a server counts is checked before anybody resumes by it.
func TestStreamAnswers(t *testing.T) {
	says := func(answered uint64, refused ...*musterv1.RefusedEvent) *musterv1.SubmitStreamResponse {
		return &musterv1.SubmitStreamResponse{Answered: answered, Refused: refused}
	}
	for i, c := range []struct {
		say  []*musterv1.SubmitStreamResponse
		good int    // so many answers are taken
		want string // of the error that follows; empty: io.EOF
	}{
		{[]*musterv1.SubmitStreamResponse{says(5)}, 1, ""},
		{[]*musterv1.SubmitStreamResponse{says(2, refusal(0, 0), refusal(1, 1)), says(5, refusal(2, 0))}, 2, ""},
		{nil, 0, "answering 0 of 5"},
		{[]*musterv1.SubmitStreamResponse{says(4)}, 1, "answering 4 of 5"},
		{[]*musterv1.SubmitStreamResponse{says(0)}, 0, "0 events answered"},
		{[]*musterv1.SubmitStreamResponse{says(6)}, 0, "6 events answered"},
		{[]*musterv1.SubmitStreamResponse{says(3), says(3)}, 1, "3 events answered"},
		{[]*musterv1.SubmitStreamResponse{says(3), says(2)}, 1, "2 events answered"},
		{[]*musterv1.SubmitStreamResponse{says(3, refusal(3, 0))}, 0, "event 3 is refused"},
		{[]*musterv1.SubmitStreamResponse{says(3), says(5, refusal(2, 0))}, 1, "event 2 is refused"},
		{[]*musterv1.SubmitStreamResponse{says(3, refusal(1, 0), refusal(1, 0))}, 0, "event 1 is refused"},
		{[]*musterv1.SubmitStreamResponse{says(3, refusal(1, 2))}, 0, "role 2"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := streamAgainst(t, c.say...)
			var err error
			for n := 0; ; n++ {
				var a *client.Answered
				if a, err = s.Receive(); err != nil {
					if n != c.good {
						t.Errorf("%d answers were taken, want %d", n, c.good)
					}
					break
				}
				if want := c.say[n]; a.Events != want.Answered || len(a.Refused) != len(want.Refused) {
					t.Errorf("answer %d: %+v", n, a)
				}
			}
			if c.want == "" && !errors.Is(err, io.EOF) || c.want != "" && !strings.Contains(err.Error(), c.want) {
				t.Errorf("ended with %v, want %q", err, c.want)
			}
		})
	}
}

func TestStreamSendCounts(t *testing.T) {
	s := streamAgainst(t)
	for _, n := range []int{0, 1001} {
		if err := s.Send(make([][]byte, n)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%d events in a chunk: %v", n, err)
		}
	}
}

// Nobody there, and somebody who speaks HTTP/1.1 only.
func TestStreamUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	url := s.URL
	for _, c := range []struct{ name, want string }{{"HTTP/1.1 only", url}, {"nobody", "is `muster serve` running?"}} {
		t.Run(c.name, func(t *testing.T) {
			log, err := client.New(client.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			stream, err := log.Stream(t.Context())
			if err == nil {
				defer stream.Close()
				stream.Send(make([][]byte, 1))
				_, err = stream.Receive()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
		s.Close()
	}
}
