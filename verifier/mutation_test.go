package verifier_test

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/verifier"
)

// asked is one lookup's only page, to be answered again and again.
type asked struct {
	name      string
	state     *verifier.State
	questions []verifier.Question
	good      []byte
	want      *verifier.Result
}

// manyAnswers covers each kind of answer, under two cosigners and two
// signature lines that the policy does not know.
func manyAnswers(t *testing.T) (*world, []asked) {
	w := newWorld(t)
	w.log.Cosigners = []*checkpoint.Cosigner{cosigner(t, "one"), cosigner(t, "two")}
	w.plays("alice.", "alice+", "alice+", "bob.", "|", "carol.", "carol+", "carol!")
	_, seen := w.mustLook(nil, first("alice"), first("bob"), first("carol"))
	w.plays("alice-1", "alice_2", "carol=", "dave.", "|", "dave+")
	w.trust = w.policy()
	cases := []asked{
		{name: "first", questions: []verifier.Question{first("alice")}},
		{name: "returning", state: seen, questions: []verifier.Question{first("carol")}},
		{name: "unchanged", state: seen, questions: []verifier.Question{first("bob")}},
		{name: "history", questions: []verifier.Question{history("dave")}},
		{name: "unknown", questions: []verifier.Question{first("nobody")}},
		{name: "batch", state: seen, questions: []verifier.Question{first("alice"), history("dave"), first("bob"), first("nobody")}},
	}
	for i := range cases {
		c := &cases[i]
		data, err := w.log.Lookup(t.Context(), w.request(c))
		if err != nil {
			t.Fatal(err)
		}
		c.good = data
		if c.want, err = w.judge(c, data); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
	}
	return w, cases
}

func (w *world) request(c *asked) []byte {
	l, err := (&verifier.Verifier{Policy: w.policy()}).Lookup(c.state, c.questions...)
	if err != nil {
		w.t.Fatal(err)
	}
	return l.Request()
}

// judge verifies a one-page answer.
func (w *world) judge(c *asked, data []byte) (*verifier.Result, error) {
	l, err := (&verifier.Verifier{Policy: w.policy()}).Lookup(c.state, c.questions...)
	if err != nil {
		w.t.Fatal(err)
	}
	l.Request()
	if err := l.Answer(data, w.now()); err != nil {
		return nil, err
	}
	r, _, err := l.Result()
	return r, err
}

// Every bit of every byte of every kind of answer: flipped, it is refused.
func TestEveryBitMatters(t *testing.T) {
	w, cases := manyAnswers(t)
	step := 1
	if testing.Short() {
		step = 97
	}
	for _, c := range cases {
		var accepted atomic.Int64
		bits := len(c.good) * 8 / step
		parallel(bits, func(i int) {
			data := bytes.Clone(c.good)
			data[i*step/8] ^= 1 << (i * step % 8)
			if r, err := w.judge(&c, data); err == nil {
				accepted.Add(1)
				t.Errorf("%s: bit %d of byte %d flipped, accepted: %+v", c.name, i*step%8, i*step/8, r)
			}
		})
		t.Logf("%s: %d bytes, %d bits flipped, %d accepted", c.name, len(c.good), bits, accepted.Load())
		t.Logf("count refused %d", int64(bits)-accepted.Load())
	}
}

