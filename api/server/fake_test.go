package server_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// fake is a log in memory: random leaves, hashed by hand, and answers that a
// test puts in.
type fake struct {
	leaves [][]byte
	levels [][][32]byte // levels[l][i]: the root over the full 256^l leaves from i·256^l on
	note   []byte

	mu       sync.Mutex // guards what follows, which a test changes and reads while the server runs
	submit   func(events [][]byte, want answer.Want) []answer.Outcome
	admit    func(events [][]byte) server.Batch
	lookup   func(ctx context.Context, request []byte) ([]byte, error)
	spoil    func([]byte) []byte // of tiles and entries
	fault    error               // of tiles and entries
	received [][]byte            // events of the last Submit
	tile     string              // arguments of the last Tile
}

// with changes or reads what mu guards.
func (f *fake) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func newFake(size int) *fake {
	random := rand.New(rand.NewPCG(1, uint64(size)))
	f := &fake{note: []byte("keys.example.org/log1\n2\nroot\n\n— a signature\n")}
	var hashes [][32]byte
	for range size {
		leaf := make([]byte, random.IntN(120))
		for i := range leaf {
			leaf[i] = byte(random.Uint32())
		}
		f.leaves = append(f.leaves, leaf)
		hashes = append(hashes, sha256.Sum256(append([]byte{0}, leaf...))) // RFC 6962: H(00 || leaf)
	}
	for len(hashes) > 0 {
		f.levels = append(f.levels, hashes)
		for range 8 {
			hashes = pairs(hashes)
		}
	}
	return f
}

// pairs hashes neighbours, RFC 6962: H(01 || left || right); a last one without
// neighbour belongs to no full node.
func pairs(hashes [][32]byte) (up [][32]byte) {
	for i := 0; i+1 < len(hashes); i += 2 {
		node := append([]byte{1}, hashes[i][:]...)
		up = append(up, sha256.Sum256(append(node, hashes[i+1][:]...)))
	}
	return up
}

func (f *fake) Submit(_ context.Context, events [][]byte, want answer.Want) []answer.Outcome {
	submit := mixedFor
	f.with(func() {
		f.received = events
		if f.submit != nil {
			submit = f.submit
		}
	})
	return submit(events, want)
}

// Admit answers at once as Submit does, unless a test says otherwise.
func (f *fake) Admit(events [][]byte) server.Batch {
	var admit func([][]byte) server.Batch
	f.with(func() { admit = f.admit })
	if admit != nil {
		return admit(events)
	}
	return server.Settled(f.Submit(context.Background(), events, answer.Want{}))
}

func mixedFor(events [][]byte, want answer.Want) []answer.Outcome {
	return mixed(len(events), want)
}

// mixed is every kind of outcome in turn.
func mixed(n int, want answer.Want) []answer.Outcome {
	out := make([]answer.Outcome, n)
	for i := range out {
		switch i % 4 {
		case 0:
			out[i] = answer.Outcome{Seq: uint32(i), Position: 1<<62 + uint64(i), Event: name.EventID{1, byte(i)}}
			if want.Wait == answer.WaitDurable {
				out[i].Promised, out[i].Position = true, 0
			}
			if want.Receipt || out[i].Promised {
				out[i].Receipt = fmt.Appendf(nil, "receipt %d", i)
			}
		case 1:
			out[i] = answer.Outcome{Refused: &event.Error{Rule: event.RuleSignature, Role: event.Subject, Detail: "want the device's signature"}}
		case 2:
			out[i] = answer.Outcome{Refused: &event.Error{Rule: event.RuleTaken, Detail: "seq 3 is taken: sign the next one", Head: []byte{7, 0, 9}}}
		case 3:
			out[i] = answer.Outcome{Err: answer.Unavailable("too many events are waiting")}
		}
	}
	return out
}

func (f *fake) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	var lookup func(context.Context, []byte) ([]byte, error)
	f.with(func() { lookup = f.lookup })
	if lookup != nil {
		return lookup(ctx, request)
	}
	return append([]byte("answer to "), request...), nil
}

func (f *fake) Info() server.Info {
	return server.Info{
		Origin: "keys.example.org/log1", LogKey: "keys.example.org/log1+00000000+AAAA", Genesis: []byte{0, 0, 1},
		Size: 1 << 60, Epoch: 41, EpochInterval: time.Second, Heartbeat: time.Minute, MaxDevices: 16, Version: "test", ReadOnly: "its store is damaged",
	}
}

func (f *fake) Checkpoint() []byte { return f.note }

func (f *fake) Tile(_ context.Context, level int, n uint64, width int) ([]byte, error) {
	f.with(func() { f.tile = fmt.Sprint(level, n, width) })
	if level >= len(f.levels) || n*tile.Full+uint64(width) > uint64(len(f.levels[level])) {
		return nil, server.ErrNotFound
	}
	var data []byte
	for _, h := range f.levels[level][n*tile.Full:][:width] {
		data = append(data, h[:]...)
	}
	return f.spoiled(data)
}

func (f *fake) Entries(_ context.Context, n uint64, width int) ([]byte, error) {
	if n*tile.Full+uint64(width) > uint64(len(f.leaves)) {
		return nil, fmt.Errorf("entries: %w", server.ErrNotFound)
	}
	var data []byte
	for _, leaf := range f.leaves[n*tile.Full:][:width] {
		data = tile.AppendEntry(data, leaf)
	}
	return f.spoiled(data)
}

func (f *fake) spoiled(data []byte) ([]byte, error) {
	var spoil func([]byte) []byte
	var fault error
	f.with(func() { spoil, fault = f.spoil, f.fault })
	if spoil != nil {
		data = spoil(data)
	}
	return data, fault
}

// serve runs the real server over f on loopback and returns its base URL.
func serve(t *testing.T, f *fake) string {
	t.Helper()
	return serveWith(t, f, server.New)
}

func serveWith(t *testing.T, f *fake, handler func(server.Config) (http.Handler, error)) string {
	t.Helper()
	url, _ := serveServer(t, f, handler)
	return url
}

func serveServer(t *testing.T, f *fake, handler func(server.Config) (http.Handler, error)) (string, *http.Server) {
	t.Helper()
	h, err := handler(server.Config{Backend: f, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.Server(h)
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("the server ended: %v", err)
		}
	})
	return "http://" + listener.Addr().String(), s
}

func dial(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url, HTTP: new(http.Client)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
