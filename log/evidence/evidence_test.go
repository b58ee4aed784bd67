package evidence_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
)

// Every row of section 9.3 convicts the liar, and what an honest log gives for
// the same file convicts nobody.
func TestEveryKindConvictsTheLiarAlone(t *testing.T) {
	seen := map[evidence.Kind]bool{}
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			m := convicted(t, s.key, s.file)
			if !strings.Contains(m.Verdict.Statement, s.says) {
				t.Errorf("says %q, want %q", m.Verdict.Statement, s.says)
			}
			if m.Verdict.How == "" || m.Verdict.NotShown == "" || !reflect.DeepEqual(m.Verdict.Party, s.key) {
				t.Errorf("verdict %+v", m.Verdict)
			}
			if len(m.File.Bytes()) > 1<<20 {
				t.Errorf("%d bytes", len(m.File.Bytes()))
			}
			seen[m.File.Kind] = true
			back, err := evidence.Parse(m.File.Bytes())
			if err != nil || !reflect.DeepEqual(back, m.File) {
				t.Errorf("read again: %v", err)
			}
			err = evidence.Convict(s.key, s.honest)
			if errors.As(err, new(*evidence.Misbehaviour)) {
				t.Errorf("the honest twin convicts: %v", err)
			}
			t.Log(m.Verdict.Statement, "| honest:", err)
		})
	}
	for _, k := range []evidence.Kind{"E1", "E2", "E3", "E4a", "E4b", "E4c", "E5", "E6", "E7", "W E1", "W E2", "A E4a", "A E4b", "A E4c", "A E5"} {
		if !seen[k] {
			t.Errorf("no sample of kind %s", k)
		}
	}
}

// One key convicts: another one, or the same under another role, does not.
func TestOnlyTheSignerIsConvicted(t *testing.T) {
	w := newWorld()
	stranger, err := checkpoint.NewSigner(string(origin), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	keys := []checkpoint.Key{w.key(), w.witness.Key(), w.auditor.Key(), stranger.Key()}
	for _, s := range samples() {
		for _, k := range keys {
			cosigner := s.key.Type != checkpoint.Ed25519 && k.Type != checkpoint.Ed25519
			if k.String() == s.key.String() || cosigner { // every cosigner cosigned all
				continue
			}
			if err := evidence.Convict(k, s.file); errors.As(err, new(*evidence.Misbehaviour)) {
				t.Errorf("%s convicts %s", s.name, k)
			}
			m := convicted(t, s.key, s.file)
			if _, err := m.File.Verify(k); err == nil {
				t.Errorf("%s convicts %s", s.name, k)
			}
		}
	}
}

// No file has a bit that nobody checks.
func TestEveryBitCounts(t *testing.T) {
	files, flips, accepted := 0, 0, 0
	seen := map[evidence.Kind]bool{}
	for _, s := range samples() {
		if s.name == "E4c of 450 events" {
			continue // the same lines as the other E4c, many times over
		}
		data := convicted(t, s.key, s.file).File.Bytes()
		step := 1
		if s.key.Type == checkpoint.MLDSA44 || seen[s.file.Kind] {
			step = 17 // the same code; prime to 8, so that all bits of a byte get their turn
		}
		seen[s.file.Kind] = true
		files++
		for bit := 0; bit < 8*len(data); bit += step {
			flipped := bytes.Clone(data)
			flipped[bit/8] ^= 1 << (bit % 8)
			flips++
			f, err := evidence.Parse(flipped)
			if err != nil {
				continue
			}
			if _, err := f.Verify(s.key); err == nil {
				accepted++
				t.Errorf("%s: accepted with bit %d of byte %d flipped", s.name, bit%8, bit/8)
			}
		}
	}
	t.Logf("%d files, %d flips, %d accepted", files, flips, accepted)
}
