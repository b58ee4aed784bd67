package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// judge watches a log from outside, with none of muster's own code: the Go
// checksum database's client code reads the public files, and it remembers
// every checkpoint that anybody was shown.
type judge struct {
	t   *testing.T
	key note.Verifier

	mu   sync.Mutex
	seen map[int64]tlog.Hash // the root by size
}

func newJudge(t *testing.T, vkey string) *judge {
	t.Helper()
	key, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		t.Fatal(err)
	}
	return &judge{t: t, key: key, seen: map[int64]tlog.Hash{}}
}

// remember keeps a signed checkpoint. Two of one size are the same, or the log
// has forked.
func (j *judge) remember(signed []byte) (tree tlog.Tree) {
	n, err := note.Open(signed, note.VerifierList(j.key))
	if err != nil {
		j.t.Errorf("a checkpoint that the log did not sign: %v\n%s", err, signed)
		return tree
	}
	var origin, root string
	if _, err := fmt.Sscanf(n.Text, "%s\n%d\n%s\n", &origin, &tree.N, &root); err != nil || origin != j.key.Name() {
		j.t.Errorf("no checkpoint of %s: %v\n%s", j.key.Name(), err, signed)
		return tree
	}
	if tree.Hash, err = tlog.ParseHash(root); err != nil {
		j.t.Errorf("%v\n%s", err, signed)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if before, ok := j.seen[tree.N]; ok && before != tree.Hash {
		j.t.Errorf("two histories of %d leaves were signed: %v and %v", tree.N, before, tree.Hash)
	}
	j.seen[tree.N] = tree.Hash
	return tree
}

// verdict reads the whole log as it is served now, and returns how many
// events it has.
func (j *judge) verdict(url string) int {
	j.t.Helper()
	signed, err := get(url + "/checkpoint")
	if err != nil {
		j.t.Fatal(err)
	}
	newest := j.remember(signed)
	tiles := &tileReader{url: url, cache: map[string][]byte{}}
	j.consistent(newest, tlog.TileHashReader(newest, tiles))
	return j.recompute(newest, tiles)
}

// consistent: what was ever shown is a beginning of the newest tree.
func (j *judge) consistent(newest tlog.Tree, hashes tlog.HashReader) {
	j.t.Helper()
	for _, size := range slices.Sorted(maps.Keys(j.seen)) {
		if size > newest.N {
			j.t.Fatalf("a checkpoint of %d leaves was shown, and now the log has %d", size, newest.N)
		}
		proof, err := tlog.ProveTree(newest.N, size, hashes)
		if err != nil {
			j.t.Fatalf("proving that %d leaves begin %d: %v", size, newest.N, err)
		}
		if err := tlog.CheckTree(proof, newest.N, newest.Hash, size, j.seen[size]); err != nil {
			j.t.Fatalf("the checkpoint of %d leaves is not a beginning of the one of %d: %v", size, newest.N, err)
		}
	}
}

// recompute hashes every served leaf to the root, and counts EVENT leaves, of
// which no two may have one index.
func (j *judge) recompute(newest tlog.Tree, tiles *tileReader) int {
	j.t.Helper()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	position := int64(0)
	taken := map[string]int64{}
	var last byte
	for position < newest.N {
		bundle := tlog.Tile{H: 8, L: -1, N: position / 256, W: int(min(256, newest.N-position))}
		data, err := tiles.read(bundle)
		if err != nil {
			j.t.Fatal(err)
		}
		for range bundle.W {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				j.t.Fatalf("the bundle with leaf %d is cut short", position)
			}
			n := 2 + int(binary.BigEndian.Uint16(data))
			entry := data[2:n]
			data = data[n:]
			hashes, err := tlog.StoredHashes(position, entry, reader)
			if err != nil {
				j.t.Fatal(err)
			}
			stored = append(stored, hashes...)
			if last = entry[0]; last == 1 { // EVENT: kind, index, commitment
				if other, ok := taken[string(entry[1:33])]; ok {
					j.t.Fatalf("the events at %d and %d have one index", other, position)
				}
				taken[string(entry[1:33])] = position
			}
			position++
		}
		if len(data) > 0 {
			j.t.Fatalf("%d bytes follow leaf %d", len(data), position-1)
		}
	}
	root, err := tlog.TreeHash(newest.N, reader)
	if err != nil {
		j.t.Fatal(err)
	}
	if root != newest.Hash {
		j.t.Fatalf("the %d leaves that are served hash to %v, the log signed %v", newest.N, root, newest.Hash)
	}
	if last != 2 {
		j.t.Fatalf("the last of %d leaves is of kind %d, want an EPOCH", newest.N, last)
	}
	return len(taken)
}

// tileReader fetches tiles as C2SP tlog-tiles names them.
type tileReader struct {
	url   string
	cache map[string][]byte
}

func (r *tileReader) Height() int { return 8 }

func (r *tileReader) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		d, err := r.read(t)
		if err != nil {
			return nil, err
		}
		data = append(data, d)
	}
	return data, nil
}

func (r *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r *tileReader) read(t tlog.Tile) ([]byte, error) {
	path := "/tile/" + strings.TrimPrefix(t.Path(), "tile/8/")
	path = strings.Replace(path, "/tile/data/", "/tile/entries/", 1)
	if data, ok := r.cache[path]; ok {
		return data, nil
	}
	data, err := get(r.url + path)
	if err == nil {
		r.cache[path] = data
	}
	return data, err
}

func get(url string) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return data, err
}
