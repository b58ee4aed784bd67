package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/musterlog/muster/api/client"
	"github.com/musterlog/muster/api/credential"
	"github.com/musterlog/muster/api/server"
	"github.com/musterlog/muster/api/tile"
)

const immutable = "public, max-age=31536000, immutable"

// send writes a request line as it stands: net/http's client would tidy it.
func send(t *testing.T, url, method, target string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n", method, target)
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return r, body
}

func TestFiles(t *testing.T) {
	f := newFake(70000)
	url := serve(t, f)
	for _, c := range []struct {
		path, contentType, cache string
		size                     int // -1: any
	}{
		{"/checkpoint", "text/plain; charset=utf-8", "public, max-age=1", len(f.note)},
		{"/tile/0/000", "application/octet-stream", immutable, 8192},
		{"/tile/0/272", "application/octet-stream", immutable, 8192},
		{"/tile/0/000.p/1", "application/octet-stream", immutable, 32}, // the full one exists
		{"/tile/0/000.p/255", "application/octet-stream", immutable, 255 * 32},
		{"/tile/0/273.p/112", "application/octet-stream", immutable, 112 * 32},
		{"/tile/1/000", "application/octet-stream", immutable, 8192},
		{"/tile/1/001.p/17", "application/octet-stream", immutable, 17 * 32},
		{"/tile/2/000.p/1", "application/octet-stream", immutable, 32},
		{"/tile/entries/000", "application/octet-stream", immutable, -1},
		{"/tile/entries/000.p/7", "application/octet-stream", immutable, -1},
		{"/tile/entries/273.p/112", "application/octet-stream", immutable, -1},
	} {
		t.Run(c.path, func(t *testing.T) {
			got, body := send(t, url, "GET", c.path)
			head, none := send(t, url, "HEAD", c.path)
			if got.StatusCode != 200 || head.StatusCode != 200 {
				t.Fatalf("GET %d, HEAD %d, want 200", got.StatusCode, head.StatusCode)
			}
			if len(body) == 0 || c.size >= 0 && len(body) != c.size {
				t.Errorf("%d bytes, want %d", len(body), c.size)
			}
			if len(none) > 0 {
				t.Errorf("HEAD came with %d bytes", len(none))
			}
			for name, want := range map[string]string{
				"Content-Type":           c.contentType,
				"Cache-Control":          c.cache,
				"Content-Length":         strconv.Itoa(len(body)),
				"X-Content-Type-Options": "nosniff",
			} {
				if got.Header.Get(name) != want || head.Header.Get(name) != want {
					t.Errorf("%s: GET %q, HEAD %q, want %q", name, got.Header.Get(name), head.Header.Get(name), want)
				}
			}
			for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "QUERY"} {
				r, _ := send(t, url, method, c.path)
				if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" || r.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %d %v, want 405", method, r.StatusCode, r.Header)
				}
			}
		})
	}
}

func TestBackendIsAskedForWhatThePathSays(t *testing.T) {
	f := newFake(2)
	url := serve(t, f)
	asked := func() (last string) {
		f.with(func() { last, f.tile = f.tile, "" })
		return last
	}
	for path, want := range map[string]string{
		"/tile/7/x001/x234/067.p/8":            "7 1234067 8",
		"/tile/0/x036/x028/x797/x018/x963/967": "0 36028797018963967 256",
	} {
		if r, _ := send(t, url, "GET", path); r.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", path, r.StatusCode)
		}
		if got := asked(); got != want {
			t.Errorf("%s asked for %s, want %s", path, got, want)
		}
	}
	for _, path := range []string{"/tile/8/000", "/tile/63/000.p/1"} {
		send(t, url, "GET", path)
		if got := asked(); got != "" {
			t.Errorf("%s asked for %s, a level that no tree has", path, got)
		}
	}
}

