package verifier_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier"
)

// pager is a log that cuts pages where it likes: page i opens at most most[i]
// events of each account (the last number repeats). Something may happen
// before each page.
type pager struct {
	log    *liar.Log
	most   []uint32
	before func(page int)
	page   int
}

func (p *pager) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	if p.before != nil {
		p.before(p.page)
	}
	most := p.most[min(p.page, len(p.most)-1)]
	p.page++
	return twisted{log: p.log, ask: func(r *answer.Request) {
		for i := range r.Asks {
			r.Asks[i].Most = most
		}
	}}.Lookup(ctx, request)
}

func seqs(f verifier.Found) (s string) {
	for _, e := range f.Events {
		s += fmt.Sprintf("%d:%s ", e.Seq, e.Type)
	}
	return s
}

// What one page proved is not taken back on the next: the newest seq does not
// fall, and a version keeps its value.
func TestPagesTakeNothingBack(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		w := newWorld(t)
		w.plays("alice.", "alice+")
		_, seen := w.mustLook(nil, first("alice"))
		w.plays("alice=", "alice=", "alice-1") // page 1 shows that seq 4 is there
		alice := w.phone("alice").Account()
		p := &pager{log: w.log, most: []uint32{1, 190}, before: func(page int) {
			if page != 1 {
				return
			}
			records := w.log.Records[alice]
			_, index, _ := w.log.VRF(alice, 4)
			delete(w.log.Map, index)
			w.log.Records[alice] = records[:4]
			if overwrite {
				w.log.Append(alice, records[4].Event)
			}
			w.log.Seal()
		}}
		_, _, err := w.look(p, seen, first("alice"))
		if verifier.FailedCheck(err) != verifier.CheckHistory {
			t.Errorf("overwrite %v: %v, want a failed history check", overwrite, err)
		}
	}
}

// A key returns neither within one page nor across the border of two.
func TestKeyOnceAcrossPages(t *testing.T) {
	device := func(w *world) {
		w.plays("alice.", "alice+", "alice-1")
		p := w.phone("alice")
		old := p.Companions[1]
		e := p.Draft(event.AddDevice)
		e.KeyIndex, e.Subject = e.Seq, old.Public()
		e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, []event.Device{{KeyIndex: e.Seq, Key: e.Subject}})
		w.log.Append(p.Account(), liar.Sign(e, p.Primary, old).Bytes())
	}
	primary := func(w *world) {
		w.plays("alice.")
		p := w.phone("alice")
		old := p.Primary
		w.plays("alice!")
		e := p.Draft(event.Reregister)
		e.Generation++
		e.KeyIndex, e.Primary, e.Subject = e.Seq, old.Public(), p.Primary.Public()
		e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, nil)
		w.log.Append(p.Account(), liar.Sign(e, old, p.Primary).Bytes())
	}
	for name, tell := range map[string]func(*world){"device": device, "primary": primary} {
		for _, most := range []uint32{1, 2, 3, 190} {
			w := newWorld(t)
			tell(w)
			w.log.Seal()
			_, _, err := w.look(&pager{log: w.log, most: []uint32{most}}, nil, history("alice"))
			if verifier.FailedCheck(err) != verifier.CheckRules {
				t.Errorf("%s, pages of %d: %v, want a failed rules check", name, most, err)
			}
		}
	}
}

// An account that comes to be while another one's pages are read still shows
// its whole history.
func TestHistoryOfAnAccountThatComesToBe(t *testing.T) {
	w := newWorld(t)
	w.plays("bob.", "bob+", "bob+")
	p := &pager{log: w.log, most: []uint32{1, 190}, before: func(page int) {
		if page == 1 {
			w.plays("alice.", "alice+", "alice-1", "alice=")
		}
	}}
	r, _, err := w.look(p, nil, history("alice"), history("bob"))
	if err != nil {
		t.Fatal(err)
	}
	if got := seqs(r.Accounts[0]); len(r.Accounts[0].Events) != 4 {
		t.Errorf("the history shows %s, want all four events", got)
	}
}

