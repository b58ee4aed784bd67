package testdata_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/verifier"
)

type device struct {
	KeyIndex uint32 `json:"key_index"`
	Key      hexed
}

func devicesOf(t *testing.T, in []device) (out []event.Device) {
	t.Helper()
	for _, d := range in {
		out = append(out, event.Device{KeyIndex: d.KeyIndex, Key: keyOf(t, d.Key)})
	}
	return out
}

func keyOf(t *testing.T, raw []byte) (k event.Key) {
	t.Helper()
	if len(raw) == 0 {
		return k
	}
	k, err := event.ParseKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type eventVectors struct {
	Origin     name.Origin
	LogID      hexed `json:"log_id"`
	Identifier name.Identifier
	AccountID  hexed `json:"account_id"`
	Keys       []struct {
		Name, Why string
		Key, U    hexed
		Admit     bool
	}
	Replayed []struct {
		Account, Line string
		Event         based
		EventID       hexed `json:"event_id"`
		Generation    uint32
		Primary       hexed
		Devices       []device
		DevicesHash   hexed `json:"devices_hash"`
	}
	States []struct {
		Name  string
		State struct {
			Next, Generation uint32
			Head, Primary    hexed
			Devices          []device
			Fill             uint32
			Introduced       []hexed
		}
	}
	Structure []struct {
		Name, Why string
		Event     based
		Rule      event.Rule
	}
	Refused []struct {
		Name   string
		Why    event.Rule
		Before string
		Event  based
	}
	Anchors []struct {
		Name       string
		Why        event.Rule
		Seq        uint32
		Event      based
		Devices    []device
		Introduced []hexed
	}
}

func readEvents(t *testing.T) (f eventVectors) {
	t.Helper()
	read(t, "events.json", &f)
	if f.Origin != origin || f.Origin.LogID() != h32(f.LogID) || f.Identifier.AccountID() != h32(f.AccountID) {
		t.Fatalf("log_id %s and account_id %s", f.Origin.LogID(), f.Identifier.AccountID())
	}
	return f
}

// state is the account of that name; the zero account if there is none yet.
func (f *eventVectors) state(t *testing.T, name string) *event.Account {
	t.Helper()
	for _, s := range f.States {
		if s.Name != name {
			continue
		}
		a := event.NewAccount(h32(f.LogID), h32(f.AccountID))
		a.Next, a.Generation, a.Head, a.Primary, a.Devices = s.State.Next, s.State.Generation, h32(s.State.Head), keyOf(t, s.State.Primary), devicesOf(t, s.State.Devices)
		for i := uint32(1); i <= s.State.Fill; i++ {
			a.Devices = append(a.Devices, event.Device{KeyIndex: i, Key: event.Key{event.KeyCurve25519, byte(i)}})
		}
		for _, u := range s.State.Introduced {
			a.Introduced = append(a.Introduced, h32(u))
		}
		return a
	}
	t.Fatalf("no state %q", name)
	return nil
}

func wantRule(t *testing.T, what string, err error, want event.Rule) {
	t.Helper()
	var e *event.Error
	if want == "" && err != nil || want != "" && (!errors.As(err, &e) || e.Rule != want) {
		t.Errorf("%s: %v, want rule %q", what, err, want)
	}
}

func TestKeys(t *testing.T) {
	f := readEvents(t)
	least(t, "keys", len(f.Keys), 20)
	for _, v := range f.Keys {
		k := keyOf(t, v.Key)
		if err := event.Admit(k); (err == nil) != v.Admit {
			t.Errorf("%s: %v, want admitted: %t", v.Name, err, v.Admit)
		}
		if u, err := k.Coordinate(); (err == nil) != (len(v.U) > 0) || err == nil && u != h32(v.U) {
			t.Errorf("%s: u %x, %v, want %x", v.Name, u, err, v.U)
		}
	}
}

// Good accounts: replayed, begun at every anchor, and read from a log by an
// owner who reads all of it and by a contact who asks after every event.
func TestReplayedEvents(t *testing.T) {
	f := readEvents(t)
	least(t, "replayed events", len(f.Replayed), 20)
	types := map[event.Type]int{}
	var a *event.Account
	var log *liar.Log
	var contact *verifier.State
	last := ""
	for _, v := range f.Replayed {
		what := v.Account + ": " + v.Line
		if v.Account != last {
			a, log, contact, last = event.NewAccount(h32(f.LogID), h32(f.AccountID)), liar.New(origin, start), nil, v.Account
		}
		e, err := event.Parse(v.Event)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		types[e.Type]++
		c := event.Check(e)
		if !bytes.Equal(e.Bytes(), v.Event) || c.Err() != nil || c.ID() != h32(v.EventID) || e.ID() != h32(v.EventID) || e.DevicesHash != h32(v.DevicesHash) {
			t.Errorf("%s: id %s, %v", what, c.ID(), c.Err())
		}
		before := a.Clone()
		if err := a.Apply(c); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := before.Apply(event.Check(e, append(keysOf(before), e.Primary)...)); err != nil {
			t.Errorf("%s: with keys known as admitted: %v", what, err)
		}
		list := devicesOf(t, v.Devices)
		if a.Head != h32(v.EventID) || a.Next != e.Seq+1 || a.Generation != v.Generation || a.Primary != keyOf(t, v.Primary) || !slices.Equal(a.Devices, list) {
			t.Errorf("%s: %+v", what, a)
		}
		if event.DevicesHash(a.Log, a.ID, v.Generation, a.Primary, list) != h32(v.DevicesHash) {
			t.Errorf("%s: devices_hash", what)
		}
		if e.Type == event.Erase || len(e.Signatures) > 0 && e.Signatures[0].Role == event.Primary {
			anchored, err := event.Anchor(a.Log, a.ID, c, list)
			if err != nil || anchored.Head != a.Head || anchored.Next != a.Next || anchored.Primary != a.Primary || !slices.Equal(anchored.Devices, a.Devices) {
				t.Errorf("%s, as an anchor: %+v, %v", what, anchored, err)
			}
		}
		log.Append(a.ID, v.Event)
		log.Seal()
		q := verifier.Question{Account: a.ID}
		var seen *verifier.Result
		if seen, contact, err = lookup(log, log, contact, q); err != nil {
			t.Fatalf("%s, returning: %v", what, err)
		}
		stranger, _, err := lookup(log, log, nil, q)
		if err != nil {
			t.Fatalf("%s, first lookup: %v", what, err)
		}
		q.History = true
		owner, _, err := lookup(log, log, nil, q)
		if err != nil {
			t.Fatalf("%s, history: %v", what, err)
		}
		for _, r := range []*verifier.Result{seen, stranger, owner} {
			if got := &r.Accounts[0]; got.Event != a.Head || got.Primary != a.Primary || got.Generation != a.Generation || !slices.Equal(got.Devices, list) {
				t.Errorf("%s: found %+v", what, got)
			}
		}
	}
	if len(types) != 7 {
		t.Errorf("types %v, want all seven", types)
	}
}

func TestStructure(t *testing.T) {
	f := readEvents(t)
	least(t, "refused structures", len(f.Structure), 25)
	for _, v := range f.Structure {
		e, err := event.Parse(v.Event)
		wantRule(t, v.Name, err, v.Rule)
		if e != nil {
			t.Errorf("%s: an event beside an error", v.Name)
		}
		if len(v.Event) == 0 {
			continue // to the log's own code this is an erased body, which it never shows
		}
		log := liar.New(origin, start)
		log.Append(h32(f.AccountID), v.Event)
		log.Seal()
		_, _, err = lookup(log, log, nil, verifier.Question{Account: h32(f.AccountID), History: true})
		wantCheck(t, v.Name, err, checkOf(v.Rule))
	}
}

func TestRefusedEvents(t *testing.T) {
	f := readEvents(t)
	least(t, "refused events", len(f.Refused), 70)
	rules, told := map[event.Rule]bool{}, 0
	for _, v := range f.Refused {
		rules[v.Why] = true
		e, err := event.Parse(v.Event)
		if err != nil || !bytes.Equal(e.Bytes(), v.Event) {
			t.Fatalf("%s: %v", v.Name, err)
		}
		before := f.state(t, v.Before)
		for i, c := range []*event.Checked{event.Check(e), event.Check(e, keysOf(before)...)} {
			a := before.Clone()
			wantRule(t, fmt.Sprintf("%s, %d", v.Name, i), a.Apply(c), v.Why)
			if fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", before) {
				t.Errorf("%s: changed the account", v.Name)
			}
		}
		// The same, logged and told to a client that stands there, unless its
		// state cannot know the key's past, or no log could have led there.
		if v.Why == event.RuleKeyUsed && len(before.Introduced) > len(keysOf(before)) || before.Next > 1000 {
			continue
		}
		told++
		log, state := standing(before)
		q := verifier.Question{Account: before.ID, History: state == nil}
		log.Append(before.ID, v.Event)
		log.Records[before.ID][before.Next].Erase = answer.None // an ERASE at seq 0 would be taken for an anchor
		log.Seal()
		_, _, err = lookup(log, log, state, q)
		wantCheck(t, v.Name, err, verifier.CheckRules)
	}
	for _, r := range []event.Rule{event.RuleLog, event.RuleAccount, event.RuleSeq, event.RulePrev, event.RuleGeneration, event.RuleRow, event.RuleUnknownPrimary,
		event.RuleListFull, event.RuleKeyUsed, event.RuleNotAdmitted, event.RuleSignature, event.RuleDevicesHash} {
		if !rules[r] {
			t.Errorf("no vector breaks rule %s", r)
		}
	}
	t.Logf("%d events refused, %d of them by a client too", len(f.Refused), told)
}

