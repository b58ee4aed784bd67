package evidence

import (
	"errors"
	"fmt"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
)

// judgeDropped is E4a: note, GENESIS, EVENT, EPOCH, prefix.
func judgeDropped(r *reader) (f finding, err error) {
	if _, err := r.opened(); err != nil {
		return f, err
	}
	at, event, err := includedAs[*leaf.Event](r)
	if err != nil {
		return f, err
	}
	end, epoch, err := includedAs[*leaf.Epoch](r)
	if err != nil {
		return f, err
	}
	if at.Position >= end.Position {
		return f, errors.New("the EVENT does not precede the EPOCH")
	}
	p, err := take[Prefix](r)
	if err != nil {
		return f, err
	}
	what := "lacks"
	if shown, ok := valueShown(p.Proof, event.Index); ok {
		what = "has another value for"
		err = checkValueShown(epoch.PrefixRoot, event.Index, shown, prefix.Value(at.Position, event.Commitment), p.Proof)
	} else {
		err = checkAbsent(epoch.PrefixRoot, event.Index, p.Proof)
	}
	if err != nil {
		return f, err
	}
	return finding{
		fmt.Sprintf("%s in which the map of epoch %d %s the event at position %d", tree(r.note), epoch.Epoch, what, at.Position),
		fmt.Sprintf("a checkpoint of size %d. The EVENT leaf and, above it, the EPOCH leaf are included; a valid proof under the EPOCH's prefix_root shows what its map holds for the event's index %v.", r.note.Size, event.Index),
	}, nil
}

func checkAbsent(root name.PrefixRoot, i name.Index, p *prefix.Proof) error {
	return prefix.Verify(root, []prefix.Query{{Index: i}}, p)
}

// valueShown is the value that a proof shows as that of i itself. A result that
// says "present" holds no value, since it answers who knows it. So the leaf of i
// is shown as what stands in the place of i's neighbour: i with its last bit
// inverted, which can share no tree with i (protocol section 4.2).
func valueShown(p *prefix.Proof, i name.Index) (v name.Value, ok bool) {
	if len(p.Results) != 1 || p.Results[0].Kind != prefix.NonInclusionLeaf || p.Results[0].Index != i {
		return v, false
	}
	return p.Results[0].Value, true
}

func checkValueShown(root name.PrefixRoot, i name.Index, shown, due name.Value, p *prefix.Proof) error {
	if shown == due {
		return errors.New("the map holds what it should")
	}
	return checkAbsent(root, neighbour(i), p)
}

func neighbour(i name.Index) name.Index {
	i[len(i)-1] ^= 1
	return i
}

// judgeGhost is E4b: note, GENESIS, EPOCH, member, prefix; and the leaf that
// the member's position really holds, if that is below the EPOCH and not 0.
func judgeGhost(r *reader) (f finding, err error) {
	if _, err := r.opened(); err != nil {
		return f, err
	}
	end, epoch, err := includedAs[*leaf.Epoch](r)
	if err != nil {
		return f, err
	}
	m, err := take[Member](r)
	if err != nil {
		return f, err
	}
	p, err := take[Prefix](r)
	if err != nil {
		return f, err
	}
	query := prefix.Query{Index: m.Index, Present: true, Value: prefix.Value(m.Position, m.Commitment)}
	if err := prefix.Verify(epoch.PrefixRoot, []prefix.Query{query}, p.Proof); err != nil {
		return f, err
	}
	holds := "GENESIS"
	switch {
	case m.Position >= end.Position:
		holds = "no leaf below the epoch's end"
	case m.Position > 0:
		holds = "another leaf"
		at, err := r.included()
		if err != nil {
			return f, err
		}
		want := leaf.Event{Index: m.Index, Commitment: m.Commitment}
		if at.Position != m.Position || string(at.Bytes) == string(want.Bytes()) {
			return f, errors.New("want the leaf at the member's position, and it is not the member's EVENT")
		}
	}
	return finding{
		fmt.Sprintf("%s in which the map of epoch %d has an entry for an event at position %d that is not there", tree(r.note), epoch.Epoch, m.Position),
		fmt.Sprintf("a checkpoint of size %d. The EPOCH leaf at position %d is included; a valid proof under its prefix_root shows the entry of index %v; at position %d is %s.", r.note.Size, end.Position, m.Index, m.Position, holds),
	}, nil
}

// judgeMap is E4c: note, GENESIS, EPOCH e-1, prefix for every 200 of the
// EVENTs, the EVENTs, EPOCH e. For e = 0 there is no EPOCH before, and no
// prefix: the map before is empty.
func judgeMap(r *reader) (f finding, err error) {
	if _, err := r.opened(); err != nil {
		return f, err
	}
	before, err := r.mapBefore()
	if err != nil {
		return f, err
	}
	at, events, epoch, err := r.epochAfter(before.position)
	if err != nil {
		return f, err
	}
	if epoch.Epoch != before.epoch+1 { // wraps for e = 0
		return f, fmt.Errorf("EPOCH %d does not follow the EPOCH before it", epoch.Epoch)
	}
	known := prefix.NewPartial(before.root)
	if err := before.learn(known, events); err != nil {
		return f, err
	}
	for i, e := range events {
		if err := known.Insert(e.Index, prefix.Value(before.position+1+uint64(i), e.Commitment)); err != nil {
			return f, err
		}
	}
	if known.Root() == epoch.PrefixRoot {
		return f, errors.New("the map follows from the leaves")
	}
	return finding{
		fmt.Sprintf("%s in which the map of epoch %d does not follow from the map before and the epoch's %d events", tree(r.note), epoch.Epoch, len(events)),
		fmt.Sprintf("a checkpoint of size %d. The EPOCH leaves at positions %d and %d and every EVENT leaf between are included; valid proofs show where the events belong in the map before; inserted there they give the root %v, and the EPOCH says %v.",
			r.note.Size, before.position, at.Position, known.Root(), epoch.PrefixRoot),
	}, nil
}

