package demo

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDemo runs all of it: each attack is noticed by whom it must be, with a
// file of the kind that convicts, or an alarm and the reason why there is none.
func TestDemo(t *testing.T) {
	p := &Printer{Out: os.Stderr}
	r, err := Run(t.Context(), Config{Out: filepath.Join(t.TempDir(), "evidence"), Step: p.Step, Attack: p.Attack})
	if err != nil {
		t.Fatal(err)
	}
	p.End(r)
	if !r.Caught {
		t.Fatal("not everything was caught")
	}
}
