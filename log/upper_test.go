package log

import (
	"bytes"
	"testing"

	"github.com/musterlog/muster/log/store"
)

// counted counts what is read, and gives tiles that name themselves.
type counted struct {
	store.Store
	tiles map[tileAt]int
}

func (c *counted) Tile(dst []byte, level int, n uint64) ([]byte, error) {
	if n > 1<<40 {
		return dst, store.ErrNotFound
	}
	c.tiles[tileAt{level, n}]++
	return append(dst, byte(level), byte(n), byte(n>>8)), nil
}

func TestUpperTilesAreReadOnce(t *testing.T) {
	c := &counted{tiles: make(map[tileAt]int)}
	u := &upper{Store: c}
	read := func(level int, n uint64) {
		t.Helper()
		data, err := u.Tile([]byte("before"), level, n)
		if want := append([]byte("before"), byte(level), byte(n), byte(n>>8)); err != nil || !bytes.Equal(data, want) {
			t.Fatalf("tile %d at level %d: %q, %v; want %q", n, level, data, err, want)
		}
		clear(data) // it is the caller's
	}
	for range 3 {
		read(0, 7)
		read(1, 7)
		read(2, 7)
	}
	for at, want := range map[tileAt]int{{0, 7}: 3, {1, 7}: 1, {2, 7}: 1} {
		if got := c.tiles[at]; got != want {
			t.Errorf("tile %d at level %d was read %d times, want %d", at.n, at.level, got, want)
		}
	}
	for n := range uint64(3 * upperTiles) {
		read(1, n)
		if len(u.tiles) > upperTiles {
			t.Fatalf("%d tiles in memory, want at most %d", len(u.tiles), upperTiles)
		}
	}
	if _, err := u.Tile(nil, 1, 1<<41); err != store.ErrNotFound {
		t.Errorf("an absent tile: %v, want ErrNotFound", err)
	}
}
