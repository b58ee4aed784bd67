package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	outside "github.com/musterlog/muster/testdata/judge"
)

// judge watches a log from outside (testdata/judge), by its public files.
type judge struct {
	t           *testing.T
	checkpoints *outside.Checkpoints
}

func newJudge(t *testing.T, vkey string) *judge {
	t.Helper()
	c, err := outside.New(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return &judge{t, c}
}

// remember keeps a signed checkpoint.
func (j *judge) remember(signed []byte) tlog.Tree {
	tree, err := j.checkpoints.Remember(signed)
	if err != nil {
		j.t.Error(err)
	}
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
	leaves := j.read(newest, tiles)
	if err := j.checkpoints.Verdict(leaves); err != nil {
		j.t.Fatal(err)
	}
	// The tiles that are served are this tree's, too.
	var hashes []int64
	for n := int64(0); n < newest.N; n += 256 {
		hashes = append(hashes, tlog.StoredHashIndex(0, n))
	}
	if _, err := tlog.TileHashReader(newest, tiles).ReadHashes(hashes); err != nil {
		j.t.Fatal(err)
	}
	return leaves.Events()
}

// read takes every leaf out of the entry bundles.
func (j *judge) read(newest tlog.Tree, tiles *tileReader) *outside.Leaves {
	j.t.Helper()
	leaves := new(outside.Leaves)
	for leaves.Len() < newest.N {
		first := leaves.Len()
		data, err := tiles.read(tlog.Tile{H: 8, L: -1, N: first / 256, W: int(min(256, newest.N-first))})
		if err != nil {
			j.t.Fatal(err)
		}
		for len(data) > 0 {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				j.t.Fatalf("the bundle with leaf %d is cut short", leaves.Len())
			}
			n := 2 + int(binary.BigEndian.Uint16(data))
			if err := leaves.Append(data[2:n]); err != nil {
				j.t.Fatal(err)
			}
			data = data[n:]
		}
		if leaves.Len() != min(first+256, newest.N) {
			j.t.Fatalf("the bundle with leaf %d has %d leaves", first, leaves.Len()-first)
		}
	}
	return leaves
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
