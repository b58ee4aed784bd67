package simulation

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/musterlog/muster/log"
	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/store/pebble"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/follow"
)

// settle ends all faults. Then everything that was signed must become public,
// and everybody must see it.
func (w *world) settle() {
	w.storm.Store(0)
	w.settled = true
	w.setClock(0)
	m := w.stop()
	m.calm()
	w.start(m)
	for _, c := range w.cosigners {
		w.must(c.start())
	}
	w.acknowledged()
	w.everybody()
}

// acknowledged waits until every event is.
func (w *world) acknowledged() {
	for range 20 {
		time.Sleep(time.Minute)
		synctest.Wait()
		w.check("the end")
		done := true
		for _, p := range w.people {
			if !p.settled() {
				done = false
				p.send(answer.WaitPublished)
			}
		}
		if done {
			break
		}
	}
	for _, p := range w.people {
		if !p.settled() {
			w.t.Errorf("%s: %d of %d events were acknowledged", p.phone.Identifier, p.promised, len(p.chain))
		}
		p.published = len(p.chain) // what was promised is long due
	}
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	w.check("the end")
}

// everybody holds what all parties see now against what was signed and acknowledged.
func (w *world) everybody() {
	w.strangers++
	first := newClient(w, 1000+w.strangers)
	for _, c := range append([]*client{first}, w.clients...) {
		if err := w.judge.look(c, c != first, w.people...); err != nil {
			w.t.Error(err)
		}
	}
	w.pass(5 * time.Minute)
	synctest.Wait()
	w.check("all have looked")
	for _, err := range []error{w.judge.told(), w.judge.kept(), w.judge.beginnings(w.process.machine)} {
		if err != nil {
			w.t.Error(err)
		}
	}
	w.audit()
	w.again()
	w.convicted()
	if found := w.evidence(); len(found) > 0 {
		w.t.Errorf("an honest log was convicted: %v", found)
	}
}

// audit is what the auditor says in the end.
func (w *world) audit() {
	r, err := w.replay.Catch(context.Background())
	if err != nil {
		w.t.Errorf("the auditor: %v", err)
		return
	}
	events := 0
	for _, p := range w.people {
		events += len(p.chain)
	}
	if r.Events != uint64(events) {
		w.t.Errorf("the auditor replayed %d events, %d were signed", r.Events, events)
	}
	if r.Sealed != w.process.sealed() {
		w.t.Errorf("the auditor says that the log has ended: %t", r.Sealed)
	}
	w.took.addN("events replayed by the auditor", events)
}

func (p *process) sealed() bool {
	_, sealed := p.log.Sealed()
	return sealed
}

func (w *world) close() {
	w.storm.Store(0)
	time.Sleep(5 * time.Minute) // whatever is on its way arrives
	w.stop()
	for _, c := range w.cosigners {
		c.stop()
	}
	w.replay.Close()
	w.owner.m.Close()
}

// end is what becomes of a log after its troubles: it goes on, or its store is lost,
// or it is sealed.
func (w *world) end(seed uint64) {
	switch seed % 3 {
	case 1:
		w.lose()
	case 2:
		w.seal()
	}
}

// keepBackup copies both disks.
func (w *world) keepBackup() {
	m := w.process.machine
	b := newMachine()
	b.mem = m.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	m.mu.Lock()
	defer m.mu.Unlock()
	b.head, b.signed, b.took = m.head, m.signed, w.took
	w.backup = b
}

// lose has the newest store lost, and somebody starts the log on an old backup: with the
// newest signed head it does not open, and with the backup's it must find out, and sign
// and promise nothing. Then it is rebuilt from what is public and from what people were
// answered, and goes on.
func (w *world) lose() {
	p := w.process
	for s := 0; s < 100; s++ { // until all is published that was signed
		time.Sleep(time.Second)
		synctest.Wait()
		size, _ := p.log.Position()
		if w.check("the end"); uint64(len(w.judge.leaves)) == size {
			break
		}
	}
	newest := p.log.Published()
	m, b := w.stop(), w.backup
	if bytes.Equal(m.head, b.head) {
		return // the backup is the newest copy
	}
	b.signed = m.signed
	forked := (*log.Forked)(nil)
	old := b.head
	b.head = m.head
	if _, err := w.open(b); !errors.As(err, &forked) {
		w.t.Fatalf("a log opens on an old backup: %v", err)
	}
	b.head = old
	w.astray = true
	w.start(b)
	late := newPerson(w, "+15559999999") // whose first event could follow what the backup has
	late.act(w.draw)
	late.send(answer.WaitDurable)
	time.Sleep(time.Minute)
	synctest.Wait()
	if !w.ended() || !errors.As(w.process.err, &forked) {
		w.t.Fatalf("a log goes on on an old backup")
	}
	b = w.stop()
	w.astray = false
	w.took.add("old backups that signed nothing")
	w.start(w.recover(b, newest))
	w.took.add("stores recovered")
	for _, p := range w.people {
		clear(p.receipts) // new ones have the newest checkpoint
	}
	w.acknowledged()
	w.everybody()
}