// TestBadPaths: every other spelling is no file. Not a redirect, not a listing,
// and nothing that a cache may keep.
func TestBadPaths(t *testing.T) {
	url := serve(t, newFake(70000))
	bad := map[string]int{ // status where it is not 404
		"/tile/0/%zz": 400, "tile/0/000": 400, "/tile/0/000%": 400,
	}
	for _, path := range []string{
		// no file of a log
		"/", "//", "/tile", "/tile/", "/tile/0", "/tile/0/", "/tile/entries", "/tile/entries/", "/index.html", "/favicon.ico",
		"/latest", "/lookup/x", "/robots.txt", "/muster.v1.MusterService",
		// checkpoint
		"/checkpoint/", "//checkpoint", "/Checkpoint", "/checkpoint.txt", "/checkpoint%00", "/checkpoint?", "/checkpoint?x=1",
		"/./checkpoint", "/tile/../checkpoint", "/%63heckpoint", "/checkpoint;x",
		// levels
		"/tile/00/000", "/tile/01/000", "/tile/64/000", "/tile/-1/000", "/tile/+1/000", "/tile/1e0/000", "/tile/%30/000",
		"/tile/99999999999999999999/000", "/tile//000", "/tile/8/000", "/tile/63/000", "/tile/a/000",
		// numbers
		"/tile/0/0", "/tile/0/00", "/tile/0/0000", "/tile/0/1", "/tile/0/x000/000", "/tile/0/x000/x000/001", "/tile/0/001/067",
		"/tile/0/x1/067", "/tile/0/x001067", "/tile/0/x001x067", "/tile/0/x001", "/tile/0/x001/x067", "/tile/0/X001/067",
		"/tile/0/x001/67", "/tile/0/x0001/067", "/tile/0/0x1", "/tile/0/-01", "/tile/0/+01", "/tile/0/000/", "/tile/0//000",
		"//tile/0/000", "/tile/0/./000", "/tile/0/../0/000", "/tile/0/%30%30%30", "/tile%2f0/000", "/tile/0/000%20", "/tile/0/0_0",
		"/tile/0/x036/x028/x797/x018/x963/968", "/tile/0/x018/x446/x744/x073/x709/x551/616",
		"/tile/0/" + strings.Repeat("x001/", 1000) + "000",
		// widths
		"/tile/0/000.p/0", "/tile/0/000.p/00", "/tile/0/000.p/256", "/tile/0/000.p/257", "/tile/0/000.p/01", "/tile/0/000.p/-1",
		"/tile/0/000.p/+1", "/tile/0/000.p/", "/tile/0/000.p", "/tile/0/000.p/1/", "/tile/0/000.P/1", "/tile/0/000.p1",
		"/tile/0/000.p/1.p/1", "/tile/0/000p/1", "/tile/0/000%2ep/1", "/tile/0/000.p%2f1", "/tile/0/000.p/1?", "/tile/0/000?x=1",
		// entries, and paths of other logs' kinds
		"/tile/entries/0/000", "/tile/entries/0", "/tile/Entries/000", "/tile/entries/000.p/256", "/tile/entries/000.p/0",
		"/tile/data/000", "/tile/names/000", "/tile/8/0/000", "/tile/8/data/000", "/issuer/00", "/tile/entries/000.json",
		// well formed, but the log is not that long
		"/tile/0/273", "/tile/0/273.p/113", "/tile/0/274.p/1", "/tile/1/001", "/tile/1/001.p/18", "/tile/2/000", "/tile/2/000.p/2",
		"/tile/3/000.p/1", "/tile/entries/273", "/tile/entries/273.p/113", "/tile/entries/x036/x028/x797/x018/x963/967",
	} {
		bad[path] = 404
	}
	for path, status := range bad {
		r, body := send(t, url, "GET", path)
		if r.StatusCode != status {
			t.Errorf("%.80s: %d %.80q, want %d", path, r.StatusCode, body, status)
		}
		if r.Header.Get("Location") != "" {
			t.Errorf("%.80s: redirects to %s", path, r.Header.Get("Location"))
		}
		if status == 404 && (r.Header.Get("Cache-Control") != "no-store" || len(r.Header.Values("Cache-Control")) != 1) {
			t.Errorf("%.80s: Cache-Control %q, want no-store", path, r.Header.Values("Cache-Control"))
		}
		if len(body) > 100 {
			t.Errorf("%.80s: an error of %d bytes", path, len(body))
		}
	}
}

func TestBeforeTheFirstCheckpoint(t *testing.T) {
	f := newFake(2)
	f.note = nil
	r, _ := send(t, serve(t, f), "GET", "/checkpoint")
	if r.StatusCode != 404 || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v, want an uncached 404", r.StatusCode, r.Header)
	}
}

// TestSpoiledFilesStayInside: what cannot be the file must not reach a cache
// that keeps it for a year.
func TestSpoiledFilesStayInside(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"empty": func([]byte) []byte { return nil },
		"short": func(b []byte) []byte { return b[:len(b)-1] },
		"long":  func(b []byte) []byte { return append(b, 0) },
		"half":  func(b []byte) []byte { return b[:len(b)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(300)
			f.spoil = spoil
			url := serve(t, f)
			for _, path := range []string{"/tile/0/000", "/tile/0/000.p/8", "/tile/entries/000", "/tile/entries/000.p/8"} {
				r, _ := send(t, url, "GET", path)
				if r.StatusCode != 500 || r.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %d %v, want an uncached 500", path, r.StatusCode, r.Header)
				}
			}
		})
	}
}

func TestFaultIsNotTold(t *testing.T) {
	f := newFake(300)
	f.fault = errors.New("pebble: /var/lib/muster is gone")
	r, body := send(t, serve(t, f), "GET", "/tile/0/000")
	if r.StatusCode != 500 || r.Header.Get("Cache-Control") != "no-store" || bytes.Contains(body, []byte("pebble")) {
		t.Errorf("%d %q %v, want an uncached 500 without its cause", r.StatusCode, body, r.Header)
	}
}

func TestNewNeedsABackend(t *testing.T) {
	if _, err := server.New(server.Config{}); err == nil {
		t.Error("a server without a backend was made")
	}
}

