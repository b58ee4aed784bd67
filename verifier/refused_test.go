package verifier_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// Spans that no honest log gives, each by the check of spans.
func TestSpans(t *testing.T) {
	ghost := liar.NewPhone(origin, "ghost", start).NewKey()
	for _, c := range []struct {
		name   string
		before []string // what the client saw
		after  []string
		twist  func(*answer.Account)
	}{
		{"an unknown account with a device", nil, []string{"bob."}, func(a *answer.Account) {
			a.Devices = []event.Device{{KeyIndex: 1, Key: ghost.Public()}}
		}},
		{"no event of an account that is there", nil, []string{"alice.", "alice+"}, func(a *answer.Account) { a.From, a.To = 2, 2 }},
		{"nothing new, and it ends before the newest", []string{"alice.", "alice+"}, nil, func(a *answer.Account) { a.From, a.To = 1, 1 }},
		{"nothing new, and one is opened", []string{"alice.", "alice+"}, nil, func(a *answer.Account) { a.From = 1 }},
		{"something new, and none is opened", []string{"alice."}, []string{"alice+"}, func(a *answer.Account) { a.From = 2 }},
		{"something new, and it begins at what is known", []string{"alice."}, []string{"alice+"}, func(a *answer.Account) { a.From = 0 }},
	} {
		w := newWorld(t)
		var seen *verifier.State
		if c.before != nil {
			w.plays(c.before...)
			_, seen = w.mustLook(nil, first("alice"))
		}
		w.plays(c.after...)
		lies := 0
		liar := twisted{log: w.log, twist: func(a *answer.Answer) { lies++; c.twist(&a.Accounts[0]) }}
		if _, _, err := w.look(liar, seen, first("alice")); verifier.FailedCheck(err) != verifier.CheckRequired || lies != 1 {
			t.Errorf("%s: %v after %d answers, want check %q of the first", c.name, err, lies, verifier.CheckRequired)
		}
	}
}

// What cannot be asked is refused before anybody is asked.
func TestLookupRefuses(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	v := w.verifier()
	var many []verifier.Question
	for i := range answer.MaxAccounts + 1 {
		many = append(many, verifier.Question{Account: name.AccountID{byte(i), byte(i >> 8)}})
	}
	if _, err := v.Lookup(nil, many[1:]...); err != nil {
		t.Errorf("as many accounts as may be: %v", err)
	}
	for what, questions := range map[string][]verifier.Question{
		"one account more than may be": many, "none": nil, "an account twice": {first("alice"), history("alice")},
	} {
		if _, err := v.Lookup(nil, questions...); err == nil {
			t.Errorf("%s: asked", what)
		}
	}
	_, seen := w.mustLook(nil, first("alice"))
	seen.Note = seen.Note[:len(seen.Note)-1]
	if _, err := v.Lookup(seen, first("alice")); err == nil {
		t.Error("a state with a damaged checkpoint: asked")
	}
	l, err := v.Lookup(nil, first("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if r, s, err := l.Result(); err == nil {
		t.Errorf("a result before the answer: %+v, %+v", r, s)
	}
}

// store keeps a state in memory, or fails.
type store struct {
	state      *verifier.State
	load, save error
	saved      int
}

func (s *store) Load(name.LogID, []name.AccountID) (*verifier.State, verifier.Token, error) {
	return s.state, verifier.Token{}, s.load
}

func (s *store) Save(state *verifier.State, _ verifier.Token) error {
	s.saved++
	return s.save
}

// silent is a source that gives no answer.
type silent struct {
	err error
	end func()
}

func (s silent) Lookup(context.Context, []byte) ([]byte, error) { s.end(); return nil, s.err }

// Whatever does not work, the client says so, believes nothing, and keeps nothing.
func TestClientFails(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	broken := errors.New("broken")
	ended, end := context.WithCancel(t.Context())
	end()
	none := func() {}
	for _, c := range []struct {
		name   string
		ctx    context.Context
		store  *store
		source verifier.Source
		want   error
		saved  int
	}{
		{"the store cannot be read", t.Context(), &store{load: broken}, w.log, broken, 0},
		{"the store cannot be written", t.Context(), &store{save: broken}, w.log, broken, 1},
		{"no answer", t.Context(), &store{}, silent{broken, none}, broken, 0},
		{"the caller went away", ended, &store{}, silent{broken, func() { t.Error("asked all the same") }}, context.Canceled, 0},
	} {
		client := &verifier.Client{Verifier: w.verifier(), Store: c.store, Source: c.source, Now: w.now}
		if r, err := client.Lookup(c.ctx, first("alice")); !errors.Is(err, c.want) || r != nil || c.store.saved != c.saved {
			t.Errorf("%s: %+v, %v, saved %d times; want %v", c.name, r, err, c.store.saved, c.want)
		}
	}
	client := &verifier.Client{Verifier: w.verifier(), Store: &store{}, Source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Epoch[9] ^= 1 }}, Now: w.now}
	if r, err := client.Lookup(t.Context(), first("alice")); verifier.FailedCheck(err) == "" || r != nil || client.Store.(*store).saved != 0 {
		t.Errorf("a lie: %+v, %v", r, err)
	}
}

