package testdata_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/code"
	"github.com/musterlog/muster/verifier/statefile"
)

type page struct{ Request, Answer based }

type answerVector struct {
	Name   string
	Why    verifier.Check
	Policy string
	NowMs  int64 `json:"now_ms,string"`
	State  string
	Pages  []page
	Result *struct {
		Epoch     uint64 `json:",string"`
		TimeMs    int64  `json:"time_ms,string"`
		Trust     checkpoint.Trust
		Cosigners []string
		Sealed    bool
		Successor name.Origin
		Accounts  []struct {
			Account  hexed `json:"account_id"`
			Status   verifier.Status
			Endorsed *bool
			Opened   []uint32
		}
		State string
	}
	before, after []byte // states
}

func readAnswers(t *testing.T) (all []answerVector) {
	t.Helper()
	var f struct {
		MaxAge int `json:"max_age_seconds"`
		Policy string
		States []struct {
			Name  string
			State based
		}
		Accepted, Refused []answerVector
	}
	read(t, "answers.json", &f)
	least(t, "accepted answers", len(f.Accepted), 25)
	least(t, "refused answers", len(f.Refused), 50)
	if time.Duration(f.MaxAge)*time.Second != verifier.DefaultMaxAge {
		t.Errorf("max_age %d s", f.MaxAge)
	}
	states := map[string][]byte{"": nil}
	for _, s := range f.States {
		states[s.Name] = s.State
		state, err := verifier.ParseState(s.State)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		if data, err := state.Bytes(); err != nil || !bytes.Equal(data, s.State) {
			t.Errorf("%s is written otherwise, %v", s.Name, err)
		}
	}
	failed, statuses := map[verifier.Check]bool{}, map[verifier.Status]bool{}
	defer func() {
		if len(failed) != 20 || len(statuses) != 6 {
			t.Errorf("vectors for %d checks and %d statuses, want all 20 and 6: %v %v", len(failed), len(statuses), failed, statuses)
		}
	}()
	for _, v := range slices.Concat(f.Accepted, f.Refused) {
		if v.Why != "" {
			failed[v.Why] = true
		} else if v.Result != nil {
			for _, a := range v.Result.Accounts {
				statuses[a.Status] = true
			}
		}
		if v.Policy == "" {
			v.Policy = f.Policy
		}
		v.before = states[v.State]
		if v.Result != nil {
			v.after = states[v.Result.State]
		}
		if (v.Result == nil) != (v.Why != "") || (v.before == nil) != (v.State == "") {
			t.Fatalf("%s: neither accepted nor refused, or from an unknown state", v.Name)
		}
		all = append(all, v)
	}
	return all
}

func (v *answerVector) parts(t *testing.T) (*verifier.Verifier, *verifier.State, []verifier.Question) {
	t.Helper()
	policy, err := checkpoint.ParsePolicy([]byte(v.Policy))
	if err != nil {
		t.Fatal(err)
	}
	var state *verifier.State
	if v.before != nil {
		if state, err = verifier.ParseState(v.before); err != nil {
			t.Fatal(err)
		}
	}
	// A history beside a state begins as a returning client: the pages tell.
	history := map[name.AccountID]bool{}
	var questions []verifier.Question
	for i, p := range v.Pages {
		r, err := answer.ParseRequest(p.Request)
		if err != nil || !bytes.Equal(r.Bytes(), p.Request) {
			t.Fatalf("request %d: %v", i, err)
		}
		for _, a := range r.Asks {
			history[a.Account] = history[a.Account] || a.Kind == answer.History
			if i == 0 {
				questions = append(questions, verifier.Question{Account: a.Account})
			}
		}
	}
	for i := range questions {
		questions[i].History = history[questions[i].Account]
	}
	return &verifier.Verifier{Policy: policy}, state, questions
}

// recorded answers with a vector's pages, and wants its requests.
type recorded struct {
	pages []page
	next  int
}

