package main

import (
	"bytes"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
)

type leafFile struct {
	Good []goodLeaf `json:"good"`
	Bad  []badLeaf  `json:"bad"`
}

type goodLeaf struct {
	Name        string  `json:"name"`
	Kind        string  `json:"kind"`
	Leaf        hexed   `json:"leaf"`
	Hash        hexed   `json:"hash"`
	Origin      string  `json:"origin,omitempty"`
	VRFKey      hexed   `json:"vrf_public_key,omitempty"`
	Predecessor *string `json:"predecessor,omitempty"`
	Index       hexed   `json:"index,omitempty"`
	Commitment  hexed   `json:"commitment,omitempty"`
	Epoch       *uint64 `json:"epoch,omitempty,string"`
	TimeMs      *uint64 `json:"time_ms,omitempty,string"`
	First       *uint64 `json:"first,omitempty,string"`
	Keys        *uint64 `json:"keys,omitempty,string"`
	Position    *uint64 `json:"position,omitempty,string"`
	PrefixRoot  hexed   `json:"prefix_root,omitempty"`
	Successor   *string `json:"successor,omitempty"`
}

type badLeaf struct {
	Name string `json:"name"`
	Why  string `json:"why"`
	Leaf hexed  `json:"leaf"`
}

// seed is 32 bytes that follow from words, as all made-up hashes do.
func seed(parts ...string) [32]byte { return liar.Seed(parts...) }

func leaves() (f leafFile) {
	key := vrf.NewPrivateKey(seed("vrf", string(origin))).Public()
	last := "keys.example.org/log0\n1002\n" + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" + "\n"
	add := func(label string, l leaf.Leaf) {
		g := goodLeaf{Name: label, Leaf: l.Bytes()}
		h := leaf.HashOf(l.Bytes())
		g.Hash = h[:]
		switch l := l.(type) {
		case *leaf.Genesis:
			g.Kind, g.Origin, g.VRFKey, g.Predecessor = "GENESIS", string(l.Origin), l.VRFKey[:], &l.Predecessor
		case *leaf.Event:
			g.Kind, g.Index, g.Commitment = "EVENT", l.Index[:], l.Commitment[:]
		case *leaf.Epoch:
			at := 1 + l.Keys + l.Epoch
			g.Kind, g.Epoch, g.TimeMs, g.First, g.Keys, g.Position, g.PrefixRoot = "EPOCH", &l.Epoch, &l.TimeMs, &l.First, &l.Keys, &at, l.PrefixRoot[:]
			if l.Sealed {
				s := string(l.Successor)
				g.Kind, g.Successor = "SEAL", &s
			}
		}
		f.Good = append(f.Good, g)
	}
	root := name.PrefixRoot(seed("root"))
	genesis := &leaf.Genesis{Origin: origin, VRFKey: key}
	ev := &leaf.Event{Index: seed("index"), Commitment: seed("commitment")}
	epoch := &leaf.Epoch{Epoch: 7, TimeMs: start, First: 23, Keys: 18, PrefixRoot: root}
	seal := &leaf.Epoch{Epoch: 8, TimeMs: start + 1, First: 27, Keys: 18, PrefixRoot: root, Sealed: true}
	moved := &leaf.Epoch{Epoch: 8, TimeMs: start + 1, First: 27, Keys: 18, PrefixRoot: root, Sealed: true, Successor: "keys.example.org/log2"}
	add("GENESIS", genesis)
	add("GENESIS of a log that continues another", &leaf.Genesis{Origin: origin, VRFKey: key, Predecessor: last})
	add("GENESIS of the shortest origin", &leaf.Genesis{Origin: "a", VRFKey: key})
	add("GENESIS of the longest origin", &leaf.Genesis{Origin: name.Origin(bytes.Repeat([]byte("~"), 255)), VRFKey: key})
	add("EVENT", ev)
	add("EPOCH 0, empty", &leaf.Epoch{Epoch: 0, TimeMs: start, First: 1})
	add("EPOCH", epoch)
	add("EPOCH with the greatest numbers", &leaf.Epoch{Epoch: 1<<62 - 1, TimeMs: 1<<64 - 1, First: 1<<63 - 1, Keys: 1<<62 - 1, PrefixRoot: root})
	add("SEAL", seal)
	add("SEAL with a successor", moved)

	bad := func(label, why string, data []byte) {
		_, err := leaf.Parse(data)
		agree(err != nil, "leaf %q is accepted", label)
		f.Bad = append(f.Bad, badLeaf{label, why, data})
	}
	set := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	cut := func(b []byte, n int) []byte { return b[:len(b)-n] }
	more := func(b []byte, v ...byte) []byte { return append(bytes.Clone(b), v...) }
	g, e, p, s := genesis.Bytes(), ev.Bytes(), epoch.Bytes(), seal.Bytes()
	bad("no bytes", "a leaf begins with its kind", nil)
	bad("kind 4", "kinds are 00 to 03", more([]byte{4}, e[1:]...))
	bad("GENESIS cut short", "a field is missing", cut(g, 1))
	bad("GENESIS and a byte", "bytes after the end", more(g, 0))
	bad("GENESIS of version 0", "version is 1", set(g, 1, 0, 0))
	bad("GENESIS of version 2", "version is 1", set(g, 1, 0, 2))
	bad("GENESIS of suite 1", "suite is 2", set(g, 3, 0, 1))
	bad("GENESIS without an origin", "an origin has 1 to 255 bytes", append([]byte{0, 0, 1, 0, 2, 0}, make([]byte, 34)...))
	bad("GENESIS with a space in its origin", "an origin is of bytes 21 to 7E", set(g, 8, ' '))
	bad("GENESIS with a plus in its origin", "an origin has no +", set(g, 8, '+'))
	bad("GENESIS of an origin muster/", "an origin does not begin with muster/", set(g, 6, []byte("muster/")...))
	bad("GENESIS with half a predecessor", "a length goes beyond the end", set(g, len(g)-2, 0, 1))
	bad("EVENT cut short", "an EVENT has 65 bytes", cut(e, 1))
	bad("EVENT and a byte", "an EVENT has 65 bytes", more(e, 0))
	bad("EPOCH cut short", "an EPOCH has 65 bytes", cut(p, 1))
	bad("EPOCH and a byte", "an EPOCH has 65 bytes", more(p, 0))
	bad("EPOCH 2^62", "epoch is below 2^62", set(p, 1, 0x40))
	bad("EPOCH with first 2^63", "first is below 2^63", set(p, 17, 0x80))
	bad("EPOCH with 2^62 keys", "keys is below 2^62", set(p, 25, 0x40))
	bad("SEAL without its successor's length", "a field is missing", cut(s, 1))
	bad("SEAL with half a successor", "a length goes beyond the end", set(s, len(s)-1, 1))
	bad("SEAL with a space as successor", "a successor is an origin", more(cut(s, 1), 1, ' '))
	bad("SEAL and a byte", "bytes after the end", more(s, 0))
	return f
}
