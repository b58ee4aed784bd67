package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// A fork that looks like a server that is behind is an alarm all the same, also
// within the hour after one that was behind indeed.
func TestForkIsNoRollback(t *testing.T) {
	for _, behindBefore := range []bool{false, true} {
		r := newRig(t)
		r.logs(r.phone.Register())
		behind, other := r.log.Fork(), r.log.Fork()
		other.Append(r.phone.Account(), r.thief().Reregister(false))
		other.Seal()
		r.logs(r.phone.Add())
		r.logs(r.phone.Confirm())
		m := r.open()
		r.pass(m)
		own := m.client.Source
		if behindBefore {
			m.client.Source = forgetful{behind.Lookup}
			alerts, _ := r.pass(m)
			want(t, alerts, "failure:rollback low")
		}
		m.client.Source = forgetful{other.Lookup}
		alerts, o := r.pass(m)
		want(t, alerts, "failure:rollback critical ALARM")
		if len(alerts) != 1 || o.Alarms != 1 {
			t.Fatalf("%d alerts, outcome %+v", len(alerts), o)
		}
		r.convicts(alerts[0], evidence.E2)
		for range 2 { // another note each time, and no more lines
			other.Leaves = other.Leaves[:len(other.Leaves)-1]
			other.Epochs--
			other.Seal()
			alerts, _ = r.pass(m)
			want(t, alerts)
		}
		m.client.Source = own
		alerts, _ = r.pass(m)
		want(t, alerts, "recovered:rollback low")
	}
}

// A fork that one account is shown is proven within the hour after both were
// told of a server that is behind, though the other account is shown another
// checkpoint in the same pass.
func TestForkBesideAnotherFailure(t *testing.T) {
	r := newRig(t)
	bob := liar.NewPhone(origin, "bob", start)
	r.accounts = append(r.accounts, "bob")
	r.log.Append(bob.Account(), bob.Register())
	r.logs(r.phone.Register())
	behind, other := r.log.Fork(), r.log.Fork()
	other.Append(r.phone.Account(), r.thief().Reregister(false))
	other.Seal()
	r.logs()
	later := r.log.Fork()
	r.logs(r.phone.Add())
	r.logs(r.phone.Confirm())
	m := r.open()
	r.pass(m)
	m.client.Source = forgetful{behind.Lookup}
	alerts, _ := r.pass(m)
	want(t, alerts, "failure:rollback low", "failure:rollback low")
	first := forgetful{later.Lookup}
	m.client.Source = lookups(func(ctx context.Context, request []byte) ([]byte, error) {
		defer func() { first.lookup = other.Lookup }()
		return first.Lookup(ctx, request)
	})
	alerts, _ = r.pass(m)
	want(t, alerts, "failure:rollback critical ALARM")
	r.convicts(alerts[0], evidence.E2)
}

type lookups func(context.Context, []byte) ([]byte, error)

func (f lookups) Lookup(ctx context.Context, request []byte) ([]byte, error) { return f(ctx, request) }

// noTiles is a log that shows no tree.
type noTiles struct{ follow.Source }

func (noTiles) Tile(context.Context, int, uint64, int) ([]byte, error) {
	return nil, errors.New("not today")
}

// A log that forks, and refuses what would prove it, leaves two checkpoints.
func TestForkWithoutATreeLeavesItsCheckpoints(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	m := r.open()
	r.pass(m)
	r.log.Leaves[2] = append([]byte{}, r.log.Leaves[1]...) // another past
	r.log.Seal()
	files := m.cfg.Files
	m.cfg.Files = noTiles{files}
	alerts, _ := r.pass(m)
	want(t, alerts, "failure:consistency critical ALARM")
	if !strings.Contains(alerts[0].Message, "publish them") {
		t.Errorf("message %q", alerts[0].Message)
	}
	kept := func() []string {
		names, _ := filepath.Glob(filepath.Join(r.dir, "evidence", "*.note"))
		return names
	}
	if len(kept()) != 2 {
		t.Errorf("kept %q, want two notes", kept())
	}
	r.log.Seal()
	alerts, _ = r.pass(m)
	want(t, alerts)
	if len(kept()) != 2 {
		t.Errorf("kept %q, want no more than two notes in an hour", kept())
	}
	// Once the log shows its tree it is convicted, though it was told of before.
	m.cfg.Files = files
	r.log.Seal()
	alerts, _ = r.pass(m)
	want(t, alerts, "failure:consistency critical ALARM")
	r.convicts(alerts[0], evidence.E2)
}

