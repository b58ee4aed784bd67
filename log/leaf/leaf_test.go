package leaf_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/leaf"
)

func seeds() [][]byte {
	return [][]byte{
		(&leaf.Genesis{Origin: "keys.example.org/log1", VRFKey: [32]byte{1}}).Bytes(),
		(&leaf.Genesis{Origin: "a", Predecessor: "old.example/log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"}).Bytes(),
		(&leaf.Event{Index: [32]byte{1}, Commitment: [32]byte{2}}).Bytes(),
		(&leaf.Epoch{Epoch: 7, TimeMs: 1_700_000_000_000, First: 9, Keys: 20, PrefixRoot: [32]byte{3}}).Bytes(),
		(&leaf.Epoch{Sealed: true}).Bytes(),
		(&leaf.Epoch{Sealed: true, Successor: "keys.example.org/log2"}).Bytes(),
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := leaf.Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Bytes(), data) {
			t.Errorf("%x parses and encodes to %x", data, l.Bytes())
		}
	})
}

func TestBytes(t *testing.T) {
	zeros := strings.Repeat("00", 32)
	for _, c := range []struct {
		name, want string
		leaf       leaf.Leaf
	}{
		{"genesis", "00" + "0001" + "0002" + "0161" + zeros + "0000", &leaf.Genesis{Origin: "a"}},
		{"event", "01" + zeros + zeros, &leaf.Event{}},
		{"epoch", "02" + "0000000000000001" + "0000000000000002" + "0000000000000003" + "0000000000000004" + zeros, &leaf.Epoch{Epoch: 1, TimeMs: 2, First: 3, Keys: 4}},
		{"seal", "03" + strings.Repeat("00", 32) + zeros + "0162", &leaf.Epoch{Sealed: true, Successor: "b"}},
	} {
		if got := hex.EncodeToString(c.leaf.Bytes()); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := seeds()
	cut := func(b []byte, n int) []byte { return b[:len(b)-n] }
	set := func(b []byte, at int, v byte) []byte { b = bytes.Clone(b); b[at] = v; return b }
	for name, data := range map[string][]byte{
		"empty":                      {},
		"unknown kind":               {4},
		"genesis cut short":          cut(good[0], 1),
		"genesis of another version": set(good[0], 2, 2),
		"genesis of another suite":   set(good[0], 4, 1),
		"genesis without origin":     append([]byte{0, 0, 1, 0, 2, 0}, make([]byte, 34)...),
		"genesis with a bad origin":  set(good[0], 6, ' '),
		"bytes after genesis":        append(bytes.Clone(good[0]), 0),
		"event cut short":            cut(good[2], 1),
		"bytes after an event":       append(bytes.Clone(good[2]), 0),
		"epoch cut short":            cut(good[3], 1),
		"bytes after an epoch":       append(bytes.Clone(good[3]), 0),
		"epoch number out of range":  set(good[3], 1, 0x40),
		"first out of range":         set(good[3], 17, 0x80),
		"keys out of range":          set(good[3], 25, 0x40),
		"seal without successor":     cut(good[4], 1),
		"seal with a bad successor":  append(cut(good[4], 1), 1, ' '),
		"bytes after a seal":         append(bytes.Clone(good[5]), 0),
		"too long":                   append(cut(good[0], 2), append([]byte{0xff, 0xff}, make([]byte, 65535)...)...),
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := leaf.Parse(data); err == nil {
				t.Errorf("parsed as %+v", l)
			}
		})
	}
}

func TestHashesAreRFC6962(t *testing.T) {
	data := []byte("a leaf of the log")
	l := leaf.HashOf(data)
	if want := rfc6962.DefaultHasher.HashLeaf(data); !bytes.Equal(l[:], want) {
		t.Errorf("leaf hash %x, want %x", l, want)
	}
	n := leaf.Join(l, l)
	if want := rfc6962.DefaultHasher.HashChildren(l[:], l[:]); !bytes.Equal(n[:], want) {
		t.Errorf("node hash %x, want %x", n, want)
	}
}
