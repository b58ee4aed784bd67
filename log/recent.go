package log

import (
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
)

// recent is the newest committed state of accounts that changed lately. Whoever
// registers links other devices next, and then needs no read of the store. It
// forgets in two steps: what did not change again while as many others did goes.
type recent struct {
	most       int    // accounts
	turns      uint64 // what was kept at one turn is here until the next but one
	young, old map[name.AccountID]*store.Account
}

// of is nil for an account that is not here.
func (r *recent) of(id name.AccountID) *store.Account {
	if a := r.young[id]; a != nil {
		return a
	}
	return r.old[id]
}

// keep is called for every change of an account, or of would tell an older state.
func (r *recent) keep(a *store.Account) {
	if r.most == 0 {
		r.turns += 2
		return
	}
	if r.young == nil || len(r.young) >= r.most/2 {
		r.young, r.old = make(map[name.AccountID]*store.Account), r.young
		r.turns++
	}
	r.young[a.ID] = a
}
