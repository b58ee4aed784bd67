package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/verifier"
)

type answerFile struct {
	MaxAge   int          `json:"max_age_seconds"`
	Policy   string       `json:"policy"`
	States   []savedState `json:"states"`
	Accepted []answerCase `json:"accepted"`
	Refused  []answerCase `json:"refused"`
}

type answerCase struct {
	Name   string         `json:"name"`
	Why    verifier.Check `json:"why,omitempty"`
	Policy string         `json:"policy,omitempty"` // none: the file's
	NowMs  int64          `json:"now_ms,string"`
	State  string         `json:"state"` // before; empty: none
	Pages  []page         `json:"pages"`
	Result *result        `json:"result,omitempty"`
}

type result struct {
	Epoch     uint64           `json:"epoch,string"`
	TimeMs    int64            `json:"time_ms,string"`
	Trust     checkpoint.Trust `json:"trust"`
	Cosigners []string         `json:"cosigners"`
	Sealed    bool             `json:"sealed"`
	Successor string           `json:"successor,omitempty"`
	Accounts  []found          `json:"accounts"`
	State     string           `json:"state"`
}

// savedState is a client's state under a name: many vectors begin from one.
type savedState struct {
	Name  string `json:"name"`
	State based  `json:"state"`
}

type found struct {
	Account  hexed           `json:"account_id"`
	Status   verifier.Status `json:"status"`
	Endorsed *bool           `json:"endorsed"`
	Opened   []uint32        `json:"opened"`
}

// want is what a case expects of an account, beside what its phone says.
type want struct {
	id       string
	status   verifier.Status
	endorsed any
	opened   []uint32
}

func answers() (f answerFile) {
	f.MaxAge = int(verifier.DefaultMaxAge / time.Second)
	f.Policy = newWorld().policy()
	f.honest()
	f.lies()
	return f
}

// accept records an honest lookup, and holds it against what the phones know.
func (f *answerFile) accept(label string, w *world, log verifier.Source, state *verifier.State, questions []verifier.Question, wants ...want) *verifier.State {
	t := w.look(log, state, questions...)
	agree(t.err == nil, "answer %q: %v", label, t.err)
	r := t.result
	c := answerCase{Name: label, Policy: f.own(w), NowMs: w.now().UnixMilli(), State: f.state(state), Pages: t.pages}
	c.Result = &result{
		Epoch: r.Epoch, TimeMs: r.Time.UnixMilli(), Trust: r.Trust,
		Cosigners: append([]string{}, r.Cosigners...), Sealed: r.Sealed, Successor: string(r.Successor), State: f.state(t.state),
	}
	for i, x := range wants {
		got, at := &r.Accounts[i], w.phone(x.id).At
		opened := []uint32{}
		for _, e := range got.Events {
			opened = append(opened, e.Seq)
		}
		agree(got.Status == x.status && fmt.Sprint(opened) == fmt.Sprint(x.opened), "answer %q: %s is %s, opened %v", label, x.id, got.Status, opened)
		agree((got.Endorsed == nil) == (x.endorsed == nil) && (x.endorsed == nil || *got.Endorsed == x.endorsed), "answer %q: %s endorsed %v", label, x.id, got.Endorsed)
		if x.status != verifier.Unknown {
			agree(got.Seq == at.Next-1 && got.Event == at.Head && got.Generation == at.Generation && got.Primary == at.Primary &&
				fmt.Sprint(got.Devices) == fmt.Sprint(at.Devices), "answer %q: %s is at %+v, want %+v", label, x.id, got, at)
			record := w.log.Records[got.ID][got.Seq]
			kept := t.state.Account(got.ID)
			agree(kept.Position == record.Position && kept.Value == prefix.Value(record.Position, record.Commitment), "answer %q: %s is kept as %+v", label, x.id, kept)
		}
		c.Result.Accounts = append(c.Result.Accounts, found{got.ID[:], got.Status, got.Endorsed, opened})
	}
	f.Accepted = append(f.Accepted, c)
	return t.state
}

// own is the policy of a world where it is not the file's.
func (f *answerFile) own(w *world) string {
	if p := w.policy(); p != f.Policy {
		return p
	}
	return ""
}

// state names a state.
func (f *answerFile) state(s *verifier.State) string {
	if s == nil {
		return ""
	}
	data := must(s.Bytes())
	for _, old := range f.States {
		if bytes.Equal(old.State, data) {
			return old.Name
		}
	}
	label := fmt.Sprintf("state %d", len(f.States)+1)
	f.States = append(f.States, savedState{label, data})
	return label
}