// An ERASE does not launder a version that was overwritten before it: also who
// reads the history must be shown the very event that this client holds.
func TestHistorySpeaksOfWhatIsHeld(t *testing.T) {
	for _, q := range []verifier.Question{first("alice"), history("alice")} {
		w := newWorld(t)
		w.plays("alice.", "alice+", "alice+", "alice+", "alice+", "alice+")
		_, seen := w.mustLook(nil, first("alice"))
		p := w.phone("alice")
		alice := p.Account()
		w.log.AppendAt(alice, 5, w.log.Records[alice][4].Event)
		records := w.log.Records[alice]
		records[5] = records[6]
		w.log.Records[alice] = records[:6]
		w.plays("alice=", "alice=", "alice=", "alice=", "alice=", "alice#", "alice*")
		_, _, err := w.look(w.log, seen, q)
		if verifier.FailedCheck(err) != verifier.CheckHistory {
			t.Errorf("history %v: %v, want a failed history check", q.History, err)
		}
	}
}

// A SEAL kept aside while the log goes on is no way around freshness: its own
// age does not count, that of its cosignatures does.
func TestSealDoesNotFreezeTime(t *testing.T) {
	w := newWorld(t)
	w.log.Cosigners = append(w.log.Cosigners, cosigner(t, "one"), cosigner(t, "two"))
	w.plays("alice.", "alice+")
	_, returning := w.mustLook(nil, first("bob"))
	w.log.TimeMs++
	w.log.SealAs(&leaf.Epoch{Epoch: w.log.Epochs, TimeMs: w.log.TimeMs, First: w.log.First, Keys: w.log.Keys, PrefixRoot: w.log.Tree.Root(), Sealed: true})
	if r, _ := w.mustLook(nil, first("alice")); !r.Sealed {
		t.Error("a sealed log is not reported as one")
	}
	w.log.TimeMs += uint64((3 * 365 * 24 * time.Hour).Milliseconds())
	for who, state := range map[string]*verifier.State{"stranger": nil, "contact": returning} {
		_, _, err := w.look(w.log, state, first("alice"))
		if verifier.FailedCheck(err) != verifier.CheckFreshness {
			t.Errorf("%s, three years later: %v, want a failed freshness check", who, err)
		}
	}
	w.log.Sign() // the witnesses refresh it, as they may: nothing came after it
	if r, _ := w.mustLook(nil, first("alice")); !r.Sealed {
		t.Error("a refreshed sealed log is not accepted")
	}
}

func TestSealRefusals(t *testing.T) {
	for name, change := range map[string]func(*leaf.Epoch){
		"of the future":         func(e *leaf.Epoch) { e.TimeMs += uint64(time.Hour.Milliseconds()) },
		"of the end of time":    func(e *leaf.Epoch) { e.TimeMs = 1<<64 - 1 },
		"its own successor":     func(e *leaf.Epoch) { e.Successor = origin },
		"(honest, for example)": func(e *leaf.Epoch) { e.Successor = "keys.example.org/log2" },
	} {
		w := newWorld(t)
		w.plays("alice.")
		e := &leaf.Epoch{Epoch: w.log.Epochs, TimeMs: w.log.TimeMs, First: w.log.First, Keys: w.log.Keys, PrefixRoot: w.log.Tree.Root(), Sealed: true}
		change(e)
		w.log.SealAs(e)
		_, _, err := w.look(w.log, nil, first("alice"))
		if honest := name[0] == '('; (err == nil) != honest {
			t.Errorf("a SEAL %s: %v", name, err)
		}
	}
}