// So does one that looks like a server that is behind, and one of which this
// monitor has no files.
func TestForksOfAllLooksLeaveTheirCheckpoints(t *testing.T) {
	for name, c := range map[string]struct {
		fork  func(r *rig, m *Monitor)
		alert string
	}{
		"rollback": {func(r *rig, m *Monitor) {
			other := r.log.Fork()
			other.Append(r.phone.Account(), r.thief().Reregister(false))
			other.Seal()
			r.logs(r.phone.Add())
			r.logs(r.phone.Confirm())
			r.pass(m)
			m.client.Source = forgetful{other.Lookup}
		}, "failure:rollback low"},
		"consistency": {func(r *rig, _ *Monitor) {
			r.log.Leaves[2] = append([]byte{}, r.log.Leaves[1]...)
			r.log.Seal()
		}, "failure:consistency critical ALARM"},
	} {
		for _, files := range []follow.Source{nil, noTiles{}} {
			t.Run(fmt.Sprintf("%s/%T", name, files), func(t *testing.T) {
				r := newRig(t)
				r.logs(r.phone.Register())
				m := r.open()
				r.pass(m)
				c.fork(r, m)
				m.cfg.Files = files
				alerts, _ := r.pass(m)
				want(t, alerts, c.alert)
				kept, _ := filepath.Glob(filepath.Join(r.dir, "evidence", "*.note"))
				if len(kept) != 2 || !strings.Contains(alerts[0].Message, "publish them") {
					t.Errorf("kept %q, want two notes; message %q", kept, alerts[0].Message)
				}
			})
		}
	}
}

// Two roots of one size convict by themselves.
func TestTwoRootsNeedNoTree(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	m := r.open()
	r.pass(m)
	first := r.log.Note
	r.log.Leaves[2] = append([]byte{}, r.log.Leaves[1]...) // another past
	r.log.Sign()
	for _, files := range []follow.Source{nil, noTiles{}} {
		f, err := follow.Investigate(context.Background(), files, r.policy.Log, &verifier.Failure{Check: verifier.CheckTag, Notes: [][]byte{first, r.log.Note}})
		if err != nil || f.Kind != evidence.E1 || !errors.As(evidence.Convict(r.policy.Log, f), new(*evidence.Misbehaviour)) {
			t.Errorf("%T: the file convicts nobody: %v", files, err)
		}
	}
	m.cfg.Files = noTiles{}
	alerts, _ := r.pass(m)
	want(t, alerts, "failure:split-view critical ALARM")
	r.convicts(alerts[0], evidence.E1)
}

// Time that ran out before a question was sent is nobody's lie.
func TestTimeRunsOut(t *testing.T) {
	r := newRig(t)
	r.logs(r.phone.Register())
	m := r.open()
	m.cfg.Timeout = time.Nanosecond
	alerts, o := r.pass(m)
	want(t, alerts, "failure:unreachable low")
	if o.Failed || !o.Unreachable {
		t.Errorf("outcome %+v", o)
	}
}

// A fork is evidence against each cosigner of both trees, too.
func TestForkConvictsItsCosigners(t *testing.T) {
	r := newRig(t)
	twice, err := checkpoint.NewCosigner(checkpoint.Cosignature, "w1.example.net", liar.Seed("w1"))
	if err != nil {
		t.Fatal(err)
	}
	once, err := checkpoint.NewCosigner(checkpoint.Cosignature, "w2.example.net", liar.Seed("w2"))
	if err != nil {
		t.Fatal(err)
	}
	r.policy, err = checkpoint.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w1 %s\nwitness w2 %s\nquorum none\n", r.log.Signer.Key(), twice.Key(), once.Key()))
	if err != nil {
		t.Fatal(err)
	}
	r.log.Cosigners = []*checkpoint.Cosigner{twice, once}
	r.logs(r.phone.Register())
	r.once()
	r.log.Cosigners = r.log.Cosigners[:1]
	r.log.Leaves[2] = append([]byte{}, r.log.Leaves[1]...) // another past
	r.log.Sign()
	alerts, _ := r.once()
	want(t, alerts, "failure:split-view critical ALARM")
	r.convicts(alerts[0], evidence.E1)
	_, also, _ := strings.Cut(alerts[0].Message, "; against w1 too: ")
	data, err := os.ReadFile(also)
	if err != nil {
		t.Fatal(err)
	}
	f, err := evidence.Parse(data)
	if err != nil || !errors.As(evidence.Convict(twice.Key(), f), new(*evidence.Misbehaviour)) {
		t.Errorf("the file convicts nobody: %v", err)
	}
	if kept, _ := filepath.Glob(filepath.Join(r.dir, "evidence", "*.evidence")); len(kept) != 2 {
		t.Errorf("kept %q, want two files", kept)
	}
}

// A cosigner that is down is told of, and is no lie.
func TestOneWitnessDown(t *testing.T) {
	r := newRig(t)
	w, err := checkpoint.NewCosigner(checkpoint.Cosignature, "w1.example.net", liar.Seed("w1"))
	if err != nil {
		t.Fatal(err)
	}
	r.policy, err = checkpoint.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w1 %s\nquorum w1\n", r.log.Signer.Key(), w.Key()))
	if err != nil {
		t.Fatal(err)
	}
	r.log.Cosigners = []*checkpoint.Cosigner{w}
	r.logs(r.phone.Register())
	r.once()
	r.log.Cosigners = nil
	r.log.Seal()
	alerts, _ := r.once()
	want(t, alerts, "failure:quorum high ALARM")
}
