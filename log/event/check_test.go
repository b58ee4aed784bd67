package event_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"

	"github.com/musterlog/muster/log/event"
)

// judged is an event and what Check must say of it.
type judged struct {
	name     string
	event    *event.Event
	admitted []event.Key
	rule     event.Rule
	role     event.Role
}

// manyEvents are device-adds by keys of both types, and each broken in all ways
// that Check tells apart.
func manyEvents(t testing.TB) (all []judged) {
	tt, _ := t.(*testing.T)
	if tt == nil {
		tt = new(testing.T)
	}
	for _, words := range [][2]string{{"phone", "laptop"}, {"phone", "xlaptop"}, {"xphone", "laptop"}, {"xphone", "xlaptop"}} {
		c := newChain(tt, "REGISTER "+words[0])
		add := func(name string, rule event.Rule, role event.Role, spoil func(*draft), after func(*event.Event)) {
			d := c.draft("ADD_DEVICE " + words[1])
			if spoil != nil {
				spoil(d)
			}
			e := c.sign(d)
			if after != nil {
				after(e)
			}
			name = words[0] + " adds " + words[1] + ": " + name
			all = append(all, judged{name, e, nil, rule, role}, judged{name + ", primary known", e, []event.Key{c.at.Primary}, rule, role})
		}
		flip := func(role event.Role, i int) func(*event.Event) {
			return func(e *event.Event) { e.Signatures[role].Bytes[i] ^= 1 }
		}
		// An S above L is refused before there is a point to compare.
		noS := func(role event.Role) func(*event.Event) {
			return func(e *event.Event) { e.Signatures[role].Bytes[63] |= 0x60 }
		}
		both := func(f, g func(*event.Event)) func(*event.Event) { return func(e *event.Event) { f(e); g(e) } }
		add("good", "", 0, nil, nil)
		add("R of the primary", event.RuleSignature, event.Primary, nil, flip(event.Primary, 7))
		add("S of the subject", event.RuleSignature, event.Subject, nil, flip(event.Subject, 40))
		add("S of the primary too large", event.RuleSignature, event.Primary, nil, noS(event.Primary))
		add("S of the subject too large", event.RuleSignature, event.Subject, nil, noS(event.Subject))
		add("both wrong", event.RuleSignature, event.Primary, nil, both(flip(event.Primary, 7), flip(event.Subject, 7)))
		add("both S too large", event.RuleSignature, event.Primary, nil, both(noS(event.Primary), noS(event.Subject)))
		add("the primary wrong, the subject's S too large", event.RuleSignature, event.Primary, nil, both(flip(event.Primary, 7), noS(event.Subject)))
		add("the primary's S too large, the subject wrong", event.RuleSignature, event.Primary, nil, both(noS(event.Primary), flip(event.Subject, 7)))
		add("subject of small order", event.RuleNotAdmitted, event.Subject, func(d *draft) { d.Subject = edKey(edwards25519.NewIdentityPoint()) }, nil)
		add("subject of small order, signatures wrong", event.RuleNotAdmitted, event.Subject, func(d *draft) { d.Subject = event.Key{event.KeyCurve25519} }, flip(event.Primary, 7))
		add("subject no point", event.RuleNotAdmitted, event.Subject, func(d *draft) { d.Subject = event.Key{event.KeyEd25519, 2} }, nil)
		add("row", event.RuleRow, 0, func(d *draft) { d.KeyIndex++ }, flip(event.Primary, 7))
		add("a role too few", event.RuleRow, 0, func(d *draft) { d.roles = d.roles[:1] }, nil)
	}
	return all
}

// Many events at once have each its own verdict, whatever stands beside it.
func TestCheckAll(t *testing.T) {
	if got := event.CheckAll(nil, nil); len(got) != 0 {
		t.Errorf("no events: %v", got)
	}
	all := manyEvents(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for rest := all; len(rest) > 0; {
			n := min(1+r.IntN(30), len(rest))
			part := rest[:n]
			rest = rest[n:]
			events, admitted := make([]*event.Event, n), make([][]event.Key, n)
			for i, j := range part {
				events[i], admitted[i] = j.event, j.admitted
			}
			for i, c := range event.CheckAll(events, admitted) {
				want := part[i]
				if c.Event() != want.event || c.ID() != want.event.ID() {
					t.Fatalf("%s: the verdict is about another event", want.name)
				}
				var e *event.Error
				if err := c.Err(); want.rule == "" && err != nil || want.rule != "" && (!errors.As(err, &e) || e.Rule != want.rule || e.Role != want.role) {
					t.Errorf("%s: %v, want %q of role %s", want.name, err, want.rule, want.role)
				}
			}
		}
	}
}

// A key that the caller vouches for and that is no point has no signatures.
func TestVouchedKeyThatIsNoPoint(t *testing.T) {
	c := newChain(t, "REGISTER phone")
	d := c.draft("ADD_DEVICE laptop")
	d.Subject = event.Key{event.KeyEd25519, 2}
	wantRule(t, event.Check(c.sign(d), d.Subject).Err(), event.RuleSignature)
}

// BenchmarkCheck is a device-add under a known primary, by type of the keys;
// floor is its two signatures by themselves.
func BenchmarkCheck(b *testing.B) {
	for _, j := range manyEvents(b) {
		if j.rule != "" || len(j.admitted) == 0 {
			continue
		}
		e := j.event
		types := map[byte]string{event.KeyEd25519: "ed25519", event.KeyCurve25519: "curve25519"}
		if e.Primary[0] != e.Subject[0] {
			continue
		}
		b.Run(types[e.Subject[0]]+",floor", func(b *testing.B) {
			for b.Loop() {
				if !event.VerifySignature(e.Primary, e.SignedBytes(event.Primary), e.Signatures[0].Bytes) ||
					!event.VerifySignature(e.Subject, e.SignedBytes(event.Subject), e.Signatures[1].Bytes) {
					b.Fatal("refused")
				}
			}
		})
		b.Run(types[e.Subject[0]], func(b *testing.B) {
			for b.Loop() {
				if err := event.Check(e, j.admitted...).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(types[e.Subject[0]]+",all=64", func(b *testing.B) {
			events, admitted := make([]*event.Event, 64), make([][]event.Key, 64)
			for i := range events {
				events[i], admitted[i] = e, j.admitted
			}
			for b.Loop() {
				for _, c := range event.CheckAll(events, admitted) {
					if err := c.Err(); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(events)), "ns/event")
		})
	}
}

// BenchmarkApply is what is left for the lock under which events join an account.
func BenchmarkApply(b *testing.B) {
	c := newChain(new(testing.T), "REGISTER phone")
	checked := event.Check(c.sign(c.draft("ADD_DEVICE laptop")))
	for b.Loop() {
		if err := c.at.Clone().Apply(checked); err != nil {
			b.Fatal(err)
		}
	}
}
