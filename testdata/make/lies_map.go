package main

import (
	"slices"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/verifier"
)

type line = checkpoint.Line

var newSigner = checkpoint.NewSigner

func checkpointOf(size uint64, root name.TreeRoot) checkpoint.Checkpoint {
	return checkpoint.Checkpoint{Origin: origin, Size: size, Root: root}
}

// withLines changes the newest note's signature lines.
func (w *world) withLines(change func([]line) []line) {
	note := must(checkpoint.Parse(w.log.Note))
	note.Lines = change(note.Lines)
	w.log.Note = note.Bytes()
}

// forget takes a version out of the map.
func (w *world) forget(id string, seq uint32) {
	_, index, _ := w.log.VRF(w.account(id), seq)
	delete(w.log.Map, index)
}

// withoutNewest is the log hiding an account's newest event from answers,
// while the map still holds it.
func (w *world) withoutNewest(id string) *liar.Log {
	f := w.log.Fork()
	f.Records[w.account(id)] = f.Records[w.account(id)][:len(f.Records[w.account(id)])-1]
	return f
}

var liesOfMaps = []lie{
	{"omitted removal: the answer ends before it", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.", "alice+", "alice_1")
		return victim{w.withoutNewest("alice"), nil, ask(first("alice"))}
	}},
	{"no such account", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.")
		delete(w.log.Records, w.account("alice"))
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"a map that dropped a rung", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.", "alice+", "alice+", "alice+")
		w.forget("alice", 1)
		w.log.Seal()
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"hidden later version: the owner is shown n = 1, a stranger 3", verifier.CheckPrefix, func(w *world) victim {
		w.plays("alice.", "alice+")
		w.log.AppendAt(w.account("alice"), 3, w.phone("alice").Confirm())
		w.log.Records[w.account("alice")] = w.log.Records[w.account("alice")][:2]
		w.log.Seal()
		return victim{w.log, nil, ask(history("alice"))}
	}},
	{"another position in the map than in the answer", verifier.CheckPrefix, twist(func(a *answer.Answer) { a.Accounts[0].Versions[0].Position++ })},
	{"another account's indexes", verifier.CheckVRF, func(w *world) victim {
		w.plays("alice.", "bob.")
		return victim{twisted(w.log, func(a *answer.Answer) {
			r := must(w.log.Answer(&answer.Request{Asks: []answer.Ask{{Account: w.account("bob"), Most: 1}}}))
			id := a.Accounts[0].ID
			*a = *r
			a.Accounts[0].ID = id
		}), nil, ask(first("alice"))}
	}},
	{"another VRF key than GENESIS fixed", verifier.CheckVRF, func(w *world) victim {
		w.plays("alice.")
		seen := w.seen(nil, first("alice"))
		second := w.log.Fork()
		second.VRFKey = vrf.NewPrivateKey(liar.Seed("second VRF key"))
		second.ForgetProofs()
		return victim{second, seen, ask(first("alice"))}
	}},
	{"a rung left out, the rest proven around it", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice+", "alice=", "alice=")
		return victim{twisted(w.log, func(a *answer.Answer) {
			a.Accounts[0].Versions = slices.Delete(a.Accounts[0].Versions, 1, 2)
			w.reproved(a, 0)
		}), nil, ask(first("alice"))}
	}},
	{"a closed rung without its inclusion", verifier.CheckInclusion, func(w *world) victim {
		w.plays("alice.", "alice+", "alice=")
		return victim{twisted(w.log, func(a *answer.Answer) { w.reproved(a, a.Accounts[0].Versions[0].Position) }), nil, ask(first("alice"))}
	}},
	{"a node too many", verifier.CheckInclusion, twist(func(a *answer.Answer) { a.Nodes = append(a.Nodes, leaf.Hash{}) })},
	{"two versions at one position", verifier.CheckPositions, func(w *world) victim {
		w.plays("alice.", "alice+")
		w.move("alice", 1, w.log.Records[w.account("alice")][0].Position)
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"positions that fall as seq rises", verifier.CheckPositions, func(w *world) victim {
		w.plays("alice.", "bob.", "alice+")
		w.move("alice", 0, w.log.Records[w.account("alice")][1].Position+1)
		return victim{w.log, nil, ask(first("alice"))}
	}},
}

