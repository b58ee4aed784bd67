package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// honest is a witness's rule (protocol section 7.1): it signs what extends all
// that it has signed, and nothing else.
type honest struct {
	key  *checkpoint.Cosigner
	seen checkpoint.Checkpoint
}

// cosign is add-checkpoint with the best proof that the log can give.
func (h *honest) cosign(l *liar.Log) (checkpoint.Line, bool) {
	note, err := checkpoint.Parse(l.Note)
	if err != nil {
		panic(err)
	}
	if h.seen.Size > note.Size || h.seen.Size == note.Size && h.seen.Root != note.Root {
		return checkpoint.Line{}, false
	}
	if 0 < h.seen.Size && h.seen.Size < note.Size {
		path, err := answer.Consistency(h.seen.Size, note.Size, l.Node)
		if err != nil {
			panic(err)
		}
		var hashes [][]byte
		for i := range path {
			hashes = append(hashes, path[i][:])
		}
		if proof.VerifyConsistency(rfc6962.DefaultHasher, h.seen.Size, note.Size, hashes, h.seen.Root[:], note.Root[:]) != nil {
			return checkpoint.Line{}, false
		}
	}
	h.seen = note.Checkpoint
	return h.key.Cosign(note.Text, l.TimeMs/1000), true
}

// held is a store that begins with a state and keeps what it is given.
type held struct{ state *verifier.State }

func (h *held) Load(name.LogID, []name.AccountID) (*verifier.State, verifier.Token, error) {
	return h.state, verifier.Token{}, nil
}

func (h *held) Save(s *verifier.State, _ verifier.Token) error {
	h.state = s
	return nil
}

// rig is one log that shows two histories, one to each of two clients.
type rig struct {
	w       *world
	base    *liar.Log // what all have seen
	views   [2]*liar.Log
	state   *verifier.State // of both clients, at the base
	keys    []*checkpoint.Cosigner
	lines   [2][]checkpoint.Line // by every witness, of every view
	policy  *checkpoint.Policy
	believe map[string]bool // by view, quorum and signers
}

const (
	isHonest = iota
	isAbsent
	isColluding
)

// newRig forks a log; the second view has more epochs than the first.
func newRig(t *testing.T, n, more int) *rig {
	r := &rig{w: newWorld(t), believe: map[string]bool{}}
	r.w.plays("alice.")
	_, r.state = r.w.mustLook(nil, first("alice"))
	r.base = r.w.log.Fork()
	r.views[0], r.views[1] = r.base.Fork(), r.base.Fork()
	r.views[0].Append(r.w.phone("alice").Account(), r.w.phone("alice").Add())
	r.views[1].Append(r.w.phone("eve").Account(), r.w.phone("eve").Register())
	for range more {
		r.views[1].Seal()
	}
	for i := range n {
		r.keys = append(r.keys, cosigner(t, fmt.Sprintf("w%d", i)))
	}
	for v, view := range r.views {
		view.Seal()
		note, _ := checkpoint.Parse(view.Note)
		for _, key := range r.keys {
			r.lines[v] = append(r.lines[v], key.Cosign(note.Text, view.TimeMs/1000))
		}
	}
	return r
}

func (r *rig) trust(k int) {
	text, group := "log "+r.base.Signer.Key().String()+"\n", fmt.Sprintf("group g %d", k)
	for i, key := range r.keys {
		text += fmt.Sprintf("witness w%d %s\n", i, key.Key())
		group += fmt.Sprintf(" w%d", i)
	}
	r.policy = parsePolicy(r.w.t, text+group+"\nquorum g\n")
}

// shown says whether an honest client that held the base believes a view with
// these cosignatures.
func (r *rig) shown(view int, signers uint) bool {
	key := fmt.Sprint(view, r.policy.Groups[0].Need, signers)
	if was, ok := r.believe[key]; ok {
		return was
	}
	l := r.views[view].Fork()
	for i, line := range r.lines[view] {
		if signers>>i&1 == 1 {
			l.Note = checkpoint.Append(l.Note, line)
		}
	}
	c := verifier.Client{
		Verifier: &verifier.Verifier{Policy: r.policy},
		Store:    &held{r.state}, Source: l,
		Now: func() time.Time { return time.UnixMilli(int64(l.TimeMs)) },
	}
	_, err := c.Lookup(context.Background(), first("alice"))
	if err != nil && verifier.FailedCheck(err) != verifier.CheckQuorum {
		r.w.t.Fatal(err)
	}
	r.believe[key] = err == nil
	return err == nil
}

// attack lets the log send each honest witness the view that sides says first,
// and then the other. It gives who signed each view. An honest witness that
// saw both holds evidence.
func (r *rig) attack(roles []int, sides uint) (signers [2]uint, evidence int) {
	for i, role := range roles {
		switch role {
		case isColluding:
			signers[0] |= 1 << i
			signers[1] |= 1 << i
		case isHonest:
			h := &honest{key: r.keys[i]}
			if _, ok := h.cosign(r.base); !ok {
				r.w.t.Fatal("an honest witness refuses an honest log")
			}
			for _, v := range [2]uint{sides >> i & 1, 1 - sides>>i&1} {
				if _, ok := h.cosign(r.views[v]); ok {
					signers[v] |= 1 << i
				} else {
					evidence++
				}
			}
		}
	}
	return signers, evidence
}

