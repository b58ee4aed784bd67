package checkpoint_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/liar"
)

// witnessLines is n witnesses, w0, w1 and so on.
func witnessLines(t testing.TB, n int) (lines string, names []string) {
	t.Helper()
	signer, err := checkpoint.NewSigner("log.example", liar.Seed("tolerance"))
	if err != nil {
		t.Fatal(err)
	}
	lines = "log " + signer.Key().String() + "\n"
	for i := range n {
		names = append(names, fmt.Sprintf("w%d", i))
		c, err := checkpoint.NewCosigner(checkpoint.Cosignature, names[i]+".example", liar.Seed("tolerance", names[i]))
		if err != nil {
			t.Fatal(err)
		}
		lines += "witness " + names[i] + " " + c.Key().String() + "\n"
	}
	return lines, names
}

func tolerance(t testing.TB, policy string) checkpoint.Tolerance {
	t.Helper()
	p, err := checkpoint.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Tolerates()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// k of n tolerates 2k − n − 1 dishonest cosigners and n − k unavailable ones.
func TestToleranceOfFlatGroups(t *testing.T) {
	for n := 1; n <= 12; n++ {
		lines, names := witnessLines(t, n)
		for k := 1; k <= n; k++ {
			got := tolerance(t, fmt.Sprintf("%sgroup g %d %s\nquorum g\n", lines, k, strings.Join(names, " ")))
			want := checkpoint.Tolerance{Dishonest: max(2*k-n-1, -1), Unavailable: n - k}
			if got != want {
				t.Errorf("%d of %d: %+v, want %+v", k, n, got, want)
			}
		}
	}
}

func TestToleranceOfOtherPolicies(t *testing.T) {
	lines, names := witnessLines(t, 8)
	all := strings.Join(names, " ")
	for _, c := range []struct {
		policy string
		want   checkpoint.Tolerance
	}{
		{"quorum none\n", checkpoint.Tolerance{Dishonest: -1}},
		{"quorum w3\n", checkpoint.Tolerance{}},
		{"group auditors any w0 w1\ngroup ws 3 w2 w3 w4 w5\ngroup q all auditors ws\nquorum q\n", checkpoint.Tolerance{Dishonest: 1, Unavailable: 1}},
		{"group a all w0 w1\ngroup b all w2 w3\ngroup q any a b\nquorum q\n", checkpoint.Tolerance{Dishonest: -1, Unavailable: 1}},
		{"group a 2 w0 w1 w2\ngroup b 2 w3 w4 w5\ngroup q all a b\nquorum q\n", checkpoint.Tolerance{Dishonest: 1, Unavailable: 1}},
		{"group idle all " + all + "\nquorum none\n", checkpoint.Tolerance{Dishonest: -1}},
	} {
		if got := tolerance(t, lines+c.policy); got != c.want {
			t.Errorf("%s%+v, want %+v", c.policy, got, c.want)
		}
	}
	if _, err := checkpoint.ParsePolicy(nil); err == nil {
		t.Fatal("an empty policy")
	}
}

// Groups of groups, against the definition itself: every set of colluders,
// every way to part the rest, each asked of Policy.Verify's own rule.
func TestToleranceByDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 7))
	seen := map[checkpoint.Tolerance]int{}
	for range 200 {
		n := 2 + rng.IntN(4)
		lines, free := witnessLines(t, n)
		policy, groups := lines, 0
		for len(free) > 1 {
			rng.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
			take := 1 + rng.IntN(len(free))
			name := fmt.Sprintf("g%d", groups)
			policy += fmt.Sprintf("group %s %d %s\n", name, 1+rng.IntN(take), strings.Join(free[:take], " "))
			free = append(free[take:], name)
			if groups++; rng.IntN(4) == 0 {
				break
			}
		}
		policy += "quorum " + free[len(free)-1] + "\n"
		want, got := byDefinition(t, policy, n), tolerance(t, policy)
		idle := idleCount(t, policy)
		// Who is not counted may be dishonest or silent in any number.
		want.Dishonest, want.Unavailable = min(want.Dishonest, n-idle), min(want.Unavailable, n-idle)
		if got != want {
			t.Errorf("%s%+v, want %+v", policy, got, want)
		}
		seen[got]++
	}
	t.Logf("200 policies, %d different outcomes", len(seen))
}

func idleCount(t *testing.T, policy string) int {
	p, err := checkpoint.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	return len(p.Idle())
}

func byDefinition(t *testing.T, policy string, n int) checkpoint.Tolerance {
	p, err := checkpoint.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	met := make([]bool, 1<<n)
	for s := range met {
		met[s] = verifies(t, p, s)
	}
	all := 1<<n - 1
	want := checkpoint.Tolerance{Dishonest: n, Unavailable: n}
	for s := range met {
		if !met[s] {
			want.Unavailable = min(want.Unavailable, n-ones(s)-1)
		}
		for a := range met { // s colludes, a signs one view, who is left the other
			if a&s == 0 && met[a|s] && met[all&^a] {
				want.Dishonest = min(want.Dishonest, ones(s)-1)
			}
		}
	}
	return want
}

func ones(s int) (n int) {
	for ; s != 0; s &= s - 1 {
		n++
	}
	return n
}

// verifies signs a real checkpoint with a set of cosigners, and asks the policy.
func verifies(t *testing.T, p *checkpoint.Policy, set int) bool {
	signer, err := checkpoint.NewSigner("log.example", liar.Seed("tolerance"))
	if err != nil {
		t.Fatal(err)
	}
	c := checkpoint.Checkpoint{Origin: "log.example", Size: 7}
	b := signer.Sign(c)
	for i, w := range p.Witnesses {
		if set>>i&1 == 0 {
			continue
		}
		cosigner, err := checkpoint.NewCosigner(checkpoint.Cosignature, w.Key.Name, liar.Seed("tolerance", w.Name))
		if err != nil {
			t.Fatal(err)
		}
		b = checkpoint.Append(b, cosigner.Cosign(c.Text(), 1000))
	}
	note, err := checkpoint.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Verify(note, time.Unix(1000, 0), time.Hour)
	return err == nil
}

func TestToleranceIsBounded(t *testing.T) {
	for n, want := range map[int]bool{20: true, 21: false} {
		lines, names := witnessLines(t, n)
		p, err := checkpoint.ParsePolicy([]byte(fmt.Sprintf("%sgroup g 14 %s\nquorum g\n", lines, strings.Join(names, " "))))
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Tolerates()
		if (err == nil) != want || want && got != (checkpoint.Tolerance{Dishonest: 7, Unavailable: 6}) {
			t.Errorf("%d cosigners: %+v, %v", n, got, err)
		}
	}
}
