package log_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// The whole way, with a restart after every step: what was acknowledged stays,
// and the log goes on with the same history.
func TestEventsSurviveRestarts(t *testing.T) {
	r := newRig(t)
	alice, bob := r.phone("alice"), r.phone("bob")
	var state *verifier.State
	steps := []func() []byte{
		alice.Register, alice.Add, alice.Add, bob.Register,
		func() []byte { return alice.Remove(1) }, func() []byte { return alice.LogOut(2) }, alice.Add,
		func() []byte { return alice.OperatorRemove(5) }, alice.Confirm,
		func() []byte { return alice.Reregister(true) }, alice.Add, alice.Erase,
		func() []byte { return alice.Reregister(false) }, alice.Add, bob.Add,
	}
	for i, step := range steps {
		r.accepted(step())
		var result *verifier.Result
		result, state = r.look(state, history(alice))
		r.sees(alice, result.Accounts[0])
		before := r.log.Published()
		if err := r.stop(); err != nil {
			t.Fatalf("step %d: the log stopped with %v", i, err)
		}
		r.open()
		if !bytes.Equal(before, r.log.Published()) {
			t.Errorf("step %d: a restart changed the checkpoint from\n%s to\n%s", i, before, r.log.Published())
		}
	}
	result, _ := r.look(state, history(bob), history(alice))
	r.sees(bob, result.Accounts[0])
	r.sees(alice, result.Accounts[1])
}

// Events of one account may follow each other in one call, and many accounts
// in parallel calls.
func TestSubmitMany(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	phones := make([]*liar.Phone, 20)
	for i := range phones {
		phones[i] = r.phone(fmt.Sprint("phone", i))
		bodies := [][]byte{phones[i].Register(), phones[i].Add(), phones[i].Add(), phones[i].Remove(1)}
		wg.Go(func() { r.accepted(bodies...) })
	}
	wg.Wait()
	for _, p := range phones {
		result, _ := r.look(nil, history(p))
		r.sees(p, result.Accounts[0])
	}
}

// The same event again, also with another valid signature, also after a
// restart, also many times at once, is the same event with the same receipt.
func TestSameEventAgain(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	p.KeyType = event.KeyCurve25519 // whose signatures differ each time
	body := p.Register()
	e, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	again := liar.Sign(e.Payload, p.Primary, nil).Bytes()
	if bytes.Equal(body, again) {
		t.Fatal("the second signature equals the first: this test shows nothing")
	}
	var wg sync.WaitGroup
	outcomes := make([]answer.Outcome, 50)
	for i := range outcomes {
		wg.Go(func() { outcomes[i] = r.submit([][]byte{body, again}[i%2])[0] })
	}
	wg.Wait()
	size, _ := r.log.Position()
	r.stop()
	r.open()
	outcomes = append(outcomes, r.submit(body)[0], r.submit(again)[0])
	for i, o := range outcomes {
		if o.Refused != nil || o.Err != nil || o.Position != outcomes[0].Position || !bytes.Equal(o.Receipt, outcomes[0].Receipt) {
			t.Errorf("outcome %d: %+v, want that of the first: %+v", i, o, outcomes[0])
		}
	}
	if now, _ := r.log.Position(); now != size {
		t.Errorf("the log grew from %d to %d leaves", size, now)
	}
	stored, err := r.event(p.Account(), 0)
	if err != nil {
		t.Fatal(err)
	}
	logged, err := event.Parse(stored.Body)
	if err != nil {
		t.Fatal(err)
	}
	policy, _ := checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() + "\nquorum none\n"))
	if _, err := (&verifier.Verifier{Policy: policy}).Receipt(r.cfg.VRF.Public(), logged, outcomes[0].Receipt, r.cfg.Now()); err != nil {
		t.Errorf("the receipt does not verify: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	first := p.Register()
	r.accepted(first, p.Add())
	other := *p
	other.At = p.At.Clone()
	e, err := event.Parse(other.Add())
	if err != nil {
		t.Fatal(err)
	}
	resign := func(change func(*event.Payload)) []byte {
		payload := e.Payload
		change(&payload)
		return liar.Sign(payload, p.Primary, other.Companions[2]).Bytes()
	}
	for _, c := range []struct {
		name string
		body []byte
		want event.Rule
	}{
		{"too big", make([]byte, log.MaxEvent+1), event.RuleTooBig},
		{"no event", []byte("rubbish"), event.RuleStructure},
		{"trailing byte", append(bytes.Clone(e.Bytes()), 0), event.RuleStructure},
		{"reserved type", append([]byte{9}, e.Bytes()[1:]...), event.RuleNewer},
		{"another log", resign(func(p *event.Payload) { p.Log[0] ^= 1 }), event.RuleLog},
		{"six minutes ahead", resign(func(p *event.Payload) { p.TimeMs = start + 6*60*1000 }), event.RuleTimeAhead},
		{"far ahead", resign(func(p *event.Payload) { p.TimeMs = 1<<64 - 1 }), event.RuleTimeAhead},
		{"a seq to come", resign(func(p *event.Payload) { p.Seq, p.KeyIndex = 3, 3 }), event.RuleSeq},
		{"a seq that is taken", resign(func(p *event.Payload) { p.Seq, p.KeyIndex = 1, 1 }), event.RuleTaken},
		{"another predecessor", resign(func(p *event.Payload) { p.Prev[0] ^= 1 }), event.RulePrev},
		{"another generation", resign(func(p *event.Payload) { p.Generation = 1 }), event.RuleGeneration},
		{"a wrong key_index", resign(func(p *event.Payload) { p.KeyIndex = 7 }), event.RuleRow},
		{"unknown primary", liar.Sign(func() event.Payload {
			q := e.Payload
			q.Primary = other.Companions[2].Public()
			return q
		}(), other.Companions[2], other.Companions[2]).Bytes(), event.RuleUnknownPrimary},
		{"key used before", liar.Sign(func() event.Payload {
			q := e.Payload
			q.Subject = p.Companions[1].Public()
			return q
		}(), p.Primary, p.Companions[1]).Bytes(), event.RuleKeyUsed},
		{"bad signature", func() []byte { b := e.Bytes(); b[len(b)-1] ^= 1; return b }(), event.RuleSignature},
		{"another device list", resign(func(p *event.Payload) { p.DevicesHash[0] ^= 1 }), event.RuleDevicesHash},
	} {
		o := r.submit(c.body)[0]
		if o.Refused == nil || o.Refused.Rule != c.want {
			t.Errorf("%s: refused %v, error %v, want rule %s", c.name, o.Refused, o.Err, c.want)
			continue
		}
		if c.want == event.RuleTaken {
			head, err := event.Parse(o.Refused.Head)
			if err != nil || head.ID() != p.At.Head {
				t.Errorf("%s: the head that came along is not the account's newest event: %v", c.name, err)
			}
		}
	}
	// None of this left a trace, and the account goes on.
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])
	r.accepted(e.Bytes())
}

