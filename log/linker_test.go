package log_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// TestLinkerWithTheKey: of the leaves of a real log, whoever has the VRF key finds each
// account's; all have one length, and no two commitments one opening. Within an
// epoch they stand in the order in which they came: the protocol promises that (section
// 4.2), and nothing about who may tell it.
func TestLinkerWithTheKey(t *testing.T) {
	r := newRig(t)
	phones := make([]*liar.Phone, 20)
	for i := range phones {
		phones[i] = r.phone(fmt.Sprint("account ", i))
	}
	random := rand.New(rand.NewPCG(3, 4))
	owner := map[uint64]int{} // by position
	openings := map[name.Opening]bool{}
	ones := 0
	for range 10 {
		var bodies [][]byte
		var whose []int
		for range 30 {
			who := random.IntN(len(phones))
			p := phones[who]
			if p.At.Next == 0 {
				bodies = append(bodies, p.Register())
			} else {
				bodies = append(bodies, p.Confirm())
			}
			whose = append(whose, who)
		}
		last := uint64(0)
		for i, o := range r.accepted(bodies...) {
			if o.Position <= last {
				t.Errorf("event %d of a call stands at %d, after %d", i, o.Position, last)
			}
			last = o.Position
			owner[o.Position] = whose[i]
			e, err := r.event(phones[whose[i]].Account(), o.Seq)
			if err != nil {
				t.Fatal(err)
			}
			openings[e.Opening] = true
			ones += weight(e.Opening[:])
		}
	}
	if z := (float64(ones) - 300*64) / math.Sqrt(300*32); len(openings) != 300 || math.Abs(z) > 6 {
		t.Errorf("%d openings for 300 events, %.1f deviations from half ones", len(openings), z)
	}
	r.stop()
	// The linker knows who there is.
	linked := map[name.Index]int{}
	for who, p := range phones {
		for seq := range uint32(100) {
			linked[r.cfg.VRF.Evaluate(p.Account().Label().VRFInput(seq))] = who
		}
	}
	right := 0
	for position, l := range r.leaves() {
		e, ok := l.(*leaf.Event)
		if !ok {
			continue
		}
		if n := len(e.Bytes()); n != 65 {
			t.Errorf("the EVENT leaf at %d has %d bytes", position, n)
		}
		if who, ok := linked[e.Index]; ok && who == owner[uint64(position)] {
			right++
		}
	}
	if right != 300 {
		t.Errorf("with the VRF key %d of 300 leaves were linked to their accounts", right)
	}
}
