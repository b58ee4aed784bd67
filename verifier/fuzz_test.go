package verifier_test

import (
	"bytes"
	"testing"

	"github.com/musterlog/muster/verifier"
)

// Whatever bytes arrive, judging them neither panics nor believes: only the
// honest answer passes.
func FuzzAnswer(f *testing.F) {
	w := newWorld(f)
	w.plays("alice.", "alice+", "alice+", "bob.", "alice_1")
	c := asked{name: "first", questions: []verifier.Question{first("alice"), history("bob")}}
	good, err := w.log.Lookup(f.Context(), w.request(&c))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &world{t: t, log: w.log}
		if r, err := w.judge(&c, data); err == nil && !bytes.Equal(data, good) {
			t.Errorf("believed another answer than the honest one: %+v", r)
		}
	})
}

func FuzzParseState(f *testing.F) {
	w := newWorld(f)
	w.plays("alice.", "alice+", "bob.", "bob#")
	_, s := w.mustLook(nil, first("alice"), first("bob"))
	good, err := s.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := verifier.ParseState(data)
		if err != nil {
			return
		}
		if again, err := s.Bytes(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x encodes to %x, %v", data, again, err)
		}
	})
}

func TestParseStateRefuses(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+", "bob.")
	_, s := w.mustLook(nil, first("alice"), first("bob"))
	good, err := s.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.ParseState(good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := verifier.ParseState(good[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes: parsed", n, len(good))
		}
	}
	for name, change := range map[string]func(s *verifier.State){
		"accounts descend": func(s *verifier.State) { s.Accounts[0], s.Accounts[1] = s.Accounts[1], s.Accounts[0] },
		"an account twice": func(s *verifier.State) { s.Accounts[1] = s.Accounts[0] },
		"a bad origin":     func(s *verifier.State) { s.Origin = "a b" },
		"no vkey":          func(s *verifier.State) { s.LogKey = "x" },
		"no note":          func(s *verifier.State) { s.Note = []byte("x") },
		"a bad primary":    func(s *verifier.State) { s.Accounts[0].Primary[0] = 9 },
		"devices descend": func(s *verifier.State) {
			for i := range s.Accounts {
				if d := s.Accounts[i].Devices; len(d) > 0 {
					s.Accounts[i].Devices = append(d, d[0])
				}
			}
		},
	} {
		bad, err := verifier.ParseState(good)
		if err != nil {
			t.Fatal(err)
		}
		change(bad)
		data, err := bad.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.ParseState(data); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
	if _, err := verifier.ParseState(append(bytes.Clone(good), 0)); err == nil {
		t.Error("a trailing byte: parsed")
	}
}