func TestDeviceLimit(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register())
	for range log.DefaultMaxDevices {
		r.accepted(p.Add())
	}
	full := *p
	full.At = p.At.Clone()
	if o := r.submit(full.Add())[0]; o.Refused == nil || o.Refused.Rule != event.RuleListFull {
		t.Errorf("one device too many: %v, %v", o.Refused, o.Err)
	}
	r.accepted(p.Remove(3))
	r.accepted(p.Add())
}

// Two phones sign for one seq: one wins, the other is told the head.
func TestRaceForOneSeq(t *testing.T) {
	r := newRig(t)
	p := r.phone("alice")
	r.accepted(p.Register())
	rivals := make([][]byte, 16)
	for i := range rivals {
		rival := *p
		rival.At, rival.TimeMs = p.At.Clone(), p.TimeMs+uint64(i)*10
		rivals[i] = rival.Confirm()
	}
	outcomes := make([]answer.Outcome, len(rivals))
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() { outcomes[i] = r.submit(rivals[i])[0] })
	}
	wg.Wait()
	won := 0
	for _, o := range outcomes {
		switch {
		case o.Refused == nil && o.Err == nil:
			won++
		case o.Refused == nil || o.Refused.Rule != event.RuleTaken || len(o.Refused.Head) == 0:
			t.Errorf("refused %v, error %v, want seq-taken with the head", o.Refused, o.Err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d rivals won, want 1", won, len(rivals))
	}
}

// ERASE deletes what came before it with the next epoch, also when the log
// was stopped in between.
func TestEraseDeletes(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := newRig(t)
		p, q := r.phone("alice"), r.phone("bob")
		r.accepted(p.Register(), p.Add(), q.Register())
		r.accepted(p.Erase())
		if restart {
			r.stop()
			r.open()
		}
		r.accepted(q.Add())
		for seq := range uint32(2) {
			e, err := r.event(p.Account(), seq)
			if err != nil || len(e.Body) > 0 || e.Opening != (name.Opening{}) {
				t.Errorf("restart %v: seq %d after ERASE: %+v, %v", restart, seq, e, err)
			}
		}
		if e, err := r.event(q.Account(), 0); err != nil || len(e.Body) == 0 {
			t.Errorf("restart %v: another account's event: %+v, %v", restart, e, err)
		}
		result, _ := r.look(nil, history(p), history(q))
		if f := result.Accounts[0]; f.Status != verifier.Erased || f.ErasedBefore == nil || *f.ErasedBefore != 2 {
			t.Errorf("restart %v: %+v", restart, f)
		}
	}
}

// An idle log goes on publishing, so that its checkpoint stays fresh.
func TestHeartbeat(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.cfg.Heartbeat = time.Millisecond
	r.open()
	for epoch := uint64(0); epoch < 5; _, epoch = r.log.Position() {
		time.Sleep(time.Millisecond)
	}
}

// A small epoch limit cuts epochs by size, and nothing is lost on the way.
func TestEpochsAreCutBySize(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.cfg.MaxEpochEvents = 3
	r.open()
	p := r.phone("alice")
	bodies := [][]byte{p.Register()}
	for range 10 {
		bodies = append(bodies, p.Confirm())
	}
	r.accepted(bodies...)
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])
	if _, epoch := r.log.Position(); epoch < 4 {
		t.Errorf("11 events in %d epochs of at most 3", epoch)
	}
}

// Stopping seals what waits: a submitter is answered, not left.
func TestStopDrains(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.cfg.Epoch = time.Hour
	r.open()
	p := r.phone("alice")
	body := p.Register()
	out := make(chan answer.Outcome, 1)
	joined := make(chan struct{})
	go func() {
		close(joined)
		out <- r.log.Submit(context.Background(), [][]byte{body}, answer.Want{})[0]
	}()
	<-joined
	l := r.log
	for l.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if o := <-out; o.Err != nil || o.Refused != nil || o.Position == 0 {
		t.Errorf("a waiting event when the log stopped: %+v", o)
	}
}
