package main

import "github.com/musterlog/muster/log/event"

// keys are admitted or not, in every way of section 2.2.
func (f *eventFile) keys() {
	c := newChain("")
	add := func(label, why string, k event.Key) {
		u, err := k.Coordinate()
		x := keyCase{Name: label, Why: why, Key: k[:], Admit: why == ""}
		if err == nil {
			x.U = u[:]
		}
		err = event.Admit(k)
		agree((err == nil) == x.Admit, "key %q: %v", label, err)
		f.Keys = append(f.Keys, x)
	}
	ed := c.key("phone")
	negative := ed
	negative[32] ^= 0x80
	add("Ed25519", "", ed)
	add("its negative", "", negative)
	add("the same point as Curve25519", "", otherType(ed))
	add("Curve25519", "", c.key("xphone"))
	add("Ed25519: the identity", "a point of small order", key(1, [32]byte{1}))
	add("Ed25519: order 2", "a point of small order", key(1, minus(1)))
	add("Ed25519: order 4", "a point of small order", key(1, [32]byte{}))
	add("Ed25519: order 8", "a point of small order", key(1, orderEight()))
	add("Ed25519: y above p", "not canonical", key(1, noncanonical()))
	add("Ed25519: y = p + 1", "not canonical", key(1, minus(-1)))
	add("Ed25519: x = 0 with the sign bit", "not canonical", key(1, [32]byte{0: 1, 31: 0x80}))
	add("Ed25519: no point", "not on the curve", key(1, offCurve()))
	add("Ed25519: a small-order part", "[L]A is not the identity", key(1, mixed()))
	add("Curve25519: u = 0", "a point of small order", key(5, [32]byte{}))
	add("Curve25519: u = 1", "a point of small order", key(5, [32]byte{1}))
	add("Curve25519: order 8", "a point of small order", otherType(key(1, orderEight())))
	add("Curve25519: u = p - 1", "no y", key(5, minus(1)))
	add("Curve25519: u = p", "not canonical", key(5, minus(0)))
	add("Curve25519: top bit", "not canonical", key(5, [32]byte{0: 9, 31: 0x80}))
	add("Curve25519: on the twist", "not on the curve", key(5, [32]byte{2}))
	add("Curve25519: a small-order part", "[L]A is not the identity", otherType(key(1, mixed())))
}
