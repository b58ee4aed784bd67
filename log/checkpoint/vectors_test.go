package checkpoint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
)

// The tables of testdata/checkpoint, which its README explains.
type (
	noteCase struct {
		Name   string
		Note   string
		Base64 []byte `json:"note_base64"`
		OK     bool
		Why    string
	}
	vkeyCase struct {
		Name, Vkey string
		OK         bool
		Why        string
	}
	policyCase struct {
		Name   string
		Policy string
		Base64 []byte `json:"policy_base64"`
		OK     bool
		Trust  checkpoint.Trust
		Why    string
	}
	verifyCase struct {
		Name, Policy, Note string
		Now                int64
		MaxAge             int64 `json:"max_age"`
		Result             string
		Cosigners          []string
		Trust              checkpoint.Trust
		Why                string
	}
)

func (c noteCase) bytes() []byte   { return append([]byte(c.Note), c.Base64...) }
func (c policyCase) bytes() []byte { return append([]byte(c.Policy), c.Base64...) }

func table[C any](t testing.TB, file string) (cases []C) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/checkpoint/" + file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&cases); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return cases
}

// judge compares an outcome with what the table says.
func judge(t *testing.T, ok bool, why string, err error) {
	t.Helper()
	if ok && err != nil {
		t.Fatalf("refused (%s): %v", why, err)
	}
	if !ok && err == nil {
		t.Fatalf("accepted, though %s", why)
	}
}

func TestNotes(t *testing.T) {
	for _, c := range table[noteCase](t, "notes.json") {
		t.Run(c.Name, func(t *testing.T) {
			n, err := checkpoint.Parse(c.bytes())
			judge(t, c.OK, c.Why, err)
			if c.OK && (!bytes.Equal(n.Bytes(), c.bytes()) || n.Text != n.Checkpoint.Text()) {
				t.Errorf("read and written again: %q", n.Bytes())
			}
		})
	}
}

func TestRepeatedLineIsNamed(t *testing.T) {
	seen := 0
	for _, c := range table[noteCase](t, "notes.json") {
		want := slices.Contains([]string{"good log line twice", "log line good then bad", "log line bad then good", "cosignature twice", "unknown line twice"}, c.Name)
		if want {
			seen++
		}
		if _, err := checkpoint.Parse(c.bytes()); errors.Is(err, checkpoint.ErrRepeated) != want {
			t.Errorf("%s: ErrRepeated is %v, want %v: %v", c.Name, !want, want, err)
		}
	}
	if seen != 5 {
		t.Errorf("%d notes with repeated lines, want 5", seen)
	}
}

func TestVkeys(t *testing.T) {
	for _, c := range table[vkeyCase](t, "vkeys.json") {
		t.Run(c.Name, func(t *testing.T) {
			k, err := checkpoint.ParseKey(c.Vkey)
			judge(t, c.OK, c.Why, err)
			if c.OK && k.String() != c.Vkey {
				t.Errorf("read and written again: %q", k)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	for _, c := range table[policyCase](t, "policies.json") {
		t.Run(c.Name, func(t *testing.T) {
			p, err := checkpoint.ParsePolicy(c.bytes())
			judge(t, c.OK, c.Why, err)
			if !c.OK {
				return
			}
			if got := p.Trust(); got != c.Trust {
				t.Errorf("trust %q, want %q: %s", got, c.Trust, c.Why)
			}
			again, err := checkpoint.ParsePolicy([]byte(p.String()))
			if err != nil || !reflect.DeepEqual(again, p) {
				t.Errorf("read again from %q: %v", p, err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	results := map[string]error{"ok": nil, "log-signature": checkpoint.ErrLogSignature, "quorum": checkpoint.ErrQuorum, "stale": checkpoint.ErrStale}
	for _, c := range table[verifyCase](t, "verify.json") {
		t.Run(c.Name, func(t *testing.T) {
			want, known := results[c.Result]
			if !known {
				t.Fatalf("result %q", c.Result)
			}
			p, err := checkpoint.ParsePolicy([]byte(c.Policy))
			if err != nil {
				t.Fatal(err)
			}
			n, err := checkpoint.Parse([]byte(c.Note))
			if err != nil {
				t.Fatal(err)
			}
			v, err := p.Verify(n, time.Unix(c.Now, 0), time.Duration(c.MaxAge)*time.Second)
			for name, e := range results {
				if e != nil && errors.Is(err, e) != (name == c.Result) {
					t.Fatalf("want %s (%s), got %v", c.Result, c.Why, err)
				}
			}
			if want != nil {
				return
			}
			if err != nil {
				t.Fatalf("refused (%s): %v", c.Why, err)
			}
			if v.Trust != c.Trust || !slices.Equal(v.Cosigners, c.Cosigners) {
				t.Errorf("got %+v, want %q %v: %s", v, c.Trust, c.Cosigners, c.Why)
			}
		})
	}
}
