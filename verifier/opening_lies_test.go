package verifier_test

import (
	"slices"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/verifier"
)

// openingLies are about which events are opened, and with what content.
var openingLies = []lie{
	{"an event that should be opened sent closed", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice+", "alice_1")
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
			v := &a.Accounts[0].Versions[2]
			*v = answer.Version{Seq: v.Seq, Proof: v.Proof, Form: answer.Closed, Position: v.Position, Commitment: v.Commitment}
		}}, asks: first("alice")}
	}},
	{"a first lookup that begins at an older anchor", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice+", "alice-1")
		alice := w.phone("alice").Account()
		for i := range w.log.Records[alice] {
			w.log.Records[alice][i].Anchor = 1
		}
		return victim{source: w.log, asks: first("alice")}
	}},
	{"a first lookup that begins at no anchor", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice+", "alice/1")
		alice := w.phone("alice").Account()
		w.log.Records[alice][2].Anchor = 2
		return victim{source: w.log, asks: first("alice")}
	}},
	{"a history that begins late", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice+", "alice-1")
		alice := w.phone("alice").Account()
		w.log.Records[alice][2].Erase = 1
		return victim{source: w.log, asks: history("alice")}
	}},
	{"a returning contact is not shown what came first", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.")
		_, seen := w.mustLook(nil, first("alice"))
		w.plays("alice+", "alice-1")
		alice := w.phone("alice").Account()
		w.log.Records[alice][2].Erase = 2
		return victim{source: w.log, state: seen, asks: first("alice")}
	}},
	{"an ERASE in the middle of what is opened", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.", "alice#", "alice*")
		alice := w.phone("alice").Account()
		w.log.Records[alice][2].Erase = answer.None
		return victim{source: w.log, asks: history("alice")}
	}},
	{"an ERASE that goes back a generation", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice*")
		_, seen := w.mustLook(nil, first("alice"))
		w.plays("alice=")
		e := w.phone("alice").Draft(event.Erase)
		e.Generation, e.Primary = 0, event.Key{}
		e.DevicesHash = event.DevicesHash(e.Log, e.Account, 0, event.Key{}, nil)
		w.log.Append(e.Account, liar.Sign(e, nil, nil).Bytes())
		w.log.Seal()
		return victim{source: w.log, state: seen, asks: first("alice")}
	}},
	{"nothing opened though there is something new", verifier.CheckRequired, func(w *world) victim {
		w.plays("alice.")
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) {
			v := &a.Accounts[0].Versions[0]
			a.Accounts[0].From = 1
			*v = answer.Version{Seq: v.Seq, Proof: v.Proof, Form: answer.Closed, Position: v.Position, Commitment: v.Commitment}
		}}, asks: history("alice")}
	}},
	{"more opened than asked for", verifier.CheckAsked, func(w *world) victim {
		w.plays("alice.", "alice+")
		return victim{source: generous(w.log), asks: history("alice")}
	}},
	{"a device list that was not asked for", verifier.CheckAsked, func(w *world) victim {
		w.plays("alice.", "alice+")
		device := event.Device{KeyIndex: 1, Key: w.phone("alice").Companions[1].Public()}
		return victim{source: twisted{log: w.log, twist: func(a *answer.Answer) { a.Accounts[0].Devices = []event.Device{device} }}, asks: history("alice")}
	}},
	{"the opening of another commitment", verifier.CheckOpening, func(w *world) victim {
		w.plays("alice.")
		w.log.Records[w.phone("alice").Account()][0].Opening[0] ^= 1
		return victim{source: w.log, asks: first("alice")}
	}},
	{"another event than the one committed to", verifier.CheckOpening, func(w *world) victim {
		w.plays("alice.")
		w.log.Records[w.phone("alice").Account()][0].Event = liar.NewPhone(origin, "alice", start+5).Register()
		return victim{source: w.log, asks: first("alice")}
	}},
	{"an index overwritten with another event", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice+")
		_, seen := w.mustLook(nil, first("alice"))
		p := w.phone("alice")
		alice := p.Account()
		again := w.log.Records[alice][1].Event
		w.log.Records[alice] = w.log.Records[alice][:1]
		w.log.Append(alice, again) // the same event, a second leaf under the same index
		w.log.Seal()
		return victim{source: w.log, state: seen, asks: first("alice")}
	}},
	{"an index overwritten, before the owner who reads the history", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice+")
		_, seen := w.mustLook(nil, history("alice"))
		alice := w.phone("alice").Account()
		again := w.log.Records[alice][1].Event
		w.log.Records[alice] = w.log.Records[alice][:1]
		w.log.Append(alice, again)
		w.log.Seal()
		return victim{source: w.log, state: seen, asks: history("alice")}
	}},
	{"a history shorter than what the owner accepted", verifier.CheckHistory, func(w *world) victim {
		w.plays("alice.", "alice+", "alice+")
		_, seen := w.mustLook(nil, history("alice"))
		alice := w.phone("alice").Account()
		_, index, _ := w.log.VRF(alice, 2)
		delete(w.log.Map, index)
		w.log.Records[alice] = w.log.Records[alice][:2]
		w.log.Seal()
		return victim{source: notBehind(w.log, alice), state: seen, asks: history("alice")}
	}},
	{"an event of a reserved type", verifier.CheckNewer, func(w *world) victim {
		w.plays("alice.")
		alice := w.phone("alice").Account()
		body := slices.Clone(w.log.Records[alice][0].Event)
		body[0] = 8
		w.log.Append(alice, body)
		w.log.Seal()
		return victim{source: w.log, asks: history("alice")}
	}},
	{"bytes that are no event", verifier.CheckRules, func(w *world) victim {
		w.log.Append(w.phone("alice").Account(), []byte("rubbish"))
		w.log.Seal()
		return victim{source: w.log, asks: history("alice")}
	}},
}
