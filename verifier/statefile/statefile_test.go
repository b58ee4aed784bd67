package statefile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/verifier/device"
	"github.com/musterlog/muster/verifier/statefile"
)

var (
	_ verifier.Store = (*statefile.Store)(nil)
	_ device.Journal = (*statefile.Journal)(nil)
)

const origin = name.Origin("keys.example.org/log1")

var logID = origin.LogID()

func account(i int) name.AccountID {
	return name.Identifier(fmt.Sprintf("+1555000%04d", i)).AccountID()
}

// stateOf is a state that a store accepts, of the accounts named.
func stateOf(t testing.TB, of name.Origin, accounts ...verifier.Account) *verifier.State {
	t.Helper()
	signer, err := checkpoint.NewSigner(string(of), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	s := &verifier.State{Origin: of, LogKey: signer.Key().String(), Note: signer.Sign(checkpoint.Checkpoint{Origin: of, Size: 100}), VRFKey: vrf.NewPrivateKey([32]byte{2}).Public()}
	for _, a := range accounts {
		s.Put(a)
	}
	return s
}

func newAccount(t testing.TB, i int) verifier.Account {
	t.Helper()
	k, err := event.NewPrivateKey(event.KeyEd25519, [32]byte{byte(i), 1})
	if err != nil {
		t.Fatal(err)
	}
	return verifier.Account{ID: account(i), Seq: 1, Position: 3, Primary: k.Public(), Devices: []event.Device{{KeyIndex: 1, Key: k.Public()}}}
}

func open(t testing.TB, dir string) *statefile.Store {
	t.Helper()
	s, err := statefile.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stateFile(dir string) string { return filepath.Join(dir, logID.String()+".state") }

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "state")
	s := open(t, dir)
	none, token, err := s.Load(logID, []name.AccountID{account(1)})
	if err != nil || none != nil || token != (verifier.Token{}) {
		t.Fatalf("a new store: %v, %v, %v", none, token, err)
	}
	if err := s.Save(stateOf(t, origin, newAccount(t, 1), newAccount(t, 2)), token); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{dir: 0o700, stateFile(dir): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	// Only the accounts asked for are handed out, and the others are kept.
	part, token, err := open(t, dir).Load(logID, []name.AccountID{account(2), account(3)})
	if err != nil || len(part.Accounts) != 1 || part.Accounts[0].ID != account(2) {
		t.Fatalf("%+v, %v", part, err)
	}
	part.Accounts[0].Seq = 7
	part.Put(newAccount(t, 3))
	if err := s.Save(part, token); err != nil {
		t.Fatal(err)
	}
	all, _, err := s.Load(logID, []name.AccountID{account(1), account(2), account(3)})
	if err != nil || len(all.Accounts) != 3 || all.Account(account(2)).Seq != 7 {
		t.Fatalf("%+v, %v", all, err)
	}
	if other, _, err := s.Load(name.Origin("other.example").LogID(), nil); other != nil || err != nil {
		t.Errorf("another log: %v, %v", other, err)
	}
}

func TestSaveConflicts(t *testing.T) {
	dir := private(t)
	s := open(t, dir)
	state := stateOf(t, origin, newAccount(t, 1))
	if err := s.Save(state, verifier.Token{}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []verifier.Token{{}, {1}} {
		if err := s.Save(stateOf(t, origin, newAccount(t, 2)), token); !errors.Is(err, verifier.ErrConflict) {
			t.Errorf("token %x: %v", token[:2], err)
		}
	}
	if got, _, err := s.Load(logID, []name.AccountID{account(2)}); err != nil || len(got.Accounts) != 0 {
		t.Errorf("a conflicting save was kept: %v", err)
	}
	_, token, err := s.Load(logID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(stateFile(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(state, token); !errors.Is(err, verifier.ErrConflict) {
		t.Errorf("the file is gone: %v", err)
	}
}

func TestSaveRefusesWhatCannotBeRead(t *testing.T) {
	s := open(t, private(t))
	state := stateOf(t, origin)
	state.Note = []byte("no note")
	if err := s.Save(state, verifier.Token{}); err == nil {
		t.Error("stored")
	}
	if got, _, err := s.Load(logID, nil); got != nil || err != nil {
		t.Errorf("left behind: %v, %v", got, err)
	}
}

func private(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// count adds rounds to account 0's seq, one at a time, and puts an account of
// its own: what anybody loses to anybody else is missing at the end.
func count(s *statefile.Store, state *verifier.State, own verifier.Account, rounds int) error {
	for done := 0; done < rounds; {
		got, token, err := s.Load(logID, []name.AccountID{account(0)})
		if err != nil {
			return err
		}
		if got == nil {
			got = state
		}
		next := *got
		next.Accounts = nil
		a := newCounter()
		if had := got.Account(account(0)); had != nil {
			a = *had
		}
		a.Seq++
		next.Put(a)
		next.Put(own)
		switch err := s.Save(&next, token); {
		case err == nil:
			done++
		case !errors.Is(err, verifier.ErrConflict):
			return err
		}
	}
	return nil
}

func newCounter() verifier.Account { return verifier.Account{ID: account(0), Position: 2} }

func checkCount(t *testing.T, dir string, workers, rounds int) {
	t.Helper()
	ids := []name.AccountID{account(0)}
	for i := range workers {
		ids = append(ids, account(i+1))
	}
	got, _, err := open(t, dir).Load(logID, ids)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Accounts) != workers+1 || got.Account(account(0)).Seq != uint32(workers*rounds) {
		t.Errorf("%d accounts, count %d; want %d and %d", len(got.Accounts), got.Account(account(0)).Seq, workers+1, workers*rounds)
	}
}

func TestGoroutines(t *testing.T) {
	const workers, rounds = 8, 10
	dir := private(t)
	s := open(t, dir)
	state := stateOf(t, origin)
	var wg sync.WaitGroup
	for i := range workers {
		own := newAccount(t, i+1)
		wg.Go(func() {
			if err := count(s, state, own, rounds); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkCount(t, dir, workers, rounds)
}

const (
	helperDir    = "MUSTER_TEST_STATE"
	helperWorker = "MUSTER_TEST_WORKER"
	helperRounds = 20
)

// TestProcesses runs this test binary twice, each on TestHelperProcess alone.
func TestProcesses(t *testing.T) {
	const workers = 2
	dir := private(t)
	var running []*exec.Cmd
	for i := range workers {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$")
		cmd.Env = append(os.Environ(), helperDir+"="+dir, fmt.Sprintf("%s=%d", helperWorker, i+1))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	checkCount(t, dir, workers, helperRounds)
}

func TestHelperProcess(t *testing.T) {
	dir := os.Getenv(helperDir)
	if dir == "" {
		t.Skip("run by TestProcesses")
	}
	var worker int
	fmt.Sscan(os.Getenv(helperWorker), &worker)
	if err := count(open(t, dir), stateOf(t, origin), newAccount(t, worker), helperRounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// What a writer that crashed left beside the file changes nothing, and is gone
// after the next save, whatever it is.
func TestCrashLeftovers(t *testing.T) {
	cases := []struct {
		name  string
		leave func(path string) error
	}{
		{"half a file", func(path string) error { return os.WriteFile(path, []byte("half"), 0o600) }},
		{"an empty file", func(path string) error { return os.WriteFile(path, nil, 0o600) }},
		{"a link to somewhere", func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "victim"), path) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := private(t)
			s := open(t, dir)
			if err := s.Save(stateOf(t, origin, newAccount(t, 1)), verifier.Token{}); err != nil {
				t.Fatal(err)
			}
			victim := filepath.Join(dir, "victim")
			if err := os.WriteFile(victim, []byte("kept"), 0o600); err != nil {
				t.Fatal(err)
			}
			temp := stateFile(dir) + ".new"
			if err := c.leave(temp); err != nil {
				t.Fatal(err)
			}
			got, token, err := open(t, dir).Load(logID, []name.AccountID{account(1)})
			if err != nil || len(got.Accounts) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			got.Put(newAccount(t, 2))
			if err := s.Save(got, token); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(temp); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the leftover is still there: %v", err)
			}
			if kept, _ := os.ReadFile(victim); string(kept) != "kept" {
				t.Errorf("written through the link: %q", kept)
			}
			if got, _, err = s.Load(logID, []name.AccountID{account(1), account(2)}); err != nil || len(got.Accounts) != 2 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// Every changed byte and every cut is an error that names the file and what
// starting over means; never a state, and never "no state".
func TestDamage(t *testing.T) {
	dir := private(t)
	s := open(t, dir)
	if err := s.Save(stateOf(t, origin, newAccount(t, 1)), verifier.Token{}); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(stateFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(stateFile(dir), data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.Load(logID, []name.AccountID{account(1)})
		if err == nil || !strings.Contains(err.Error(), stateFile(dir)) || !strings.Contains(err.Error(), "first use") {
			t.Fatalf("%s: %v", what, err)
		}
		if err := s.Save(stateOf(t, origin), verifier.Token{}); err == nil || errors.Is(err, verifier.ErrConflict) {
			t.Fatalf("%s: saved over: %v", what, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		check(fmt.Sprintf("byte %d", i), bad)
		check(fmt.Sprintf("cut to %d", i), good[:i])
	}
	check("a byte more", append(bytes.Clone(good), 0))

	// A sound file of another log, put in this one's place.
	other := private(t)
	if err := open(t, other).Save(stateOf(t, "other.example/log"), verifier.Token{}); err != nil {
		t.Fatal(err)
	}
	moved, err := os.ReadFile(filepath.Join(other, name.Origin("other.example/log").LogID().String()+".state"))
	if err != nil {
		t.Fatal(err)
	}
	check("another log's", moved)

	if err := os.WriteFile(stateFile(dir), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _, err := s.Load(logID, []name.AccountID{account(1)}); err != nil || len(got.Accounts) != 1 {
		t.Errorf("the good file: %v", err)
	}
}

func TestRefusesOpenFolders(t *testing.T) {
	cases := []struct {
		name string
		make func(t *testing.T, path string)
		says string
	}{
		{"others can read", func(t *testing.T, path string) { mkdir(t, path, 0o750) }, "chmod 0700 "},
		{"others can enter", func(t *testing.T, path string) { mkdir(t, path, 0o701) }, "chmod 0700 "},
		{"a link", func(t *testing.T, path string) {
			if err := os.Symlink(private(t), path); err != nil {
				t.Fatal(err)
			}
		}, "symbolic link"},
		{"a file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "no folder"},
		{"another user's", func(t *testing.T, path string) { mkdir(t, path, 0o700); giveAway(t, path) }, "chown"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			c.make(t, path)
			if _, err := statefile.Open(path); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("store: %v", err)
			}
			if _, err := statefile.OpenJournal(path); err == nil {
				t.Error("a journal was opened")
			}
		})
	}
}

func TestRefusesOpenFiles(t *testing.T) {
	cases := []struct {
		name string
		do   func(t *testing.T, path string)
		says string
	}{
		{"others can read", func(t *testing.T, path string) { chmod(t, path, 0o644) }, "chmod 0600 "},
		{"the group can write", func(t *testing.T, path string) { chmod(t, path, 0o620) }, "chmod 0600 "},
		{"a link", func(t *testing.T, path string) {
			real := path + ".real"
			if err := errors.Join(os.Rename(path, real), os.Symlink(real, path)); err != nil {
				t.Fatal(err)
			}
		}, "symbolic link"},
		{"a folder", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			mkdir(t, path, 0o700)
		}, "no regular file"},
		{"another user's", giveAway, "chown"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := private(t)
			s := open(t, dir)
			if err := s.Save(stateOf(t, origin), verifier.Token{}); err != nil {
				t.Fatal(err)
			}
			_, token, err := s.Load(logID, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.do(t, stateFile(dir))
			if _, _, err := s.Load(logID, nil); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), stateFile(dir)) {
				t.Errorf("load: %v", err)
			}
			if err := s.Save(stateOf(t, origin), token); err == nil {
				t.Error("saved")
			}
		})
	}
}

func TestJournal(t *testing.T) {
	dir := private(t)
	j, err := statefile.OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	one, two := []byte("one"), []byte("two")
	steps := []struct {
		name      string
		old, next []byte
		conflict  bool
		after     []byte
	}{
		{"change what is not there", one, two, true, nil},
		{"nothing is not an empty entry", []byte{}, one, true, nil},
		{"store", nil, one, false, one},
		{"store again", nil, two, true, one},
		{"change", one, two, false, two},
		{"change what was", one, two, true, two},
		{"remove what was", one, nil, true, two},
		{"remove", two, nil, false, nil},
		{"remove nothing", nil, nil, false, nil},
	}
	for _, s := range steps {
		err := j.Swap(logID, account(1), s.old, s.next)
		if errors.Is(err, verifier.ErrConflict) != s.conflict || !s.conflict && err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		again, err := statefile.OpenJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Load(logID, account(1)); err != nil || !bytes.Equal(got, s.after) || (got == nil) != (s.after == nil) {
			t.Errorf("%s: holds %q, %v", s.name, got, err)
		}
		if got, err := j.Load(logID, account(2)); err != nil || got != nil {
			t.Errorf("%s: another account has %q, %v", s.name, got, err)
		}
	}
	if err := j.Swap(logID, account(1), nil, one); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, logID.String()+"-"+account(1).String()+".pending")
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Load(logID, account(1)); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged entry: %v", err)
	}
	if err := j.Swap(logID, account(1), nil, two); err == nil {
		t.Error("a damaged entry was overwritten")
	}
}

func mkdir(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode) // whatever the umask says
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func giveAway(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	if err := os.Lchown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
}
