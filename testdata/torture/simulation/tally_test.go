package simulation

import (
	"maps"
	"slices"
	"sync"
	"testing"
)

// tally counts what took place, by its name. A nil one does not count.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(what string) { c.addN(what, 1) }

func (c *tally) addN(what string, n int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what] += n
}

// enough is how many seeds have some of everything.
const enough = 12 // of which seeds 3 and 11 have a crowd

// everything is what takes place in so many seeds: a fault that is never injected and a
// check that never has anything to check prove nothing, and look like those that do.
var everything = []string{
	"messages lost", "messages late", "messages again", "messages changed", "messages replayed",
	"power cuts", "power cuts that could lose something", "power cuts while a head was written", "power cuts right after a promise",
	"commits that failed", "heads that failed", "heads that failed and were kept", "starts after a fault",
	"clocks that leapt ahead", "clocks that leapt back",

	"judgements", "tiles compared", "believed checkpoints that begin the last tree", "signed checkpoints that begin the last tree",
	"receipts verified", "promises verified", "promises kept", "erasures", "erased events that are gone", "receipts that are the same again",
	"lookups believed", "lookups that must show what was acknowledged", "lookups refused", "events that lookups opened",
	"events told by the monitor", "events replayed by the auditor", "checkpoints that the auditor could not judge yet",

	"forged checkpoints refused with 409", "forged checkpoints refused with 422", "forged checkpoints of a witness's own size", "convictions of the thief's signature",
	"lies of a traitor: another size", "lies of a traitor: no extension", "lies of a traitor: another text", "lies of a traitor: another time", "lies of a traitor: nonsense",
	"thief's logs refused by new clients", "thief's logs refused by clients with a state",

	"events of a thief refused",

	"old backups that signed nothing", "stores recovered", "power cuts during a recovery", "logs sealed", "events refused after the SEAL", "worlds of more than a full tile",
}

// report says what took place, and which of everything did not.
func (c *tally) report(t *testing.T, seeds uint64) {
	for _, what := range slices.Sorted(maps.Keys(c.n)) {
		t.Logf("count %s %d", what, c.n[what])
	}
	if seeds < enough || t.Failed() {
		return
	}
	for _, what := range everything {
		if c.n[what] == 0 {
			t.Errorf("in %d seeds there were none of these: %s", seeds, what)
		}
	}
}
