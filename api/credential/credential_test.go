package credential_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterlog/muster/api/credential"
)

func file(t *testing.T) string {
	t.Helper()
	syscall.Umask(0)
	return filepath.Join(t.TempDir(), "credentials")
}

func add(t *testing.T, path string, s credential.Scope) (credential.Token, string) {
	t.Helper()
	token, c, err := credential.Add(path, s, "a server", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token, c.ID()
}

func TestParseToken(t *testing.T) {
	good := credential.NewToken().Reveal()
	if p, err := credential.ParseToken(good); err != nil || p.Reveal() != good {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range []string{"", "muster_", good[:len(good)-1], good + "0", good[7:], strings.ToUpper(good), "muster_" + strings.Repeat("A", 64), " " + good, good + "\n"} {
		if _, err := credential.ParseToken(bad); err == nil {
			t.Errorf("%q was taken", bad)
		} else if len(bad) > 20 && strings.Contains(err.Error(), bad[10:]) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
}

// The file has the token's hash, not the token, and is for its owner alone
// whatever the umask.
func TestFileHoldsHashes(t *testing.T) {
	path := file(t)
	token, id := add(t, path, credential.Write)
	data, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(data), token.Reveal()[7:]) {
		t.Errorf("%v: the file holds the token: %s", err, data)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	all, err := credential.List(path)
	if err != nil || len(all) != 1 || all[0].ID() != id || all[0].Scope != credential.Write || all[0].Name != "a server" || all[0].Hash != token.Hash() {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestScopes(t *testing.T) {
	for _, s := range []credential.Scope{credential.Audit, credential.Read, credential.Write, credential.Operator} {
		if got, err := credential.ParseScope(s.String()); err != nil || got != s {
			t.Errorf("%v: %v, %v", s, got, err)
		}
	}
	for _, bad := range []string{"", "none", "admin", "Read"} {
		if _, err := credential.ParseScope(bad); err == nil {
			t.Errorf("scope %q was taken", bad)
		}
	}
}

// A running server sees every change with its next question, and a file that
// was there once never opens the log again.
func TestSetSeesChanges(t *testing.T) {
	path := file(t)
	s, err := credential.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Find(credential.NewToken().Hash()); err != nil || c.Scope != credential.Operator || s.Required() {
		t.Errorf("without a file: %v, %v, required %v", c, err, s.Required())
	}
	first, firstID := add(t, path, credential.Read)
	if !s.Required() {
		t.Error("a credential was added, and nobody has to show one")
	}
	for range 50 { // many within one tick of a file's time
		token, id := add(t, path, credential.Operator)
		if c, err := s.Find(token.Hash()); err != nil || c.ID() != id || c.Scope != credential.Operator {
			t.Fatalf("a new token: %+v, %v", c, err)
		}
		if _, err := credential.Revoke(path, id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Find(token.Hash()); !errors.Is(err, credential.ErrUnknown) {
			t.Fatalf("a revoked token: %v", err)
		}
	}
	if c, err := s.Find(first.Hash()); err != nil || c.ID() != firstID {
		t.Errorf("the token that stayed: %v, %v", c, err)
	}
	if _, err := credential.Revoke(path, firstID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(first.Hash()); !errors.Is(err, credential.ErrUnknown) || !s.Required() {
		t.Errorf("the last token was revoked: %v, required %v", err, s.Required())
	}
	for what, spoil := range map[string]func() error{
		"removed":         func() error { return os.Remove(path) },
		"for everybody":   func() error { return os.Chmod(path, 0o644) },
		"of another form": func() error { return os.WriteFile(path, []byte("x\n"), 0o600) },
		"a link": func() error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		},
	} {
		os.Remove(path)
		token, _ := add(t, path, credential.Operator)
		if _, err := s.Find(token.Hash()); err != nil {
			t.Fatalf("before it is %s: %v", what, err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Find(token.Hash()); err == nil || !s.Required() {
			t.Errorf("a file that is %s lets a token in: required %v", what, s.Required())
		}
	}
}

func TestFileIsRefused(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, lines := range []string{
		"", "muster credentials 2\n", "muster credentials 1\n\n", "muster credentials 1\n" + hash + " read\n",
		"muster credentials 1\n" + hash + " admin 2026-11-26T20:00:00Z x\n", "muster credentials 1\n" + hash + "ab read 2026-11-26T20:00:00Z\n",
		"muster credentials 1\n" + hash[2:] + " read 2026-11-26T20:00:00Z\n", "muster credentials 1\n" + hash + " read now\n",
	} {
		path := file(t)
		if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := credential.Open(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q was read: %v", lines, err)
		}
	}
}

func TestReadToken(t *testing.T) {
	path := file(t)
	token := credential.NewToken()
	if err := os.WriteFile(path, []byte(token.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := credential.ReadToken(path); err != nil || got.Reveal() != token.Reveal() {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := credential.ReadToken(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a token that a group may read: %v", err)
	}
}
