package checkpoint_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
)

var epoch = time.Unix(1_800_000_000, 0)

// tree is a quorum as the tests draw it: a witness (leaf) or k of its members.
type tree struct {
	witness int
	need    int
	members []tree
	auditor bool // the group named auditors
}

// met is the definition, recursive, on a bit set of witnesses.
func (q tree) met(signed uint) bool {
	if q.members == nil {
		return signed>>q.witness&1 == 1
	}
	n := 0
	for _, m := range q.members {
		if m.met(signed) {
			n++
		}
	}
	return n >= q.need
}

func (q tree) witnesses() (set uint) {
	if q.members == nil {
		return 1 << q.witness
	}
	for _, m := range q.members {
		set |= m.witnesses()
	}
	return set
}

func (q tree) auditors() (set uint) {
	if q.auditor {
		return q.witnesses()
	}
	for _, m := range q.members {
		set |= m.auditors()
	}
	return set
}

// write appends the group lines of q, inner ones first, and gives q's name.
func (q tree) write(s *strings.Builder, groups *int) string {
	if q.members == nil {
		return fmt.Sprintf("w%d", q.witness)
	}
	var names []string
	for _, m := range q.members {
		names = append(names, m.write(s, groups))
	}
	*groups++
	name := fmt.Sprintf("g%d", *groups)
	if q.auditor {
		name = "auditors"
	}
	fmt.Fprintf(s, "group %s %d %s\n", name, q.need, strings.Join(names, " "))
	return name
}

func policyOf(q tree, witnesses int) *checkpoint.Policy {
	var s strings.Builder
	s.WriteString("log " + newLog().Key().String() + "\n")
	for i := range witnesses {
		fmt.Fprintf(&s, "witness w%d %s\n", i, newCosigner(i).Key())
	}
	groups := 0
	name := q.write(&s, &groups)
	return must(checkpoint.ParsePolicy([]byte(s.String() + "quorum " + name + "\n")))
}

// trees yields every quorum over these witnesses with every threshold, each
// witness in its place, to two levels of groups; and each with every choice of
// the auditors' group.
func trees(witnesses []int, depth int) (all []tree) {
	if len(witnesses) == 1 {
		all = append(all, tree{witness: witnesses[0]})
	}
	if depth == 0 {
		return all
	}
	for _, parts := range partitions(witnesses) {
		if len(parts) == 1 && depth < 2 && len(witnesses) > 1 {
			continue // would be a group of itself
		}
		choices := [][]tree{nil}
		for _, part := range parts {
			var next [][]tree
			for _, c := range choices {
				for _, sub := range trees(part, depth-1) {
					next = append(next, append(slices.Clone(c), sub))
				}
			}
			choices = next
		}
		for _, members := range choices {
			for need := 1; need <= len(members); need++ {
				all = append(all, tree{need: need, members: members})
				all = append(all, tree{need: need, members: members, auditor: true})
			}
		}
	}
	return all
}

// partitions yields every way to part a list into non-empty sets.
func partitions(list []int) (all [][][]int) {
	if len(list) == 0 {
		return [][][]int{nil}
	}
	for _, p := range partitions(list[1:]) {
		all = append(all, append([][]int{{list[0]}}, p...))
		for i := range p {
			q := slices.Clone(p)
			q[i] = append([]int{list[0]}, p[i]...)
			all = append(all, q)
		}
	}
	return all
}

// oneAuditors says whether the name would be defined at most once.
func (q tree) oneAuditors() bool { return q.countAuditors() <= 1 }

func (q tree) countAuditors() (n int) {
	if q.auditor {
		n++
	}
	for _, m := range q.members {
		n += m.countAuditors()
	}
	return n
}