func (s *recorded) Lookup(_ context.Context, request []byte) ([]byte, error) {
	if s.next == len(s.pages) || !bytes.Equal(request, s.pages[s.next].Request) {
		return nil, fmt.Errorf("request %d is %x", s.next, request)
	}
	s.next++
	return s.pages[s.next-1].Answer, nil
}

func (v *answerVector) compare(t *testing.T, r *verifier.Result, pages int) {
	t.Helper()
	if pages != len(v.Pages) {
		t.Errorf("%d pages, want %d", pages, len(v.Pages))
	}
	if v.Result == nil || r == nil {
		if r != nil {
			t.Errorf("result %+v", r)
		}
		return
	}
	want := v.Result
	if r.Epoch != want.Epoch || r.Time.UnixMilli() != want.TimeMs || r.Trust != want.Trust || !slices.Equal(r.Cosigners, want.Cosigners) ||
		r.Sealed != want.Sealed || r.Successor != want.Successor || len(r.Accounts) != len(want.Accounts) {
		t.Errorf("result %+v, want %+v", r, want)
		return
	}
	after, err := verifier.ParseState(v.after)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want.Accounts {
		got := &r.Accounts[i]
		var opened []uint32
		for _, e := range got.Events {
			opened = append(opened, e.Seq)
		}
		if !bytes.Equal(got.ID[:], w.Account) || got.Status != w.Status || (got.Endorsed == nil) != (w.Endorsed == nil) ||
			w.Endorsed != nil && *got.Endorsed != *w.Endorsed || !slices.Equal(opened, w.Opened) {
			t.Errorf("account %d: %+v, opened %v, want %+v", i, got, opened, w)
		}
		if kept := after.Account(got.ID); w.Status != verifier.Unknown &&
			(kept.Seq != got.Seq || kept.Event != got.Event || kept.Generation != got.Generation || kept.Primary != got.Primary || !slices.Equal(kept.Devices, got.Devices)) {
			t.Errorf("account %d: %+v, kept as %+v", i, got, kept)
		}
	}
}

// The verifier's steps, taken by hand.
func TestAnswersThroughLookup(t *testing.T) {
	for _, v := range readAnswers(t) {
		t.Run(v.Name, func(t *testing.T) {
			verify, state, questions := v.parts(t)
			l, err := verify.Lookup(state, questions...)
			if err != nil {
				t.Fatal(err)
			}
			from := &recorded{pages: v.Pages}
			var failed error
			for request := l.Request(); request != nil && failed == nil; request = l.Request() {
				data, err := from.Lookup(t.Context(), request)
				if err != nil {
					t.Fatal(err)
				}
				if failed = l.Answer(data, time.UnixMilli(v.NowMs)); failed != nil {
					break
				}
			}
			wantCheck(t, "answer", failed, v.Why)
			if state != nil {
				if kept, err := state.Bytes(); err != nil || !bytes.Equal(kept, v.before) {
					t.Errorf("the client's state was changed, %v", err)
				}
			}
			if failed != nil {
				v.compare(t, nil, from.next)
				return
			}
			r, next, err := l.Result()
			if err != nil {
				t.Fatal(err)
			}
			v.compare(t, r, from.next)
			if data, err := next.Bytes(); err != nil || !bytes.Equal(data, v.after) {
				t.Errorf("another state than the vector's, %v", err)
			}
		})
	}
}

