package checkpoint

import (
	"fmt"
	"math/bits"
)

// Tolerance is what a policy's quorum withstands, counted in cosigners.
type Tolerance struct {
	// Dishonest is how many cosigners may collude with the log, whichever they
	// are, and still no two clients of this policy can be shown two histories.
	// −1: even without any, since the honest ones can be split into two parts of
	// which each meets the quorum.
	Dishonest int
	// Unavailable is how many may be silent, whichever they are, and checkpoints
	// still meet the quorum.
	Unavailable int
}

// Tolerates is exact, for groups of groups too. A log and its colluders C show
// two histories exactly if the honest rest can be parted into A and B so that
// both A with C and B with C meet the quorum: an honest cosigner signs one
// history only, a colluder any. It looks at every set of cosigners, so it
// refuses a quorum of more than 20.
func (p *Policy) Tolerates() (Tolerance, error) {
	counted := p.counted()
	n := len(counted)
	if n > maxTolerance {
		return Tolerance{}, fmt.Errorf("the quorum counts %d cosigners: what it tolerates is worked out for at most %d", n, maxTolerance)
	}
	all := uint32(1)<<n - 1
	met := p.metBy(counted)
	// lacks[s]: how many cosigners must join the set s before it meets the
	// quorum. A set is computed after its supersets, which are larger numbers.
	lacks := make([]uint8, all+1)
	t := Tolerance{Dishonest: n, Unavailable: n}
	for s := int(all); s >= 0; s-- {
		if met(uint32(s)) {
			continue
		}
		t.Unavailable = min(t.Unavailable, n-bits.OnesCount32(uint32(s))-1)
		least := uint8(n + 1)
		for rest := all &^ uint32(s); rest != 0; rest &= rest - 1 {
			least = min(least, 1+lacks[uint32(s)|rest&-rest])
		}
		lacks[s] = least
	}
	// One view is signed by s. For the other there is who did not sign, and as
	// many of s as are lacking then: they sign both.
	for s := range lacks {
		if lacks[s] == 0 {
			t.Dishonest = min(t.Dishonest, int(lacks[all&^uint32(s)])-1)
		}
	}
	return t, nil
}

// counted is the witnesses that can matter to the quorum.
func (p *Policy) counted() []Witness {
	reached := map[string]bool{p.Quorum: true}
	for i := len(p.Groups) - 1; i >= 0; i-- { // from the outer groups to the inner ones
		if reached[p.Groups[i].Name] {
			for _, m := range p.Groups[i].Members {
				reached[m] = true
			}
		}
	}
	var counted []Witness
	for _, w := range p.Witnesses {
		if reached[w.Name] {
			counted = append(counted, w)
		}
	}
	return counted
}

// Idle names the witnesses that no quorum counts, whatever they sign.
func (p *Policy) Idle() []string {
	counts := make(map[string]bool)
	for _, w := range p.counted() {
		counts[w.Name] = true
	}
	var idle []string
	for _, w := range p.Witnesses {
		if !counts[w.Name] {
			idle = append(idle, w.Name)
		}
	}
	return idle
}

// metBy is met for sets of witnesses as bits, a million of them in no time.
func (p *Policy) metBy(counted []Witness) func(set uint32) bool {
	if p.Quorum == quorumNone {
		return func(uint32) bool { return true }
	}
	at := make(map[string]int) // of witnesses, then groups
	for _, w := range counted {
		at[w.Name] = len(at)
	}
	type group struct {
		need    int
		members []int
	}
	var groups []group
	for _, g := range p.Groups {
		next := group{need: g.Need}
		for _, m := range g.Members {
			if i, ok := at[m]; ok {
				next.members = append(next.members, i)
			}
		}
		// A group outside of the quorum may be short of members, and is never asked.
		at[g.Name] = len(counted) + len(groups)
		groups = append(groups, next)
	}
	quorum := at[p.Quorum]
	is := make([]bool, len(counted)+len(groups))
	return func(set uint32) bool {
		for i := range counted {
			is[i] = set>>i&1 == 1
		}
		for i, g := range groups {
			n := 0
			for _, m := range g.members {
				if is[m] {
					n++
				}
			}
			is[len(counted)+i] = n >= g.need
		}
		return is[quorum]
	}
}

// Auditors names the witnesses that are auditors: the members of the group
// "auditors", and theirs.
func (p *Policy) Auditors() []string {
	auditor := p.auditors()
	var names []string
	for _, w := range p.Witnesses {
		if auditor[w.Name] {
			names = append(names, w.Name)
		}
	}
	return names
}
