package main

import (
	"slices"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/verifier"
)

// victim says what a lie is told to.
type victim struct {
	source verifier.Source
	state  *verifier.State
	asks   []verifier.Question
}

// lie is told by a log that has all its keys, hashes and signs what it says,
// and proves what can be proven.
type lie struct {
	name string
	want verifier.Check
	tell func(w *world) victim
}

func (f *answerFile) lies() {
	for _, l := range slices.Concat(liesOfForm, liesOfCheckpoints, liesOfMaps, liesOfAnswers, liesOfEvents) {
		w := newWorld()
		v := l.tell(w)
		t := w.look(v.source, v.state, v.asks...)
		agree(verifier.FailedCheck(t.err) == l.want, "lie %q: %v, want %s", l.name, t.err, l.want)
		f.Refused = append(f.Refused, answerCase{Name: l.name, Why: l.want, Policy: f.own(w), NowMs: w.now().UnixMilli(), State: f.state(v.state), Pages: t.pages})
	}
}

// epoch is the leaf that would close an epoch now.
func (w *world) epoch() *leaf.Epoch {
	return &leaf.Epoch{Epoch: w.log.Epochs, TimeMs: w.log.TimeMs, First: w.log.First, Keys: w.log.Keys, PrefixRoot: w.log.Tree.Root()}
}

// seal is the same as a SEAL.
func (w *world) seal(successor name.Origin) *leaf.Epoch {
	e := w.epoch()
	e.Sealed, e.Successor = true, successor
	return e
}

// move claims another position for a version, in the map too.
func (w *world) move(id string, seq int, position uint64) {
	r := &w.log.Records[w.account(id)][seq]
	_, index, _ := w.log.VRF(w.account(id), uint32(seq))
	r.Position = position
	w.log.Map[index] = liar.Entry{Value: prefix.Value(position, r.Commitment), Position: position}
	w.log.Seal()
}

// closed is a version that is shown without its event.
func closed(v *answer.Version) {
	*v = answer.Version{Seq: v.Seq, Proof: v.Proof, Form: answer.Closed, Position: v.Position, Commitment: v.Commitment}
}

// notBehind makes a log answer a returning client though it has less than
// that knows.
func (w *world) notBehind(id string) verifier.Source {
	return asked(w.log, func(r *answer.Request) {
		for i := range r.Asks {
			if r.Asks[i].Account == w.account(id) {
				r.Asks[i].Seq = uint32(len(w.log.Records[w.account(id)]) - 1)
			}
		}
	})
}

// reproved makes an answer's proofs anew for the versions that it has, without
// the inclusion of one position.
func (w *world) reproved(a *answer.Answer, without uint64) {
	size := uint64(len(w.log.Leaves))
	positions := []uint64{size - 1}
	if len(a.Genesis) > 0 {
		positions = append(positions, 0)
	}
	var indexes []name.Index
	for _, account := range a.Accounts {
		for _, v := range account.Versions {
			_, index, _ := w.log.VRF(account.ID, v.Seq)
			indexes = append(indexes, index)
			if v.Form != answer.Absent && v.Position != without {
				positions = append(positions, v.Position)
			}
		}
	}
	a.Proofs = nil
	for part := range slices.Chunk(indexes, answer.ProofCut) {
		a.Proofs = append(a.Proofs, must(w.log.Show(part)))
	}
	slices.Sort(positions)
	a.Nodes = must(answer.Nodes(size, positions, w.log.Node))
}

var liesOfForm = []lie{
	{"a byte too many", verifier.CheckForm, changed(func(b []byte) []byte { return append(b, 0) })},
	{"version 2", verifier.CheckForm, changed(func(b []byte) []byte { b[1] = 2; return b })},
	{"no account", verifier.CheckForm, twist(func(a *answer.Answer) { a.Accounts, a.Proofs = nil, nil })},
	{"no EPOCH", verifier.CheckForm, twist(func(a *answer.Answer) { a.Epoch = nil })},
	{"a note without its last line break", verifier.CheckForm, twist(func(a *answer.Answer) { a.Note = a.Note[:len(a.Note)-1] })},
	{"opens backwards", verifier.CheckForm, twist(func(a *answer.Answer) { a.Accounts[0].From = 9 })},
}

// changed changes the bytes of a good answer about alice, twist its parts.
func changed(change func([]byte) []byte) func(w *world) victim {
	return func(w *world) victim {
		w.plays("alice.")
		return victim{rawly{w.log, change}, nil, ask(first("alice"))}
	}
}

func twist(change func(*answer.Answer)) func(w *world) victim {
	return func(w *world) victim {
		w.plays("alice.")
		return victim{twisted(w.log, change), nil, ask(first("alice"))}
	}
}

