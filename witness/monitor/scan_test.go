package monitor

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/statefile"
	"github.com/musterlog/muster/witness/follow"
)

// hides logs an event for an epoch that others are shown, and takes it out of
// the map and of all answers again. Its leaf stays.
func (r *rig) hides(body []byte) {
	account := r.phone.Account()
	seq := uint32(len(r.log.Records[account]))
	_, index, _ := r.log.VRF(account, seq)
	r.log.Append(account, body)
	r.log.Seal()
	delete(r.log.Map, index)
	r.log.Records[account] = r.log.Records[account][:seq]
	r.log.Seal()
}

// thief goes on from where the phone is, with keys of its own.
func (r *rig) thief() *liar.Phone {
	p := liar.NewPhone(origin, alice, start)
	p.At = r.phone.At.Clone()
	for range 50 {
		p.NewKey() // these are the phone's
	}
	return p
}

// A later version that the owner's answers hide is found by its index.
func TestScanFindsAHiddenLaterVersion(t *testing.T) {
	r := newRig(t)
	r.scan = true
	r.logs(r.phone.Register(), r.phone.Add())
	alerts, _ := r.once()
	want(t, alerts, "registered 0 high ALARM", "device-added 1 high ALARM")
	thief := r.thief()
	r.hides(thief.Reregister(false))
	alerts, o := r.once()
	want(t, alerts, "inserted:scan 2 critical ALARM")
	if o.Alarms != 1 || *alerts[0].Position != 5 {
		t.Errorf("outcome %+v, position %d", o, *alerts[0].Position)
	}
	r.convicts(alerts[0], evidence.E4a)
	alerts, _ = r.once()
	want(t, alerts) // the scan went on
}

// refusing shows entries once, and then, while it refuses, no more.
type refusing struct {
	follow.Source
	refuses bool
	shown   int
}

func (s *refusing) Entries(ctx context.Context, n uint64, width int) ([]byte, error) {
	if s.shown++; s.refuses && s.shown > 1 {
		return nil, errors.New("not today")
	}
	return s.Source.Entries(ctx, n, width)
}

