package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
)

// world is a log, some accounts on it, and a time.
type world struct {
	log    *liar.Log
	phones map[string]*liar.Phone
	trust  string // the policy's lines after its log; "": the quorum is all cosigners
	later  time.Duration
}

func newWorld() *world {
	return &world{log: liar.New(origin, start), phones: map[string]*liar.Phone{}}
}

func (w *world) phone(id string) *liar.Phone {
	if w.phones[id] == nil {
		w.phones[id] = liar.NewPhone(w.log.Origin, name.Identifier(id), start)
	}
	return w.phones[id]
}

func (w *world) account(id string) name.AccountID { return w.phone(id).Account() }

// plays logs a story and closes the epoch:
//
//	alice.  registers       alice+  adds a device       alice-3  removes device 3
//	alice=  confirms        alice_3 device 3 logs out   alice/3  the operator removes device 3
//	alice*  re-registers    alice!  the same, endorsed  alice#   is erased
//	|       closes the epoch
func (w *world) plays(story ...string) {
	for _, step := range story {
		if step == "|" {
			w.log.Seal()
			continue
		}
		at := strings.IndexAny(step, ".+-=_/*!#")
		p := w.phone(step[:at])
		var index uint32
		fmt.Sscan(step[at+1:], &index)
		var body []byte
		switch step[at] {
		case '.':
			body = p.Register()
		case '+':
			body = p.Add()
		case '-':
			body = p.Remove(index)
		case '_':
			body = p.LogOut(index)
		case '/':
			body = p.OperatorRemove(index)
		case '=':
			body = p.Confirm()
		case '*':
			body = p.Reregister(false)
		case '!':
			body = p.Reregister(true)
		case '#':
			body = p.Erase()
		}
		w.log.Append(p.Account(), body)
	}
	w.log.Seal()
}

// now is a second after the newest epoch, or later.
func (w *world) now() time.Time {
	return time.UnixMilli(int64(w.log.TimeMs)).Add(time.Second + w.later)
}

func (w *world) policy() string {
	text := "log " + w.log.Signer.Key().String() + "\n"
	switch {
	case w.trust != "":
		return text + w.trust
	case len(w.log.Cosigners) == 0:
		return text + "quorum none\n"
	}
	group := fmt.Sprintf("group all-of-them %d", len(w.log.Cosigners))
	for i, c := range w.log.Cosigners {
		text += fmt.Sprintf("witness w%d %s\n", i, c.Key())
		group += fmt.Sprintf(" w%d", i)
	}
	return text + group + "\nquorum all-of-them\n"
}

// cosigns adds a cosigner and gives the policy's line of it.
func (w *world) cosigns(id string) string {
	c := must(checkpoint.NewCosigner(checkpoint.Cosignature, id+".example", liar.Seed("cosigner", id)))
	w.log.Cosigners = append(w.log.Cosigners, c)
	return fmt.Sprintf("witness %s %s\n", id, c.Key())
}

func first(id string) verifier.Question {
	return verifier.Question{Account: name.Identifier(id).AccountID()}
}

func history(id string) verifier.Question {
	return verifier.Question{Account: name.Identifier(id).AccountID(), History: true}
}

// told is a lookup as it went: what was asked, what was answered, and how it ended.
type told struct {
	pages  []page
	result *verifier.Result
	state  *verifier.State
	err    error
}

type page struct {
	Request based `json:"request"`
	Answer  based `json:"answer"`
}

// look asks an honest or lying log and verifies.
func (w *world) look(source verifier.Source, state *verifier.State, questions ...verifier.Question) (t told) {
	v := &verifier.Verifier{Policy: must(checkpoint.ParsePolicy([]byte(w.policy())))}
	l := must(v.Lookup(state, questions...))
	for request := l.Request(); request != nil; request = l.Request() {
		data := must(source.Lookup(context.Background(), request))
		t.pages = append(t.pages, page{request, data})
		if t.err = l.Answer(data, w.now()); t.err != nil {
			return t
		}
	}
	t.result, t.state, t.err = l.Result()
	return t
}

// seen is the state of a client that asked an honest log.
func (w *world) seen(state *verifier.State, questions ...verifier.Question) *verifier.State {
	t := w.look(w.log, state, questions...)
	agree(t.err == nil, "an honest answer is refused: %v", t.err)
	return t.state
}

// source is a verifier.Source made of a function over the request.
type source func(r *answer.Request) *answer.Answer

func (s source) Lookup(_ context.Context, request []byte) ([]byte, error) {
	return s(must(answer.ParseRequest(request))).Bytes()
}

// twisted is a log whose answers are changed after they were assembled.
func twisted(l *liar.Log, twist func(*answer.Answer)) verifier.Source {
	return source(func(r *answer.Request) *answer.Answer {
		a := must(l.Answer(r))
		twist(a)
		return a
	})
}

// asked is a log that hears another question than the one asked.
func asked(l *liar.Log, change func(*answer.Request)) verifier.Source {
	return source(func(r *answer.Request) *answer.Answer {
		change(r)
		return must(l.Answer(r))
	})
}

// rawly is a log whose answers' bytes are changed.
type rawly struct {
	log    *liar.Log
	change func([]byte) []byte
}

func (s rawly) Lookup(ctx context.Context, request []byte) ([]byte, error) {
	data, err := s.log.Lookup(ctx, request)
	return s.change(data), err
}

func (w *world) device(id string, index uint32) event.Device {
	return event.Device{KeyIndex: index, Key: w.phone(id).Companions[index].Public()}
}
