package follow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/api/tile"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/witness/follow"
	"github.com/musterlog/muster/witness/follow/followtest"
)

const origin = name.Origin("keys.example.org/log1")

var sizes = []uint64{1, 2, 3, 255, 256, 257, 511, 512, 1000, 65535, 65536, 65537, 66000, 131072 + 300}

func files(n uint64) *followtest.Files {
	f := followtest.New(origin)
	for i := range n {
		f.Append(fmt.Appendf(nil, "leaf %d", i))
	}
	return f
}

func at(f *followtest.Files, size uint64) checkpoint.Checkpoint {
	return checkpoint.Checkpoint{Origin: origin, Size: size, Root: f.Root(size)}
}

func readAll(s follow.Source, cp checkpoint.Checkpoint, from uint64) (leaves [][]byte, err error) {
	next := from
	for l, err := range follow.Leaves(context.Background(), s, cp, from) {
		if err != nil {
			return leaves, err
		}
		if l.Position != next {
			return leaves, fmt.Errorf("position %d, want %d", l.Position, next)
		}
		next++
		leaves = append(leaves, l.Bytes)
	}
	return leaves, nil
}

// counter counts what is fetched, and may change it.
type counter struct {
	follow.Source
	mu     sync.Mutex
	names  []string
	sizes  []int
	bytes  int
	change func(name string, data []byte) ([]byte, error)
}

func (c *counter) got(name string, data []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names, c.sizes, c.bytes = append(c.names, name), append(c.sizes, len(data)), c.bytes+len(data)
	if c.change != nil {
		return c.change(name, bytes.Clone(data))
	}
	return data, nil
}

func (c *counter) Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error) {
	data, err := c.Source.Tile(ctx, level, n, width)
	return c.got(tile.Path{Level: level, N: n, Width: width}.String(), data, err)
}

func (c *counter) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	data, err := c.Source.Entries(ctx, n, width)
	return c.got(tile.Path{Entries: true, N: n, Width: width}.String(), data, err)
}

func TestLeaves(t *testing.T) {
	f := files(sizes[len(sizes)-1])
	for _, size := range sizes {
		for _, from := range []uint64{0, 1, 255, 256, size / 2, size - 1, size} {
			if from > size {
				continue
			}
			got, err := readAll(f, at(f, size), from)
			if err != nil || uint64(len(got)) != size-from {
				t.Fatalf("size %d from %d: %d leaves, %v", size, from, len(got), err)
			}
			for i, data := range got {
				if want := f.Leaf(from + uint64(i)); !bytes.Equal(data, want) {
					t.Fatalf("size %d: leaf %d is %q", size, from+uint64(i), data)
				}
			}
		}
	}
}

// TestPaths holds paths and consistency proofs against another implementation.
func TestPaths(t *testing.T) {
	f := files(sizes[len(sizes)-1])
	ctx := context.Background()
	for _, size := range sizes {
		cp := at(f, size)
		tree, err := follow.Open(ctx, f, cp)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []uint64{0, 1, 2, 254, 255, 256, 300, size / 3, size / 2, size - 1} {
			if p >= size {
				continue
			}
			path, err := tree.Path(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			h := leaf.HashOf(f.Leaf(p))
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p, size, h[:], raw(path), cp.Root[:]); err != nil {
				t.Errorf("path of %d in %d: %v", p, size, err)
			}
			if data, err := tree.Leaf(ctx, p); err != nil || !bytes.Equal(data, f.Leaf(p)) {
				t.Errorf("leaf %d of %d: %q, %v", p, size, data, err)
			}
			old, err := tree.RootAt(ctx, p+1)
			if err != nil || old != f.Root(p+1) {
				t.Fatalf("root at %d of %d: %v", p+1, size, err)
			}
			c, err := tree.Consistency(ctx, p+1)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, p+1, size, raw(c), old[:], cp.Root[:]); err != nil {
				t.Errorf("consistency of %d with %d: %v", p+1, size, err)
			}
		}
		if _, err := tree.Path(ctx, size); err == nil {
			t.Errorf("a path of leaf %d in a tree of as many", size)
		}
		if _, err := tree.RootAt(ctx, size+1); err == nil {
			t.Errorf("a root at %d in a tree of %d", size+1, size)
		}
	}
}