func TestAnchors(t *testing.T) {
	f := readEvents(t)
	least(t, "anchors", len(f.Anchors), 30)
	id := name.AccountID(f.AccountID)
	for _, v := range f.Anchors {
		e, err := event.Parse(v.Event)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		list := devicesOf(t, v.Devices)
		a, err := event.Anchor(h32(f.LogID), id, event.Check(e), list)
		wantRule(t, v.Name, err, v.Why)
		if err == nil {
			var introduced [][32]byte
			for _, u := range v.Introduced {
				introduced = append(introduced, h32(u))
			}
			less := func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }
			slices.SortFunc(introduced, less)
			slices.SortFunc(a.Introduced, less)
			if a.Next != e.Seq+1 || a.Head != e.ID() || a.Primary != e.Primary || !slices.Equal(a.Devices, list) || !slices.Equal(a.Introduced, introduced) {
				t.Errorf("%s: %+v", v.Name, a)
			}
		}
		// The same in the answer to a first lookup.
		log := liar.New(origin, start)
		for range v.Seq {
			log.Append(id, []byte("the past"))
		}
		log.Append(id, v.Event)
		log.Records[id][v.Seq].Anchor, log.Records[id][v.Seq].Live = v.Seq, nil
		log.Seal()
		with := source(func(r *answer.Request) (*answer.Answer, error) {
			said, err := log.Answer(r)
			if err == nil {
				said.Accounts[0].Devices = list
			}
			return said, err
		})
		_, _, err = lookup(log, with, nil, verifier.Question{Account: id})
		want := checkOf(v.Why)
		if e.Type != event.Erase && (len(e.Signatures) == 0 || e.Signatures[0].Role != event.Primary) {
			want = verifier.CheckRequired // no anchor at all: found before the rules are asked
		}
		wantCheck(t, v.Name, err, want)
	}
}