// recover rebuilds the store, while the power may go.
func (w *world) recover(m *machine, newest []byte) *machine {
	note, err := checkpoint.Parse(newest)
	w.must(err)
	tree, err := follow.Open(context.Background(), mirror{w.judge, newest}, note.Checkpoint)
	w.must(err)
	var content []log.Content
	for _, p := range w.people {
		for seq, e := range p.chain {
			if opening, ok := p.openings[seq]; ok {
				content = append(content, log.Content{Body: e.body, Opening: opening})
			}
		}
	}
	m.plan(1+w.draw(30), cut{[]int{0, 50, 100}[w.draw(3)], w.random.Uint64(), w.draw(2) == 0})
	for {
		cfg := w.config(m)
		s, err := pebble.Open(w.disk(m))
		if err == nil {
			cfg.Store = s
			_, err = log.Recover(context.Background(), cfg, newest, tree, content)
			err = errors.Join(err, s.Close())
		}
		if m.alive() {
			w.must(err)
			m.calm()
			return m
		}
		w.took.add("power cuts during a recovery")
		m = m.next
	}
}

// mirror is the log's public files as the judge has them.
type mirror struct {
	*judge
	note []byte
}

func (m mirror) Checkpoint(context.Context) ([]byte, error) { return m.note, nil }

func (m mirror) Tile(_ context.Context, level int, n uint64, width int) ([]byte, error) {
	return tlog.ReadTileData(tlog.Tile{H: 8, L: level, N: int64(n), W: width}, m.judge)
}

func (m mirror) Entries(_ context.Context, n uint64, width int) (data []byte, _ error) {
	for _, l := range m.leaves[n*256:][:width] {
		data = append(binary.BigEndian.AppendUint16(data, uint16(len(l))), l...)
	}
	return data, nil
}

const successor = "keys.example.org/next"

// promise has somebody be promised an event, and gives a power cut to follow at once: the
// event has nothing to be in but what was synced for the promise.
func (w *world) promise() cut {
	who := w.anyone()
	who.act(w.draw)
	who.send(answer.WaitDurable)
	synctest.Wait()
	if who.settled() {
		w.took.add("power cuts right after a promise")
	}
	return cut{seed: w.random.Uint64()}
}

// seal ends the log, which owes an event since the power went, and while the power may go
// again. All of it can be read for ever, and nothing is taken any more.
func (w *world) seal() {
	w.process.plan(0, w.promise())
	m := w.stop()
	m.plan(1+w.draw(40), cut{[]int{0, 50, 100}[w.draw(3)], w.random.Uint64(), w.draw(2) == 0})
	w.sealing = true
	w.start(m)
	for range 100 {
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !w.ended() {
			continue
		}
		if w.process.alive() && w.process.err == nil {
			break
		}
		w.start(w.stop())
	}
	w.sealing = false
	m = w.stop()
	m.calm()
	w.start(m)
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	if w.check("the SEAL"); !w.process.sealed() {
		w.t.Fatal("the log was not sealed")
	}
	w.took.add("logs sealed")
	p := w.anyone()
	refused := w.process.log.Submit(context.Background(), [][]byte{p.event(w.draw)}, answer.Want{})[0]
	if !errors.Is(refused.Err, log.ErrSealed) {
		w.t.Errorf("after the SEAL an event is answered %+v", refused)
	}
	w.took.add("events refused after the SEAL")
	w.everybody()
	r, err := w.clients[0].Lookup(context.Background(), verifier.Question{Account: p.phone.Account()})
	if err != nil || !r.Sealed || r.Successor != successor {
		w.t.Errorf("of a sealed log a client believes %+v, %v", r, err)
	}
}
