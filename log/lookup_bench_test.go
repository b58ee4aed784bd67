package log

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/log/vrf"
	"github.com/musterlog/muster/verifier"
)

var (
	lookupEvents = flag.Int("lookup.events", 200_000, "events in the log that BenchmarkLookup asks")
	lookupDir    = flag.String("lookup.dir", "", "where BenchmarkLookup keeps that log for the next run")
)

const (
	lookupOrigin = name.Origin("keys.example.org/log1")
	lookupStart  = uint64(1_790_000_000_000)
	verifiedMost = 500 // of one case's answers
)

// phones is how many accounts with two events there are, and as many with four:
// enough that their rows do not all lie in the store's cache.
func phones() int { return max(500, *lookupEvents/1000) }

// BenchmarkLookup is what a lookup costs the server, through Lookup and a
// Pebble store on the real disk, how large its answer is, and what the client
// pays to verify it. The events of the accounts that are asked about lie at
// random places among others. Their VRF proofs are stored, as they are once
// somebody has asked; those of unknown accounts never are.
//
// The answers hold all but GENESIS and a proof of consistency: this client
// holds the checkpoint that it is answered under, with four cosignatures.
func BenchmarkLookup(b *testing.B) {
	l := openLookupLog(b)
	policy, note := cosignedByFour(b, l)
	l.show(l.signed.Load(), note)
	v := &verifier.Verifier{Policy: policy}
	two, four, unknown := phoneAccounts(2), phoneAccounts(4), phoneAccounts(0)
	nobody := stateAt(b, l, nil, 0)
	for _, c := range []struct {
		name     string
		state    *verifier.State
		accounts []name.AccountID
		batch    int
	}{
		{"first,seq=1", nobody, two, 1},
		{"first,seq=3", nobody, four, 1},
		{"first,seq=1,batch=100", nobody, two, 100},
		{"unchanged,seq=1,batch=100", stateAt(b, l, two, 1), two, 100},
		{"changed,seq=1,batch=100", stateAt(b, l, two, 0), two, 100},
		{"unknown", nobody, unknown, 1},
		{"unknown,batch=100", nobody, unknown, 100},
	} {
		b.Run(c.name, func(b *testing.B) { benchLookup(b, l, v, c.state, c.accounts, c.batch) })
	}
}