func keysOf(a *event.Account) (keys []event.Key) {
	if !a.Primary.IsZero() {
		keys = append(keys, a.Primary)
	}
	for _, d := range a.Devices {
		keys = append(keys, d.Key)
	}
	return keys
}

func checkOf(r event.Rule) verifier.Check {
	switch r {
	case "":
		return ""
	case event.RuleNewer:
		return verifier.CheckNewer
	}
	return verifier.CheckRules
}

func wantCheck(t *testing.T, what string, err error, want verifier.Check) {
	t.Helper()
	if got := verifier.FailedCheck(err); got != want || (err == nil) != (want == "") {
		t.Errorf("%s: failed check %q (%v), want %q", what, got, err, want)
	}
}

// standing is a log with an account of made-up events, and the state of a
// client that accepted the account as it is; nil before its first event.
func standing(a *event.Account) (*liar.Log, *verifier.State) {
	log := liar.New(origin, start)
	for range a.Next {
		log.Append(a.ID, []byte("the past"))
	}
	log.Seal()
	if a.Next == 0 {
		return log, nil
	}
	newest := log.Records[a.ID][a.Next-1]
	return log, &verifier.State{
		Origin: origin, LogKey: log.Signer.Key().String(), VRFKey: log.VRFKey.Public(), Note: log.Note,
		Accounts: []verifier.Account{{
			ID: a.ID, Seq: a.Next - 1, Event: a.Head, Value: prefix.Value(newest.Position, newest.Commitment), Position: newest.Position,
			Generation: a.Generation, Primary: a.Primary, Devices: a.Devices,
		}},
	}
}

// source answers what a function says.
type source func(*answer.Request) (*answer.Answer, error)

func (s source) Answer(r *answer.Request) (*answer.Answer, error) { return s(r) }

// lookup asks and verifies, under a policy that trusts the log alone.
func lookup(log *liar.Log, from interface {
	Answer(*answer.Request) (*answer.Answer, error)
}, state *verifier.State, q verifier.Question) (*verifier.Result, *verifier.State, error) {
	policy, err := checkpoint.ParsePolicy([]byte("log " + log.Signer.Key().String() + "\nquorum none\n"))
	if err != nil {
		return nil, nil, err
	}
	l, err := (&verifier.Verifier{Policy: policy}).Lookup(state, q)
	if err != nil {
		return nil, nil, err
	}
	for request := l.Request(); request != nil; request = l.Request() {
		r, err := answer.ParseRequest(request)
		if err != nil {
			return nil, nil, err
		}
		a, err := from.Answer(r)
		if err != nil {
			return nil, nil, err
		}
		data, err := a.Bytes()
		if err != nil {
			return nil, nil, err
		}
		if err := l.Answer(data, time.UnixMilli(int64(log.TimeMs))); err != nil {
			return nil, nil, err
		}
	}
	return l.Result()
}
