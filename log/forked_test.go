package log_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// backup copies the log's store and signed head, as they are while it is stopped.
func (r *rig) backup() (disk vfs.FS, head []byte) {
	r.t.Helper()
	disk = vfs.NewMem()
	if _, err := vfs.Clone(r.disk, disk, "store", "store"); err != nil {
		r.t.Fatal(err)
	}
	return disk, r.head.note
}

// backedUp is a log that logged an event of a phone and was stopped, and its backup.
func (r *rig) backedUp(p *liar.Phone) (disk vfs.FS, head []byte) {
	r.t.Helper()
	r.open()
	r.accepted(p.Register())
	r.stop()
	return r.backup()
}

// putBack is a log that logged an event of a phone, was backed up, logged another one,
// and has its backup again. It gives what the witnesses saw last, and what was lost.
func (r *rig) putBack(p *liar.Phone) (newest *checkpoint.Note, disk vfs.FS, head []byte) {
	r.t.Helper()
	old, signed := r.backedUp(p)
	r.open()
	o := r.accepted(p.Add())[0]
	newest, _ = r.published(o.Position + 1)
	r.stop()
	disk, head = r.disk, r.head.note
	r.disk, r.head.note = old, signed
	return newest, disk, head
}

// ends waits until the log ends by itself, and gives why.
func (r *rig) ends() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.done <- err // for stop
		return err
	case <-time.After(30 * time.Second):
		r.t.Fatal("the log goes on")
		return nil
	}
}

// An old backup, its signed head restored with it, looks like a log in good
// order. The witnesses have seen more, and show it: nothing is signed.
func TestOldBackupSignsNothing(t *testing.T) {
	r, _ := threeWitnesses(t)
	newest, _, _ := r.putBack(r.phone("alice"))
	head := r.head.note
	r.open()
	waiting := make(chan error, 1)
	go func() { waiting <- r.submit(r.phone("bob").Register())[0].Err }()
	var forked *log.Forked
	if err := r.ends(); !errors.As(err, &forked) {
		t.Fatalf("the log ended with %v, want *log.Forked", err)
	}
	if note, err := checkpoint.Parse(forked.Note); err != nil || note.Size != newest.Size || !strings.Contains(forked.Error(), "old backup") {
		t.Errorf("it shows %s and says %v", forked.Note, forked)
	}
	if forked.Misbehaviour != nil {
		t.Error("evidence of a fork, but a backup alone is none")
	}
	if err := <-waiting; err == nil {
		t.Error("an event was taken")
	}
	if !bytes.Equal(r.head.note, head) {
		t.Error("something was signed")
	}
}

// Two servers with copies of one log: the one that comes second finds out by
// the witnesses and stops for good, with proof. Nothing of its fork is published.
func TestSecondServerStops(t *testing.T) {
	r, ws := threeWitnesses(t)
	p := r.phone("alice")
	disk, head := r.backedUp(p)
	second := &rig{t: t, disk: disk, head: &memHead{note: head}, cfg: r.cfg}
	second.cfg.Head = second.head
	starts := func(r *rig) {
		for _, w := range ws {
			w.set(func(w *witness) { w.said = nil })
		}
		r.open()
		until(t, "the witnesses confirm the start", func() bool {
			confirmed := 0
			for _, w := range ws {
				if slices.Contains(w.statuses(), 200) {
					confirmed++
				}
			}
			return confirmed >= 2
		})
	}
	starts(r)
	starts(second)
	defer func() { second.stop() }()

	o := r.accepted(p.Add())[0]
	published, _ := r.published(o.Position + 1)
	until(t, "all witnesses have it", func() bool {
		return !slices.ContainsFunc(ws, func(w *witness) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.size < published.Size
		})
	})
	if o := second.submit(second.phone("bob").Register())[0]; o.Err == nil {
		t.Errorf("the second server acknowledged: %+v", o)
	}
	var forked *log.Forked
	if err := second.ends(); !errors.As(err, &forked) || !strings.Contains(err.Error(), "two servers") {
		t.Fatalf("it ended with %v, want *log.Forked", err)
	}
	if size, _ := second.log.Position(); size > 4 {
		t.Errorf("the second server published size %d", size)
	}
	var m *evidence.Misbehaviour
	if !errors.As(forked, &m) || m.File.Kind != evidence.E1 {
		t.Fatalf("it carries %+v, want E1", m)
	}
	if _, err := m.File.Verify(r.cfg.Signer.Key()); err != nil {
		t.Errorf("the evidence does not verify: %v", err)
	}
	r.accepted(p.Add()) // the first goes on
}

