package verifier_test

import (
	"strings"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/verifier"
)

// Answers that leave something out, with everything else in place and proven: the
// log could give each at no cost.
func TestLeftOut(t *testing.T) {
	for _, lie := range []struct {
		name string
		want verifier.Check
		tell func(w *world) victim
	}{
		{"GENESIS, which was asked for", verifier.CheckAsked, func(w *world) victim {
			w.plays("alice.")
			return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Genesis = nil }}, asks: first("alice")}
		}},
		{"a removal, before a contact who knows the device", verifier.CheckRequired, func(w *world) victim {
			w.plays("alice.", "alice+")
			_, seen := w.mustLook(nil, first("alice"))
			w.plays("alice-1")
			return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
				s := &a.Accounts[0]
				s.From = s.To
				for i, v := range s.Versions {
					if v.Form == answer.Opened {
						s.Versions[i] = answer.Version{Seq: v.Seq, Proof: v.Proof, Form: answer.Closed, Position: v.Position, Commitment: v.Commitment}
					}
				}
			}}, state: seen, asks: first("alice")}
		}},
		// A walk that fails gives no root, and none is zero: so the log signs zero.
		{"the hashes of the tree, under a root of zero", verifier.CheckInclusion, func(w *world) victim {
			w.plays("alice.")
			w.log.SignAs(checkpoint.Checkpoint{Origin: origin, Size: uint64(len(w.log.Leaves))})
			return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Nodes = nil }}, asks: first("alice")}
		}},
	} {
		t.Run(lie.name, func(t *testing.T) {
			w := newWorld(t)
			v := lie.tell(w)
			if r, _, err := w.look(v.source, v.state, v.asks); verifier.FailedCheck(err) != lie.want {
				t.Errorf("refused by %v, want check %q; result %+v", err, lie.want, r)
			}
		})
	}
}

// A log that has always more to tell is left in the end, whatever it still shows:
// after so many pages, or so many events.
func TestAnswerWithoutEnd(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+")
	for _, c := range []struct {
		name          string
		pages, events int // that came before a page with two events
		ok            bool
	}{
		{"the last page", verifier.MaxPages - 1, 0, true},
		{"a page more", verifier.MaxPages, 0, false},
		{"the last two events", 0, verifier.MaxEvents - 2, true},
		{"an event more", 0, verifier.MaxEvents - 1, false},
	} {
		l, err := w.verifier().Lookup(nil, history("alice"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := w.log.Lookup(t.Context(), l.Request())
		if err != nil {
			t.Fatal(err)
		}
		l.CameBefore(c.pages, c.events)
		err = l.Answer(data, w.now())
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "no end") {
			t.Errorf("%s: %v, want accepted: %v", c.name, err, c.ok)
		}
	}
}
