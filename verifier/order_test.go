package verifier_test

import (
	"testing"

	"github.com/musterlog/muster/verifier"
)

// An account's own events in another order, or without one of them: each is
// signed by its owner, and the log hashes, maps and signs them as they come.
func TestEventsInAnotherOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		log  func(w *world) [][]byte
	}{
		{"two events swapped", func(w *world) [][]byte {
			p := w.phone("alice")
			registered, one, two := p.Register(), p.Add(), p.Add()
			return [][]byte{registered, two, one}
		}},
		{"the first is dropped", func(w *world) [][]byte {
			p := w.phone("alice")
			p.Register()
			return [][]byte{p.Add(), p.Add()}
		}},
		{"one in the middle is dropped", func(w *world) [][]byte {
			p := w.phone("alice")
			registered, _, two := p.Register(), p.Add(), p.Add()
			return [][]byte{registered, two}
		}},
		{"an old registration shown as the newest generation", func(w *world) [][]byte {
			p := w.phone("alice")
			registered, anew := p.Register(), p.Reregister(false)
			return [][]byte{registered, anew, registered}
		}},
		{"generations swapped", func(w *world) [][]byte {
			p := w.phone("alice")
			registered, anew := p.Register(), p.Reregister(true)
			return [][]byte{anew, registered}
		}},
	} {
		w := newWorld(t)
		for _, body := range c.log(w) {
			w.log.Append(w.phone("alice").Account(), body)
		}
		w.log.Seal()
		for question, asks := range map[string]verifier.Question{"first": first("alice"), "history": history("alice")} {
			t.Run(c.name+", "+question, func(t *testing.T) {
				if _, _, err := w.look(w.log, nil, asks); verifier.FailedCheck(err) != verifier.CheckRules {
					t.Errorf("%v, want that a rule is broken", err)
				}
			})
		}
	}
}
