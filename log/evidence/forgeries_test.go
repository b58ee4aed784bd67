package evidence_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/evidence"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/liar"
	"github.com/musterlog/muster/log/name"
)

// TestForgeries lets somebody who wants an honest log, witness or auditor
// convicted make files at random, of all that they ever signed, showed and
// proved, in the form of every kind, mixed with what others signed, and
// changed. None may convict. MUSTER_TEST_FORGERIES says how many to try.
func TestForgeries(t *testing.T) {
	count, seed := 4000, uint64(1)
	if s := os.Getenv("MUSTER_TEST_FORGERIES"); s != "" {
		count = must(strconv.Atoi(s))
		seed = rand.Uint64()
	}
	f := newForger(seed)
	reasons := map[string]int{}
	deep := 0
	for i := range count {
		key, file := f.forge()
		err := evidence.Convict(key, file)
		if errors.As(err, new(*evidence.Misbehaviour)) {
			t.Fatalf("seed %d, file %d convicts an honest party: %v\n%s", seed, i, err, file.Bytes())
		}
		reason := skeleton(err.Error())
		reasons[reason]++
		if !shallow(reason) {
			deep++
		}
	}
	t.Logf("%d files with seed %d, 0 accepted; %d passed every signature and inclusion before they were refused, for %d reasons in all", count, seed, deep, len(reasons))
	if deep < count/5 || len(reasons) < 60 {
		t.Errorf("the forger does not get far enough: %d deep, reasons %v", deep, reasons)
	}
}

// skeleton is an error without what differs from file to file.
func skeleton(s string) string {
	var out []rune
	for _, r := range s {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'f' && len(out) > 0 && out[len(out)-1] == '#' {
			r = '#'
		}
		if r == '#' && len(out) > 0 && out[len(out)-1] == '#' {
			continue
		}
		out = append(out, r)
	}
	return string(out)
}

// shallow says that a file fell at a signature, an inclusion or its form.
func shallow(reason string) bool {
	for _, s := range []string{"signature", "does not hold", "line", "reading"} {
		if strings.Contains(reason, s) {
			return true
		}
	}
	return false
}

// forger knows all that honest parties made public, and a liar who has the same
// origin and other keys.
type forger struct {
	*rand.Rand
	views    []*liar.Log // after each epoch
	receipts [][]byte
	opens    []evidence.Open
	phones   []*liar.Phone
	lies     []convicts
	log      checkpoint.Key
	witness  checkpoint.Key
	auditor  checkpoint.Key
}

func newForger(seed uint64) *forger {
	f := &forger{Rand: rand.New(rand.NewPCG(seed, 0))}
	w := newWorld()
	// The samples accuse the log of newWorld. This one has another key.
	w.Signer = must(checkpoint.NewSigner(string(origin), liar.Seed("honest")))
	w.witness = must(checkpoint.NewCosigner(checkpoint.Cosignature, "w1.example.net", liar.Seed("honest witness")))
	w.auditor = must(checkpoint.NewCosigner(checkpoint.Cosignature, "a1.example.net", liar.Seed("honest auditor")))
	w.Cosigners = []*checkpoint.Cosigner{w.witness, w.auditor}
	w.Sign()
	f.log, f.witness, f.auditor = w.key(), w.witness.Key(), w.auditor.Key()
	f.views = []*liar.Log{w.Fork()}
	f.phones = []*liar.Phone{w.alice, w.bob}
	log := func(p *liar.Phone, events ...[]byte) {
		for _, e := range events {
			at := w.Append(p.Account(), e)
			l := must(leaf.Parse(w.Leaves[at])).(*leaf.Event)
			f.receipts = append(f.receipts, w.Signer.SignReceipt(checkpoint.Receipt{Origin: origin, Index: l.Index, Commitment: l.Commitment, MergeBy: w.TimeMs + 1 + f.Uint64N(2)}))
		}
		w.Seal()
		f.views = append(f.views, w.Fork())
	}
	old := w.alice.Companions[1]
	log(w.alice, w.alice.LogOut(1))
	log(w.alice, w.alice.Reregister(true), w.alice.Add())
	log(w.bob, w.bob.Add(), w.bob.Add(), w.bob.OperatorRemove(1), w.bob.Confirm())
	log(w.alice, w.alice.Erase())
	log(w.alice, w.alice.Reregister(false), w.readd(old)) // after ERASE a key may come back
	log(w.bob)
	log(w.bob, w.bob.Reregister(false), w.bob.Erase())
	w.TimeMs++
	w.SealAs(&leaf.Epoch{Sealed: true, Epoch: w.Epochs, TimeMs: w.TimeMs, First: w.First, Keys: w.Keys, PrefixRoot: w.Tree.Root()})
	f.views = append(f.views, w.Fork())
	for _, p := range f.phones {
		for seq := range w.Records[p.Account()] {
			f.opens = append(f.opens, w.open(p, uint32(seq)))
		}
	}
	f.lies = samples()
	return f
}