// A client with its state in a folder.
func TestAnswersThroughClient(t *testing.T) {
	for _, v := range readAnswers(t) {
		t.Run(v.Name, func(t *testing.T) {
			verify, state, questions := v.parts(t)
			store, err := statefile.Open(filepath.Join(t.TempDir(), "state"))
			if err != nil {
				t.Fatal(err)
			}
			log := name.Origin(verify.Policy.Log.Name).LogID()
			if state != nil {
				if err := store.Save(state, verifier.Token{}); err != nil {
					t.Fatal(err)
				}
			}
			from := &recorded{pages: v.Pages}
			client := &verifier.Client{Verifier: verify, Store: store, Source: from, Now: func() time.Time { return time.UnixMilli(v.NowMs) }}
			r, err := client.Lookup(t.Context(), questions...)
			wantCheck(t, "answer", err, v.Why)
			v.compare(t, r, from.next)
			want := v.after
			if err != nil {
				want = v.before
			}
			wanted, err := verifier.ParseState(want)
			if want == nil {
				wanted, err = nil, nil
			}
			if err != nil {
				t.Fatal(err)
			}
			var accounts []name.AccountID
			if wanted != nil {
				for _, a := range wanted.Accounts {
					accounts = append(accounts, a.ID)
				}
			}
			kept, _, err := store.Load(log, accounts)
			if err != nil {
				t.Fatal(err)
			}
			if kept == nil {
				if want != nil {
					t.Error("no state was kept")
				}
			} else if data, err := kept.Bytes(); err != nil || !bytes.Equal(data, want) {
				t.Errorf("another state was kept, %v", err)
			}
		})
	}
}

// What has the form of an Answer has it once.
func TestAnswersForm(t *testing.T) {
	for _, v := range readAnswers(t) {
		for i, p := range v.Pages {
			a, err := answer.Parse(p.Answer)
			if err != nil {
				if v.Why != verifier.CheckForm || i != len(v.Pages)-1 {
					t.Errorf("%s, page %d: %v", v.Name, i, err)
				}
				continue
			}
			if data, err := a.Bytes(); err != nil || !bytes.Equal(data, p.Answer) {
				t.Errorf("%s, page %d: written otherwise, %v", v.Name, i, err)
			}
		}
	}
}

type side struct {
	Identifier name.Identifier
	Primary    hexed
	Devices    []device
}

func (s side) code(t *testing.T) code.Side {
	return code.Side{Identifier: s.Identifier, Primary: keyOf(t, s.Primary), Devices: devicesOf(t, s.Devices)}
}

type qrSide struct {
	Account         hexed `json:"account_id"`
	Generation, Seq uint32
	Event           hexed `json:"event_id"`
	DevicesHash     hexed `json:"devices_hash"`
}

func (s qrSide) side() code.QRSide {
	return code.QRSide{Account: h32(s.Account), Generation: s.Generation, Seq: s.Seq, Event: h32(s.Event), Devices: h32(s.DevicesHash)}
}

type codeVectors struct {
	Halves []struct {
		Name, Identifier string
		Keys             hexed
		Digits           string
	}
	Codes []struct {
		Name           string
		A, B           side
		Code, Extended string
	}
	LogVKey string `json:"log_vkey"`
	QRs     []struct {
		Name, QR        string
		LogID           hexed `json:"log_id"`
		Mine, Yours     qrSide
		Size            uint64 `json:",string"`
		Root, Signature hexed
	}
	Refused []struct{ Name, Why, Check, QR string } `json:"qrs_refused"`
	Mine    string                                  `json:"compare_mine"`
	Compare []struct {
		Name, Theirs, Why string
		Remains           []string
	}
}

func TestCodes(t *testing.T) {
	var f codeVectors
	read(t, "codes.json", &f)
	least(t, "codes", len(f.Codes)+len(f.Halves), 12)
	for _, v := range f.Halves {
		if got := code.Half([]byte(v.Identifier), v.Keys); got != v.Digits {
			t.Errorf("%s: %s, want %s", v.Name, got, v.Digits)
		}
	}
	for _, v := range f.Codes {
		a, b := v.A.code(t), v.B.code(t)
		if code.Code(a, b) != v.Code || code.Code(b, a) != v.Code || code.Extended(a, b) != v.Extended || code.Extended(b, a) != v.Extended {
			t.Errorf("%s: %s, extended %s", v.Name, code.Code(a, b), code.Extended(a, b))
		}
		if v.Code != "" && strings.ReplaceAll(code.Group(v.Code), " ", "") != v.Code {
			t.Errorf("%s: grouped as %s", v.Name, code.Group(v.Code))
		}
	}
}