// Every set of up to five witnesses, each honest, absent or colluding, and
// every quorum: two clients believe two histories exactly when the numbers
// allow it. Two forks of one size, and of two.
func TestSplitViewsByTheNumbers(t *testing.T) {
	var cases, split, attacks, caught int
	for _, more := range []int{0, 1} {
		for n := 1; n <= 5; n++ {
			r := newRig(t, n, more)
			file, err := verifier.ProveFork(r.base.Signer.Key(), r.views[0].Note, r.views[1].Note, r.views[1].Node)
			if err != nil {
				t.Fatal(err)
			}
			convicts(t, r.w, file)
			if want := [2]evidence.Kind{evidence.E1, evidence.E2}[more]; file.Kind != want {
				t.Errorf("two forks, %d epochs apart: %s", more, file.Kind)
			}
			for k := 1; k <= n; k++ {
				r.trust(k)
				tolerates, err := r.policy.Tolerates()
				if err != nil {
					t.Fatal(err)
				}
				for roles := range assignments(n) {
					h, c := count(roles, isHonest), count(roles, isColluding)
					believed := false
					for sides := uint(0); sides < 1<<n; sides++ {
						if sides&^mask(roles, isHonest) != 0 {
							continue
						}
						signers, saw := r.attack(roles, sides)
						attacks++
						believed = believed || r.shown(0, signers[0]) && r.shown(1, signers[1])
						caught += saw
						if saw != h {
							t.Fatalf("%d honest witnesses were shown both views, %d noticed", h, saw)
						}
					}
					cases++
					if believed {
						split++
					}
					if want := h >= 2*max(k-c, 0); believed != want {
						t.Errorf("%d of %d, %d honest, %d colluding: two views believed: %v, by the numbers %v", k, n, h, c, believed, want)
					}
					if h+c == n && believed != (c > tolerates.Dishonest) {
						t.Errorf("%d of %d, %d colluding: two views believed: %v; the policy tolerates %d", k, n, c, believed, tolerates.Dishonest)
					}
					if c == 0 && r.shown(0, mask(roles, isHonest)) != (n-h <= tolerates.Unavailable) {
						t.Errorf("%d of %d, %d absent: the policy tolerates %d", k, n, n-h, tolerates.Unavailable)
					}
				}
			}
		}
	}
	t.Logf("%d cases, %d attacks: %d cases of two views believed, as predicted; %d times an honest witness saw both views and could prove it", cases, attacks, split, caught)
}

// Who stole the log's key, and no witness, is believed by nobody who asks for
// one cosignature at least, and leaves evidence with every honest witness.
func TestStolenLogKeyAlone(t *testing.T) {
	shown, believed := 0, 0
	for _, more := range []int{0, 1, 2} {
		for n := 1; n <= 5; n++ {
			r := newRig(t, n, more)
			for absent := uint(0); absent < 1<<n; absent++ {
				var signers uint
				for i := range n {
					h := &honest{key: r.keys[i]}
					h.cosign(r.base)
					if absent>>i&1 == 0 {
						h.cosign(r.views[0]) // the log itself
					}
					// Who was away knows only what both share, and signs for the thief if
					// nobody else comes first: a client needs to ask for more than those.
					if _, ok := h.cosign(r.views[1]); ok {
						signers |= 1 << i
					}
				}
				if signers != absent {
					t.Errorf("%d witnesses, %b away: %b signed for the thief", n, absent, signers)
				}
				for k := bits.OnesCount(absent) + 1; k <= n; k++ {
					r.trust(k)
					shown++
					if r.shown(1, signers) {
						believed++
					}
				}
			}
		}
	}
	if believed != 0 {
		t.Errorf("the thief was believed %d times", believed)
	}
	t.Logf("a thief's view shown %d times, believed %d times", shown, believed)
}

// A client that holds one view and is shown the other has both notes.
func TestClientThatMeetsBothViews(t *testing.T) {
	for _, more := range []int{0, 1, 2} {
		r := newRig(t, 3, more)
		r.trust(2)
		// Colluders enough for both views.
		for v := range r.views {
			r.views[v].Note = checkpoint.Append(r.views[v].Note, r.lines[v][:2]...)
		}
		store := &held{r.state}
		ask := func(l *liar.Log) error {
			c := verifier.Client{
				Verifier: &verifier.Verifier{Policy: r.policy}, Store: store, Source: l,
				Now: func() time.Time { return time.UnixMilli(int64(l.TimeMs)) },
			}
			_, err := c.Lookup(context.Background(), first("bob"))
			return err
		}
		if err := ask(r.views[0]); err != nil {
			t.Fatal(err)
		}
		err := ask(r.views[1])
		var f *verifier.Failure
		if !errors.As(err, &f) || len(f.Notes) != 2 {
			t.Fatalf("the other view: %v", err)
		}
		file, err := verifier.ProveFork(r.policy.Log, f.Notes[0], f.Notes[1], r.views[1].Node)
		if err != nil {
			t.Fatal(err)
		}
		convicts(t, r.w, file)
		// The same notes convict each colluder, and not who signed neither.
		for i, key := range r.keys {
			err := evidence.Convict(key.Key(), file.OfCosigner())
			if got := errors.As(err, new(*evidence.Misbehaviour)); got != (i < 2) {
				t.Errorf("cosigner %d: %v", i, err)
			}
		}
	}
}

// assignments yields every way to give n witnesses a role.
func assignments(n int) func(func([]int) bool) {
	return func(yield func([]int) bool) {
		total := 1
		for range n {
			total *= 3
		}
		for x := range total {
			roles := make([]int, n)
			for i := range roles {
				roles[i] = x % 3
				x /= 3
			}
			if !yield(roles) {
				return
			}
		}
	}
}

func mask(roles []int, role int) (m uint) {
	for i, r := range roles {
		if r == role {
			m |= 1 << i
		}
	}
	return m
}

func count(roles []int, role int) int { return bits.OnesCount(mask(roles, role)) }
