package verifier_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// side is one of two people who write to each other: what it is shown of
// alice, who sends, and what it holds.
type side struct {
	log   *liar.Log
	state *verifier.State
	found *verifier.Found
}

func (w *world) side(log *liar.Log, state *verifier.State, q verifier.Question) side {
	w.t.Helper()
	r, s, err := w.look(log, state, q)
	if err != nil {
		w.t.Fatal(err)
	}
	return side{log, s, &r.Accounts[0]}
}

func (s side) tag(t *testing.T) verifier.Tag {
	t.Helper()
	tag, err := s.state.Tag(name.Identifier("alice").AccountID())
	if err != nil {
		t.Fatal(err)
	}
	back, err := verifier.ParseTag(tag.Bytes())
	if err != nil || back != tag || len(tag.Bytes()) != verifier.TagSize {
		t.Fatalf("a tag does not survive its bytes: %v", err)
	}
	return back
}

func (w *world) compare(receiver side, tag verifier.Tag, f verifier.Facts) *verifier.Heard {
	w.t.Helper()
	v := &verifier.Verifier{Policy: w.policy()}
	h, err := v.Compare(receiver.state, name.Identifier("alice").AccountID(), tag, f)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// Whatever the sender has seen of an honest log, and however far each of the
// two has come, they agree once the receiver has asked for what is wanted.
func TestTagsOfAnHonestLogAgree(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	var past []side
	asked := map[verifier.Wanted]int{}
	for _, step := range []string{"alice+", "alice+", "bob.", "alice-1", "alice*", "alice+", "alice=", "eve.", "alice!", "alice+"} {
		past = append(past, w.side(w.log.Fork(), nil, history("alice")))
		w.plays(step)
	}
	for i, sender := range past {
		for j, receiver := range past {
			f := verifier.Facts{}
			h := w.compare(receiver, sender.tag(t), f)
			for rounds := 0; h.Verdict == verifier.Ask && rounds < 5; rounds++ {
				asked[h.Ask]++
				switch h.Ask {
				case verifier.WantTree:
					f.Node = receiver.log.Node
				case verifier.WantLookup:
					receiver = w.side(w.log, receiver.state, first("alice"))
					f.Found, f.Node = receiver.found, nil
				case verifier.WantHistory:
					receiver = w.side(receiver.log, receiver.state, history("alice"))
					f.Found = receiver.found
				}
				h = w.compare(receiver, sender.tag(t), f)
			}
			if h.Verdict != verifier.Agrees {
				t.Errorf("sender at %d, receiver at %d: %+v", i, j, h)
			}
		}
	}
	for _, want := range []verifier.Wanted{verifier.WantTree, verifier.WantLookup, verifier.WantHistory} {
		if asked[want] == 0 {
			t.Errorf("no comparison asked for a %s", want)
		}
	}
	t.Logf("%d comparisons, asked for %v", len(past)*len(past), asked)
}

// Two views, of one size and of many: the tag tells, and both notes together
// are evidence, also where the smaller size is a power of two.
func TestTagsOfTwoViewsBecomeEvidence(t *testing.T) {
	kinds := map[evidence.Kind]int{}
	for grown := range 10 {
		for further := range 3 {
			w := newWorld(t)
			w.plays("alice.")
			for range grown {
				w.log.Seal()
			}
			fork := w.log.Fork()
			w.plays("alice+")
			fork.Append(w.phone("eve").Account(), w.phone("eve").Register())
			fork.Seal()
			sender := w.side(fork.Fork(), nil, first("alice"))
			for range further {
				w.log.Seal()
			}
			receiver := w.side(w.log, nil, first("alice"))
			f := verifier.Facts{Node: w.log.Node}
			h := w.compare(receiver, sender.tag(t), f)
			if h.Verdict != verifier.Differs || h.Failure.Check != verifier.CheckSplitView || h.Ask != verifier.WantNote || h.Failure.Evidence != nil {
				t.Fatalf("%d leaves more: %+v", further, h)
			}
			f.Note = sender.state.Note
			h = w.compare(receiver, sender.tag(t), f)
			if h.Failure.Evidence == nil {
				t.Fatalf("no evidence: %v", h.Failure)
			}
			convicts(t, w, h.Failure.Evidence)
			kinds[h.Failure.Evidence.Kind]++

			// The receiver alone has no tree: it keeps both notes.
			f.Node = nil
			if h = w.compare(receiver, sender.tag(t), f); further == 0 {
				continue
			}
			if h.Ask != verifier.WantTree {
				t.Errorf("without a tree: %+v", h)
			}
		}
	}
	if kinds[evidence.E1] != 10 || kinds[evidence.E2] != 20 {
		t.Errorf("evidence by kind: %v", kinds)
	}
	t.Logf("evidence by kind: %v", kinds)
}

func TestTagsThatDiffer(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+")
	sender := w.side(w.log, nil, history("alice"))
	tag := sender.tag(t)
	hidden := w.withoutNewest("alice")
	behind := w.side(forgetEvent(w, hidden), nil, first("alice"))
	honest := sender
	unchanged := w.side(w.log, honest.state, first("alice")) // which opens nothing
	late := verifier.Facts{Pending: verifier.TagPatience + 1}
	lies := func(uint, uint64) (leaf.Hash, error) { return leaf.Hash{1}, nil }
	change := func(edit func(*verifier.Tag)) verifier.Tag {
		c := tag
		edit(&c)
		return c
	}
	for _, c := range []struct {
		name     string
		receiver side
		tag      verifier.Tag
		facts    verifier.Facts
		verdict  verifier.Verdict
		ask      verifier.Wanted
		check    verifier.Check
	}{
		{"another event of the same seq", honest, change(func(t *verifier.Tag) { t.Event[0]++ }), verifier.Facts{}, verifier.Differs, verifier.WantNote, verifier.CheckSplitView},
		{"another generation", honest, change(func(t *verifier.Tag) { t.Generation++ }), verifier.Facts{}, verifier.Differs, verifier.WantNote, verifier.CheckSplitView},
		{"another root", honest, change(func(t *verifier.Tag) { t.Root[15]++ }), verifier.Facts{}, verifier.Differs, verifier.WantNote, verifier.CheckSplitView},
		{"another past event", honest, change(func(t *verifier.Tag) { t.Seq = 0 }), verifier.Facts{Found: honest.found}, verifier.Differs, verifier.WantNote, verifier.CheckSplitView},
		{"a past event, unasked", honest, change(func(t *verifier.Tag) { t.Seq = 0 }), verifier.Facts{}, verifier.Ask, verifier.WantHistory, ""},
		{"a newer event, unasked", honest, change(func(t *verifier.Tag) { t.Seq++ }), verifier.Facts{}, verifier.Ask, verifier.WantLookup, ""},
		{"a newer event that a lookup does not show", honest, change(func(t *verifier.Tag) { t.Seq++ }), verifier.Facts{Found: honest.found}, verifier.Differs, verifier.WantNote, verifier.CheckTag},
		{"an event that is hidden from the receiver", behind, change(func(t *verifier.Tag) {
			t.Size, t.Root = behind.tag(w.t.(*testing.T)).Size, behind.tag(w.t.(*testing.T)).Root
		}), verifier.Facts{Found: behind.found}, verifier.Differs, verifier.WantNote, verifier.CheckTag},
		{"a larger tree, though a lookup was made", honest, change(func(t *verifier.Tag) { t.Size++ }), verifier.Facts{Found: honest.found}, verifier.Ask, verifier.WantLookup, ""},
		{"a newer event under a larger tree, though a lookup was made", honest, change(func(t *verifier.Tag) { t.Seq++; t.Size++ }), verifier.Facts{Found: honest.found}, verifier.Ask, verifier.WantLookup, ""},
		{"a past event that the lookup did not open", unchanged, change(func(t *verifier.Tag) { t.Seq = 0 }), verifier.Facts{Found: unchanged.found}, verifier.Ask, verifier.WantHistory, ""},
		{"a larger tree that never comes", honest, change(func(t *verifier.Tag) { t.Size++ }), late, verifier.Differs, verifier.WantNote, verifier.CheckTag},
		{"a smaller tree, never shown", honest, change(func(t *verifier.Tag) { t.Size-- }), late, verifier.Differs, verifier.WantNote, verifier.CheckTag},
		{"a smaller tree, never shown truly", honest, change(func(t *verifier.Tag) { t.Size-- }), verifier.Facts{Node: lies, Pending: late.Pending}, verifier.Differs, verifier.WantNote, verifier.CheckTag},
		{"no note at all", honest, change(func(t *verifier.Tag) { t.Root[0]++ }), verifier.Facts{Note: []byte("no note")}, verifier.Differs, verifier.WantNote, verifier.CheckSplitView},
		{"a lying sender: its own note is of the receiver's tree", honest, change(func(t *verifier.Tag) { t.Root[0]++ }), verifier.Facts{Note: honest.state.Note}, verifier.Differs, verifier.WantNothing, verifier.CheckSplitView},
		{"a tag that waits and is then confirmed", honest, tag, late, verifier.Agrees, verifier.WantNothing, ""},
	} {
		h := w.compare(c.receiver, c.tag, c.facts)
		if h.Verdict != c.verdict || h.Ask != c.ask || (h.Failure != nil) != (c.check != "") || h.Failure != nil && h.Failure.Check != c.check {
			t.Errorf("%s: %+v, %v", c.name, h, h.Failure)
		}
		if h.Failure != nil && h.Failure.Evidence != nil {
			t.Errorf("%s: evidence against an honest log", c.name)
		}
	}
	v := &verifier.Verifier{Policy: w.policy()}
	if _, err := v.Compare(honest.state, name.Identifier("alice").AccountID(), change(func(t *verifier.Tag) { t.Size-- }), verifier.Facts{Node: lies}); !errors.Is(err, verifier.ErrTree) {
		t.Errorf("a lying tree: %v", err)
	}
	if _, err := v.Compare(nil, name.Identifier("alice").AccountID(), tag, verifier.Facts{}); err == nil {
		t.Error("compared with no state")
	}
}

// forgetEvent is the log with a map that lacks alice's newest event.
func forgetEvent(w *world, l *liar.Log) *liar.Log {
	alice := w.phone("alice").Account()
	_, index, _ := l.VRF(alice, uint32(len(l.Records[alice])))
	delete(l.Map, index)
	l.Seal()
	return l
}

// An ERASE takes away what a late tag speaks of: the trees are compared, and
// the caller is told that the event was not.
func TestTagOfAnErasedEvent(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.", "alice+")
	sender := w.side(w.log.Fork(), nil, first("alice"))
	w.plays("alice#")
	receiver := w.side(w.log, nil, history("alice"))
	h := w.compare(receiver, sender.tag(t), verifier.Facts{Found: receiver.found, Node: w.log.Node})
	if h.Verdict != verifier.Agrees || !h.Erased {
		t.Errorf("%+v", h)
	}
}

// A log that was sealed does not grow for anyone.
func TestTagBeyondASeal(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	fork := w.log.Fork()
	w.log.SealAs(&leaf.Epoch{Epoch: w.log.Epochs, TimeMs: w.log.TimeMs, First: w.log.First, Keys: w.log.Keys, PrefixRoot: w.log.Tree.Root(), Sealed: true})
	receiver := w.side(w.log, nil, first("alice"))
	fork.Seal()
	fork.Seal()
	sender := w.side(fork, nil, first("alice"))
	if h := w.compare(receiver, sender.tag(t), verifier.Facts{}); h.Verdict != verifier.Differs || h.Failure.Check != verifier.CheckSealed {
		t.Errorf("%+v", h)
	}
}

func TestParseTagRefuses(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	good := w.side(w.log, nil, first("alice")).tag(t).Bytes()
	for what, edit := range map[string]func([]byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"cut short":         func(b []byte) []byte { return b[:len(b)-1] },
		"a byte more":       func(b []byte) []byte { return append(b, 0) },
		"another version":   func(b []byte) []byte { b[0] = 2; return b },
		"size 1":            func(b []byte) []byte { copy(b[25:], []byte{0, 0, 0, 0, 0, 0, 0, 1}); return b },
		"size 2^63":         func(b []byte) []byte { b[25] = 0x80; return b },
		"a seq of no event": func(b []byte) []byte { copy(b[5:], []byte{255, 255, 255, 255}); return b },
	} {
		if _, err := verifier.ParseTag(edit(bytes.Clone(good))); err == nil {
			t.Errorf("%s: read", what)
		}
	}
	if _, err := (&verifier.State{}).Tag(name.AccountID{}); err == nil || !strings.Contains(err.Error(), "look it up") {
		t.Errorf("a tag of an account that was never looked up: %v", err)
	}
}

// Who holds two notes and has the tree gets E1, E2, or the reason why not.
func TestProveFork(t *testing.T) {
	w := newWorld(t)
	w.plays("alice.")
	first := bytes.Clone(w.log.Note)
	fork := w.log.Fork()
	w.plays("alice+")
	fork.Seal()
	key := w.policy().Log
	if _, err := verifier.ProveFork(key, first, w.log.Note, w.log.Node); !errors.Is(err, verifier.ErrNoFork) {
		t.Errorf("a log that grew: %v", err)
	}
	if _, err := verifier.ProveFork(key, first, first, nil); !errors.Is(err, verifier.ErrNoFork) {
		t.Errorf("the same note: %v", err)
	}
	grown := fork.Fork()
	grown.Seal()
	for what, node := range map[string]answer.NodeFunc{
		"none":         nil,
		"of the other": grown.Node,
		"unreachable":  func(uint, uint64) (leaf.Hash, error) { return leaf.Hash{}, errors.New("down") },
	} {
		if _, err := verifier.ProveFork(key, fork.Note, w.log.Note, node); !errors.Is(err, verifier.ErrTree) {
			t.Errorf("tree %s: %v", what, err)
		}
	}
	stranger := liar.New("other.example/log", start)
	forged := bytes.Replace(fork.Note, []byte("\n5\n"), []byte("\n4\n"), 1)
	for what, note := range map[string][]byte{"of a stranger": stranger.Note, "forged": forged, "none": nil} {
		if _, err := verifier.ProveFork(key, note, w.log.Note, w.log.Node); err == nil || errors.Is(err, verifier.ErrTree) || errors.Is(err, verifier.ErrNoFork) {
			t.Errorf("a note %s: %v", what, err)
		}
	}
	for _, notes := range [][2][]byte{{fork.Note, w.log.Note}, {w.log.Note, fork.Note}} {
		f, err := verifier.ProveFork(key, notes[0], notes[1], w.log.Node)
		if err != nil {
			t.Fatal(err)
		}
		convicts(t, w, f)
	}
}
