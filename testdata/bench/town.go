package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/log/name"
)

const origin name.Origin = "bench.example/log"

// town is who has accounts in the log. All keys and events follow from the
// account's number, so that nothing has to be kept but how far each has come.
type town struct {
	path string

	Events   int    // in the log
	Accounts int    // that have their whole history in it
	Rounds   int    // of further device-adds so far
	Further  []byte // by account: device-adds beyond its history
	Growth   []growth
}

// histories are how many events accounts have, 5 on average. The first two kinds
// are for lookups: their newest stay at seq 1 and at seq 3, and their events lie
// far apart in the log, as a person's devices do.
var histories = [...]int{2, 4, 5, 5, 5, 5, 6, 6, 6, 6}

func history(account int) int { return histories[account%len(histories)] }

func forLookups(account int) bool { return account%len(histories) < 2 }

// hour is when an account's event with this seq comes: with the REGISTER of the
// account of that number.
func hour(account, seq int) int {
	if forLookups(account) {
		return account * (4 + seq) / 4
	}
	return account
}

func openTown(path string) (*town, error) {
	t := &town{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(data, t)
	}
	return t, err
}

// keep remembers what the log has. A crash before it makes the next run submit
// the same events again, which the log answers as before.
func (t *town) keep() error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := os.WriteFile(t.path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(t.path+".new", t.path)
}

// grown says that the log has the newest backfill.
func (t *town) grown(accounts, events int) error {
	t.Accounts += accounts
	t.Events += events
	t.Further = append(t.Further, make([]byte, accounts)...)
	return t.keep()
}

// span is some events of an account: seq from up to to.
type span struct{ account, from, to int }

// backfill is what the next hours bring, at least so many events, in batches;
// events of one account in one backfill travel together.
func (t *town) backfill(events int) (batches [][][]byte, hours, total int) {
	var spans []span
	of := make(map[int]int) // its span, of an account for lookups
	for ; total < events; hours++ {
		for _, s := range inHour(t.Accounts + hours) {
			total += s.to - s.from
			if i, ok := of[s.account]; ok {
				spans[i].to = s.to
				continue
			}
			if forLookups(s.account) {
				of[s.account] = len(spans)
			}
			spans = append(spans, s)
		}
	}
	batch := batchSize / 5
	batches = make([][][]byte, (len(spans)+batch-1)/batch)
	parallel(len(batches), func(n int) {
		for _, s := range spans[n*batch : min((n+1)*batch, len(spans))] {
			batches[n] = append(batches[n], sign(s.account, s.from, s.to)...)
		}
	})
	return batches, hours, total
}

func inHour(h int) (spans []span) {
	if !forLookups(h) {
		spans = append(spans, span{h, 0, history(h)})
	} else {
		spans = append(spans, span{h, 0, 1})
	}
	for seq := 1; seq < 4; seq++ {
		account := (4*h + 3 + seq) / (4 + seq) // the only one that this can be
		if forLookups(account) && seq < history(account) && hour(account, seq) == h {
			spans = append(spans, span{account, seq, seq + 1})
		}
	}
	return spans
}

// deviceAdds is one device-add for each of n accounts, all different, from
// anywhere in the log. Calling done says that the log has them.
func (t *town) deviceAdds(n int) (batches [][][]byte, done func() error, err error) {
	r := rand.New(rand.NewPCG(uint64(t.Rounds), 0))
	chosen := make(map[int]bool, n)
	accounts := make([]int, 0, n)
	for tries := 0; len(accounts) < n; tries++ {
		if tries > 100*n {
			return nil, nil, fmt.Errorf("%d accounts are too few for %d device-adds", t.Accounts, n)
		}
		i := r.IntN(t.Accounts)
		if forLookups(i) || chosen[i] || t.Further[i] > 8 { // a log takes 16 devices
			continue
		}
		chosen[i] = true
		accounts = append(accounts, i)
	}
	batches = make([][][]byte, (n+batchSize-1)/batchSize)
	parallel(len(batches), func(k int) {
		for _, i := range accounts[k*batchSize : min((k+1)*batchSize, n)] {
			next := history(i) + int(t.Further[i])
			batches[k] = append(batches[k], sign(i, next, next+1)...)
		}
	})
	return batches, func() error {
		for _, i := range accounts {
			t.Further[i]++
		}
		t.Rounds++
		t.Events += n
		return t.keep()
	}, nil
}

// batchSize is how many events travel together, as in a request to the API.
const batchSize = 1000

// parallel does n things on all cores.
func parallel(n int, do func(int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

func identifier(account int) name.Identifier {
	return name.Identifier(fmt.Sprint("bench-", account))
}

// began2026 is when the town's first events were signed.
const began2026 = 1_767_225_600_000

// sign is an account's events of seq from up to to: REGISTER, then one
// ADD_DEVICE after the other. The log verifies them; nothing is checked here.
func sign(account, from, to int) (bodies [][]byte) {
	id, log := identifier(account).AccountID(), origin.LogID()
	primary, primaryKey := key(account, 0)
	var prev name.EventID
	var devices []event.Device
	for seq := range uint32(to) {
		p := event.Payload{Type: event.Register, Log: log, Account: id, Seq: seq, Prev: prev, TimeMs: began2026 + uint64(seq)*1000, Primary: primaryKey}
		var subject ed25519.PrivateKey
		if seq > 0 {
			p.Type, p.KeyIndex = event.AddDevice, seq
			subject, p.Subject = key(account, seq)
			devices = append(devices, event.Device{KeyIndex: seq, Key: p.Subject})
		}
		p.DevicesHash = event.DevicesHash(log, id, 0, primaryKey, devices)
		prev = p.ID()
		if int(seq) < from {
			continue
		}
		e := event.Event{Payload: p, Signatures: []event.Signature{signature(primary, &p, event.Primary)}}
		if subject != nil {
			e.Signatures = append(e.Signatures, signature(subject, &p, event.Subject))
		}
		bodies = append(bodies, e.Bytes())
	}
	return bodies
}

func signature(key ed25519.PrivateKey, p *event.Payload, r event.Role) event.Signature {
	return event.Signature{Role: r, Bytes: [event.SignatureSize]byte(ed25519.Sign(key, p.SignedBytes(r)))}
}

// key is an account's primary, or its device by the number of its event. It
// protects nothing.
func key(account int, seq uint32) (ed25519.PrivateKey, event.Key) {
	seed := binary.BigEndian.AppendUint64([]byte("bench"), uint64(account))
	hash := sha256.Sum256(binary.BigEndian.AppendUint32(seed, seq))
	private := ed25519.NewKeyFromSeed(hash[:])
	return private, event.Key(append([]byte{event.KeyEd25519}, private[32:]...))
}
