package verifier

import (
	"errors"
	"fmt"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

// Verdict is what a received tag means so far.
type Verdict string

const (
	Agrees  Verdict = "agrees"  // sender and receiver see the same
	Ask     Verdict = "ask"     // not known yet: get what Heard.Ask names, and compare again
	Differs Verdict = "differs" // Heard.Failure says in what
)

// Wanted is what a comparison needs next.
type Wanted string

const (
	WantNothing Wanted = ""
	WantLookup  Wanted = "lookup"  // a Lookup of the sender's account, which brings a newer checkpoint too
	WantHistory Wanted = "history" // a Lookup of it with History
	WantTree    Wanted = "tree"    // the hashes of this client's own checkpoint's tree, from the log's tiles
	WantNote    Wanted = "note"    // the sender's signed checkpoint (State.Note), from the sender
)

// Heard is the outcome of Compare. Ask may be WantNote beside Differs: the
// failure stands, and the sender's note may turn it into evidence.
type Heard struct {
	Verdict Verdict
	Ask     Wanted
	Failure *Failure
	Erased  bool // the sender's event is erased since, so only the trees were compared
}

// Facts is what the receiver of a tag got, after it came. The zero value is
// where a comparison starts.
type Facts struct {
	Found *Found          // of a Lookup after the tag came, under the state that is given
	Node  answer.NodeFunc // the tree of the state's checkpoint. It may lie
	Note  []byte          // the sender's signed checkpoint: the tag's, or any other that it holds

	Pending time.Duration // since the tag came. After TagPatience an open question is a failure
}

// Compare holds a tag that came in a message from account against what this
// client has verified. It asks nobody: it says what is to be asked, and is
// called again with that until it agrees or differs. The application keeps
// account and tag until then, and tells its user of a difference. An error
// says that a fact is of no use: get it again, and compare with what is left.
func (v *Verifier) Compare(state *State, account name.AccountID, t Tag, f Facts) (*Heard, error) {
	if state == nil || state.LogKey != v.Policy.Log.String() {
		return nil, errors.New("comparing a message tag: no state of the policy's log: look the sender up first")
	}
	own, err := state.checkpoint()
	if err != nil {
		return nil, fmt.Errorf("comparing a message tag: %w", err)
	}
	if f.Found != nil && f.Found.ID != account {
		return nil, fmt.Errorf("comparing a message tag of account %s: what was found is of account %s", account, f.Found.ID)
	}
	tree, err := compareTree(own, state.Sealed, t, f)
	if err != nil {
		return nil, fmt.Errorf("comparing a message tag: %w", err)
	}
	if tree.Failure != nil {
		return v.accuse(state, tree.Failure, f), nil
	}
	h := compareHead(state.Account(account), own.Size, t, f)
	if tree.Ask != WantNothing && h.Failure == nil {
		h.Ask = tree.Ask
	}
	if h.Failure == nil && h.Ask != WantNothing && f.Pending > TagPatience {
		// Whoever keeps the answer back would else have silence for ever.
		h.Failure = fail(CheckTag, "after %v nothing confirms seq %d under %d leaves, which the sender has seen: no %s was to be had", f.Pending.Round(time.Second), t.Seq, t.Size, h.Ask)
	}
	switch {
	case h.Failure != nil:
		h.Failure.Account = &account
		return v.accuse(state, h.Failure, f), nil
	case h.Ask != WantNothing:
		h.Verdict = Ask
	default:
		h.Verdict = Agrees
	}
	return h, nil
}

// compareTree: the sender's tree and this client's are one.
func compareTree(own checkpoint.Checkpoint, sealed bool, t Tag, f Facts) (*Heard, error) {
	root := own.Root
	switch {
	case t.Size > own.Size && sealed:
		return &Heard{Failure: fail(CheckSealed, "the log was sealed at size %d, the sender has seen %d leaves", own.Size, t.Size)}, nil
	case t.Size > own.Size:
		return &Heard{Ask: WantLookup}, nil
	case t.Size < own.Size && f.Node == nil:
		return &Heard{Ask: WantTree}, nil
	case t.Size < own.Size:
		var err error
		if root, _, err = rootAt(own, t.Size, f.Node); err != nil && f.Pending > TagPatience {
			return &Heard{Ask: WantTree}, nil
		} else if err != nil {
			return nil, err
		}
	}
	if prefixOf(root) != t.Root {
		return &Heard{Failure: fail(CheckSplitView, "at size %d this client has root %s, the sender has one that begins with %x", t.Size, root, t.Root)}, nil
	}
	return &Heard{}, nil
}

// compareHead: the sender's newest event lies on the chain that this client
// verifies, in the tree that both know.
func compareHead(a *Account, size uint64, t Tag, f Facts) *Heard {
	if a == nil || t.Seq > a.Seq {
		// A tree that holds the sender's holds its event too.
		if f.Found == nil || size < t.Size {
			return &Heard{Ask: WantLookup}
		}
		return &Heard{Failure: fail(CheckTag, "the sender has seen seq %d under %d leaves; under %d leaves this client is shown less", t.Seq, t.Size, size)}
	}
	generation, id := a.Generation, a.Event
	if t.Seq < a.Seq {
		if f.Found == nil {
			return &Heard{Ask: WantHistory}
		}
		if f.Found.ErasedBefore != nil && t.Seq < *f.Found.ErasedBefore {
			return &Heard{Erased: true}
		}
		e := f.Found.event(t.Seq)
		if e == nil {
			return &Heard{Ask: WantHistory}
		}
		generation, id = e.Generation, e.ID()
	}
	if t.Generation != generation || t.Event != prefixOf(id) {
		return &Heard{Failure: fail(CheckSplitView, "seq %d is event %s of generation %d, for the sender it is one of generation %d that begins with %x", t.Seq, id, generation, t.Generation, t.Event)}
	}
	return &Heard{}
}

func (f *Found) event(seq uint32) *event.Event {
	for _, e := range f.Events {
		if e.Seq == seq {
			return e.Event
		}
	}
	return nil
}

// accuse adds to a difference what can be shown of it to others: evidence if
// the two notes and the tree give some, else the notes themselves. A tag alone
// shows nothing: the sender, too, could have made it up.
func (v *Verifier) accuse(state *State, failure *Failure, f Facts) *Heard {
	h := &Heard{Verdict: Differs, Failure: failure}
	if f.Note == nil {
		h.Ask = WantNote
		return h
	}
	file, err := ProveFork(v.Policy.Log, state.Note, f.Note, f.Node)
	switch {
	case err == nil:
		failure.Evidence = file
	case errors.Is(err, ErrTree): // the log signed both
		failure.Notes = [][]byte{state.Note, f.Note}
	case errors.Is(err, ErrNoFork):
		failure.Err = fmt.Errorf("%w; and yet the sender's checkpoint is of this client's tree", failure.Err)
	default:
		h.Ask = WantNote
		failure.Err = fmt.Errorf("%w; what the sender gave as its checkpoint is none: %w", failure.Err, err)
	}
	return h
}
