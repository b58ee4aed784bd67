package monitor

import (
	"context"
	"errors"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/commitment"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// promise is the log's signed word that an event will be in an epoch of mergeBy.
func (r *rig) promise(body []byte, opening name.Opening, mergeBy uint64) Promised {
	r.t.Helper()
	e, err := event.Parse(body)
	if err != nil {
		r.t.Fatal(err)
	}
	proof, index, _ := r.log.VRF(e.Account, e.Seq)
	d := &answer.Durable{Seq: e.Seq, Proof: proof, Opening: opening}
	d.Note = r.log.Signer.SignReceipt(checkpoint.Receipt{
		Origin: r.log.Origin, Index: index, MergeBy: mergeBy,
		Commitment: commitment.Commit(opening, e.Account.Label(), e.Seq, body),
	})
	data, err := d.Bytes()
	if err != nil {
		r.t.Fatal(err)
	}
	return Promised{Event: body, Durable: data}
}

// A promise is no alarm before its time, and evidence after it.
func TestBrokenPromise(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	r.once()
	due := r.log.TimeMs + 1000
	r.promised = []Promised{r.promise(r.phone.Add(), name.Opening{1}, due)}
	alerts, _ := r.once()
	want(t, alerts)
	r.log.TimeMs = due - 1
	r.log.Seal() // at merge_by: not later
	alerts, _ = r.once()
	want(t, alerts)
	r.log.Seal()
	alerts, o := r.once()
	if len(alerts) != 1 || !alerts[0].Alarm || alerts[0].Check != checkOverdue || alerts[0].Account != string(alice) || !o.Failed {
		t.Fatalf("alerts %+v, outcome %+v", alerts, o)
	}
	r.convicts(alerts[0], evidence.E7)
	alerts, _ = r.once()
	want(t, alerts) // told once, for now
}

// A promise that was kept gives no alert, then or later; an untrue one is told.
func TestKeptPromise(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	r.once()
	body, due := r.phone.Add(), r.log.TimeMs+1000
	r.log.Append(r.phone.Account(), body)
	records := r.log.Records[r.phone.Account()]
	r.promised = []Promised{r.promise(body, records[len(records)-1].Opening, due)}
	r.log.TimeMs = due
	r.log.Seal()
	m := r.open()
	alerts, _ := r.pass(m)
	want(t, alerts, "device-added 1 high ALARM")
	if !m.kept[0] {
		t.Error("it is asked about again")
	}
	m.Close()
	spoiled := r.promised[0].Durable
	spoiled[len(spoiled)-5] ^= 1
	alerts, _ = r.once()
	if len(alerts) != 1 || !alerts[0].Alarm || alerts[0].Evidence != "" {
		t.Errorf("a promise that the log did not sign: %+v", alerts)
	}
}

func TestPromiseOfAStranger(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	stranger := liar.NewPhone(origin, "mallory", start)
	cfg := r.config()
	elsewhere := liar.NewPhone("keys.example.org/log2", alice, start)
	for what, p := range map[string]*liar.Phone{"about an account that is not watched": stranger, "of another log": elsewhere} {
		cfg.Promised = []Promised{r.promise(p.Register(), name.Opening{1}, 1)}
		if m, err := New(cfg); err == nil {
			m.Close()
			t.Errorf("taken, %s", what)
		}
	}
}

// A kept promise gives no alert when the account has gone on, so that an answer
// about its devices does not show the event any more, nor when it was erased.
func TestKeptLongAgo(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register(), r.phone.Add())
	body := r.phone.Add()
	r.log.Append(r.phone.Account(), body)
	records := r.log.Records[r.phone.Account()]
	r.promised = []Promised{r.promise(body, records[len(records)-1].Opening, r.log.TimeMs+1)}
	r.log.Seal()
	for range 7 {
		r.logs(r.phone.Confirm())
	}
	for _, then := range []func(){func() {}, func() { r.logs(r.phone.Erase()) }} {
		then()
		m := r.open()
		alerts, _ := r.pass(m)
		for _, a := range alerts {
			if a.Kind == Failed {
				t.Errorf("%s: %s", a.Check, a.Message)
			}
		}
		if !m.kept[0] {
			t.Error("it is asked about again")
		}
		m.Close()
	}
}

// noStrangers is a log that answers those only who know it.
type noStrangers struct{ verifier.Source }

func (s noStrangers) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	if r, err := answer.ParseRequest(request); err != nil || r.Size == 0 {
		return nil, errors.New("busy")
	}
	return s.Source.Lookup(ctx, request)
}

// To wait for a promise is no outage: one question that fails afterwards is no alarm.
func TestWaitingForAPromiseIsNoOutage(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	due := r.log.TimeMs + 2*uint64(verifier.DefaultMaxAge.Milliseconds())
	body := r.phone.Add()
	r.promised = []Promised{r.promise(body, name.Opening{1}, due)}
	m := r.open()
	r.pass(m)
	r.log.TimeMs = due - 1
	r.log.Seal()
	alerts, _ := r.pass(m)
	want(t, alerts)
	r.log.Seal()
	m.client.Source = source{noStrangers{m.cfg.Source}}
	alerts, _ = r.pass(m)
	want(t, alerts, "failure:unreachable low")
	// Nor is the time between two monitors.
	m.Close()
	r.log.TimeMs += 3 * uint64(verifier.DefaultMaxAge.Milliseconds())
	r.log.Seal()
	m = r.open()
	m.client.Source = source{noStrangers{m.cfg.Source}}
	alerts, _ = r.pass(m)
	want(t, alerts, "failure:unreachable low")
}
