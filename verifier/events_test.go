package verifier_test

import (
	"errors"
	"testing"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier"
)

// unsigned are lies about events that convict nobody: what broke the rules is
// a device list beside the anchor, which the log did not sign.
var unsigned = map[string]bool{
	"ghost device in the list beside an honest anchor":  true,
	"a device under another key_index":                  true,
	"replayed removed device: listed after its removal": true,
}

// TestBrokenEventsConvict: whoever is shown an event that breaks a rule of
// accounts can convict the log, unless the lie is in what it did not sign.
func TestBrokenEventsConvict(t *testing.T) {
	told := 0
	for _, lie := range lies {
		if lie.want != verifier.CheckRules {
			continue
		}
		told++
		t.Run(lie.name, func(t *testing.T) {
			w := newWorld(t)
			v := lie.tell(w)
			_, _, err := w.look(v.source, v.state, append([]verifier.Question{v.asks}, v.more...)...)
			w.proves(err, !unsigned[lie.name])
		})
	}
	if told < 7 {
		t.Errorf("only %d lies break the account rules: were they renamed?", told)
	}
}

// TestBrokenHistoriesConvict: where one event alone is in order, it is shown
// with as many before it as contradict it; also by who knew the account.
func TestBrokenHistoriesConvict(t *testing.T) {
	for _, c := range []struct {
		name  string
		asks  verifier.Question
		knows bool
		tell  func(p *liar.Phone) []byte
	}{
		{"a key introduced twice", history("alice"), false, func(p *liar.Phone) []byte {
			e := p.Draft(event.AddDevice)
			e.KeyIndex, e.Subject = e.Seq, p.Companions[1].Public()
			e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, []event.Device{{KeyIndex: e.Seq, Key: e.Subject}})
			return liar.Sign(e, p.Primary, p.Companions[1]).Bytes()
		}},
		{"another event before", history("alice"), false, func(p *liar.Phone) []byte {
			e := p.Draft(event.Confirm)
			e.Prev[0] ^= 1
			e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, nil)
			return liar.Sign(e, p.Primary, nil).Bytes()
		}},
		{"a signature that is none, told to who knew the account", first("alice"), true, func(p *liar.Phone) []byte {
			e := p.Draft(event.Confirm)
			e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, nil)
			return liar.Sign(e, p.NewKey(), nil).Bytes()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.plays("alice.", "alice+", "alice-1")
			var state *verifier.State
			if c.knows {
				_, state = w.mustLook(nil, c.asks)
			}
			p := w.phone("alice")
			w.log.Append(p.Account(), c.tell(p))
			w.log.Seal()
			_, _, err := w.look(w.log, state, c.asks)
			w.proves(err, true)
		})
	}
}

// proves makes evidence of a failure of the rules, or finds that there is none.
func (w *world) proves(err error, convicting bool) {
	w.t.Helper()
	var f *verifier.Failure
	if !errors.As(err, &f) || f.Check != verifier.CheckRules || len(f.Events) == 0 || len(f.Notes) != 1 {
		w.t.Fatalf("the failure names no events: %+v", err)
	}
	file, err := verifier.ProveEvents(w.log.Signer.Key(), w.tree(f.Notes[0]), f.Events)
	if (err == nil) != convicting {
		w.t.Fatalf("evidence: %v, want some: %t", err, convicting)
	}
	if err == nil && file.Kind != evidence.E6 {
		w.t.Errorf("evidence of kind %s", file.Kind)
	}
}

// TestInsertedLeafConvicts: an owner is shown a map without a version whose leaf
// the log has. Her answer's proof and the leaf convict the log; of a leaf that
// is not there, or an index that is present, nothing does.
func TestInsertedLeafConvicts(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+", "bob.")
	alice := w.phone("alice").Account()
	position := w.log.AppendAt(alice, 3, w.phone("alice").Confirm())
	_, index, _ := w.log.VRF(alice, 3)
	delete(w.log.Map, index)
	w.log.Records[alice] = w.log.Records[alice][:2]
	w.log.Seal()
	r, _ := w.mustLook(nil, first("bob"), history("alice"))
	key, tree := w.log.Signer.Key(), w.tree(r.Note)
	file, err := r.ProveInserted(key, tree, index, position)
	if err != nil || file.Kind != evidence.E4a {
		t.Fatalf("no evidence of an inserted leaf: %v", err)
	}
	if _, err := r.ProveInserted(key, tree, index, position-1); err == nil {
		t.Error("another leaf convicts")
	}
	_, present, _ := w.log.VRF(alice, 1)
	if _, err := r.ProveInserted(key, tree, present, w.log.Records[alice][1].Position); err == nil {
		t.Error("a version that the map has convicts")
	}
}