// A proof file holds the whole answer to a stranger's question, or nothing.
func TestProofFileRefuses(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+", "alice+", "alice_1", "alice/2")
	file := func(log verifier.Source) *answer.ProofFile {
		l, err := w.verifier().Lookup(nil, first("alice"))
		if err != nil {
			t.Fatal(err)
		}
		data, err := log.Lookup(t.Context(), l.Request())
		if err != nil {
			t.Fatal(err)
		}
		return &answer.ProofFile{Identifier: "alice", Answer: data}
	}
	if r, err := w.verifier().ProofFile(file(w.log), w.now()); err != nil || len(r.Accounts) != 1 {
		t.Errorf("an honest file: %+v, %v", r, err)
	}
	half := twisted{log: w.log, ask: func(r *answer.Request) { r.Asks[0].Most = 1 }}
	for _, c := range []struct {
		name string
		file *answer.ProofFile
		want verifier.Check
	}{
		{"the first of two pages", file(half), verifier.CheckRequired},
		{"another account's", &answer.ProofFile{Identifier: "bob", Answer: file(w.log).Answer}, verifier.CheckAsked},
		{"no answer", &answer.ProofFile{Identifier: "alice"}, verifier.CheckForm},
	} {
		if r, err := w.verifier().ProofFile(c.file, w.now()); verifier.FailedCheck(err) != c.want || r != nil {
			t.Errorf("%s: %v, want check %q", c.name, err, c.want)
		}
	}
}

// Facts of no use to a comparison are told, and decide nothing.
func TestCompareRefusesFacts(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "bob.")
	alice, v := w.phone("alice").Account(), w.verifier()
	honest := w.side(w.log, nil, first("alice"))
	tag := honest.tag(t)
	bob := w.side(w.log, nil, first("bob"))
	otherKey, damaged := *honest.state, *honest.state
	otherKey.LogKey = liar.New("other.example/log", start).Signer.Key().String()
	damaged.Note = damaged.Note[:len(damaged.Note)-1]
	for what, c := range map[string]struct {
		state *verifier.State
		facts verifier.Facts
	}{
		"the state of another log":               {&otherKey, verifier.Facts{}},
		"a state with a damaged checkpoint":      {&damaged, verifier.Facts{}},
		"what was found is of another account":   {honest.state, verifier.Facts{Found: bob.found}},
		"the same, of one that is not known yet": {bob.state, verifier.Facts{Found: bob.found}},
	} {
		if h, err := v.Compare(c.state, alice, tag, c.facts); err == nil {
			t.Errorf("%s: %+v", what, h)
		}
	}
	// Of an account that this client has never asked about, nothing can be said yet.
	if h, err := v.Compare(bob.state, alice, tag, verifier.Facts{}); err != nil || h.Verdict != verifier.Ask || h.Ask != verifier.WantLookup {
		t.Errorf("an account that is not in the state: %+v, %v", h, err)
	}
	if _, err := damaged.Tag(alice); err == nil {
		t.Error("a tag is made of a damaged checkpoint")
	}
}

// A tag has one length, and none shorter is one.
func TestTagCutShort(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	good := w.side(w.log, nil, first("alice")).tag(t).Bytes()
	for n := range good {
		if tag, err := verifier.ParseTag(good[:n]); err == nil {
			t.Errorf("%d of %d bytes are %+v", n, len(good), tag)
		}
	}
}

// What a state's list of accounts cannot hold, with the right length around it.
func TestStateRefusesAccounts(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+")
	_, s := w.mustLook(nil, first("alice"))
	good, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	empty := *s
	empty.Accounts = nil
	none, err := empty.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	with := func(list []byte) []byte {
		b := append(bytes.Clone(none[:len(none)-4]), 0, 0, byte(len(list)>>8), byte(len(list)))
		return append(b, list...)
	}
	account := good[len(none):]
	if !bytes.Equal(with(account), good) {
		t.Fatal("the state is not its head and its accounts")
	}
	for n := 1; n < len(account); n++ {
		if _, err := verifier.ParseState(with(account[:n])); err == nil {
			t.Errorf("an account of %d of %d bytes: parsed", n, len(account))
		}
	}
	for what, at := range map[string]struct {
		at int
		is byte
	}{"version 2": {1, 2}, "sealed twice": {2 + 1 + len(s.Origin) + 2 + len(s.LogKey) + 32, 2}} {
		bad := bytes.Clone(good)
		bad[at.at] = at.is
		if _, err := verifier.ParseState(bad); err == nil {
			t.Errorf("%s: parsed", what)
		}
	}
	key := s.Accounts[0].Devices[0].Key
	s.Accounts[0].Devices = nil
	bad, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(bad, s.Accounts[0].Primary[:])
	if _, err := verifier.ParseState(bad); err != nil || at < 0 {
		t.Fatalf("an account without devices: %v", err)
	}
	bad[at] = 9 // no key type
	if _, err := verifier.ParseState(bad); err == nil {
		t.Error("a primary of an unknown type: parsed")
	}
	s.Accounts[0].Seq, s.Accounts[0].Devices = 1000, nil
	for i := range uint32(event.MaxDevices + 1) {
		s.Accounts[0].Devices = append(s.Accounts[0].Devices, event.Device{KeyIndex: i + 1, Key: key})
		data, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.ParseState(data); (err == nil) != (i < event.MaxDevices) {
			t.Errorf("%d devices: %v", i+1, err)
		}
	}
}

