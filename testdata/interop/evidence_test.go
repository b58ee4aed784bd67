package interop

import (
	"os/exec"
	"regexp"
	"testing"
)

// TestEvidenceInPython: a verifier that was written from docs/protocol.md in another
// language judges every file of the corpus as muster does, and none with a bit changed
// convicts.
func TestEvidenceInPython(t *testing.T) {
	// -B: it leaves no compiled files behind. -S: nothing that is installed beside the
	// language has a part in it.
	out, err := exec.Command("python3", "-B", "-S", "python/check.py", "../evidence/corpus.json").CombinedOutput()
	if err != nil {
		t.Fatalf("%v (Debian's package is python3)\n%s", err, out)
	}
	if !regexp.MustCompile(`^[3-9]\d\d files, [6-9]\d convict, [1-9]\d\d\d with a bit changed: 0 wrong\n$`).Match(out) {
		t.Errorf("it says %s", out)
	}
	t.Logf("%s", out)
}