// What the caller does with the answer's bytes afterwards changes nothing.
func TestResultOwnsItsBytes(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+")
	c := asked{questions: []verifier.Question{first("alice")}}
	data, err := w.log.Lookup(t.Context(), w.request(&c))
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.judge(&c, data)
	if err != nil {
		t.Fatal(err)
	}
	note := bytes.Clone(r.Note)
	event := r.Accounts[0].Events[0].Bytes()
	clear(data)
	if !bytes.Equal(r.Note, note) || !bytes.Equal(r.Accounts[0].Events[0].Bytes(), event) {
		t.Error("the result changed with the buffer of the answer")
	}
}

// More than one answer may open is refused, however the accounts share it.
func TestAnswerOpensTooMuch(t *testing.T) {
	w := newWorld(t)
	var questions []verifier.Question
	for i := range answer.MaxOpenedTotal/verifier.MostOpened + 1 {
		id := fmt.Sprint("account", i)
		p := w.phone(id)
		w.log.Append(p.Account(), p.Register())
		questions = append(questions, history(id))
	}
	w.log.Seal()
	s := twisted{log: w.log, twist: func(a *answer.Answer) {
		for i := range a.Accounts {
			a.Accounts[i].Events, a.Accounts[i].To = 1000, verifier.MostOpened
		}
	}}
	if _, _, err := w.look(s, nil, questions...); verifier.FailedCheck(err) != verifier.CheckAsked {
		t.Errorf("%v, want a failed asked check", err)
	}
}

// Random honest stories, cut into random pages while the log grows, end in
// the state, the status and the history that one page gives.
func TestPagesEqualOnePage(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t)
		w.plays("bob.", "bob+", "bob+", "bob+")
		var base *verifier.State
		for range rng.IntN(8) {
			w.plays(w.anything(rng))
			if rng.IntN(3) == 0 {
				_, base = w.mustLook(base, first("alice"), first("bob"))
			}
		}
		for range rng.IntN(8) {
			w.plays(w.anything(rng))
		}
		questions := []verifier.Question{first("alice"), history("bob")}
		questions[0].History = rng.IntN(2) == 0
		p := &pager{log: w.log, most: []uint32{1 + rng.Uint32N(3), 1 + rng.Uint32N(3), 1 + rng.Uint32N(3)}}
		p.before = func(page int) {
			if page < 6 && rng.IntN(2) == 0 {
				w.plays(w.anything(rng))
			}
		}
		paged, after, err := w.look(p, base, questions...)
		if err != nil {
			t.Fatalf("seed %d: an honest log was refused: %v", seed, err)
		}
		whole, want := w.mustLook(base, questions...)
		a, b := paged.Accounts[0], whole.Accounts[0]
		got, _ := after.Bytes()
		if once, _ := want.Bytes(); !bytes.Equal(got, once) {
			t.Errorf("seed %d: the state differs", seed)
		}
		if a.Status != b.Status || fmt.Sprint(a.Endorsed == nil) != fmt.Sprint(b.Endorsed == nil) || a.Endorsed != nil && *a.Endorsed != *b.Endorsed {
			t.Errorf("seed %d: status %s, want %s", seed, a.Status, b.Status)
		}
		if questions[0].History && seqs(a) != seqs(b) {
			t.Errorf("seed %d: history %s, want %s", seed, seqs(a), seqs(b))
		}
	}
}

// anything is something that alice may do next.
func (w *world) anything(rng *rand.Rand) string {
	at := w.phone("alice").At
	switch {
	case at.Next == 0:
		return "alice."
	case at.Primary.IsZero():
		return "alice*"
	}
	switch n := rng.IntN(20); {
	case n < 6:
		return "alice+"
	case n < 10 && len(at.Devices) > 0:
		return fmt.Sprintf("alice%c%d", "-_/"[rng.IntN(3)], at.Devices[rng.IntN(len(at.Devices))].KeyIndex)
	case n < 13:
		return "alice!"
	case n < 14:
		return "alice*"
	case n < 15:
		return "alice#"
	}
	return "alice="
}