// forks makes a witness that is held show a checkpoint beyond this log's store,
// and lets it answer.
func (r *rig) forks(w *witness) {
	w.set(func(w *witness) {
		c := checkpoint.Checkpoint{Origin: origin, Size: 1000, Root: name.TreeRoot{1}}
		w.size, w.root, w.seen = c.Size, c.Root, r.cfg.Signer.Sign(c)
		close(w.hold)
		w.hold = nil
	})
}

// A fork that is shown while an epoch is being stored is in time: that epoch is
// not signed any more.
func TestForkWhileSealing(t *testing.T) {
	r, ws := threeWitnesses(t)
	r.open()
	r.accepted(r.phone("alice").Register())
	ws[2].set(func(w *witness) { w.hold = make(chan struct{}) })
	bob := r.phone("bob")
	r.accepted(bob.Register()) // by the other two
	until(t, "the third witness is asked", func() bool {
		r.accepted(bob.Confirm())
		ws[2].mu.Lock()
		defer ws[2].mu.Unlock()
		return ws[2].held > 0
	})
	head := bytes.Clone(r.head.note)
	r.store.stall = func() {
		r.store.stall = nil
		r.forks(ws[2])
		if o := r.submit(r.phone("dave").Register())[0]; !errors.Is(o.Err, log.ErrReadOnly) {
			t.Errorf("after the fork: %+v", o)
		}
	}
	if o := r.submit(r.phone("carol").Register())[0]; !errors.Is(o.Err, log.ErrReadOnly) {
		t.Errorf("in the epoch that was on its way: %+v", o)
	}
	var forked *log.Forked
	err := r.ends()
	if !errors.As(err, &forked) || strings.Count(err.Error(), "size 1000") != 1 {
		t.Errorf("the log ended with %v, want *log.Forked, once", err)
	}
	if !bytes.Equal(r.head.note, head) {
		t.Error("something was signed after the fork was shown")
	}
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// Policies and keys that this log can do nothing with.
func TestPolicyRefused(t *testing.T) {
	r, ws := threeWitnesses(t)
	_, w0 := ws[0].lines()
	other, _ := checkpoint.NewSigner(string(origin), liar.Seed("another log key"))
	parse := func(text string) *checkpoint.Policy {
		p, err := checkpoint.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	this := "log " + r.cfg.Signer.Key().String() + "\n"
	noURL := strings.TrimSuffix(w0, " "+ws[0].URL+"\n") + "\n"
	r.openStore()
	for what, c := range map[string]struct {
		change func(*log.Config)
		want   string
	}{
		"another log's policy":      {func(c *log.Config) { c.Policy = parse("log " + other.Key().String() + "\nquorum none\n") }, "policy with this log's key"},
		"a witness without URL":     {func(c *log.Config) { c.Policy = parse(this + noURL + "quorum w0\n") }, "no URL to ask w0"},
		"a witness without client":  {func(c *log.Config) { c.Cosigners = nil }, "no URL to ask w0, w1, w2"},
		"a second key of Ed25519":   {func(c *log.Config) { c.MLDSA = cosigner(t, checkpoint.Cosignature, "x") }, "want ML-DSA-44"},
		"a second key's other name": {func(c *log.Config) { c.MLDSA = cosigner(t, checkpoint.MLDSA44, "x") }, "want ML-DSA-44"},
		"a negative time-out":       {func(c *log.Config) { c.CosignTimeout = -1 }, "time-out"},
	} {
		cfg := r.cfg
		c.change(&cfg)
		if _, err := log.Open(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
	// One that the quorum can do without may lack a URL.
	_, w1 := ws[1].lines()
	cfg := r.cfg
	cfg.Policy = parse(this + noURL + w1 + "group any any w0 w1\nquorum any\n")
	if _, err := log.Open(cfg); err != nil {
		t.Errorf("a policy that can be met: %v", err)
	}
	r.store.Close()
}

// A log that published without cosigners gets a policy: what it published of a
// size stays, and the next epoch comes at once.
func TestPolicyComesLater(t *testing.T) {
	r, _ := threeWitnesses(t)
	policy := r.cfg.Policy
	r.cfg.Policy = nil
	r.open()
	p := r.phone("alice")
	body := p.Register()
	before := r.accepted(body)[0]
	r.stop()
	r.cfg.Policy = policy
	r.open()
	note, _ := r.published(5) // an empty epoch, though the heartbeat is an hour
	if note.Size != 5 {
		t.Errorf("size %d is published, want one EPOCH more than 4", note.Size)
	}
	if again := r.accepted(body)[0]; !bytes.Equal(again.Receipt, before.Receipt) {
		t.Error("another receipt for the same event")
	}
	r.accepted(p.Add())
	r.stop()
	r.cfg.Policy, r.cfg.Unconfirmed = nil, true
	r.open()
	r.accepted(p.Add())
	r.stop()
	r.cfg.Unconfirmed = false // nobody cosigned what it published since
	r.open()
	r.accepted(p.Add())
}

// What was published says whom to ask before anything is signed on it: one of
// those who cosigned it at least, at a URL, and not in vain.
func TestCosignersFromBeforeAreAsked(t *testing.T) {
	r, ws := threeWitnesses(t)
	policy := r.cfg.Policy
	r.open()
	r.accepted(r.phone("alice").Register())
	r.stop()
	stranger := r.witness("stranger", checkpoint.Cosignature)
	_, strange := stranger.lines()
	r.cfg.Cosigners[stranger.URL] = r.cfg.Cosigners[ws[0].URL] // Open asks nobody yet
	var all, silent string
	for _, w := range ws {
		_, lines := w.lines()
		all += lines
		silent += strings.TrimSuffix(lines, " "+w.URL+"\n") + "\n"
	}
	for _, c := range []struct {
		what, policy string
		opens        bool
	}{
		{"no policy", "", false},
		{"a quorum of nobody", all + "quorum none", false},
		{"a stranger", strange + "quorum stranger", false},
		{"a stranger, and those from before without a URL", silent + strange + "quorum stranger", false},
		{"a stranger, and those from before", all + strange + "quorum stranger", true},
		{"those from before", all + "group two 2 w0 w1 w2\nquorum two", true},
	} {
		r.openStore()
		if r.cfg.Policy = nil; c.policy != "" {
			var err error
			if r.cfg.Policy, err = checkpoint.ParsePolicy([]byte("log " + r.cfg.Signer.Key().String() + "\n" + c.policy + "\n")); err != nil {
				t.Fatal(err)
			}
		}
		head := bytes.Clone(r.head.note)
		_, err := log.Open(r.cfg)
		if (err == nil) != c.opens || err != nil && (!strings.Contains(err.Error(), "was cosigned by w") || errors.Is(err, log.ErrReadOnly)) {
			t.Errorf("%s: %v, want it to open: %t", c.what, err, c.opens)
		}
		if !bytes.Equal(head, r.head.note) {
			t.Errorf("%s: something was signed", c.what)
		}
		r.store.Close()
	}
	r.cfg.Policy = policy
	r.open()
	r.accepted(r.phone("bob").Register())
	r.stop()

	// An epoch that was stored, and neither signed nor published.
	r.cfg.Policy = nil
	r.cfg.Unconfirmed = true
	r.open()
	r.head.fail = errors.New("no power")
	r.submit(r.phone("carol").Register())
	r.stop()
	r.head.fail, r.cfg.Unconfirmed = nil, false
	r.openStore()
	head := bytes.Clone(r.head.note)
	if _, err := log.Open(r.cfg); err == nil || !bytes.Equal(head, r.head.note) {
		t.Errorf("an epoch after the one that was cosigned: %v", err)
	}
	r.store.Close()
}

// The log's second signature stands in every checkpoint, in the same bytes
// after a restart, also if the key came later.
func TestMLDSA(t *testing.T) {
	r, _ := threeWitnesses(t)
	r.open()
	p := r.phone("alice")
	r.accepted(p.Register())
	r.stop()
	before := r.head.note
	key, err := checkpoint.NewCosigner(checkpoint.MLDSA44, string(origin), liar.Seed("mldsa"))
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.MLDSA = key
	r.open()
	if !bytes.HasPrefix(r.head.note, before) || bytes.Equal(r.head.note, before) {
		t.Error("the second key added no line to the signed head")
	}
	o := r.accepted(p.Add())[0]
	note, _ := r.published(o.Position + 1)
	if at, err := key.Key().Verify(note.Text, note.Lines[1]); err != nil || at != 0 {
		t.Errorf("the second line: time %d, %v", at, err)
	}
	signed := r.head.note
	r.stop()
	r.open()
	if !bytes.Equal(r.head.note, signed) || !bytes.HasPrefix(r.log.Published(), signed) {
		t.Error("a restart signed other bytes")
	}
	result, _ := r.look(nil, history(p))
	r.sees(p, result.Accounts[0])

	// And without it again.
	r.stop()
	r.cfg.MLDSA = nil
	r.open()
	r.accepted(p.Add())
}