// tiles lets x/mod's reader fetch through our client.
type tiles struct {
	ctx context.Context
	c   *client.Client
}

func (tiles) Height() int                     { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tiles) ReadTiles(wanted []tlog.Tile) (data [][]byte, err error) {
	for _, w := range wanted {
		b, err := r.c.Tile(r.ctx, w.L, uint64(w.N), w.W)
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	return data, nil
}

// TestOutsideJudge reads whole logs with another implementation: it computes
// the root from the leaves alone, and then believes only tiles that lead to it.
func TestOutsideJudge(t *testing.T) {
	for _, size := range []int64{0, 1, 2, 255, 256, 257, 70000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := newFake(int(size))
			c := dial(t, serve(t, f))

			var leaves [][]byte
			for n := int64(0); n*tile.Full < size; n++ {
				width := int(min(tile.Full, size-n*tile.Full))
				bundle, err := c.Entries(t.Context(), uint64(n), width)
				if err != nil {
					t.Fatal(err)
				}
				entries, err := tile.CutEntries(bundle, width)
				if err != nil {
					t.Fatal(err)
				}
				leaves = append(leaves, entries...)
			}
			var stored []tlog.Hash
			own := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
				for _, i := range indexes {
					out = append(out, stored[i])
				}
				return out, nil
			})
			for i, leaf := range leaves {
				if !bytes.Equal(leaf, f.leaves[i]) {
					t.Fatalf("leaf %d is %x, want %x", i, leaf, f.leaves[i])
				}
				hashes, err := tlog.StoredHashes(int64(i), leaf, own)
				if err != nil {
					t.Fatal(err)
				}
				stored = append(stored, hashes...)
			}
			root, err := tlog.TreeHash(size, own)
			if err != nil {
				t.Fatal(err)
			}
			if size == 0 {
				if root != sha256.Sum256(nil) {
					t.Errorf("the empty tree has root %v", root)
				}
				if _, err := c.Tile(t.Context(), 0, 0, 1); !errors.Is(err, client.ErrNotFound) {
					t.Errorf("a tile of the empty tree: %v, want not found", err)
				}
				return
			}

			served := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tiles{t.Context(), c})
			if got, err := tlog.TreeHash(size, served); err != nil || got != root {
				t.Fatalf("root from tiles %v %v, want %v", got, err, root)
			}
			random := rand.New(rand.NewPCG(2, uint64(size)))
			positions := []int64{0, size / 2, size - 1}
			for range 20 {
				positions = append(positions, random.Int64N(size))
			}
			for _, p := range positions {
				proof, err := tlog.ProveRecord(size, p, served)
				if err != nil {
					t.Fatalf("proving leaf %d: %v", p, err)
				}
				if err := tlog.CheckRecord(proof, size, root, p, tlog.RecordHash(f.leaves[p])); err != nil {
					t.Errorf("leaf %d: %v", p, err)
				}
			}
		})
	}
}

// TestRestrictedEntries: whoever has no token gets no leaf, not even out of a
// cache, and the log is not asked; hash tiles and checkpoint are for everybody.
func TestRestrictedEntries(t *testing.T) {
	f := newFake(300)
	g := guard(t, f, func(cfg server.Config) (http.Handler, error) {
		cfg.RestrictEntries = true
		return server.New(cfg)
	})
	r, body := send(t, g.url, "GET", "/tile/entries/000")
	if r.StatusCode != 401 || r.Header.Get("WWW-Authenticate") != "Bearer" || r.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(string(body), "this needs a token") {
		t.Errorf("without a token: %d %v %.100q", r.StatusCode, r.Header, body)
	}
	if r, body := send(t, g.url, "HEAD", "/tile/entries/000"); r.StatusCode != 401 || len(body) > 0 {
		t.Errorf("HEAD without a token: %d", r.StatusCode)
	}
	f.with(func() {
		if f.tile != "" {
			t.Errorf("the log was asked for %s", f.tile)
		}
	})
	for _, path := range []string{"/checkpoint", "/tile/0/000"} {
		if r, _ := send(t, g.url, "GET", path); r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Cache-Control"), "public") {
			t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
		}
	}
	auditor := g.client(t, credential.Audit)
	if data, err := auditor.Entries(t.Context(), 0, 256); err != nil || len(data) == 0 {
		t.Errorf("with a token: %d bytes, %v", len(data), err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/tile/entries/000", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+g.tokens[credential.Audit].Reveal())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("with a token: %d %v", answer.StatusCode, answer.Header)
	}
	if _, err := credential.Revoke(g.path, g.ids[credential.Audit]); err != nil {
		t.Fatal(err)
	}
	if _, err := auditor.Entries(t.Context(), 0, 256); err == nil || !strings.Contains(err.Error(), "does not let this client") {
		t.Errorf("after its revocation: %v", err)
	}
	if _, err := auditor.Tile(t.Context(), 0, 0, 256); err != nil {
		t.Error(err)
	}
}