// forge is a file and whom it accuses.
func (f *forger) forge() (checkpoint.Key, *evidence.File) {
	var file *evidence.File
	if f.IntN(8) == 0 {
		file = clone(f.lies[f.IntN(len(f.lies))].file) // true, of somebody else
		if f.IntN(4) > 0 {
			for i, l := range file.Lines {
				if _, ok := l.(evidence.Note); ok {
					file.Lines[i] = evidence.Note(f.view().Note)
				}
			}
		}
	} else {
		file = f.assemble()
	}
	for f.IntN(3) == 0 {
		f.change(file)
	}
	key := f.log
	switch {
	case file.Kind[0] == 'W':
		key = f.cosigner()
	case file.Kind[0] == 'A':
		key = f.auditor
	case file.Kind < "E6" && file.Kind != evidence.E3 && f.IntN(4) == 0:
		if file = file.OfCosigner(); file.Kind[0] == 'W' {
			key = f.cosigner()
		} else {
			key = f.auditor
		}
	}
	return key, file
}

func (f *forger) cosigner() checkpoint.Key {
	if f.IntN(2) == 0 {
		return f.auditor
	}
	return f.witness
}

func (f *forger) view() *liar.Log { return f.views[f.IntN(len(f.views))] }

func size64(l *liar.Log) uint64 { return uint64(len(l.Leaves)) }

// position is of some leaf; epoch of an EPOCH.
func (f *forger) position(l *liar.Log) uint64 { return f.Uint64N(size64(l)) }

func (f *forger) epoch(l *liar.Log) uint64 {
	for {
		if p := f.position(l); l.Leaves[p][0] >= byte(leaf.KindEpoch) {
			return p
		}
	}
}

func (f *forger) event(l *liar.Log) uint64 {
	for {
		if p := f.position(l); l.Leaves[p][0] == byte(leaf.KindEvent) {
			return p
		}
	}
}

func indexAt(l *liar.Log, p uint64) name.Index {
	return must(leaf.Parse(l.Leaves[p])).(*leaf.Event).Index
}

// mapAt is the view whose map is that of the EPOCH at a position, mostly.
func (f *forger) mapAt(p uint64) *liar.Log {
	for _, v := range f.views {
		if size64(v) > p && f.IntN(6) > 0 {
			return v
		}
	}
	return f.view()
}

func (f *forger) index(l *liar.Log) (i name.Index) {
	if f.IntN(2) == 0 {
		return indexAt(l, f.event(l))
	}
	for k := range i {
		i[k] = byte(f.Uint32())
	}
	return i
}

func (f *forger) hash() (h leaf.Hash) {
	l := f.view()
	switch f.IntN(3) {
	case 0:
		return leaf.Hash(at(l, 1+f.Uint64N(size64(l))))
	case 1:
		return leaf.HashOf(l.Leaves[f.position(l)])
	}
	h[0] = byte(f.Uint32())
	return h
}

