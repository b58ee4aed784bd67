package evidence_test

import (
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// eventSamples: what an account's history can have wrong.
func eventSamples() []convicts {
	var all []convicts
	// add logs what lie gives as events of alice after her three, and opens the
	// last n; the twin has honest events.
	add := func(name, says string, n int, lie, truth func(w *world) [][]byte) {
		build := func(events func(w *world) [][]byte) *evidence.File {
			w := newWorld()
			for _, e := range events(w) {
				w.Append(w.alice.Account(), e)
			}
			w.Seal()
			var opens []evidence.Open
			last := len(w.Records[w.alice.Account()])
			for seq := last - n; seq < last; seq++ {
				opens = append(opens, w.open(w.alice, uint32(seq)))
			}
			return must(w.tree().BrokenEvents(opens...))
		}
		all = append(all, convicts{"E6 " + name, newWorld().key(), build(lie), build(truth), says})
	}
	one := func(e func(w *world) []byte) func(w *world) [][]byte {
		return func(w *world) [][]byte { return [][]byte{e(w)} }
	}
	honest := one(func(w *world) []byte { return w.alice.Confirm() })
	// confirm is a CONFIRM with something else in it, well signed.
	confirm := func(change func(p *event.Payload)) func(w *world) [][]byte {
		return one(func(w *world) []byte {
			p := w.alice.Draft(event.Confirm)
			p.DevicesHash = event.DevicesHash(p.Log, p.Account, p.Generation, p.Primary, w.alice.At.Devices)
			change(&p)
			return liar.Sign(p, w.alice.Primary, nil).Bytes()
		})
	}
	add("malformed", "is invalid: event refused (structure)", 1, one(func(w *world) []byte { return append(w.alice.Confirm(), 0) }), honest)
	add("of no bytes", "is invalid: event refused (structure)", 1, one(func(w *world) []byte { return nil }), honest)
	add("unknown type", "is invalid: event refused (structure)", 1, one(func(w *world) []byte { b := w.alice.Confirm(); b[0] = 16; return b }), honest)
	add("of another log", "signed for another log", 1, confirm(func(p *event.Payload) { p.Log[0] ^= 1 }), honest)
	add("of another account", "signed for another account", 1, confirm(func(p *event.Payload) { p.Account[0] ^= 1 }), honest)
	add("of another seq", "signed as event 4", 1, confirm(func(p *event.Payload) { p.Seq++ }), honest)
	add("bad signature", "bad-signature", 1, one(func(w *world) []byte { b := w.alice.Confirm(); b[len(b)-1] ^= 1; return b }), honest)
	add("no signature", "(row)", 1, one(func(w *world) []byte { return liar.Sign(w.alice.Draft(event.Confirm), nil, nil).Bytes() }), honest)
	add("key not admitted", "key-not-admitted", 1, confirm(func(p *event.Payload) { p.Primary = event.Key{1, 1} }), honest)
	add("wrong row", "(row)", 1, confirm(func(p *event.Payload) { p.KeyIndex = 1 }), honest)
	add("ERASE with a primary", "(row)", 1, one(func(w *world) []byte { return liar.Sign(w.alice.Draft(event.Erase), nil, nil).Bytes() }), honest)
	erased := one(func(w *world) []byte { return w.alice.Erase() })
	add("ERASE with another devices_hash", "devices-hash", 1, one(func(w *world) []byte {
		p := w.alice.Draft(event.Erase)
		p.Primary = event.Key{}
		return liar.Sign(p, nil, nil).Bytes()
	}), erased)
	add("REREGISTER with another devices_hash", "devices-hash", 1, one(func(w *world) []byte {
		p, k := w.alice.Draft(event.Reregister), w.alice.NewKey()
		p.Generation, p.KeyIndex, p.Primary = 1, p.Seq, k.Public()
		return liar.Sign(p, k, nil).Bytes()
	}), one(func(w *world) []byte { return w.alice.Reregister(false) }))
	add("another prev", "does not follow the event before it", 2, confirm(func(p *event.Payload) { p.Prev[0] ^= 1 }), honest)
	add("another generation", "has generation 1: it must be 0", 2, confirm(func(p *event.Payload) { p.Generation++ }), honest)
	add("another list confirmed", "confirms another device list", 2, confirm(func(p *event.Payload) { p.DevicesHash[0] ^= 1 }), honest)
	add("another primary", "names another primary key", 2, one(func(w *world) []byte {
		p, k := w.alice.Draft(event.Confirm), w.alice.NewKey()
		p.Primary = k.Public()
		return liar.Sign(p, k, nil).Bytes()
	}), honest)
	add("endorsed by a stranger", "endorsed by a key that was not the primary before", 2, one(func(w *world) []byte {
		p, k, old := w.alice.Draft(event.Reregister), w.alice.NewKey(), w.alice.NewKey()
		p.Generation, p.KeyIndex, p.Primary, p.Subject = 1, p.Seq, k.Public(), old.Public()
		return liar.Sign(p, k, old).Bytes()
	}), one(func(w *world) []byte { return w.alice.Reregister(true) }))
	add("after ERASE", "follows an ERASE", 2, func(w *world) [][]byte {
		first := w.alice.Erase()
		p := w.alice.Draft(event.Confirm)
		p.Primary = w.alice.Primary.Public()
		return [][]byte{first, liar.Sign(p, w.alice.Primary, nil).Bytes()}
	}, func(w *world) [][]byte { return [][]byte{w.alice.Erase(), w.alice.Reregister(false)} })
	// The device of event 1 is removed and comes back with its old key.
	again := func(w *world) [][]byte {
		removed := w.alice.Remove(1)
		return [][]byte{removed, w.readd(w.alice.Companions[1])}
	}
	add("key introduced twice", "event 4, at position 10, introduces a key that event 1 introduced", 4, again, func(w *world) [][]byte { return [][]byte{w.alice.Remove(1), w.alice.Add()} })
	add("key introduced twice in a row", "introduces a key that event 3 introduced", 2, func(w *world) [][]byte {
		first := w.alice.Reregister(false)
		p := w.alice.Draft(event.AddDevice)
		p.KeyIndex, p.Subject = p.Seq, p.Primary
		return [][]byte{first, liar.Sign(p, w.alice.Primary, w.alice.Primary).Bytes()}
	}, func(w *world) [][]byte { return [][]byte{w.alice.Reregister(false), w.alice.Add()} })
	return append(all, firstEvent(), misplaced(),
		convicts{"E6 reversed", newWorld().key(), reversed(true), reversed(false), "event 4 stands at position 9, before event 3 at 10"})
}

// firstEvent: of event 0 every rule is known.
func firstEvent() convicts {
	build := func(lie bool) *evidence.File {
		w := newWorld()
		carol := liar.NewPhone(origin, "carol", start)
		e := must(event.Parse(carol.Register()))
		if lie {
			e.DevicesHash[0] ^= 1
			e = liar.Sign(e.Payload, carol.Primary, nil)
		}
		w.Append(carol.Account(), e.Bytes())
		w.Seal()
		return must(w.tree().BrokenEvents(w.open(carol, 0)))
	}
	return convicts{"E6 first event", newWorld().key(), build(true), build(false), "devices-hash"}
}

// misplaced is an event under another index than the VRF's, and its VRF proof.
func misplaced() convicts {
	build := func(lie bool) *evidence.File {
		w := newWorld()
		p := w.Append(w.alice.Account(), w.alice.Confirm())
		if lie {
			l := must(leaf.Parse(w.Leaves[p])).(*leaf.Event)
			l.Index = name.Index{5}
			w.Leaves[p] = l.Bytes()
		}
		w.Seal()
		proof, _, _ := w.VRF(w.alice.Account(), 3)
		return must(w.tree().WrongIndex(w.open(w.alice, 3), evidence.VRF{Label: w.alice.Account().Label(), Seq: 3, Proof: proof}))
	}
	return convicts{"E6 wrong index", newWorld().key(), build(true), build(false), "stands under the index 0500"}
}

// reversed has alice's event 3 after her event 4.
func reversed(lie bool) *evidence.File {
	w := newWorld()
	a, b := w.alice.Confirm(), w.alice.Confirm()
	if lie {
		w.AppendAt(w.alice.Account(), 4, b)
		w.AppendAt(w.alice.Account(), 3, a)
		r := w.Records[w.alice.Account()]
		r[3], r[4] = r[4], r[3]
	} else {
		w.Append(w.alice.Account(), a)
		w.Append(w.alice.Account(), b)
	}
	w.Seal()
	opens := []evidence.Open{w.open(w.alice, 3), w.open(w.alice, 4)}
	if lie {
		opens[0], opens[1] = opens[1], opens[0]
	}
	return must(w.tree().BrokenEvents(opens...))
}