func TestQRs(t *testing.T) {
	var f codeVectors
	read(t, "codes.json", &f)
	least(t, "QR payloads", len(f.QRs)+len(f.Refused), 14)
	least(t, "comparisons", len(f.Compare), 10)
	key, err := checkpoint.ParseKey(f.LogVKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range f.QRs {
		want := code.QR{Log: h32(v.LogID), Mine: v.Mine.side(), Yours: v.Yours.side(), Size: v.Size, Root: h32(v.Root), Signature: [64]byte(v.Signature)}
		q, err := code.ParseQR(v.QR)
		if err != nil || *q != want || want.String() != v.QR || q.VerifySignature(key) != nil {
			t.Errorf("%s: %+v, %v", v.Name, q, err)
		}
	}
	for _, v := range f.Refused {
		q, err := code.ParseQR(v.QR)
		if (err != nil) != (v.Check == "form") {
			t.Errorf("%s: %v", v.Name, err)
		}
		if err != nil {
			continue
		}
		var mismatch *code.Error
		err = q.VerifySignature(key)
		if err == nil || errors.As(err, &mismatch) != (v.Check == "log") {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
	mine, err := code.ParseQR(f.Mine)
	if err != nil {
		t.Fatal(err)
	}
	names := map[name.AccountID]string{}
	for _, id := range []name.Identifier{"alice", "bob"} {
		names[id.AccountID()] = string(id)
	}
	for _, v := range f.Compare {
		theirs, err := code.ParseQR(v.Theirs)
		if err != nil || theirs.VerifySignature(key) != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		c, err := code.Compare(mine, theirs)
		var mismatch *code.Error
		if got := errors.As(err, &mismatch); got != (v.Why != "") || got && string(mismatch.Mismatch) != v.Why {
			t.Errorf("%s: %v, want %q", v.Name, err, v.Why)
		}
		var remains []string
		for _, chain := range c.Chains {
			where := map[bool]string{true: "fetched", false: "at hand"}[chain.Fetch]
			remains = append(remains, fmt.Sprintf("chain %s, %s", names[chain.Longer.Account], where))
		}
		if c.Smaller != nil {
			remains = append(remains, "consistency")
		}
		if !slices.Equal(remains, v.Remains) || err == nil && c.Settled() != (len(v.Remains) == 0) {
			t.Errorf("%s: remains %v, want %v", v.Name, remains, v.Remains)
		}
	}
}

func TestPublished(t *testing.T) {
	type vector struct {
		Name, Why string
		Event     int
		Published based
	}
	var f struct {
		Policy            string
		VRFKey            hexed `json:"vrf_public_key"`
		Events            []based
		Accepted, Refused []vector
	}
	read(t, "published.json", &f)
	least(t, "accepted", len(f.Accepted), 3)
	least(t, "refused", len(f.Refused), 12)
	policy, err := checkpoint.ParsePolicy([]byte(f.Policy))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range slices.Concat(f.Accepted, f.Refused) {
		e, err := event.Parse(f.Events[v.Event])
		if err != nil {
			t.Fatal(err)
		}
		for _, later := range []time.Duration{0, 100_000 * time.Hour} { // a receipt is for ever
			p, err := (&verifier.Verifier{Policy: policy}).Receipt(h32(f.VRFKey), e, v.Published, time.UnixMilli(int64(start)).Add(later))
			if (err == nil) != (v.Why == "") {
				t.Errorf("%s: %v", v.Name, err)
			}
			if p == nil {
				continue
			}
			if data, err := p.Bytes(); err != nil || !bytes.Equal(data, v.Published) {
				t.Errorf("%s: written otherwise, %v", v.Name, err)
			}
		}
	}
}