// Every tree over up to 4 witnesses and every set of signers: Verify agrees
// with the definition, and Trust with trying all sets without an auditor.
func TestQuorumAgainstBruteForce(t *testing.T) {
	const most = 4
	c := at(9)
	var lines [most]checkpoint.Line
	for i := range lines {
		lines[i] = newCosigner(i).Cosign(c.Text(), uint64(epoch.Unix()))
	}
	// One note for each set of signers.
	notes := make([]*checkpoint.Note, 1<<most)
	for set := range notes {
		b := newLog().Sign(c)
		for i, l := range lines {
			if set>>i&1 == 1 {
				b = checkpoint.Append(b, l)
			}
		}
		notes[set] = must(checkpoint.Parse(b))
	}
	var quorums []tree
	for n := 1; n <= most; n++ {
		quorums = append(quorums, trees([]int{0, 1, 2, 3}[:n], 2)...)
	}
	quorums = slices.DeleteFunc(quorums, func(q tree) bool { return !q.oneAuditors() })
	if len(quorums) < 300 {
		t.Fatalf("only %d quorums", len(quorums))
	}
	rnd := rand.New(rand.NewPCG(1, 2)) // signatures are dear: all Trusts, a fifth of the sets
	refused, trusts := 0, map[checkpoint.Trust]int{}
	for _, q := range quorums {
		p := policyOf(q, most)
		want := checkpoint.Audited
		for set := range uint(1 << most) {
			if set&q.auditors() == 0 && q.met(set) {
				want = checkpoint.Unaudited
			}
		}
		trusts[want]++
		if got := p.Trust(); got != want {
			t.Fatalf("trust %q, want %q:\n%s", got, want, p)
		}
		for set, n := range notes {
			if rnd.IntN(5) > 0 {
				continue
			}
			v, err := p.Verify(n, epoch, time.Hour)
			if q.met(uint(set)) != (err == nil) {
				t.Fatalf("signers %04b: %v\n%s", set, err, p)
			}
			if err != nil {
				if refused++; !errors.Is(err, checkpoint.ErrQuorum) {
					t.Fatalf("signers %04b: %v", set, err)
				}
			} else if v.Trust != want {
				t.Fatalf("verdict says %q, want %q:\n%s", v.Trust, want, p)
			}
		}
	}
	if refused == 0 || trusts[checkpoint.Audited] == 0 || trusts[checkpoint.Unaudited] == 0 {
		t.Errorf("the trees show too little: %d refused, %v", refused, trusts)
	}
	t.Logf("count refused %d", refused)
}

// The bounds hold for clocks between two seconds, too.
func TestTimeBoundsWithFractions(t *testing.T) {
	policy := policyOf(tree{witness: 0}, 1)
	text := at(9).Text()
	for _, c := range []struct {
		name   string
		now    time.Time
		maxAge time.Duration
		at     int64 // relative to epoch
		ok     bool
	}{
		{"oldest, half a second late", epoch.Add(time.Second / 2), time.Hour, -3600, false},
		{"oldest after that", epoch.Add(time.Second / 2), time.Hour, -3599, true},
		{"oldest, a nanosecond late", epoch.Add(1), time.Hour, -3600, false},
		{"oldest on the dot", epoch, time.Hour, -3600, true},
		{"age of a fraction", epoch, 1500 * time.Millisecond, -2, false},
		{"age within a fraction", epoch, 1500 * time.Millisecond, -1, true},
		{"newest on the dot", epoch, time.Hour, 300, true},
		{"newest, a nanosecond early", epoch.Add(-1), time.Hour, 300, false},
		{"newest, half a second to spare", epoch.Add(time.Second / 2), time.Hour, 300, true},
		{"newest, beyond half a second", epoch.Add(time.Second / 2), time.Hour, 301, false},
		{"no age at all", epoch, 0, 0, true},
		{"no age, a second ago", epoch, 0, -1, false},
		{"any age", epoch, math.MaxInt64, -epoch.Unix(), true},
		{"any age, ahead", epoch, math.MaxInt64, 301, false},
		{"any age, far ahead", epoch, math.MaxInt64, math.MaxInt64 - epoch.Unix(), false},
		{"clock before 1970", time.Unix(-1000, 0), time.Hour, 0, false},
		{"another time zone", epoch.In(time.FixedZone("", 7*3600)), time.Hour, -3600, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := checkpoint.Append(newLog().Sign(at(9)), newCosigner(0).Cosign(text, uint64(epoch.Unix()+c.at)))
			_, err := policy.Verify(must(checkpoint.Parse(b)), c.now, c.maxAge)
			if c.ok && err != nil || !c.ok && !errors.Is(err, checkpoint.ErrStale) {
				t.Errorf("want %v, got %v", c.ok, err)
			}
		})
	}
}

// A note made by hand, past Parse.
func TestVerifyNotesMadeByHand(t *testing.T) {
	policy := policyOf(tree{witness: 0}, 1)
	good := func() *checkpoint.Note {
		return must(checkpoint.Parse(checkpoint.Append(newLog().Sign(at(9)), newCosigner(0).Cosign(at(9).Text(), uint64(epoch.Unix())))))
	}
	if _, err := policy.Verify(good(), epoch, time.Hour); err != nil {
		t.Fatal(err)
	}
	bad := good().Lines[0]
	bad.Signature = make([]byte, 64)
	for name, c := range map[string]struct {
		change func(*checkpoint.Note)
		want   error
	}{
		"another checkpoint beside the text": {func(n *checkpoint.Note) { n.Size++ }, checkpoint.ErrLogSignature},
		"log line good then good":            {func(n *checkpoint.Note) { n.Lines = append(n.Lines, n.Lines[0]) }, checkpoint.ErrLogSignature},
		"log line good then bad":             {func(n *checkpoint.Note) { n.Lines = append(n.Lines, bad) }, checkpoint.ErrLogSignature},
		"log line bad then good":             {func(n *checkpoint.Note) { n.Lines = append([]checkpoint.Line{bad}, n.Lines...) }, checkpoint.ErrLogSignature},
		"no lines":                           {func(n *checkpoint.Note) { n.Lines = nil }, checkpoint.ErrLogSignature},
	} {
		t.Run(name, func(t *testing.T) {
			n := good()
			c.change(n)
			if _, err := policy.Verify(n, epoch, time.Hour); !errors.Is(err, c.want) {
				t.Error(err)
			}
		})
	}
	if _, err := new(checkpoint.Policy).Verify(good(), epoch, time.Hour); !errors.Is(err, checkpoint.ErrLogSignature) {
		t.Errorf("a policy that says nothing: %v", err)
	}
	if _, err := (&checkpoint.Policy{Log: policy.Log}).Verify(good(), epoch, time.Hour); !errors.Is(err, checkpoint.ErrQuorum) {
		t.Errorf("a policy without quorum: %v", err)
	}
}

