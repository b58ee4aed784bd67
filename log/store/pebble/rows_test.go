package pebble

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
)

// testNames are those of a log that rows need not name.
var testNames = names{name.LogID{7}}

func FuzzEvent(f *testing.F) {
	short := store.Event{Account: name.AccountID{1}, Erase: store.None}
	short.Body = slices.Concat([]byte{1}, testNames.log[:], short.Account[:], []byte("rest"))
	other := short
	other.Account = name.AccountID{2}
	for _, e := range []store.Event{
		{}, short, other,
		{Account: name.AccountID{1}, Seq: 2, Opening: name.Opening{3}, Body: []byte("body"), Anchor: 1, Erase: store.None, Live: []uint32{1, 2}},
		{Live: make([]uint32, 255), Body: make([]byte, event.MaxSize)},
	} {
		row, err := testNames.encodeEvent(&e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(row)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := testNames.decodeEvent(7, data)
		if err != nil {
			return
		}
		if again, err := testNames.encodeEvent(e); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x is read and written as %x, %v", data, again, err)
		}
	})
}

func FuzzAccount(f *testing.F) {
	full := store.Account{Anchor: 3, Erase: store.None}
	full.Log, full.Next, full.Generation, full.Head = name.LogID{1}, 4, 1, name.EventID{2}
	full.Primary = event.Key{event.KeyCurve25519, 1}
	full.Devices = []event.Device{{KeyIndex: 2, Key: event.Key{event.KeyEd25519, 2}}, {KeyIndex: 3, Key: event.Key{event.KeyCurve25519, 3}}}
	full.Introduced = [][32]byte{{1}, {2}, {3}}
	own := full
	own.Log = testNames.log
	for _, a := range []store.Account{{}, full, own} {
		row, err := testNames.encodeAccount(&a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(row)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := testNames.decodeAccount(name.AccountID{9}, data)
		if err != nil {
			return
		}
		if again, err := testNames.encodeAccount(a); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x is read and written as %x, %v", data, again, err)
		}
	})
}

func FuzzPending(f *testing.F) {
	row, err := encodePending(&store.Pending{Account: name.AccountID{1}, Seq: 2, Opening: name.Opening{3}, MergeBy: 4, Body: []byte("event")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decodePending(data)
		if err != nil {
			return
		}
		if again, err := encodePending(p); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x is read and written as %x, %v", data, again, err)
		}
	})
}

func FuzzFixedRows(f *testing.F) {
	f.Add(encodeState(store.State{Size: 1, Epochs: 2, Keys: 3, TimeMs: 4, First: 5}))
	f.Add(encodePrefix(&prefix.Leaf{Hash: prefix.Hash{1}, Position: 1 << 40}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if st, err := decodeState(data); err == nil && !bytes.Equal(encodeState(st), data) {
			t.Errorf("state %x is written as %x", data, encodeState(st))
		}
		if l, err := decodePrefix(prefixKey(name.Index{1}), data); err == nil && (!bytes.Equal(encodePrefix(&l), data) || l.Index != name.Index{1}) {
			t.Errorf("prefix leaf %x is written as %x", data, encodePrefix(&l))
		}
	})
}

// TestPrefixBounds: an index lies within the bounds exactly when it begins
// with the bits that they are made of.
func TestPrefixBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	indexes := []name.Index{{}, name.Index(bytes.Repeat([]byte{0xff}, 32)), {0x80}, {0x7f, 0xff}, {31: 1}}
	for range 40 {
		i := indexes[random.IntN(len(indexes))]
		i[random.IntN(32)] ^= 1 << random.IntN(8)
		indexes = append(indexes, i)
	}
	for depth := range 257 {
		for _, p := range indexes {
			lower, upper := prefixBounds(p, depth)
			for _, i := range indexes {
				k := prefixKey(i)
				within := bytes.Compare(lower, k) <= 0 && bytes.Compare(k, upper) < 0
				same := true
				for bit := range depth {
					same = same && (p[bit/8]^i[bit/8])&(0x80>>(bit%8)) == 0
				}
				if within != same {
					t.Fatalf("first %d bits of %v: bounds %v to %v hold %v: %v, want %v", depth, p, lower, upper, i, within, same)
				}
			}
		}
	}
}

// A tile stands behind its last leaf, so that all of the log grows at one end.
func TestTileKey(t *testing.T) {
	for _, c := range []struct {
		level int
		n     uint64
		want  key
	}{
		{0, 0, key("L\x00\x00\x00\x00\x00\x00\x00\xff\x02")},
		{1, 1, key("L\x00\x00\x00\x00\x00\x01\xff\xff\x03")},
		{6, 254, key("L\xfe\xff\xff\xff\xff\xff\xff\xff\x08")},
		{6, 255, nil}, {0, math.MaxUint64, nil}, {7, 0, nil}, {-1, 0, nil},
	} {
		if got := tileKey(c.level, c.n); !bytes.Equal(got, c.want) {
			t.Errorf("level %d, tile %d: %v, want %v", c.level, c.n, got, c.want)
		}
	}
}

func TestKeyString(t *testing.T) {
	for want, k := range map[string]key{
		"row s":                    {tableState},
		"row L/000000000000010201": eventKey(0x102),
		"row L/00000009ffffffff05": tileKey(3, 9),
		"row with an empty key":    {},
	} {
		if k.String() != want {
			t.Errorf("%q, want %q", k.String(), want)
		}
	}
}