func benchLookup(b *testing.B, l *Log, v *verifier.Verifier, state *verifier.State, accounts []name.AccountID, batch int) {
	var lookups []*verifier.Lookup
	var requests [][]byte
	for first := 0; first+batch <= len(accounts); first += batch {
		var questions []verifier.Question
		for _, id := range accounts[first : first+batch] {
			questions = append(questions, verifier.Question{Account: id})
		}
		lookup, err := v.Lookup(state, questions...)
		if err != nil {
			b.Fatal(err)
		}
		lookups, requests = append(lookups, lookup), append(requests, lookup.Request())
	}
	answers := make([][]byte, len(requests))
	bytes := 0
	ask := func(i int) {
		var err error
		if answers[i], err = l.Lookup(context.Background(), requests[i]); err != nil {
			b.Fatal(err)
		}
	}
	for i := range requests { // the first time, which stores VRF proofs
		ask(i)
		bytes += len(answers[i])
	}
	n := 0
	before := cpuTime()
	for b.Loop() {
		ask(n % len(requests))
		n++
	}
	server := cpuTime() - before
	before = cpuTime()
	lookups = lookups[:min(len(lookups), verifiedMost)]
	for i := range lookups {
		if err := lookups[i].Answer(answers[i], l.now()); err != nil {
			b.Fatal(err)
		}
	}
	client := cpuTime() - before
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(server.Seconds()*1e6/float64(n*batch), "server-cpu-µs")
	b.ReportMetric(client.Seconds()*1e6/float64(len(lookups)*batch), "client-cpu-µs")
	b.ReportMetric(float64(bytes)/float64(len(answers)*batch), "B")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// phoneAccounts are those with so many events in the log.
func phoneAccounts(events int) []name.AccountID {
	ids := make([]name.AccountID, phones())
	for i := range ids {
		ids[i] = phoneName(events, i).AccountID()
	}
	return ids
}

func phoneName(events, i int) name.Identifier {
	return name.Identifier(fmt.Sprintf("phone %d with %d events", i, events))
}

// stateAt is what a client holds who accepted these accounts at a seq.
func stateAt(b *testing.B, l *Log, accounts []name.AccountID, seq uint32) *verifier.State {
	s := &verifier.State{
		Origin: lookupOrigin, LogKey: l.cfg.Signer.Key().String(), VRFKey: l.cfg.VRF.Public(), Note: l.Published(),
	}
	look := l.view(b.Context(), l.published.Load())
	for _, id := range accounts {
		at := event.NewAccount(l.id, id)
		var r *answer.Record
		for at.Next <= seq {
			var err error
			if r, err = look.Record(id, at.Next); err != nil {
				b.Fatal(err)
			}
			e, err := event.Parse(r.Event)
			if err != nil {
				b.Fatal(err)
			}
			if err := at.Apply(event.Check(e)); err != nil {
				b.Fatal(err)
			}
		}
		s.Put(verifier.Account{
			ID: id, Seq: seq, Event: at.Head, Value: prefix.Value(r.Position, r.Commitment), Position: r.Position,
			Primary: at.Primary, Devices: at.Devices,
		})
	}
	return s
}

// cosignedByFour is the newest checkpoint with four cosignatures, and a policy
// that demands three.
func cosignedByFour(b *testing.B, l *Log) (*checkpoint.Policy, []byte) {
	s := l.signed.Load()
	note := s.note
	text := "log " + l.cfg.Signer.Key().String() + "\n"
	for i := range 4 {
		c, err := checkpoint.NewCosigner(checkpoint.Cosignature, fmt.Sprintf("witness%d.example", i), liar.Seed("witness", fmt.Sprint(i)))
		if err != nil {
			b.Fatal(err)
		}
		note = checkpoint.Append(note, c.Cosign(s.checkpoint.Text(), s.epoch.TimeMs/1000))
		text += fmt.Sprintf("witness w%d %s\n", i, c.Key())
	}
	policy, err := checkpoint.ParsePolicy([]byte(text + "group q 3 w0 w1 w2 w3\nquorum q\n"))
	if err != nil {
		b.Fatal(err)
	}
	return policy, note
}

// openLookupLog is a log of *lookupEvents events, made or found again. It is
// opened after it was closed, so that it lies in files as a log of long ago.
func openLookupLog(b *testing.B) *Log {
	dir := *lookupDir
	if dir == "" {
		dir = b.TempDir()
	}
	cfg := Config{
		Origin: lookupOrigin, VRF: vrf.NewPrivateKey(liar.Seed("vrf")), Head: HeadFile(dir + "/head"),
		Now: func() time.Time { return time.UnixMilli(int64(lookupStart)) },
	}
	var err error
	if cfg.Signer, err = checkpoint.NewSigner(string(lookupOrigin), liar.Seed("log")); err != nil {
		b.Fatal(err)
	}
	if note, err := cfg.Head.Load(); err != nil {
		b.Fatal(err)
	} else if note == nil {
		makeLookupLog(b, cfg, dir+"/store")
	}
	s, err := pebble.Open(pebble.Config{Dir: dir + "/store"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	cfg.Store = s
	l, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func makeLookupLog(b *testing.B, cfg Config, dir string) {
	s, err := pebble.Create(pebble.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	cfg.Store = s
	if err := Create(cfg); err != nil {
		b.Fatal(err)
	}
	l, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.NewChaCha8(liar.Seed("lookup"))
	epochs := max(8, *lookupEvents/MaxEpochEvents)
	tickets := make([][]*ticket, epochs)
	for _, t := range phoneTickets(l, rng, epochs) {
		tickets[t.epoch] = append(tickets[t.epoch], t.ticket)
	}
	for i, batch := range tickets {
		for len(batch) < *lookupEvents/epochs {
			batch = append(batch, fillerTicket(rng))
		}
		// Each epoch's phones lie anywhere in it.
		rand.New(rng).Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		if err := l.seal(nil, batch, lookupStart+uint64(i)); err != nil {
			b.Fatal(err)
		}
	}
}

type placed struct {
	epoch  int
	ticket *ticket
}

// phoneTickets are the events of the accounts that will be asked about, each
// in its own part of the log, in order.
func phoneTickets(l *Log, rng *rand.ChaCha8, epochs int) (all []placed) {
	for _, events := range []int{2, 4} {
		for i := range phones() {
			p := liar.NewPhone(lookupOrigin, phoneName(events, i), lookupStart-1_000_000)
			part := epochs / events
			var live []uint32
			for seq := range events {
				body := p.Register
				if seq > 0 {
					body = p.Add
					live = append(live, uint32(seq))
				}
				t := eventTicket(rng, body())
				t.index = l.cfg.VRF.Evaluate(p.Account().Label().VRFInput(uint32(seq)))
				t.after = &store.Account{Account: *p.At.Clone(), Anchor: uint32(seq), Erase: store.None}
				t.live = append([]uint32(nil), live...)
				all = append(all, placed{seq*part + int(rng.Uint64()%uint64(part)), t})
			}
		}
	}
	return all
}

// fillerTicket is an event that nobody will ask for: of its size, no more.
func fillerTicket(rng *rand.ChaCha8) *ticket {
	e := event.Event{Payload: event.Payload{Type: event.AddDevice, Seq: 1, KeyIndex: 1}}
	rng.Read(e.Account[:])
	rng.Read(e.Primary[:])
	rng.Read(e.Subject[:])
	e.Primary[0], e.Subject[0] = event.KeyEd25519, event.KeyEd25519
	e.Signatures = []event.Signature{{Role: event.Primary}, {Role: event.Subject}}
	t := eventTicket(rng, e.Bytes())
	rng.Read(t.index[:])
	t.after = &store.Account{Account: event.Account{
		Log: lookupOrigin.LogID(), ID: e.Account, Next: 2, Primary: e.Primary,
		Devices: []event.Device{{KeyIndex: 1, Key: e.Subject}}, Introduced: make([][32]byte, 2),
	}, Anchor: 1, Erase: store.None}
	t.live = []uint32{1}
	return t
}

func eventTicket(rng *rand.ChaCha8, body []byte) *ticket {
	e, err := event.Parse(body)
	if err != nil {
		panic(err)
	}
	e.Seq ^= 1 << 31 // a row that Check refuses before it looks at signatures
	t := &ticket{checked: event.Check(e), body: bytes.Clone(body)}
	e.Seq ^= 1 << 31
	rng.Read(t.opening[:])
	return t
}