// assemble is a file of some kind, whose parts are all true.
func (f *forger) assemble() *evidence.File {
	l, m := f.view(), f.view()
	t := tree(l)
	epoch := f.epoch(l)
	shown := f.mapAt(epoch)
	switch f.IntN(9) {
	case 0:
		return evidence.TwoRoots(l.Note, m.Note)
	case 1:
		from, to := 1+f.Uint64N(size64(m)), size64(m)
		if f.IntN(3) > 0 {
			from = min(size64(l), to)
		}
		root := name.TreeRoot(f.hash())
		if f.IntN(2) == 0 {
			root = at(m, from)
		}
		return evidence.Fork(l.Note, m.Note, root, must(answer.Consistency(from, to, m.Node)))
	case 2:
		p := f.position(l)
		q := p
		if q >= size64(m) || f.IntN(4) == 0 {
			q = f.position(m)
		}
		return evidence.Replaced(l.Note, must(t.At(p)), m.Note, must(tree(m).At(q)))
	case 3:
		p := f.event(l)
		proof := must(shown.Show([]name.Index{indexAt(l, p)}))
		switch f.IntN(4) {
		case 0:
			proof = must(shown.Show([]name.Index{f.index(l)}))
		case 1:
			proof = evidence.OtherValue(proof, indexAt(l, p), name.Value(f.hash()))
		case 2:
			proof = evidence.OtherValue(proof, indexAt(l, p), shown.Shown[indexAt(l, p)].Value)
		}
		return must(t.Dropped(p, epoch, proof))
	case 4:
		p := f.event(l)
		e := must(leaf.Parse(l.Leaves[p])).(*leaf.Event)
		member := evidence.Member{Index: e.Index, Position: p, Commitment: e.Commitment}
		if f.IntN(3) == 0 {
			member.Position = f.position(l)
		}
		file := must(t.Ghost(epoch, member, must(shown.Show([]name.Index{e.Index}))))
		if last := len(file.Lines) - 1; f.IntN(3) == 0 {
			file.Lines[last] = must(t.At(f.position(l)))
		}
		return file
	case 5:
		p := f.epoch(l)
		if p == size64(l)-1 {
			p = 0
		}
		end := p + 1
		for end < size64(l)-1 && l.Leaves[end][0] == byte(leaf.KindEvent) {
			end++
		}
		v := f.mapBefore(p)
		return must(t.WrongMap(p, end, v.Show))
	case 6:
		positions := []uint64{f.position(l), f.position(l)}
		slices.Sort(positions)
		return must(t.BrokenLeaves(positions[:f.IntN(3)]...))
	case 7:
		return f.history(l, t)
	}
	receipt := f.receipts[f.IntN(len(f.receipts))]
	if f.IntN(2) == 0 {
		return must(t.Displaced(receipt, epoch, f.event(l)))
	}
	return must(t.Unkept(receipt, epoch, must(shown.Show([]name.Index{f.index(l)}))))
}

// mapBefore is the view that ends with the EPOCH at p, mostly: then what E4c
// shows is true.
func (f *forger) mapBefore(p uint64) *liar.Log {
	for _, v := range f.views {
		if size64(v) == p+1 {
			return v
		}
	}
	return f.view()
}

// history opens some events, mostly of one account and in a row.
func (f *forger) history(l *liar.Log, t *evidence.Tree) *evidence.File {
	var opens []evidence.Open
	from := f.IntN(len(f.opens))
	for i := from; i < min(len(f.opens), from+1+f.IntN(5)); i++ {
		o := f.opens[i]
		if o.Position < size64(l) && (f.IntN(8) > 0 || len(opens) == 0) {
			opens = append(opens, o)
		}
	}
	if len(opens) == 1 && f.IntN(2) == 0 {
		v := evidence.VRF{Label: opens[0].Label, Seq: opens[0].Seq}
		p := f.phones[f.IntN(len(f.phones))]
		seq := v.Seq
		if f.IntN(3) == 0 {
			seq++
		}
		v.Proof, _, _ = l.VRF(p.Account(), seq)
		return must(t.WrongIndex(opens[0], v))
	}
	return must(t.BrokenEvents(opens...))
}
