package log

import (
	"bytes"
	"encoding/binary"

	"github.com/musterlog/muster/log/store"
)

// ErrNotFound says that the public log has no such tile or entries.
var ErrNotFound = store.ErrNotFound

// Tile is a hash tile of C2SP tlog-tiles: width hashes of 32 bytes; width 256
// is a full tile. Those of the newest signed tree are served, since auditors
// read them before the checkpoint is published.
func (l *Log) Tile(level int, n uint64, width int) ([]byte, error) {
	if !l.reading.TryRLock() {
		return nil, ErrStopped
	}
	defer l.reading.RUnlock()
	hashes, err := l.signed.Load().tree.hashes(l.cfg.Store, level, n, width)
	return bytes.Clone(hashes), err
}

// Entries is an entry bundle of C2SP tlog-tiles: width leaves, each behind its
// u16 length.
func (l *Log) Entries(n uint64, width int) ([]byte, error) {
	size := l.signed.Load().tree.size
	if n > size/tileWidth || n*tileWidth+uint64(width) > size {
		return nil, ErrNotFound
	}
	if !l.reading.TryRLock() {
		return nil, ErrStopped
	}
	defer l.reading.RUnlock()
	var data []byte
	for b, err := range l.cfg.Store.Leaves(n*tileWidth, n*tileWidth+uint64(width)) {
		if err != nil {
			return nil, err
		}
		data = binary.BigEndian.AppendUint16(data, uint16(len(b)))
		data = append(data, b...)
	}
	return data, nil
}

// Close turns away whoever would read the store from now on, and returns when
// nobody does any more, so that the store can be closed: it is not the log's own.
// It is called once, after Run, which answers all that waits. What can outlast
// Run and whoever asked for it is a large call's signatures, and an engine that
// is read after its end panics, which in their goroutine would end the process.
func (l *Log) Close() { l.reading.Lock() }

// Position is how far the public log is: leaves published, and the newest
// epoch; zeros before the first checkpoint is published.
func (l *Log) Position() (size, epoch uint64) {
	s := l.published.Load()
	if s == nil {
		return 0, 0
	}
	return s.tree.size, s.epoch.Epoch
}

// Genesis is leaf 0.
func (l *Log) Genesis() []byte { return l.genesis }

// Published is the newest published checkpoint as a signed note; nil while the
// first one that there is waits for its cosigners.
func (l *Log) Published() []byte {
	if s := l.published.Load(); s != nil {
		return s.note
	}
	return nil
}

// Events is the number of events that are logged and signed.
func (l *Log) Events() uint64 { return l.signed.Load().epoch.Keys }

// Waiting is the number of events that wait for their epoch.
func (l *Log) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}