func ask(q ...verifier.Question) []verifier.Question { return q }

func seqs(from, to uint32) (out []uint32) {
	for s := from; s <= to; s++ {
		out = append(out, s)
	}
	return out
}

func (f *answerFile) honest() {
	w := newWorld()
	w.plays("bob.", "bob+", "|", "alice.", "alice+", "alice+")
	contact := f.accept("first lookup", w, w.log, nil, ask(first("alice")), want{"alice", verifier.New, nil, seqs(2, 2)})
	f.accept("unchanged, the log too", w, w.log, contact, ask(first("alice")), want{"alice", verifier.Unchanged, nil, nil})
	f.accept("unknown account", w, w.log, nil, ask(first("nobody")), want{"nobody", verifier.Unknown, nil, nil})
	w.plays("bob-1", "|", "|")
	f.accept("unchanged, the log grew", w, w.log, contact, ask(first("alice")), want{"alice", verifier.Unchanged, nil, nil})
	w.plays("alice-1", "|", "alice+", "alice/2")
	f.accept("returning: changed", w, w.log, contact, ask(first("alice")), want{"alice", verifier.Changed, nil, seqs(3, 5)})
	f.pages()
	f.generations()
	f.batches()
	f.trust()
	f.signal()
}

// pages are lookups whose answers open two events each.
func (f *answerFile) pages() {
	w := newWorld()
	w.plays("alice.")
	seen := w.seen(nil, first("alice"))
	w.plays("alice+", "alice-1", "alice+")
	page := 0
	growing := func(step ...string) verifier.Source {
		page = 0
		return asked(w.log, func(r *answer.Request) {
			if page++; page == 2 && len(step) > 0 {
				w.plays(step...)
			}
			r.Asks[0].Most = 2
		})
	}
	f.accept("pages: history", w, growing(), nil, ask(history("alice")), want{"alice", verifier.New, nil, seqs(0, 3)})
	f.accept("pages: returning, the last opens one event", w, growing(), seen, ask(first("alice")), want{"alice", verifier.Changed, nil, seqs(1, 3)})
	f.accept("pages: the account grows between them", w, growing("alice_3"), nil, ask(history("alice")), want{"alice", verifier.New, nil, seqs(0, 4)})
	f.accept("pages: an ERASE between them starts anew", w, growing("alice#", "alice*"), nil, ask(history("alice")), want{"alice", verifier.New, nil, seqs(5, 6)})
}

func (f *answerFile) generations() {
	for _, c := range []struct {
		label    string
		story    []string
		status   verifier.Status
		endorsed any
		opened   []uint32
	}{
		{"re-registered, not endorsed", []string{"alice*"}, verifier.Reregistered, false, seqs(2, 2)},
		{"re-registered, endorsed", []string{"alice!", "alice+"}, verifier.Reregistered, true, seqs(2, 3)},
		{"erased", []string{"alice+", "alice#"}, verifier.Erased, nil, seqs(3, 3)},
		{"erased with the next event", []string{"alice#"}, verifier.Erased, nil, seqs(2, 2)},
		{"erased and registered again", []string{"alice+", "alice#", "alice*", "alice+"}, verifier.Reregistered, false, seqs(3, 5)},
		{"erased and registered again, then endorsed", []string{"alice#", "alice*", "alice!"}, verifier.Reregistered, false, seqs(2, 4)},
	} {
		w := newWorld()
		w.plays("alice.", "alice+")
		seen := w.seen(nil, first("alice"))
		w.plays(c.story...)
		f.accept("returning: "+c.label, w, w.log, seen, ask(first("alice")), want{"alice", c.status, c.endorsed, c.opened})
	}
	w := newWorld()
	w.plays("alice.", "alice+", "alice#")
	erased := f.accept("first lookup of an erased account", w, w.log, nil, ask(first("alice")), want{"alice", verifier.Erased, nil, seqs(2, 2)})
	f.accept("unchanged, erased", w, w.log, erased, ask(first("alice")), want{"alice", verifier.Erased, nil, nil})
	w.plays("alice*", "alice+")
	f.accept("returning to an erased account that is registered again", w, w.log, erased, ask(first("alice")), want{"alice", verifier.Reregistered, false, seqs(3, 4)})
	f.accept("history since ERASE, beside a state", w, w.log, erased, ask(history("alice")), want{"alice", verifier.Reregistered, false, seqs(2, 4)})
}

