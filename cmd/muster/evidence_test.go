package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/liar"
)

// Exit codes and texts of `muster evidence verify`, over a fork that a real key
// signed.
func TestEvidenceVerify(t *testing.T) {
	a, b := liar.New("keys.example.org/log1", 1_790_000_000_000), liar.New("keys.example.org/log1", 1_790_000_000_999)
	key := a.Signer.Key().String()
	other := liar.New("keys.example.org/log2", 1_790_000_000_000).Signer.Key().String()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fork := write("fork", evidence.TwoRoots(a.Note, b.Note).Bytes())
	same := write("same", evidence.TwoRoots(a.Note, a.Note).Bytes())
	torn := write("torn", evidence.TwoRoots(a.Note, b.Note).Bytes()[:200])
	large := write("large", nil)
	if err := os.Truncate(large, evidence.MaxSize+1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string // on stdout for 0, else on stderr
	}{
		{[]string{fork, "--vkey", key}, exitOK, "log keys.example.org/log1 signed two different trees of 2 leaves"},
		{[]string{fork, "--vkey", key}, exitOK, "by whom    log keys.example.org/log1, key " + key},
		{[]string{fork, "--vkey", key}, exitOK, "how known  Signed by the log's key: two checkpoints of one size"},
		{[]string{fork, "--vkey", key}, exitOK, "not shown  Who did it, and why"},
		{[]string{fork, "--vkey", other}, exitRefuse, "this E1 evidence proves nothing: it accuses log keys.example.org/log1"},
		{[]string{same, "--vkey", key}, exitRefuse, "this E1 evidence proves nothing: sizes 2 and 2"},
		{[]string{torn, "--vkey", key}, exitRefuse, "reading evidence"},
		{[]string{large, "--vkey", key}, exitRefuse, "want at most 67108864"},
		{[]string{filepath.Join(dir, "absent"), "--vkey", key}, exitFailed, "no such file"},
		{[]string{fork}, exitUsage, "pass --vkey VKEY"},
		{[]string{fork, "--vkey", "key"}, exitUsage, "reading vkey"},
		{[]string{"--vkey", key}, exitUsage, "want `muster evidence verify FILE --vkey VKEY`"},
	} {
		s := muster(t, append([]string{"evidence", "verify"}, c.args...)...)
		says := s.err
		if c.code == exitOK {
			says = s.out
		}
		if s.code != c.code || !strings.Contains(says, c.says) || (s.out == "") != (c.code != exitOK) {
			t.Errorf("%q: exit code %d, want %d\nstdout %s\nstderr %s", c.args, s.code, c.code, s.out, s.err)
		}
	}
	for path, proves := range map[string]bool{fork: true, same: false} {
		s := muster(t, "evidence", "verify", path, "--vkey", key, "--json")
		var got evidenceJSON
		if err := json.Unmarshal([]byte(s.out), &got); err != nil || got.Proves != proves || (s.code == exitOK) != proves {
			t.Errorf("%s: exit code %d, %s, %v", path, s.code, s.out, err)
		}
		if got.Kind != "E1" || got.Origin != "keys.example.org/log1" || got.VKey != key || (got.Statement != "") != proves || (got.Reason == "") != proves {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
