package pebble_test

import (
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/store/storetest"
)

func TestStore(t *testing.T) {
	t.Run("on disk", func(t *testing.T) {
		storetest.Run(t, engine(func(t *testing.T) pebble.Config {
			return pebble.Config{Dir: filepath.Join(t.TempDir(), "store")}
		}))
	})
	t.Run("in memory", func(t *testing.T) {
		storetest.Run(t, engine(func(*testing.T) pebble.Config {
			return pebble.Config{Dir: "store", FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 64 << 10} // flushes often
		}))
	})
}

func engine(config func(*testing.T) pebble.Config) storetest.Create {
	return func(t *testing.T) (store.Store, func() store.Store) {
		cfg := config(t)
		s, err := pebble.Create(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = pebble.Open(cfg); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
}