// An insertion that was told without evidence, since the log showed the leaf to
// the scan alone, or the disk was full, is proven once that is over.
func TestInsertionIsProvenLater(t *testing.T) {
	for _, full := range []bool{false, true} {
		r := newRig(t)
		r.scan = true
		r.logs(r.phone.Register(), r.phone.Add())
		m := r.open()
		r.pass(m)
		thief := r.thief()
		r.hides(thief.Reregister(false))
		source := &refusing{Source: m.cfg.Files, refuses: !full}
		m.cfg.Files = source
		folder := m.path("evidence")
		if full { // no file goes into a file
			if err := errors.Join(os.Remove(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		alerts, _ := r.pass(m)
		want(t, alerts, "inserted:scan 2 critical ALARM")
		first := alerts[0]
		if first.Evidence != "" || !strings.Contains(first.Message, "no evidence") {
			t.Errorf("evidence %q, message %q", first.Evidence, first.Message)
		}
		alerts, _ = r.pass(m)
		want(t, alerts)
		if source.refuses = false; full {
			if err := errors.Join(os.Remove(folder), os.Mkdir(folder, 0o700)); err != nil {
				t.Fatal(err)
			}
		}
		alerts, _ = r.pass(m)
		want(t, alerts, "inserted:scan 2 critical ALARM")
		if alerts[0].ID == first.ID || strings.Contains(alerts[0].Message, "no evidence") {
			t.Errorf("the id of the first, or a message of it: %+v", alerts[0])
		}
		r.convicts(alerts[0], evidence.E4a)
		alerts, _ = r.pass(m)
		want(t, alerts)
	}
}

// Without the scan the same lie passes: who trusts an auditor is told by him. With
// it another one does: a removal that the map of one epoch leaves out, before
// somebody else. Its leaf is where the owner knows it to be, and no scan makes maps.
func TestWithoutScanTheAuditorIsNeeded(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register(), r.phone.Add())
	r.once()
	thief := r.thief()
	r.hides(thief.Reregister(false))
	alerts, _ := r.once()
	want(t, alerts)

	r = newRig(t)
	r.scan = true
	r.logs(r.phone.Register(), r.phone.Add(), r.phone.Remove(1))
	r.once()
	account := r.phone.Account()
	_, index, _ := r.log.VRF(account, 2)
	removal, records := r.log.Map[index], r.log.Records[account]
	delete(r.log.Map, index)
	r.log.Records[account] = records[:2]
	r.log.Seal()
	states, err := statefile.Open(t.TempDir() + "/contact")
	if err != nil {
		t.Fatal(err)
	}
	contact := verifier.Client{Verifier: &verifier.Verifier{Policy: r.policy}, Store: states, Source: r.log, Now: r.now}
	found, err := contact.Lookup(t.Context(), question(alice))
	if err != nil || len(found.Accounts[0].Devices) != 1 {
		t.Fatalf("a contact is not shown the removed device: %+v, %v", found, err)
	}
	r.log.Map[index], r.log.Records[account] = removal, records
	r.log.Seal()
	alerts, _ = r.once()
	want(t, alerts)
}

// The monitor slept while a version was shown to somebody and replaced by the
// owner's own: two leaves have its index, which convicts.
func TestScanFindsAReplacedVersion(t *testing.T) {
	r := newRig(t)
	r.scan = true
	r.logs(r.phone.Register())
	r.once()
	thief := r.thief()
	r.hides(thief.Reregister(false))
	r.logs(r.phone.Add())
	alerts, _ := r.once()
	want(t, alerts, "device-added 1 high ALARM", "inserted:scan 1 critical ALARM")
	r.convicts(alerts[1], evidence.E5)
}

// convicts reads an alert's evidence as a stranger would.
func (r *rig) convicts(a Alert, kind evidence.Kind) {
	r.t.Helper()
	data, err := os.ReadFile(a.Evidence)
	if err != nil {
		r.t.Fatalf("%v: %s", err, a.Message)
	}
	f, err := evidence.Parse(data)
	if err != nil || f.Kind != kind || !errors.As(evidence.Convict(r.policy.Log, f), new(*evidence.Misbehaviour)) {
		r.t.Errorf("the file convicts nobody: %v", err)
	}
}

// An honest log, erased events included, gives no alarm; neither does a monitor
// that begins late, or watches one account more.
func TestScanOfAnHonestLog(t *testing.T) {
	r := newRig(t)
	r.scan = true
	r.logs(r.phone.Register(), r.phone.Add(), r.phone.Erase(), r.phone.Reregister(false), r.phone.Add())
	for range 3 {
		r.logs(r.phone.Add(), r.phone.Confirm())
		alerts, _ := r.once()
		for _, a := range alerts {
			if a.Kind == Inserted || a.Kind == Failed {
				t.Errorf("%s: %s", a.Kind, a.Message)
			}
		}
	}
	r.accounts = []name.Identifier{alice, "bob"}
	alerts, _ := r.once()
	want(t, alerts)
}

// An account that is not watched any more gives no alarm, and what was inserted
// for it meanwhile is found when it is watched again.
func TestScanAfterAnAccountWasLeftOut(t *testing.T) {
	r := newRig(t)
	r.scan = true
	own := r.phone
	bob := liar.NewPhone(origin, "bob", start)
	both := []name.Identifier{alice, "bob"}
	r.accounts = both
	r.log.Append(bob.Account(), bob.Register())
	r.logs(r.phone.Register())
	alerts, _ := r.once()
	want(t, alerts, "registered 0 high ALARM", "registered 0 high ALARM")
	r.accounts = both[:1]
	r.log.Append(bob.Account(), bob.Add())
	r.log.Seal()
	alerts, _ = r.once()
	want(t, alerts)
	r.phone = bob
	thief := r.thief()
	r.hides(thief.Reregister(false))
	r.phone = own
	alerts, _ = r.once()
	want(t, alerts)
	r.accounts = both
	alerts, _ = r.once()
	want(t, alerts, "device-added 1 high ALARM", "inserted:scan 2 critical ALARM")
}

// What was inserted while the monitor did not scan is found when it does again,
// under an index that no later answer speaks of.
func TestScanAfterAPauseOfScanning(t *testing.T) {
	r := newRig(t)
	r.scan = true
	r.logs(r.phone.Register())
	r.once()
	r.scan = false
	for range 4 {
		r.logs(r.phone.Confirm())
	}
	thief := r.thief()
	r.hides(thief.Reregister(false)) // as event 5
	for range 5 {
		r.logs(r.phone.Confirm())
	}
	r.once()
	r.scan = true
	alerts, _ := r.once()
	want(t, alerts, "inserted:scan 5 critical ALARM")
}

// A journal is read again however long it grew: a scan knows every version.
func TestLongJournal(t *testing.T) {
	r := newRig(t)
	r.scan = true
	r.logs(r.phone.Register())
	m := r.open()
	r.pass(m)
	for i := range uint32(140_000) {
		m.know(name.Index(liar.Seed("index", string(binary.BigEndian.AppendUint32(nil, i)))), version{alice, i + 1, 0})
	}
	if err := m.save(); err != nil {
		t.Fatal(err)
	}
	m.Close()
	m = r.open()
	if len(m.journal.Scan.Known) < 140_000 {
		t.Errorf("%d versions are known", len(m.journal.Scan.Known))
	}
}