// mapBefore is the map with which an epoch begins, and what an E4c shows of it.
type mapBefore struct {
	position uint64 // of EPOCH e-1, or 0
	epoch    uint64 // e-1
	root     name.PrefixRoot
	proofs   []Prefix
}

func (r *reader) mapBefore() (m mapBefore, err error) {
	m.epoch--
	rest := *r
	if at, epoch, err := includedAs[*leaf.Epoch](&rest); err == nil && len(rest.lines) > 0 {
		*r = rest
		m.position, m.epoch, m.root = at.Position, epoch.Epoch, epoch.PrefixRoot
	}
	for next[Prefix](r) {
		p, err := take[Prefix](r)
		if err != nil {
			return m, err
		}
		m.proofs = append(m.proofs, p)
	}
	return m, nil
}

// epochAfter takes every leaf after a position: EVENTs and then the EPOCH.
func (r *reader) epochAfter(position uint64) (at Leaf, events []*leaf.Event, epoch *leaf.Epoch, err error) {
	for epoch == nil {
		if at, err = r.included(); err != nil {
			return at, nil, nil, err
		}
		if position++; at.Position != position {
			return at, nil, nil, fmt.Errorf("leaf %d where leaf %d is due", at.Position, position)
		}
		parsed, err := leaf.Parse(at.Bytes)
		if err != nil {
			return at, nil, nil, err
		}
		switch l := parsed.(type) {
		case *leaf.Event:
			events = append(events, l)
		case *leaf.Epoch:
			epoch = l
		default:
			return at, nil, nil, errors.New("a leaf that is neither EVENT nor EPOCH")
		}
	}
	return at, events, epoch, nil
}

// learn takes what the proofs show: each answers the next 200 events.
func (m *mapBefore) learn(known *prefix.Partial, events []*leaf.Event) error {
	want := (len(events) + cut - 1) / cut
	if m.position == 0 {
		want = 0
	}
	if len(m.proofs) != want {
		return fmt.Errorf("%d prefix proofs for %d events: want %d", len(m.proofs), len(events), want)
	}
	for i, p := range m.proofs {
		var absent []name.Index
		for _, e := range events[i*cut : min((i+1)*cut, len(events))] {
			absent = append(absent, e.Index)
		}
		if err := known.Learn(absent, p.Proof); err != nil {
			return err
		}
	}
	return nil
}

// judgePromise is E7: receipt, note, GENESIS, EPOCH; then prefix, or an EVENT
// below the EPOCH with the promised index and another commitment.
func judgePromise(r *reader) (f finding, err error) {
	note, err := take[Receipt](r)
	if err != nil {
		return f, err
	}
	promise, err := checkpoint.OpenReceipt(r.key, note)
	if err != nil {
		return f, err
	}
	if _, err := r.opened(); err != nil {
		return f, err
	}
	end, epoch, err := includedAs[*leaf.Epoch](r)
	if err != nil {
		return f, err
	}
	if epoch.TimeMs <= promise.MergeBy && !epoch.Sealed {
		return f, errors.New("the EPOCH is not later than the promise")
	}
	what := fmt.Sprintf("whose epoch %d, of %s, does not have it", epoch.Epoch, moment(epoch.TimeMs))
	if next[Leaf](r) {
		what, err = r.displaced(promise, end.Position)
	} else {
		var p Prefix
		if p, err = take[Prefix](r); err == nil {
			err = checkAbsent(epoch.PrefixRoot, promise.Index, p.Proof)
		}
	}
	if err != nil {
		return f, err
	}
	return finding{
		fmt.Sprintf("a promise to log an event by %s, and %s %s", moment(promise.MergeBy), tree(r.note), what),
		fmt.Sprintf("a receipt for the index %v, and a checkpoint of size %d in which the %v leaf at position %d is included; a valid proof shows what the log has for that index.", promise.Index, r.note.Size, kindName(epoch), end.Position),
	}, nil
}

func (r *reader) displaced(promise checkpoint.Receipt, below uint64) (string, error) {
	at, e, err := includedAs[*leaf.Event](r)
	if err != nil {
		return "", err
	}
	if at.Position >= below || e.Index != promise.Index || e.Commitment == promise.Commitment {
		return "", errors.New("want an EVENT below the EPOCH, with the promised index and another commitment")
	}
	return fmt.Sprintf("that has another event in its place, at position %d", at.Position), nil
}

func kindName(e *leaf.Epoch) string {
	if e.Sealed {
		return "SEAL"
	}
	return "EPOCH"
}

// tree is the signed tree that most findings begin with.
func tree(n *checkpoint.Note) string { return "a tree of " + leaves(n.Size) }

// moment is POSIX milliseconds for people.
func moment(ms uint64) string {
	const year10000 = 253_402_300_800_000
	if ms >= year10000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return time.UnixMilli(int64(ms)).UTC().Format("2006-01-02 15:04:05.000 UTC")
}