var liesOfCheckpoints = []lie{
	{"another log", verifier.CheckLogSignature, func(w *world) victim {
		return victim{liar.New("other.example/log", start), nil, ask(first("alice"))}
	}},
	{"too few cosignatures", verifier.CheckQuorum, func(w *world) victim {
		w.cosigns("one")
		w.cosigns("two")
		w.plays("alice.")
		w.withLines(func(l []line) []line { return l[:2] })
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"no signature of the log", verifier.CheckLogSignature, func(w *world) victim {
		w.cosigns("one")
		w.log.Seal()
		w.withLines(func(l []line) []line { return l[1:] })
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"stale cosignatures under a fresh epoch", verifier.CheckFreshness, func(w *world) victim {
		w.cosigns("one")
		w.plays("alice.")
		fresh := w.log.TimeMs
		w.log.TimeMs -= uint64(2 * verifier.DefaultMaxAge / time.Millisecond)
		w.log.Sign()
		w.log.TimeMs = fresh
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"an epoch a millisecond too old", verifier.CheckFreshness, func(w *world) victim {
		w.plays("alice.")
		w.later = verifier.DefaultMaxAge - time.Second + time.Millisecond
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"epoch time that wraps around", verifier.CheckFreshness, func(w *world) victim {
		w.plays("alice.")
		e := w.epoch()
		e.TimeMs = 1<<64 - 1
		w.log.SealAs(e)
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"another key of the log than the state's", verifier.CheckGenesis, func(w *world) victim {
		w.plays("alice.")
		seen := w.seen(nil, first("alice"))
		w.log.Signer = must(newSigner(string(origin), liar.Seed("second log key")))
		w.log.Seal()
		return victim{w.log, seen, ask(first("alice"))}
	}},
	{"shorter than what was seen", verifier.CheckRollback, func(w *world) victim {
		w.plays("alice.")
		old := w.log.Fork()
		w.plays("alice+")
		seen := w.seen(nil, first("bob"))
		return victim{asked(old, func(r *answer.Request) { r.Size = 0 }), seen, ask(first("bob"))}
	}},
	{"forked history, another root at the same size", verifier.CheckSplitView, func(w *world) victim {
		w.plays("alice.")
		fork := w.log.Fork()
		w.plays("alice+")
		seen := w.seen(nil, first("bob"))
		fork.Append(w.account("eve"), w.phone("eve").Register())
		fork.Seal()
		return victim{fork, seen, ask(first("bob"))}
	}},
	{"forked history, longer than what was seen", verifier.CheckConsistency, func(w *world) victim {
		w.plays("alice.")
		fork := w.log.Fork()
		w.plays("alice+")
		seen := w.seen(nil, first("bob"))
		fork.Append(w.account("eve"), w.phone("eve").Register())
		fork.Seal()
		fork.Seal()
		return victim{fork, seen, ask(first("bob"))}
	}},
	{"a consistency proof between equal sizes", verifier.CheckConsistency, func(w *world) victim {
		w.plays("alice.")
		seen := w.seen(nil, first("alice"))
		return victim{twisted(w.log, func(a *answer.Answer) { a.Consistency = []leaf.Hash{{}} }), seen, ask(first("alice"))}
	}},
	{"a log that goes on after its SEAL", verifier.CheckSealed, func(w *world) victim {
		w.plays("alice.")
		w.log.SealAs(w.seal(""))
		seen := w.seen(nil, first("alice"))
		w.plays("alice+")
		return victim{w.log, seen, ask(first("alice"))}
	}},
	{"a SEAL under stale cosignatures, no auditor needed", verifier.CheckFreshness, func(w *world) victim {
		w.cosigns("one")
		w.log.SealAs(w.seal(""))
		w.later = verifier.DefaultMaxAge
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"a SEAL of the future", verifier.CheckFreshness, func(w *world) victim {
		w.log.SealAs(w.seal(""))
		w.later = -302 * time.Second
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"a SEAL whose successor is its own log", verifier.CheckEpoch, func(w *world) victim {
		w.log.SealAs(w.seal(origin))
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"no GENESIS though it is asked for", verifier.CheckAsked, twist(func(a *answer.Answer) { a.Genesis = nil })},
	{"GENESIS though it is known", verifier.CheckAsked, func(w *world) victim {
		seen := w.seen(nil, first("alice"))
		return victim{twisted(w.log, func(a *answer.Answer) { a.Genesis = w.log.Leaves[0] }), seen, ask(first("alice"))}
	}},
	{"another log's GENESIS", verifier.CheckGenesis, func(w *world) victim {
		w.log.Leaves[0] = (&leaf.Genesis{Origin: "other.example/log", VRFKey: w.log.VRFKey.Public()}).Bytes()
		w.log.Sign()
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"a GENESIS that the log does not hold", verifier.CheckInclusion, func(w *world) victim {
		w.plays("alice.")
		g := leaf.Genesis{Origin: origin, VRFKey: w.log.VRFKey.Public(), Predecessor: "keys.example.org/log0\n2\n" + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" + "\n"}
		return victim{twisted(w.log, func(a *answer.Answer) { a.Genesis = g.Bytes() }), nil, ask(first("alice"))}
	}},
	{"a VRF key of small order", verifier.CheckGenesis, func(w *world) victim {
		w.log.Leaves[0] = (&leaf.Genesis{Origin: origin, VRFKey: [32]byte{1}}).Bytes()
		w.log.Sign()
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"a tree of another size with the same last leaf", verifier.CheckEpoch, func(w *world) victim {
		w.plays("alice.", "bob.")
		size := uint64(len(w.log.Leaves))
		root := must(answer.Range(0, size, w.log.Node))
		w.log.SignAs(checkpointOf(size+1, name.TreeRoot(root)))
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"a last leaf that is no EPOCH", verifier.CheckEpoch, func(w *world) victim {
		w.log.Append(w.account("alice"), w.phone("alice").Register())
		w.log.Sign()
		return victim{w.log, nil, ask(first("bob"))}
	}},
	{"an earlier EPOCH shown as the last leaf", verifier.CheckEpoch, func(w *world) victim {
		w.plays("alice.")
		return victim{twisted(w.log, func(a *answer.Answer) { a.Epoch = w.log.Leaves[1] }), nil, ask(first("bob"))}
	}},
	{"an event of a reserved type", verifier.CheckNewer, func(w *world) victim {
		w.plays("alice.")
		body := slices.Clone(w.log.Records[w.account("alice")][0].Event)
		body[0] = byte(event.Confirm) + 1
		w.log.Append(w.account("alice"), body)
		w.log.Seal()
		return victim{w.log, nil, ask(history("alice"))}
	}},
}
