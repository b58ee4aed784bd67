package verifier_test

import (
	"bytes"
	"testing"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
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
	w.trust = w.policy()
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &world{t: t, log: w.log, trust: w.trust}
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

func FuzzParseTag(f *testing.F) {
	f.Add(verifier.Tag{Generation: 1, Seq: 2, Size: 3}.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if tag, err := verifier.ParseTag(data); err == nil && !bytes.Equal(tag.Bytes(), data) {
			t.Errorf("%x encodes to %x", data, tag.Bytes())
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
		"another origin's note": func(s *verifier.State) {
			other := liar.New("other.example/log", start)
			for len(other.Leaves) < len(w.log.Leaves) { // so that nothing but its origin is wrong
				other.Seal()
			}
			s.Note = other.Note
		},
		"another log's key": func(s *verifier.State) { s.LogKey = liar.New("other.example/log", start).Signer.Key().String() },
		"a cosigner's key": func(s *verifier.State) {
			c, err := checkpoint.NewCosigner(checkpoint.Cosignature, string(origin), liar.Seed("x"))
			if err != nil {
				t.Fatal(err)
			}
			s.LogKey = c.Key().String()
		},
		"a checkpoint of size 0": func(s *verifier.State) {
			s.Note = w.log.Signer.Sign(checkpoint.Checkpoint{Origin: origin})
		},
		"a VRF key of small order": func(s *verifier.State) { s.VRFKey = [32]byte{1} },
		"no event's seq":           func(s *verifier.State) { s.Accounts[0].Seq = 1<<32 - 1 },
		"the place of GENESIS":     func(s *verifier.State) { s.Accounts[0].Position = 0 },
		"the place of the EPOCH":   func(s *verifier.State) { s.Accounts[0].Position = uint64(len(w.log.Leaves)) - 1 },
		"devices without a primary": func(s *verifier.State) {
			for i := range s.Accounts {
				s.Accounts[i].Primary = event.Key{}
			}
		},
		"key_index 0":        func(s *verifier.State) { allDevices(s, func(d *event.Device) { d.KeyIndex = 0 }) },
		"key_index of later": func(s *verifier.State) { allDevices(s, func(d *event.Device) { d.KeyIndex = 9 }) },
		"a bad primary":      func(s *verifier.State) { s.Accounts[0].Primary[0] = 9 },
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

func allDevices(s *verifier.State, change func(*event.Device)) {
	for i := range s.Accounts {
		for j := range s.Accounts[i].Devices {
			change(&s.Accounts[i].Devices[j])
		}
	}
}
