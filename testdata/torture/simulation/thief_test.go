package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness"
)

// betray is what a traitor answers. No lie of it may end the log, or be published.
func (c *cosigner) betray(note *checkpoint.Note) *witness.Answer {
	c.mu.Lock()
	n, size := c.random.IntN(10), c.random.Uint64N(note.Size+3)
	c.mu.Unlock()
	now := uint64(time.Now().Unix())
	lie := func(what string, status int, body []byte) *witness.Answer {
		c.took.add("lies of a traitor: " + what)
		return &witness.Answer{Status: status, Body: body}
	}
	cosigned := func(text string, at uint64) []byte { return checkpoint.Append(nil, c.Cosign(text, at)) }
	switch n {
	case 0:
		return lie("another size", http.StatusConflict, fmt.Appendln(nil, size))
	case 1:
		return lie("no extension", http.StatusUnprocessableEntity, []byte("two histories\n"))
	case 2:
		other := checkpoint.Checkpoint{Origin: origin, Size: note.Size, Root: name.TreeRoot{1}}
		return lie("another text", http.StatusOK, cosigned(other.Text(), now))
	case 3:
		return lie("another time", http.StatusOK, cosigned(note.Text, []uint64{1, now - 3600, now + 3600}[size%3]))
	case 4:
		return lie("nonsense", http.StatusOK, []byte("— w2.example.org AAAA\n"))
	}
	return &witness.Answer{Status: http.StatusOK, Body: cosigned(note.Text, now)}
}

// forge is what a thief of the log's key does: it signs another history and asks
// every witness for a cosignature, at sizes around the true one, as one who knows the
// witness's size or hopes that it was forgotten. No honest one may give it.
func (w *world) forge() {
	for _, c := range w.cosigners {
		seen, done := c.running()
		if seen == nil {
			continue
		}
		newest := seen.Newest(string(origin))
		done()
		if newest == nil || c.traitor {
			continue
		}
		note, err := checkpoint.Parse(newest)
		w.must(err)
		forged := checkpoint.Checkpoint{Origin: origin, Size: max(2, note.Size-1) + uint64(w.draw(4)), Root: name.TreeRoot{byte(w.draw(256)), 1}}
		raw := w.signer.Sign(forged)
		w.forged = append(w.forged, raw)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		a, err := c.add(ctx, request([]uint64{0, min(note.Size, forged.Size)}[w.draw(2)], nil, raw))
		cancel()
		w.must(err)
		if a.Status == http.StatusOK {
			w.t.Errorf("%s cosigned a forged checkpoint of size %d", c.url, forged.Size)
		}
		w.took.add(fmt.Sprint("forged checkpoints refused with ", a.Status))
		away := a.Status == http.StatusServiceUnavailable // then it has not seen it
		if !away && forged.Size == note.Size && bytes.Equal(seen.Newest(string(origin)), newest) {
			w.took.add("forged checkpoints of a witness's own size")
			w.fooled[c] = true
		}
	}
}

// convicted sees that whoever met two roots of one size under the log's signature kept
// the proof: it is all that convicts who stole the key.
func (w *world) convicted() {
	for c := range w.fooled {
		files, err := filepath.Glob(filepath.Join(c.dir, "evidence", "*.evidence"))
		if err != nil || len(files) == 0 {
			w.t.Errorf("%s saw two roots of one size, and keeps no evidence", c.url)
		}
		w.took.add("convictions of the thief's signature")
	}
}

// deceive is the thief's own log: everything in it is in order, and it shows somebody's
// account with keys of the thief's. As many vouch for it as may without a quorum, who
// have been bribed. A client that never looked has nothing but the quorum to go by.
func (w *world) deceive() {
	victim, now := w.anyone(), uint64(time.Now().UnixMilli())
	l := liar.New(origin, now)
	all := w.cosigners
	bribed := slices.Clone(all[:witnesses]) // all but the auditor
	if w.draw(2) == 0 {
		bribed = []*cosigner{all[w.draw(witnesses)], all[witnesses]}
	}
	for _, c := range bribed {
		l.Cosigners = append(l.Cosigners, c.Cosigner)
	}
	phone := liar.NewPhone(origin, victim.phone.Identifier, now-60_000)
	phone.NewKey() // which its owner has
	l.Append(phone.Account(), phone.Register())
	l.Append(phone.Account(), phone.Add())
	for range victim.chain { // no client has seen more of the account,
		l.Append(phone.Account(), phone.Confirm())
	}
	for uint64(len(l.Leaves)) <= w.judge.largest { // nor of the log
		l.Seal()
	}
	l.Seal()
	w.forged = append(w.forged, l.Note)

	c, who := w.clients[w.draw(len(w.clients))], "clients with a state"
	if w.draw(2) == 0 {
		w.strangers++
		c, who = newClient(w, 1000+w.strangers), "new clients"
	}
	misled := *c.Client
	misled.Source = l
	_, err := misled.Lookup(context.Background(), verifier.Question{Account: phone.Account(), History: w.draw(2) == 0})
	var f *verifier.Failure
	switch {
	case err == nil:
		w.t.Errorf("one of the %s believes a thief's log that %d cosigned", who, len(bribed))
	case !errors.As(err, &f) || f.Check != verifier.CheckQuorum:
		w.t.Errorf("a thief's log is refused, but not for its quorum: %v", err)
	default:
		w.took.add("thief's logs refused by " + who)
	}
}

// impose sends the log an event of somebody's account that a thief signed, of the seq
// that comes next and of one that is taken. It must be refused, whatever else happens.
func (w *world) impose() {
	victim := w.anyone()
	if len(victim.chain) == 0 {
		return
	}
	p := w.serving()
	if p == nil {
		return
	}
	defer p.reading.Done()
	thief := liar.NewPhone(origin, victim.phone.Identifier, 0)
	thief.At, thief.TimeMs = victim.chain[w.draw(len(victim.chain))].after, victim.phone.TimeMs
	key := liar.NewPhone(origin, "a thief", 0).NewKey() // which the victim never has
	e := thief.Draft(event.Confirm)
	e.DevicesHash = event.DevicesHash(e.Log, e.Account, e.Generation, e.Primary, thief.At.Devices)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	body := liar.Sign(e, key, nil).Bytes()
	switch o := p.log.Submit(ctx, [][]byte{body}, answer.Want{Wait: answer.Wait(w.draw(2))})[0]; {
	case o.Refused != nil:
		w.took.add("events of a thief refused")
	case o.Err == nil:
		w.t.Errorf("the log took an event of %s that a thief signed: %+v", victim.phone.Identifier, o)
	}
}

// newRandom is a sequence of its own for what draws beside the steps.
func (w *world) newRandom() *rand.Rand { return rand.New(rand.NewPCG(w.random.Uint64(), 4)) }
