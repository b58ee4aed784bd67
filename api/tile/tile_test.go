package tile_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/musterlog/muster/api/tile"
)

func TestPath(t *testing.T) {
	for _, c := range []struct {
		path string
		want tile.Path
	}{
		{"/tile/0/000", tile.Path{N: 0, Width: 256}},
		{"/tile/0/005.p/1", tile.Path{N: 5, Width: 1}},
		{"/tile/0/000.p/255", tile.Path{Width: 255}},
		{"/tile/0/999", tile.Path{N: 999, Width: 256}},
		{"/tile/0/x001/000", tile.Path{N: 1000, Width: 256}},
		{"/tile/0/x001/x234/067", tile.Path{N: 1234067, Width: 256}},
		{"/tile/63/x001/x000/000.p/9", tile.Path{Level: 63, N: 1000000, Width: 9}},
		{"/tile/entries/x001/234.p/8", tile.Path{Entries: true, N: 1234, Width: 8}},
		{"/tile/0/x036/x028/x797/x018/x963/967", tile.Path{N: 1<<55 - 1, Width: 256}},
	} {
		t.Run(c.path, func(t *testing.T) {
			got, err := tile.Parse(c.path)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("parsed %+v, want %+v", got, c.want)
			}
			if got.String() != c.path {
				t.Errorf("written %s, want %s", got, c.path)
			}
		})
	}
}

// Bad paths are in package server's tests, where each goes through the whole
// way of a request; these are the ones that need no server to be wrong.
func TestParseRefuses(t *testing.T) {
	for _, path := range []string{
		"", "tile/0/000", "/tile/0/000.p/256", "/tile/0/000.p/0", "/tile/64/000", "/tile/00/000", "/tile/0/x000/000",
		"/tile/0/x036/x028/x797/x018/x963/968", "/tile/entries/0/000", "/tile/0/18446744073709551616",
	} {
		if p, err := tile.Parse(path); err == nil {
			t.Errorf("%q was read as %+v", path, p)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, p := range []tile.Path{
		{Level: -1, Width: 1}, {Level: 64, Width: 1}, {Entries: true, Level: 1, Width: 1},
		{Width: 0}, {Width: -1}, {Width: 257}, {N: 1 << 55, Width: 1},
	} {
		if p.Check() == nil {
			t.Errorf("%+v was not refused", p)
		}
	}
}

func TestCheckData(t *testing.T) {
	two := tile.AppendEntry(tile.AppendEntry(nil, []byte("a leaf")), nil)
	for _, c := range []struct {
		name string
		path tile.Path
		data []byte
		good bool
	}{
		{"tile", tile.Path{Width: 2}, make([]byte, 64), true},
		{"short tile", tile.Path{Width: 2}, make([]byte, 63), false},
		{"long tile", tile.Path{Width: 2}, make([]byte, 96), false},
		{"empty tile", tile.Path{Width: 2}, nil, false},
		{"bundle", tile.Path{Entries: true, Width: 2}, two, true},
		{"bundle with more", tile.Path{Entries: true, Width: 1}, two, false},
		{"bundle with fewer", tile.Path{Entries: true, Width: 3}, two, false},
		{"bundle cut in a length", tile.Path{Entries: true, Width: 2}, two[:len(two)-1], false},
		{"bundle cut in an entry", tile.Path{Entries: true, Width: 1}, two[:5], false},
		{"bundle without width", tile.Path{Entries: true, Width: 0}, nil, false},
		{"bundle too wide", tile.Path{Entries: true, Width: 257}, bytes.Repeat([]byte{0, 0}, 257), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.path.CheckData(c.data); (err == nil) != c.good {
				t.Errorf("got %v, want good = %v", err, c.good)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/tile/0/000", "/tile/1/x001/234.p/17", "/tile/entries/x001/x234/067.p/255", "/tile/63/999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := tile.Parse(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Errorf("%q is written %q", s, p)
		}
		if err := p.Check(); err != nil {
			t.Errorf("%q was read although: %v", s, err)
		}
	})
}

func FuzzCutEntries(f *testing.F) {
	f.Add([]byte{0, 0}, 1)
	f.Add(tile.AppendEntry(tile.AppendEntry(nil, []byte("one")), []byte("two")), 2)
	f.Fuzz(func(t *testing.T, bundle []byte, width int) {
		entries, err := tile.CutEntries(bundle, width)
		if err != nil {
			return
		}
		if len(entries) != width {
			t.Fatalf("%d entries, want %d", len(entries), width)
		}
		var again []byte
		for _, e := range entries {
			again = tile.AppendEntry(again, e)
		}
		if !bytes.Equal(again, bundle) {
			t.Error("the bundle does not come back")
		}
	})
}

func ExamplePath_String() {
	fmt.Println(tile.Path{N: 1234067, Width: tile.Full})
	fmt.Println(tile.Path{Entries: true, N: 5, Width: 8})
	// Output:
	// /tile/0/x001/x234/067
	// /tile/entries/005.p/8
}