func (f *answerFile) batches() {
	w := newWorld()
	w.plays("alice.", "alice+", "bob.", "|", "carol.", "carol+", "carol!")
	seen := w.seen(nil, first("alice"), first("bob"), first("carol"))
	w.plays("alice-1", "carol=", "dave.", "|", "dave+")
	f.accept("batch", w, w.log, seen, ask(first("alice"), history("dave"), first("nobody"), first("bob"), first("carol")),
		want{"alice", verifier.Changed, nil, seqs(2, 2)}, want{"dave", verifier.New, nil, seqs(0, 1)}, want{"nobody", verifier.Unknown, nil, nil},
		want{"bob", verifier.Unchanged, nil, nil}, want{"carol", verifier.Changed, nil, seqs(3, 3)})
	for range 20 {
		w.log.Append(w.account("bob"), w.phone("bob").Confirm())
	}
	w.plays()
	f.accept("n = 20", w, w.log, nil, ask(first("bob")), want{"bob", verifier.New, nil, seqs(20, 20)})
}

func (f *answerFile) trust() {
	w := newWorld()
	text := w.cosigns("w1") + w.cosigns("a1")
	w.trust = text + "group auditors 1 a1\ngroup both all w1 auditors\nquorum both\n"
	w.cosigns("stranger")
	w.plays("alice.")
	seen := f.accept("audited, a line by a stranger", w, w.log, nil, ask(first("alice")), want{"alice", verifier.New, nil, seqs(0, 0)})
	audited := w.trust
	w.trust = text + "group auditors 1 a1\ngroup any 1 w1 auditors\nquorum any\n"
	f.accept("unaudited: the auditor signs, the quorum does not need it", w, w.log, seen, ask(first("alice")), want{"alice", verifier.Unchanged, nil, nil})
	w.trust = audited
	w.log.SealAs(w.seal("keys.example.org/log2"))
	w.later = 1000 * time.Hour
	f.accept("sealed and audited, long ago", w, w.log, seen, ask(first("alice")), want{"alice", verifier.Unchanged, nil, nil})

	w = newWorld()
	w.cosigns("w1")
	w.log.TimeMs += 1000 - w.log.TimeMs%1000 - 1 // the next epoch is of a full second, like cosignatures
	w.plays("alice.")
	w.later = verifier.DefaultMaxAge - time.Second
	f.accept("as old as max_age allows", w, w.log, nil, ask(first("alice")), want{"alice", verifier.New, nil, seqs(0, 0)})
	w.later = -300*time.Second - time.Second
	f.accept("as far ahead as is allowed", w, w.log, nil, ask(first("alice")), want{"alice", verifier.New, nil, seqs(0, 0)})
	w.log.SealAs(w.seal(""))
	w.log.TimeMs += 1000 * 3600 * 1000
	w.log.Sign()
	w.later = 0
	f.accept("sealed, cosigned again long after", w, w.log, nil, ask(first("alice")), want{"alice", verifier.New, nil, seqs(0, 0)})

	w = newWorld()
	w.plays("alice.", "alice+")
	w.log.SealAs(w.seal(""))
	w.later = 1000 * time.Hour
	sealed := f.accept("sealed, unwitnessed, long ago", w, w.log, nil, ask(first("alice")), want{"alice", verifier.New, nil, seqs(1, 1)})
	f.accept("sealed, asked again", w, w.log, sealed, ask(first("alice")), want{"alice", verifier.Unchanged, nil, nil})
}

// signal logs an account whose keys and signatures Signal's library made.
func (f *answerFile) signal() {
	w := &world{log: liar.New("example.org/muster-vectors", start), phones: map[string]*liar.Phone{}}
	file := must(os.Open(filepath.Join("testdata", "libsignal", "accounts.ndjson")))
	defer file.Close()
	counts := map[string]int{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var v struct{ Identifier, Event string }
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			panic(err)
		}
		if v.Event != "" {
			w.log.Append(name.Identifier(v.Identifier).AccountID(), must(base64.StdEncoding.DecodeString(v.Event)))
			counts[v.Identifier]++
		}
	}
	w.log.Seal()
	const id = "+15550000001"
	a := w.phone(id).At
	t := w.look(w.log, nil, history(id))
	agree(t.err == nil, "an account of libsignal's: %v", t.err)
	for _, e := range t.result.Accounts[0].Events { // the file's own test checks the lists
		agree(a.Apply(event.Check(e.Event)) == nil, "an account of libsignal's at seq %d", e.Seq)
	}
	f.accept("keys and signatures of libsignal", w, w.log, nil, ask(history(id)), want{id, verifier.New, nil, seqs(0, uint32(counts[id]-1))})
}
