package pebble

import (
	"testing"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/musterlog/muster/log/name"
)

// TestFilter: it finds all that it was given, though it keeps only some
// tables' rows, and rules out most of what those tables do not have.
func TestFilter(t *testing.T) {
	f := filter{bloom.FilterPolicy(filterBits)}
	made := func(keys ...key) []byte {
		w := f.NewWriter(pebbledb.TableFilter)
		for _, k := range keys {
			w.AddKey(k)
		}
		return w.Finish(nil)
	}
	id := func(i int) (id name.AccountID) { id[0], id[1] = byte(i), byte(i>>8); return id }
	var log, accounts []key
	for i := range 1000 {
		log = append(log, leafKey(uint64(i)), eventKey(uint64(i)), prefixKey(name.Index(id(i))))
		accounts = append(accounts, accountKey(id(i)), proofKey(id(i), 2))
	}
	data := made(append(log, accounts...)...)
	for _, k := range append(log, accounts...) {
		if !f.MayContain(pebbledb.TableFilter, data, k) {
			t.Fatalf("%v was added and is not there", k)
		}
	}
	found := 0
	for i := 1000; i < 2000; i++ {
		if f.MayContain(pebbledb.TableFilter, data, accountKey(id(i))) {
			found++
		}
	}
	if found > 100 { // one in a hundred is meant
		t.Errorf("%d of 1000 absent accounts may be there", found)
	}
	if n := len(made(log...)); n > 5 {
		t.Errorf("a filter of rows that it does not keep has %d bytes", n)
	}
}
