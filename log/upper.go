package log

import (
	"sync"

	"github.com/musterlog/muster/log/store"
)

// upper is a store whose hash tiles above level 0 are read once: every proof
// needs some of them, and there is one for 65,536 leaves.
type upper struct {
	store.Store
	mu    sync.RWMutex
	tiles map[tileAt][]byte
}

type tileAt struct {
	level int
	n     uint64
}

// Tile is the store's. Full tiles never change.
func (u *upper) Tile(dst []byte, level int, n uint64) ([]byte, error) {
	if level == 0 {
		return u.Store.Tile(dst, level, n)
	}
	at := tileAt{level, n}
	u.mu.RLock()
	data := u.tiles[at]
	u.mu.RUnlock()
	if data != nil {
		return append(dst, data...), nil
	}
	data, err := u.Store.Tile(nil, level, n)
	if err != nil {
		return dst, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tiles == nil || len(u.tiles) >= upperTiles {
		u.tiles = make(map[tileAt][]byte)
	}
	u.tiles[at] = data
	return append(dst, data...), nil
}
