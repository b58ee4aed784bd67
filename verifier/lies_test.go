package verifier_test

import (
	"slices"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/verifier"
)

// lie is told by a log that has all its keys, hashes and signs what it says, and
// proves what can be proven. Each is refused, by the check that is there for it.
type lie struct {
	name string
	want verifier.Check
	tell func(w *world) victim
}

var lies = slices.Concat(logLies, openingLies)

// logLies are about the log, its map, and whose events are shown.
var logLies = []lie{
	{"ghost device, signed by a key of the server's", verifier.CheckRules, func(w *world) victim {
		w.plays("alice.", "alice+")
		p := w.phone("alice")
		ghost := liar.NewPhone(origin, "ghost", start).NewKey()
		e := p.Draft(event.AddDevice)
		e.KeyIndex, e.Subject = e.Seq, ghost.Public()
		e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, append(p.At.Clone().Devices, event.Device{KeyIndex: e.Seq, Key: e.Subject}))
		w.log.Append(p.Account(), liar.Sign(e, ghost, ghost).Bytes())
		w.log.Seal()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"ghost device in the list beside an honest anchor", verifier.CheckRules, func(w *world) victim {
		w.plays("alice.", "alice+", "alice=")
		ghost := liar.NewPhone(origin, "ghost", start).NewKey()
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
			a.Accounts[0].Devices = slices.Insert(a.Accounts[0].Devices, 0, event.Device{KeyIndex: 1, Key: ghost.Public()})
			a.Accounts[0].Devices[1].KeyIndex = 2
		}}, asks: first("alice")}
	}},
	{"a device under another key_index", verifier.CheckRules, func(w *world) victim {
		w.plays("alice.", "alice+", "alice+", "alice=")
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
			d := a.Accounts[0].Devices
			d[0].Key, d[1].Key = d[1].Key, d[0].Key
		}}, asks: first("alice")}
	}},
	{"replayed removed device: its old event logged again", verifier.CheckRules, func(w *world) victim {
		w.plays("alice.", "alice+", "alice-1")
		alice := w.phone("alice").Account()
		w.log.Append(alice, w.log.Records[alice][1].Event)
		w.log.Seal()
		return victim{source: w.log, asks: history("alice")}
	}},
	{"replayed removed device: listed after its removal", verifier.CheckRules, func(w *world) victim {
		w.plays("alice.", "alice+", "alice-1")
		device := event.Device{KeyIndex: 1, Key: w.phone("alice").Companions[1].Public()}
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Accounts[0].Devices = []event.Device{device} }}, asks: first("alice")}
	}},
	{"omitted removal: the answer ends before it", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.", "alice+", "alice_1")
		return victim{source: w.withoutNewest("alice"), asks: first("alice")}
	}},
	{"omitted removal: the map forgets it too, before its owner", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice+", "alice_1")
		_, owner := w.mustLook(nil, history("alice"))
		alice := w.phone("alice").Account()
		_, index, _ := w.log.VRF(alice, 2)
		delete(w.log.Map, index)
		w.log.Records[alice] = w.log.Records[alice][:2]
		w.log.Seal()
		return victim{source: notBehind(w.log, alice), state: owner, asks: first("alice")}
	}},
	{"forked history, another root at the same size", verifier.CheckSplitView, func(w *world) victim {
		w.plays("alice.")
		fork := w.log.Fork()
		w.plays("alice+")
		_, seen := w.mustLook(nil, first("bob"))
		fork.Append(w.phone("eve").Account(), w.phone("eve").Register())
		fork.Seal()
		return victim{source: fork, state: seen, asks: first("bob")}
	}},
	{"forked history, longer than what was seen", verifier.CheckConsistency, func(w *world) victim {
		w.plays("alice.")
		fork := w.log.Fork()
		w.plays("alice+")
		_, seen := w.mustLook(nil, first("bob"))
		fork.Append(w.phone("eve").Account(), w.phone("eve").Register())
		fork.Seal()
		fork.Seal()
		return victim{source: fork, state: seen, asks: first("bob")}
	}},
	{"shorter than what was seen", verifier.CheckRollback, func(w *world) victim {
		w.plays("alice.")
		old := w.log.Fork()
		w.plays("alice+")
		_, seen := w.mustLook(nil, first("bob"))
		return victim{source: forgetful(old), state: seen, asks: first("bob")}
	}},
	{"stale checkpoint", verifier.CheckFreshness, func(w *world) victim {
		w.plays("alice.")
		old := w.log.Fork()
		w.log.TimeMs += uint64((verifier.DefaultMaxAge + time.Minute).Milliseconds())
		return victim{source: old, asks: first("alice")}
	}},
	{"stale epoch under fresh cosignatures", verifier.CheckFreshness, func(w *world) victim {
		w.log.Cosigners = append(w.log.Cosigners, cosigner(w.t, "witness"))
		w.plays("alice.")
		w.log.TimeMs += uint64((verifier.DefaultMaxAge + time.Minute).Milliseconds())
		w.log.Sign()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"epoch of the future", verifier.CheckFreshness, func(w *world) victim {
		w.plays("alice.")
		future := w.log.Fork()
		future.TimeMs += uint64(time.Hour.Milliseconds())
		future.Seal()
		return victim{source: future, asks: first("alice")}
	}},
	{"epoch time that wraps around", verifier.CheckFreshness, func(w *world) victim {
		w.plays("alice.")
		w.log.SealAs(&leaf.Epoch{Epoch: w.log.Epochs, TimeMs: 1<<64 - 1, First: w.log.First, Keys: w.log.Keys, PrefixRoot: w.log.Tree.Root()})
		return victim{source: w.log, asks: first("alice")}
	}},
	{"wrong epoch root", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.")
		old := w.log.Tree.Root()
		w.log.Append(w.phone("alice").Account(), w.phone("alice").Add())
		w.log.Seal()
		w.log.SealAs(&leaf.Epoch{Epoch: w.log.Epochs, TimeMs: w.log.TimeMs, First: w.log.First, Keys: w.log.Keys, PrefixRoot: old})
		return victim{source: w.log, asks: first("alice")}
	}},
	{"a map that dropped a rung", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.", "alice+", "alice+", "alice+")
		_, index, _ := w.log.VRF(w.phone("alice").Account(), 1)
		delete(w.log.Map, index)
		w.log.Seal()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"hidden later version: the owner is shown n=1, a stranger 3", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.", "alice+")
		alice := w.phone("alice").Account()
		w.log.AppendAt(alice, 3, w.phone("alice").Confirm())
		w.log.Records[alice] = w.log.Records[alice][:2]
		w.log.Seal()
		return victim{source: w.log, asks: history("alice")}
	}},
	{"no such account", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.")
		delete(w.log.Records, w.phone("alice").Account())
		return victim{source: w.log, asks: first("alice")}
	}},
	{"another account's events, under this one's index", verifier.CheckRules, func(w *world) victim {
		w.plays("bob.")
		w.log.Append(w.phone("alice").Account(), w.phone("eve").Register())
		w.log.Seal()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"another account's answer", verifier.CheckAsked, func(w *world) victim {
		w.plays("alice.", "bob.")
		bob := w.phone("bob").Account()
		return victim{source: swapped(w.log, bob), asks: first("alice")}
	}},
	{"another account's indexes", verifier.CheckVRF, func(w *world) victim {
		w.plays("alice.", "bob.")
		bob := w.phone("bob").Account()
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
			r, _ := w.log.Answer(&answer.Request{Asks: []answer.Ask{{Account: bob, Most: 1}}})
			id := a.Accounts[0].ID
			*a = *r
			a.Accounts[0].ID = id
		}}, asks: first("alice")}
	}},
	{"another log's events", verifier.CheckRules, func(w *world) victim {
		other := liar.NewPhone("other.example/log", "alice", start)
		w.log.Append(other.Account(), other.Register())
		w.log.Seal()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"another log", verifier.CheckLogSignature, func(w *world) victim {
		return victim{source: liar.New("other.example/log", start), asks: first("alice")}
	}},
	{"another GENESIS under this log's name", verifier.CheckGenesis, func(w *world) victim {
		w.log.Leaves[0] = (&leaf.Genesis{Origin: "other.example/log", VRFKey: w.log.VRFKey.Public()}).Bytes()
		w.log.Sign()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"another VRF key than GENESIS fixed", verifier.CheckVRF, func(w *world) victim {
		w.plays("alice.")
		_, seen := w.mustLook(nil, first("alice"))
		second := w.log.Fork()
		second.VRFKey = vrf.NewPrivateKey(liar.Seed("second VRF key"))
		return victim{source: forgetProofs(second), state: seen, asks: first("alice")}
	}},
	{"a VRF key that GENESIS does not hold", verifier.CheckInclusion, func(w *world) victim {
		w.plays("alice.")
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
			g := leaf.Genesis{Origin: origin, VRFKey: w.log.VRFKey.Public(), Predecessor: "x"}
			a.Genesis = g.Bytes()
		}}, asks: first("alice")}
	}},
	{"a VRF key of small order", verifier.CheckGenesis, func(w *world) victim {
		w.log.Leaves[0] = (&leaf.Genesis{Origin: origin, VRFKey: [32]byte{1}}).Bytes()
		w.log.Sign()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"a tree of another size with the same last leaf", verifier.CheckEpoch, func(w *world) victim {
		w.plays("alice.", "alice+", "bob.")
		size := uint64(len(w.log.Leaves))
		root, _ := answer.Range(0, size, w.log.Node)
		w.log.SignAs(checkpoint.Checkpoint{Origin: origin, Size: size + 1, Root: name.TreeRoot(root)})
		return victim{source: w.log, asks: first("alice")}
	}},
	{"a last leaf that is no EPOCH", verifier.CheckEpoch, func(w *world) victim {
		w.log.Append(w.phone("alice").Account(), w.phone("alice").Register())
		w.log.Sign()
		return victim{source: w.log, asks: first("bob")}
	}},
	{"an earlier EPOCH shown as the last leaf", verifier.CheckEpoch, func(w *world) victim {
		w.plays("alice.")
		old := w.log.Leaves[1]
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Epoch = old }}, asks: first("bob")}
	}},
	{"an EPOCH that the log does not hold", verifier.CheckInclusion, func(w *world) victim {
		w.plays("alice.")
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
			l, _ := leaf.Parse(a.Epoch)
			e := *l.(*leaf.Epoch)
			e.TimeMs++
			a.Epoch = e.Bytes()
		}}, asks: first("alice")}
	}},
	{"phantom in the map: a version without a leaf", verifier.CheckInclusion, func(w *world) victim {
		w.plays("alice.")
		p := w.phone("alice")
		body := p.Add()
		position := w.log.Append(p.Account(), body)
		w.log.Leaves[position] = (&leaf.Event{Index: name.Index{1}, Commitment: name.Commitment{2}}).Bytes()
		w.log.Seal()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"phantom rung that is not opened", verifier.CheckInclusion, func(w *world) victim {
		w.plays("alice.", "alice+", "alice=")
		w.log.Leaves[w.log.Records[w.phone("alice").Account()][0].Position] = (&leaf.Event{Index: name.Index{1}}).Bytes()
		w.log.Seal()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"two versions at one position", verifier.CheckPositions, func(w *world) victim {
		w.plays("alice.", "alice+")
		r := w.log.Records[w.phone("alice").Account()]
		w.move("alice", 1, r[0].Position)
		return victim{source: w.log, asks: first("alice")}
	}},
	{"positions that fall as seq rises", verifier.CheckPositions, func(w *world) victim {
		w.plays("alice.", "bob.", "alice+")
		w.move("alice", 0, w.log.Records[w.phone("alice").Account()][1].Position+1)
		return victim{source: w.log, asks: first("alice")}
	}},
	{"one position for two accounts", verifier.CheckPositions, func(w *world) victim {
		w.plays("alice.", "bob.")
		w.move("bob", 0, w.log.Records[w.phone("alice").Account()][0].Position)
		return victim{source: w.log, asks: first("alice"), more: []verifier.Question{first("bob")}}
	}},
	{"a position beyond the EPOCH", verifier.CheckPositions, func(w *world) victim {
		w.plays("alice.")
		w.log.Append(w.phone("alice").Account(), w.phone("alice").Add())
		entry := w.log.Map
		w.log.Leaves = w.log.Leaves[:len(w.log.Leaves)-1]
		w.log.Keys--
		w.log.Map = entry
		w.log.Seal()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"a position beyond the tree", verifier.CheckPositions, func(w *world) victim {
		w.plays("alice.", "alice+")
		honest := w.log.Records[w.phone("alice").Account()][1].Position
		w.move("alice", 1, 1000)
		w.log.Records[w.phone("alice").Account()][1].Position = honest // where the proof is made
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
			a.Accounts[0].Versions[1].Position = 1000
		}}, asks: first("alice")}
	}},
	{"a log that goes on after its SEAL", verifier.CheckSealed, func(w *world) victim {
		w.plays("alice.")
		w.log.SealAs(&leaf.Epoch{Epoch: w.log.Epochs, TimeMs: w.log.TimeMs, First: w.log.First, Keys: w.log.Keys, PrefixRoot: w.log.Tree.Root(), Sealed: true})
		_, seen := w.mustLook(nil, first("alice"))
		w.plays("alice+")
		return victim{source: w.log, state: seen, asks: first("alice")}
	}},
	{"too few cosignatures", verifier.CheckQuorum, func(w *world) victim {
		w.log.Cosigners = append(w.log.Cosigners, cosigner(w.t, "one"), cosigner(w.t, "two"))
		w.plays("alice.")
		note, _ := checkpoint.Parse(w.log.Note)
		note.Lines = note.Lines[:2]
		w.log.Note = note.Bytes()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"no signature of the log", verifier.CheckLogSignature, func(w *world) victim {
		w.log.Cosigners = append(w.log.Cosigners, cosigner(w.t, "one"))
		w.plays("alice.")
		note, _ := checkpoint.Parse(w.log.Note)
		note.Lines = note.Lines[1:]
		w.log.Note = note.Bytes()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"a consistency proof between equal sizes", verifier.CheckConsistency, func(w *world) victim {
		w.plays("alice.")
		_, seen := w.mustLook(nil, first("alice"))
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Consistency = []leaf.Hash{{}} }}, state: seen, asks: first("alice")}
	}},
	{"a consistency proof from nothing", verifier.CheckAsked, func(w *world) victim {
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Consistency = []leaf.Hash{{}} }}, asks: first("alice")}
	}},
	{"GENESIS though it is known", verifier.CheckAsked, func(w *world) victim {
		_, seen := w.mustLook(nil, first("alice"))
		genesis := w.log.Leaves[0]
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Genesis = genesis }}, state: seen, asks: first("alice")}
	}},
}

func TestLiesAreRefused(t *testing.T) {
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			w := newWorld(t)
			v := lie.tell(w)
			r, _, err := w.look(v.source, v.state, append([]verifier.Question{v.asks}, v.more...)...)
			if got := verifier.FailedCheck(err); got != lie.want {
				t.Errorf("refused by check %q (%v), want %q; result %+v", got, err, lie.want, r)
			}
		})
	}
	t.Logf("%d lies told, 0 believed", len(lies))
}