// Lines by keys that the policy does not know may be damaged in their
// signature: then the result is the same. In anything else they are refused.
func TestUnknownSignatureLines(t *testing.T) {
	w, _ := manyAnswers(t)
	stranger := cosigner(t, "stranger")
	known := len(w.log.Note)
	note, err := checkpoint.Parse(w.log.Note)
	if err != nil {
		t.Fatal(err)
	}
	w.log.Note = checkpoint.Append(w.log.Note, stranger.Cosign(note.Text, w.log.TimeMs/1000))
	c := asked{name: "first", questions: []verifier.Question{first("alice")}}
	good, err := w.log.Lookup(t.Context(), w.request(&c))
	if err != nil {
		t.Fatal(err)
	}
	want, err := w.judge(&c, good)
	if err != nil {
		t.Fatal(err)
	}
	same, refused := 0, 0
	for i := known * 8; i < len(w.log.Note)*8; i++ {
		data := bytes.Clone(good)
		data[4+i/8] ^= 1 << (i % 8) // the note stands behind version and length
		r, err := w.judge(&c, data)
		if err != nil {
			refused++
			continue
		}
		same++
		r.Note, want.Note = nil, nil
		if !reflect.DeepEqual(r, want) {
			t.Errorf("bit %d of an unknown line changes the result to %+v", i, r)
		}
	}
	if same == 0 || refused == 0 {
		t.Errorf("%d flips without effect, %d refused: the line was not reached", same, refused)
	}
	t.Logf("an unknown line: %d bits flipped, %d refused, %d with the identical result", same+refused, refused, same)
	t.Logf("count refused %d", refused)
}

// Every element of every list of an answer: dropped, doubled, swapped with
// its neighbour.
func TestEveryElementMatters(t *testing.T) {
	w, cases := manyAnswers(t)
	variants := 0
	for _, c := range cases {
		try := func(what string, change func(a *answer.Answer)) {
			a, err := answer.Parse(c.good)
			if err != nil {
				t.Fatal(err)
			}
			change(a)
			data, err := a.Bytes()
			if err != nil || bytes.Equal(data, c.good) { // two equal neighbours swapped
				return
			}
			variants++
			if r, err := w.judge(&c, data); err == nil {
				t.Errorf("%s: %s: accepted: %+v", c.name, what, r)
			}
		}
		a, err := answer.Parse(c.good)
		if err != nil {
			t.Fatal(err)
		}
		shake(try, "consistency", len(a.Consistency), func(a *answer.Answer) *[]leaf.Hash { return &a.Consistency })
		shake(try, "nodes", len(a.Nodes), func(a *answer.Answer) *[]leaf.Hash { return &a.Nodes })
		shake(try, "accounts", len(a.Accounts), func(a *answer.Answer) *[]answer.Account { return &a.Accounts })
		shake(try, "proofs", len(a.Proofs), func(a *answer.Answer) *[]*prefix.Proof { return &a.Proofs })
		for i := range a.Proofs {
			shake(try, "results", len(a.Proofs[i].Results), func(a *answer.Answer) *[]prefix.Result { return &a.Proofs[i].Results })
			shake(try, "elements", len(a.Proofs[i].Elements), func(a *answer.Answer) *[]prefix.Hash { return &a.Proofs[i].Elements })
		}
		for i := range a.Accounts {
			shake(try, "versions", len(a.Accounts[i].Versions), func(a *answer.Answer) *[]answer.Version { return &a.Accounts[i].Versions })
			shake(try, "devices", len(a.Accounts[i].Devices), func(a *answer.Answer) *[]event.Device { return &a.Accounts[i].Devices })
		}
		note, err := checkpoint.Parse(a.Note)
		if err != nil {
			t.Fatal(err)
		}
		for i := range note.Lines {
			try(fmt.Sprintf("signature line %d dropped", i), func(a *answer.Answer) {
				n, _ := checkpoint.Parse(a.Note)
				n.Lines = slices.Delete(n.Lines, i, i+1)
				a.Note = n.Bytes()
			})
			try(fmt.Sprintf("signature line %d doubled", i), func(a *answer.Answer) {
				n, _ := checkpoint.Parse(a.Note)
				n.Lines = append(n.Lines, n.Lines[i])
				a.Note = n.Bytes()
			})
		}
	}
	t.Logf("count refused %d", variants)
}

// shake tries each change to each element of one list.
func shake[T any](try func(string, func(*answer.Answer)), what string, n int, list func(*answer.Answer) *[]T) {
	for i := range n {
		try(fmt.Sprintf("%s %d dropped", what, i), func(a *answer.Answer) {
			l := list(a)
			*l = slices.Delete(*l, i, i+1)
		})
		try(fmt.Sprintf("%s %d doubled", what, i), func(a *answer.Answer) {
			l := list(a)
			*l = slices.Insert(*l, i, (*l)[i])
		})
		if i+1 < n {
			try(fmt.Sprintf("%s %d and %d swapped", what, i, i+1), func(a *answer.Answer) {
				l := *list(a)
				l[i], l[i+1] = l[i+1], l[i]
			})
		}
	}
}