func raw(hashes []leaf.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

// TestEveryByteMatters flips each byte of each file that is fetched, adds one,
// takes one: no read succeeds, and none gives a leaf that is not the log's.
func TestEveryByteMatters(t *testing.T) {
	f := files(66000)
	for _, c := range []struct {
		size uint64
		step int
	}{{2, 1}, {300, 7}, {513, 13}, {66000, 1999}} {
		cp := at(f, c.size)
		honest := &counter{Source: f}
		if _, err := readAll(honest, cp, 0); err != nil {
			t.Fatal(err)
		}
		tried := 0
		for i, file := range honest.names {
			if c.size == 66000 && i > 6 && i%50 != 0 {
				continue // of 257 bundles, some
			}
			for b := -2; b < honest.sizes[i]; b += 1 + min(b+2, 1)*(c.step-1) {
				evil := &counter{Source: f, change: func(name string, data []byte) ([]byte, error) {
					switch {
					case name != file:
					case b == -2:
						return append(data, 0), nil
					case b == -1:
						return data[:len(data)-1], nil
					default:
						data[b] ^= 1 << (b % 8)
					}
					return data, nil
				}}
				got, err := readAll(evil, cp, 0)
				if err == nil {
					t.Fatalf("size %d: %s with byte %d changed was believed", c.size, file, b)
				}
				for p, data := range got {
					if !bytes.Equal(data, f.Leaf(uint64(p))) {
						t.Fatalf("size %d: %s with byte %d changed gave another leaf %d", c.size, file, b, p)
					}
				}
				tried++
			}
		}
		t.Logf("size %d: %d changes of %d files refused", c.size, tried, len(honest.names))
	}
}

// TestSizeIsBound: the files of one size never pass for another, with any root.
func TestSizeIsBound(t *testing.T) {
	f := files(600)
	for size := uint64(1); size <= 520; size += 3 {
		for _, other := range []uint64{size - 1, size + 1, size * 2, size + 256} {
			if other == 0 || other > f.Size() {
				continue
			}
			cp := at(f, size)
			cp.Size = other
			if _, err := follow.Open(context.Background(), f, cp); !errors.Is(err, follow.ErrForged) {
				t.Errorf("the root of size %d passes for size %d: %v", size, other, err)
			}
		}
	}
	for _, size := range []uint64{0, 1 << 63} {
		if _, err := follow.Open(context.Background(), f, checkpoint.Checkpoint{Origin: origin, Size: size}); err == nil {
			t.Errorf("a tree of %d leaves was read", size)
		}
	}
}

// grown serves full files only where the checkpoint's own are partial.
type grown struct{ *followtest.Files }

func (g grown) Tile(ctx context.Context, level int, n uint64, width int) ([]byte, error) {
	if width < tile.Full && (n+1)<<(8*(level+1)) <= g.Size() {
		return nil, client.ErrNotFound
	}
	return g.Files.Tile(ctx, level, n, width)
}

func (g grown) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	if width < tile.Full && (n+1)*tile.Full <= g.Size() {
		return nil, client.ErrNotFound
	}
	return g.Files.Entries(ctx, n, width)
}

func TestPartialFilesThatTheLogDropped(t *testing.T) {
	f := files(1024)
	for _, size := range []uint64{2, 255, 257, 700, 1000} {
		if got, err := readAll(grown{f}, at(f, size), 0); err != nil || uint64(len(got)) != size {
			t.Errorf("size %d: %d leaves, %v", size, len(got), err)
		}
	}
}

// TestCost: an EVENT costs its 67 bytes and little more, through real HTTP.
func TestCost(t *testing.T) {
	const n = 131072 + 300
	f := followtest.New(origin)
	for i := range uint64(n) {
		f.Append((&leaf.Event{Index: name.Index{byte(i), byte(i >> 8), byte(i >> 16)}}).Bytes())
	}
	handler, err := server.New(server.Config{Backend: f.Backend()})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	defer s.Close()
	c, err := client.New(client.Config{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	count := &counter{Source: c}
	got, err := readAll(count, at(f, n), 0)
	if err != nil || len(got) != n {
		t.Fatalf("%d leaves: %v", len(got), err)
	}
	perEvent := float64(count.bytes) / n
	t.Logf("%d events: %d files, %.2f bytes an event", n, len(count.names), perEvent)
	if perEvent > 67.2 {
		t.Errorf("%.2f bytes an event, want at most 67.2", perEvent)
	}
}

// TestNothingIsLeftRunning: a loop that is left early, and one whose context
// ends, leave no fetch behind.
func TestNothingIsLeftRunning(t *testing.T) {
	f := files(5000)
	running := &inFlight{Files: f}
	for range follow.Leaves(context.Background(), running, at(f, 5000), 0) {
		break
	}
	if n := running.now(); n != 0 {
		t.Errorf("%d fetches run after the loop was left", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var last error
	for l, err := range follow.Leaves(ctx, running, at(f, 5000), 0) {
		if l.Position == 700 {
			running.block()
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("a cancelled read ends with %v", last)
	}
	if n := running.now(); n != 0 {
		t.Errorf("%d fetches run after the context ended", n)
	}
	if running.most > 4 {
		t.Errorf("%d fetches at once, want at most 4", running.most)
	}
}

// inFlight counts fetches; once blocked they end with their context only.
type inFlight struct {
	*followtest.Files
	mu      sync.Mutex
	n, most int
	blocked bool
}

func (s *inFlight) block() { s.mu.Lock(); s.blocked = true; s.mu.Unlock() }
func (s *inFlight) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

func (s *inFlight) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	s.mu.Lock()
	s.n++
	s.most = max(s.most, s.n)
	blocked := s.blocked
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.n--; s.mu.Unlock() }()
	if blocked {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Files.Entries(ctx, n, width)
}