// Every bit of a note, flipped: refused, unless it lies in a line that nobody
// needs; then the checkpoint is the same and nobody is added to the cosigners.
func TestEveryBitFlipped(t *testing.T) {
	q := tree{need: 1, members: []tree{{need: 2, members: []tree{{witness: 0}, {witness: 1}}}, {witness: 2}}} // met by 0 and 1 here
	policy := policyOf(q, 4)
	text, now := at(9).Text(), uint64(epoch.Unix())
	b := checkpoint.Append(newLog().Sign(at(9)), newCosigner(0).Cosign(text, now), newCosigner(1).Cosign(text, now))
	needed := len(b)
	b = checkpoint.Append(b, newCosigner(3).Cosign(text, now))
	known := len(b)
	b = checkpoint.Append(b, newCosigner(7).Cosign(text, now)) // not in the policy
	want := must(policy.Verify(must(checkpoint.Parse(b)), epoch, time.Hour))
	fewer := &checkpoint.Verdict{Cosigners: []string{"w0", "w1"}, Trust: want.Trust}
	if !slices.Equal(want.Cosigners, []string{"w0", "w1", "w3"}) {
		t.Fatal(want.Cosigners)
	}
	accepted := 0
	for i := range len(b) * 8 {
		flipped := slices.Clone(b)
		flipped[i/8] ^= 1 << (i % 8)
		n, err := checkpoint.Parse(flipped)
		if err != nil {
			continue
		}
		got, err := policy.Verify(n, epoch, time.Hour)
		switch {
		case err != nil:
		case i/8 < needed:
			t.Fatalf("bit %d of byte %d (%q): accepted", i%8, i/8, b[i/8])
		case n.Checkpoint != at(9):
			t.Fatalf("bit %d of byte %d: another checkpoint", i%8, i/8)
		case reflect.DeepEqual(got, want) && i/8 >= known, reflect.DeepEqual(got, fewer) && i/8 < known:
			accepted++
		default:
			t.Fatalf("bit %d of byte %d: %+v, want %+v", i%8, i/8, got, want)
		}
	}
	if accepted == 0 {
		t.Error("no flip in the stranger's line was ignored")
	}
}

func FuzzParsePolicy(f *testing.F) {
	for _, c := range table[policyCase](f, "policies.json") {
		f.Add(c.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := checkpoint.ParsePolicy(b)
		if err != nil {
			return
		}
		again, err := checkpoint.ParsePolicy([]byte(p.String()))
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("read again from %q: %v", p, err)
		}
		if again.String() != p.String() || again.Trust() != p.Trust() {
			t.Fatal("two forms")
		}
	})
}

// Open asks for the log's own line and for no cosigner's.
func TestOpen(t *testing.T) {
	signed := newLog().Sign(at(9))
	stranger := must(checkpoint.NewSigner(newLog().Key().Name, [32]byte{99}))
	forged := checkpoint.Line{Name: newLog().Key().Name, ID: newLog().Key().ID, Signature: make([]byte, 64)}
	for name, c := range map[string]struct {
		note []byte
		want error
	}{
		"its own":           {signed, nil},
		"its own, cosigned": {checkpoint.Append(signed, newCosigner(0).Cosign(at(9).Text(), 1)), nil},
		"a stranger's":      {stranger.Sign(at(9)), checkpoint.ErrLogSignature},
		"another signature": {checkpoint.Append([]byte(at(9).Text()+"\n"), forged), checkpoint.ErrLogSignature},
		"another log's":     {[]byte(strings.Replace(string(signed), string(at(9).Origin), "example.org/other", 1)), checkpoint.ErrLogSignature},
		"with two lines":    {checkpoint.Append(signed, forged), checkpoint.ErrRepeated},
	} {
		if n, err := checkpoint.Open(newLog().Key(), c.note); !errors.Is(err, c.want) || (err == nil) != (n != nil) {
			t.Errorf("%s: %v, %v; want %v", name, n, err, c.want)
		}
	}
}