// A rung left out, with everything else proven honestly around the gap: the
// log could build such an answer at no cost, and it is refused.
func TestEveryRungMatters(t *testing.T) {
	dropped, closed := 0, 0
	for n := range 20 {
		w := newWorld(t)
		w.plays("alice.", "other.")
		var seen *verifier.State
		for i := range n {
			if i == n/2 {
				_, seen = w.mustLook(nil, first("alice"))
			}
			w.log.Append(w.phone("alice").Account(), w.phone("alice").Confirm())
			w.log.Seal()
		}
		for _, c := range []asked{
			{name: "first", questions: []verifier.Question{first("alice")}},
			{name: "history", questions: []verifier.Question{history("alice")}},
			{name: "returning", state: seen, questions: []verifier.Question{first("alice")}},
			{name: "unknown", questions: []verifier.Question{first("nobody")}},
		} {
			good, err := w.log.Lookup(t.Context(), w.request(&c))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.judge(&c, good); err != nil {
				t.Fatalf("%s at %d: %v", c.name, n, err)
			}
			a, err := answer.Parse(good)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range a.Accounts[0].Versions {
				gap, err := answer.Parse(good)
				if err != nil {
					t.Fatal(err)
				}
				gap.Accounts[0].Versions = slices.Delete(gap.Accounts[0].Versions, i, i+1)
				w.reprove(gap, nil)
				w.refused(&c, gap, verifier.CheckRequired, fmt.Sprintf("%s at %d without seq %d", c.name, n, v.Seq))
				dropped++
				if v.Form != answer.Closed {
					continue
				}
				// The claim that it is there, without the proof that the log holds it.
				gap, err = answer.Parse(good)
				if err != nil {
					t.Fatal(err)
				}
				w.reprove(gap, &v.Position)
				w.refused(&c, gap, verifier.CheckInclusion, fmt.Sprintf("%s at %d without the inclusion of seq %d", c.name, n, v.Seq))
				closed++
			}
		}
	}
	t.Logf("%d versions and %d inclusions left out", dropped, closed)
	t.Logf("count refused %d", dropped+closed)
}

func (w *world) refused(c *asked, a *answer.Answer, want verifier.Check, what string) {
	w.t.Helper()
	data, err := a.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.judge(c, data)
	got := verifier.FailedCheck(err)
	if got != want && !(want == verifier.CheckRequired && got == verifier.CheckForm && len(a.Proofs) == 0) {
		w.t.Errorf("%s: refused by check %q (%v), want %q", what, got, err, want)
	}
}

// reprove makes an answer's proofs anew for the versions that it has, leaving
// out the inclusion of one position.
func (w *world) reprove(a *answer.Answer, without *uint64) {
	size := uint64(len(w.log.Leaves))
	positions := []uint64{size - 1}
	if len(a.Genesis) > 0 {
		positions = append(positions, 0)
	}
	var indexes []name.Index
	for _, account := range a.Accounts {
		for _, v := range account.Versions {
			_, index, _ := w.log.VRF(account.ID, v.Seq)
			indexes = append(indexes, index)
			if v.Form != answer.Absent && (without == nil || *without != v.Position) {
				positions = append(positions, v.Position)
			}
		}
	}
	a.Proofs = nil
	for part := range slices.Chunk(indexes, answer.ProofCut) {
		p, err := w.log.Show(part)
		if err != nil {
			w.t.Fatal(err)
		}
		a.Proofs = append(a.Proofs, p)
	}
	slices.Sort(positions)
	var err error
	if a.Nodes, err = answer.Nodes(size, positions, w.log.Node); err != nil {
		w.t.Fatal(err)
	}
}

// parallel runs f for 0..n-1 on all cores.
func parallel(n int, f func(int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
