package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
)

// caught says of each attack who must notice, and with what; it repeats on
// purpose what attacks says of itself.
var caught = []struct {
	attack string
	by     Party
	kind   evidence.Kind // empty: an alarm, and the reason why no file can convict
}{
	{"ghost device", Client, evidence.E6},
	{"replayed removed device", Monitor, evidence.E6},
	{"hidden removal", Auditor, evidence.E4c},
	{"forged re-registration", Monitor, ""},
	{"hidden later version", Monitor, evidence.E4a},
	{"repeated index", Auditor, evidence.E5},
	{"wrong epoch root", Auditor, evidence.E4c},
	{"split view", Client, evidence.E1},
	{"split view", Witness, evidence.E1},
	{"rollback", Client, ""},
	{"overdue event", Owner, evidence.E7},
	{"hidden removal", Owner, ""},
	{"forged re-registration", Client, ""},
}

// TestDemo runs all of it. Each attack is noticed by whom it must be, with a
// file that convicts the log with the log gone, or with an alarm and the reason
// why there is none.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	p := &Printer{Out: &out}
	dir := filepath.Join(t.TempDir(), "evidence")
	r, err := Run(t.Context(), Config{Out: dir, Part: p.Heading, Step: p.Step, Attack: p.Attack})
	if err != nil {
		t.Fatal(err)
	}
	p.End(r)
	t.Logf("\n%s", &out)
	if !r.Caught || r.Seconds > 60 {
		t.Errorf("caught %t, in %.1f s", r.Caught, r.Seconds)
	}
	if len(r.Day) != 8 || len(r.Attacks) != 10 {
		t.Errorf("%d steps and %d attacks, want 8 and 10", len(r.Day), len(r.Attacks))
	}
	for _, c := range caught {
		n, a := r.find(c.attack, c.by)
		switch {
		case n == nil:
			t.Errorf("%s: the %s noticed nothing", c.attack, c.by)
		case n.Said == "" || n.After <= 0:
			t.Errorf("%s: the %s said %q after %v ms", c.attack, c.by, n.Said, n.After)
		case n.Kind != string(c.kind):
			t.Errorf("%s: the %s has evidence of kind %q, want %q", c.attack, c.by, n.Kind, c.kind)
		case c.kind != "":
			convicts(t, n)
		case a.NoFile == "" && c.attack != "hidden removal": // which the auditor's file convicts
			t.Errorf("%s: no word why no file can convict", c.attack)
		}
	}
	said := out.String()
	for _, want := range []string{"A NORMAL DAY", "ATTACKS", "audited", "10 attacks, every one was caught", r.Evidence} {
		if !strings.Contains(said, want) {
			t.Errorf("the output does not say %q", want)
		}
	}
	if strings.Contains(said, "\033") {
		t.Error("the output has escape sequences, and is not for a terminal")
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func (r *Report) find(attack string, by Party) (*Notice, *Attack) {
	for i := range r.Attacks {
		a := &r.Attacks[i]
		for j := range a.Noticed {
			if a.Name == attack && a.Noticed[j].By == by {
				return &a.Noticed[j], a
			}
		}
	}
	return nil, nil
}

// convicts verifies a file as a stranger does, with the key that lies beside
// it; and with a bit flipped it convicts nobody.
func convicts(t *testing.T, n *Notice) {
	t.Helper()
	vkey, err := os.ReadFile(filepath.Join(filepath.Dir(n.Evidence), "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := checkpoint.ParseKey(strings.TrimSpace(string(vkey)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := judge(n.Evidence, log)
	if err != nil {
		t.Fatalf("%s: %v", n.Evidence, err)
	}
	if n.Verdict == nil || *v != *n.Verdict || !strings.Contains(v.Statement, log.Name) {
		t.Errorf("%s: verdict %+v, reported %+v", n.Evidence, v, n.Verdict)
	}
	data, err := os.ReadFile(n.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	data[len(data)-9] ^= 1
	if err := os.WriteFile(broken, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := judge(broken, log); err == nil {
		t.Errorf("%s convicts with a flipped bit", n.Evidence)
	}
}

// TestNotCaught: a lie that nobody notices, or another one than must, or
// without the file that must convict, is not called caught.
func TestNotCaught(t *testing.T) {
	alarmed := func(by Party) func(context.Context, *scene) error {
		return func(ctx context.Context, s *scene) error {
			s.lies(func(*liar.Log) {})
			return s.notice(ctx, by, "somebody", "something is wrong", nil)
		}
	}
	for i, c := range []struct {
		a    attack
		want bool
	}{
		{attack{by: Client, tell: func(context.Context, *scene) error { return nil }}, false},
		{attack{by: Client, tell: alarmed(Monitor)}, false},
		{attack{by: Client, kind: evidence.E6, tell: alarmed(Client)}, false},
		{attack{by: Client, tell: alarmed(Client)}, true},
	} {
		c.a.name = fmt.Sprintf("case %d", i)
		l := liar.New(c.a.origin(), uint64(time.Now().UnixMilli()))
		witnesses, stop, err := newWitnesses(filepath.Join(t.TempDir(), "witnesses"), []checkpoint.Key{l.Signer.Key()})
		if err != nil {
			t.Fatal(err)
		}
		shown, err := c.a.run(t.Context(), l, filepath.Join(t.TempDir(), "work"), filepath.Join(t.TempDir(), "out"), witnesses)
		if err != nil {
			t.Fatal(err)
		}
		if shown.Caught != c.want {
			t.Errorf("case %d: caught %t, want %t", i, shown.Caught, c.want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
