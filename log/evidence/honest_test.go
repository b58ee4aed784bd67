package evidence_test

import (
	"errors"
	"testing"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
)

// What a slanderer can make of an honest account's events convicts nobody, though
// all of it is signed and included.
func TestHonestEventsConvictNobody(t *testing.T) {
	w := newWorld()
	device := w.alice.Companions[1]
	carol := liar.NewPhone(origin, "carol", start)
	for _, e := range [][]byte{w.alice.Erase(), w.alice.Reregister(false), w.readd(device)} { // an ERASE forgets keys
		w.Append(w.alice.Account(), e)
	}
	for _, e := range [][]byte{carol.Register(), carol.Add()} {
		w.Append(carol.Account(), e)
	}
	w.Seal()
	opens := func(seqs ...uint32) (all []evidence.Open) {
		for _, seq := range seqs {
			all = append(all, w.open(w.alice, seq))
		}
		return all
	}
	vrfOf := func(p *liar.Phone, seq uint32) evidence.VRF {
		proof, _, err := w.VRF(p.Account(), seq)
		if err != nil {
			t.Fatal(err)
		}
		return evidence.VRF{Label: p.Account().Label(), Seq: seq, Proof: proof}
	}
	twice := must(w.tree().BrokenLeaves())
	twice.Lines = append(twice.Lines, twice.Lines[1])
	for what, f := range map[string]*evidence.File{
		"a key introduced twice, with an ERASE between": must(w.tree().BrokenEvents(opens(1, 2, 3, 4, 5)...)),
		"the same without the ERASE":                    must(w.tree().BrokenEvents(opens(1, 2, 4, 5)...)),
		"the two alone":                                 must(w.tree().BrokenEvents(opens(1, 5)...)),
		"two events, the later one first":               must(w.tree().BrokenEvents(opens(2, 1)...)),
		"events of two accounts":                        must(w.tree().BrokenEvents(w.open(w.alice, 5), w.open(carol, 0))),
		"GENESIS, shown twice":                          twice,
		"an event's index and the VRF of another seq":   must(w.tree().WrongIndex(w.open(w.alice, 2), vrfOf(w.alice, 1))),
		"an event's index and another account's VRF":    must(w.tree().WrongIndex(w.open(w.alice, 1), vrfOf(carol, 1))),
	} {
		if err := evidence.Convict(w.key(), f); err == nil || errors.As(err, new(*evidence.Misbehaviour)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