var liesOfAnswers = []lie{
	{"another account's answer", verifier.CheckAsked, func(w *world) victim {
		w.plays("alice.", "bob.")
		return victim{asked(w.log, func(r *answer.Request) { r.Asks[0].Account = w.account("bob") }), nil, ask(first("alice"))}
	}},
	{"more opened than asked for", verifier.CheckAsked, func(w *world) victim {
		w.plays("alice.", "alice+")
		return victim{twisted(w.log, func(a *answer.Answer) { a.Accounts[0].Events, a.Accounts[0].To = 1000, 1000 }), nil, ask(history("alice"))}
	}},
	{"a device list that was not asked for", verifier.CheckAsked, func(w *world) victim {
		w.plays("alice.", "alice+")
		return victim{twisted(w.log, func(a *answer.Answer) { a.Accounts[0].Devices = []event.Device{w.device("alice", 1)} }), nil, ask(history("alice"))}
	}},
	{"an event that should be opened sent closed", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice+", "alice_1")
		return victim{twisted(w.log, func(a *answer.Answer) { closed(&a.Accounts[0].Versions[2]) }), nil, ask(first("alice"))}
	}},
	{"nothing opened though there is something new", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.")
		return victim{twisted(w.log, func(a *answer.Answer) {
			a.Accounts[0].From = 1
			closed(&a.Accounts[0].Versions[0])
		}), nil, ask(history("alice"))}
	}},
	{"the accepted event opened again", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.")
		seen := w.seen(nil, first("alice"))
		return victim{asked(w.log, func(r *answer.Request) { r.Asks[0].Kind, r.Asks[0].Seq = answer.History, 0 }), seen, ask(first("alice"))}
	}},
	{"a first lookup that begins at no anchor", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice+", "alice/1")
		w.log.Records[w.account("alice")][2].Anchor = 2
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"a history that begins late", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice+", "alice-1")
		w.log.Records[w.account("alice")][2].Erase = 1
		return victim{w.log, nil, ask(history("alice"))}
	}},
	{"a returning contact is not shown what came first", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.")
		seen := w.seen(nil, first("alice"))
		w.plays("alice+", "alice-1")
		w.log.Records[w.account("alice")][2].Erase = 2
		return victim{w.log, seen, ask(first("alice"))}
	}},
	{"an ERASE in the middle of what is opened", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice#", "alice*")
		w.log.Records[w.account("alice")][2].Erase = answer.None
		return victim{w.log, nil, ask(history("alice"))}
	}},
	{"the opening of another commitment", verifier.CheckOpening, func(w *world) victim {
		w.plays("alice.")
		w.log.Records[w.account("alice")][0].Opening[0] ^= 1
		return victim{w.log, nil, ask(first("alice"))}
	}},
}

var liesOfEvents = []lie{
	{"ghost device, signed by a key of the server's", verifier.CheckRules, func(w *world) victim {
		w.plays("alice.", "alice+")
		p, ghost := w.phone("alice"), liar.NewPhone(origin, "ghost", start).NewKey()
		e := p.Draft(event.AddDevice)
		e.KeyIndex, e.Subject = e.Seq, ghost.Public()
		e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, append(p.At.Clone().Devices, event.Device{KeyIndex: e.Seq, Key: e.Subject}))
		w.log.Append(p.Account(), liar.Sign(e, ghost, ghost).Bytes())
		w.log.Seal()
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"ghost device in the list beside an honest anchor", verifier.CheckRules, func(w *world) victim {
		w.plays("alice.", "alice+", "alice=")
		ghost := liar.NewPhone(origin, "ghost", start).NewKey()
		return victim{twisted(w.log, func(a *answer.Answer) {
			a.Accounts[0].Devices = slices.Insert(a.Accounts[0].Devices, 0, event.Device{KeyIndex: 1, Key: ghost.Public()})
			a.Accounts[0].Devices[1].KeyIndex = 2
		}), nil, ask(first("alice"))}
	}},
	{"an event of another seq as the anchor", verifier.CheckRules, func(w *world) victim {
		w.plays("alice.", "alice+", "alice=")
		w.log.Append(w.account("alice"), w.log.Records[w.account("alice")][2].Event)
		w.log.Seal()
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"another log's events", verifier.CheckRules, func(w *world) victim {
		other := liar.NewPhone("other.example/log", "alice", start)
		w.log.Append(other.Account(), other.Register())
		w.log.Seal()
		return victim{w.log, nil, ask(first("alice"))}
	}},
	{"bytes that are no event", verifier.CheckRules, func(w *world) victim {
		w.log.Append(w.account("alice"), []byte("rubbish"))
		w.log.Seal()
		return victim{w.log, nil, ask(history("alice"))}
	}},
	{"omitted event: the map forgets it too, before who has seen it", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice=")
		seen := w.seen(nil, first("alice"))
		w.forget("alice", 1)
		w.log.Records[w.account("alice")] = w.log.Records[w.account("alice")][:1]
		w.log.Seal()
		return victim{w.notBehind("alice"), seen, ask(first("alice"))}
	}},
	{"an ERASE that goes back a generation", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice*")
		seen := w.seen(nil, first("alice"))
		w.plays("alice=")
		e := w.phone("alice").Draft(event.Erase)
		e.Generation, e.Primary = 0, event.Key{}
		e.DevicesHash = event.DevicesHash(e.Log, e.Account, 0, event.Key{}, nil)
		w.log.Append(e.Account, liar.Sign(e, nil, nil).Bytes())
		w.log.Seal()
		return victim{w.log, seen, ask(first("alice"))}
	}},
	{"an index overwritten with another leaf", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice=")
		seen := w.seen(nil, first("alice"))
		w.overwrite("alice")
		return victim{w.log, seen, ask(first("alice"))}
	}},
	{"pages: the second page forgets an event of the first", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice+", "alice+", "alice+")
		page := 0
		return victim{source(func(r *answer.Request) *answer.Answer {
			if page++; page == 2 {
				w.log.Records[w.account("alice")] = w.log.Records[w.account("alice")][:1]
				w.forget("alice", 1)
				w.forget("alice", 2)
				w.forget("alice", 3)
				w.log.Seal()
				r.Asks[0].Seq = 0
			}
			r.Asks[0].Most = 2
			return must(w.log.Answer(r))
		}), nil, ask(history("alice"))}
	}},
}

// overwrite logs the newest event again: a second leaf under one index.
func (w *world) overwrite(id string) {
	records := w.log.Records[w.account(id)]
	again := records[len(records)-1].Event
	w.log.Records[w.account(id)] = records[:len(records)-1]
	w.log.Append(w.account(id), again)
	w.log.Seal()
}
