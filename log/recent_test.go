package log

import (
	"encoding/binary"
	"testing"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// KeepRecent forgets all accounts, and keeps so many from now on; none: the log
// reads every account from its store.
func (l *Log) KeepRecent(most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent = recent{most: most, turns: l.recent.turns + 2}
}

// What is told is the newest state, or nothing; memory is bounded.
func TestRecent(t *testing.T) {
	const most = 100
	r := recent{most: most}
	newest, at := make(map[name.AccountID]uint32), make(map[name.AccountID]uint64)
	var kept int
	for i := range uint32(10 * most) {
		var id name.AccountID
		binary.BigEndian.PutUint32(id[:], i%(7*most)) // each changes once more, long after it is forgotten
		r.keep(&store.Account{Account: event.Account{ID: id, Next: i}})
		newest[id], at[id] = i, r.turns
		kept = 0
		for id, next := range newest {
			a := r.of(id)
			if a == nil && r.turns-at[id] < 2 {
				t.Fatalf("account %v was kept at turn %d and is forgotten at %d", id, at[id], r.turns)
			}
			if a != nil {
				kept++
				if a.Next != next {
					t.Fatalf("account %v is told as of event %d, it is at %d", id, a.Next, next)
				}
			}
		}
		if len(r.young)+len(r.old) > most {
			t.Fatalf("%d accounts in memory, want at most %d", len(r.young)+len(r.old), most)
		}
	}
	if kept < most/2 {
		t.Errorf("%d accounts in memory after many changed, want at least %d", kept, most/2)
	}
}