// A receipt is of this event, under a checkpoint that the policy takes.
func TestReceiptRefuses(t *testing.T) {
	w := newWorld(t)
	w.log.Cosigners = append(w.log.Cosigners, cosigner(t, "one"))
	w.plays("alice.", "bob.")
	alice := w.phone("alice")
	record := w.log.Records[alice.Account()][0]
	e, err := event.Parse(record.Event)
	if err != nil {
		t.Fatal(err)
	}
	size := uint64(len(w.log.Leaves))
	path, err := answer.Path(record.Position, size, w.log.Node)
	if err != nil {
		t.Fatal(err)
	}
	good := answer.Published{Position: record.Position, Opening: record.Opening, Note: w.log.Note, Path: path}
	good.Proof, _ = w.log.VRFKey.Prove(e.Account.Label().VRFInput(0))
	ofBob, _ := w.log.VRFKey.Prove(w.phone("bob").Account().Label().VRFInput(0))
	judge := func(change func(*answer.Published), key [32]byte) error {
		r := good
		r.Path = slices.Clone(good.Path)
		if change != nil {
			change(&r)
		}
		data, err := r.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.verifier().Receipt(key, e, data, w.now())
		return err
	}
	key := w.log.VRFKey.Public()
	if err := judge(nil, key); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*answer.Published)
		want   verifier.Check
	}{
		{"no checkpoint", func(r *answer.Published) { r.Note = []byte("x") }, verifier.CheckForm},
		{"without the cosignature", func(r *answer.Published) {
			n, _ := checkpoint.Parse(r.Note)
			n.Lines = n.Lines[:1]
			r.Note = n.Bytes()
		}, verifier.CheckQuorum},
		{"of another seq", func(r *answer.Published) { r.Seq = 1 }, verifier.CheckAsked},
		{"another account's VRF proof", func(r *answer.Published) { r.Proof = ofBob }, verifier.CheckVRF},
		{"another opening", func(r *answer.Published) { r.Opening[0]++ }, verifier.CheckInclusion},
		{"another position", func(r *answer.Published) { r.Position++ }, verifier.CheckInclusion},
		{"another path", func(r *answer.Published) { r.Path[0] = leaf.Hash{} }, verifier.CheckInclusion},
	} {
		if err := judge(c.change, key); verifier.FailedCheck(err) != c.want {
			t.Errorf("%s: %v, want check %q", c.name, err, c.want)
		}
	}
	if err := judge(nil, [32]byte{2}); verifier.FailedCheck(err) != verifier.CheckGenesis {
		t.Errorf("a VRF key that is no point: %v", err)
	}
	if _, err := w.verifier().Receipt(key, e, nil, w.now()); verifier.FailedCheck(err) != verifier.CheckForm {
		t.Errorf("no receipt: %v", err)
	}
}

// Leaf 0 has to be GENESIS, and a state names one log for ever.
func TestGenesisRefused(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	w.log.Leaves[0] = w.log.Leaves[1]
	w.log.Sign()
	if _, _, err := w.look(w.log, nil, first("alice")); verifier.FailedCheck(err) != verifier.CheckGenesis {
		t.Errorf("another leaf: %v", err)
	}
	if _, _, err := w.look(twisted{log: w.log, twist: func(a *answer.Answer) { a.Genesis = []byte{9} }}, nil, first("alice")); verifier.FailedCheck(err) != verifier.CheckGenesis {
		t.Errorf("no leaf: %v", err)
	}
	w = newWorld(t)
	w.plays("alice.")
	if _, _, err := w.look(twisted{log: w.log, twist: func(a *answer.Answer) { a.Epoch = []byte{9} }}, nil, first("alice")); verifier.FailedCheck(err) != verifier.CheckForm {
		t.Errorf("an EPOCH that is no leaf: %v", err)
	}
	_, seen := w.mustLook(nil, first("alice"))
	seen.Origin = "other.example/log"
	if _, _, err := w.look(w.log, seen, first("alice")); verifier.FailedCheck(err) != verifier.CheckGenesis {
		t.Errorf("the state of another origin: %v", err)
	}
}

// A failure that is one account's says which; others do not.
func TestFailureNamesItsAccount(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+")
	account := w.phone("alice").Account()
	_, _, err := w.look(twisted{log: w.log, twist: func(a *answer.Answer) { a.Accounts[0].From = 2 }}, nil, first("alice"))
	if f := new(verifier.Failure); !errors.As(err, &f) || f.Account == nil || !bytes.Contains([]byte(err.Error()), []byte(account.String())) {
		t.Errorf("%v does not name account %s", err, account)
	}
}
