package pebble

import (
	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// filter is a bloom filter of the rows that are found one by one among levels
// of files: h and p. For all others it would be memory and time for nothing:
// a row of L lies in one file only, and x is read by ranges, or where a row is
// known to be.
type filter struct{ bloom.FilterPolicy }

// Name differs from that of a filter of all keys: one who takes this for such
// would find that no row of L is there. Pebble passes over unknown names.
func (filter) Name() string { return "muster.found" }

func (f filter) MayContain(t pebbledb.FilterType, data, k []byte) bool {
	return !filtered(k) || f.FilterPolicy.MayContain(t, data, k)
}

func (f filter) NewWriter(t pebbledb.FilterType) pebbledb.FilterWriter {
	return filterWriter{f.FilterPolicy.NewWriter(t)}
}

type filterWriter struct{ pebbledb.FilterWriter }

func (w filterWriter) AddKey(k []byte) {
	if filtered(k) {
		w.FilterWriter.AddKey(k)
	}
}

// filtered: the rows whose file does not follow from their key.
func filtered(k key) bool {
	return len(k) > 0 && k[0] != tableLog && k[0] != tablePrefix
}
