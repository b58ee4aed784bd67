package simulation

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/verifier"
	"github.com/musterlog/muster/witness/monitor"
)

// judge keeps its own copy of the public log in another library's tree.
type judge struct {
	w       *world
	leaves  [][]byte
	hashes  []tlog.Hash         // as tlog.StoredHashes orders them
	notes   map[uint64][32]byte // roots that a quorum cosigned
	largest uint64
	checks  int
}

func newJudge(w *world) *judge { return &judge{w: w, notes: map[uint64][32]byte{}} }

// ReadHashes makes the judge a tlog.HashReader.
func (j *judge) ReadHashes(indexes []int64) (hashes []tlog.Hash, _ error) {
	for _, i := range indexes {
		hashes = append(hashes, j.hashes[i])
	}
	return hashes, nil
}

// afterStep holds what is published now against all that was published before.
func (j *judge) afterStep() error {
	p := j.w.serving()
	if p == nil {
		return nil
	}
	defer p.reading.Done()
	if err := p.twice; err != nil {
		return err
	}
	raw := p.log.Published()
	if raw == nil {
		return nil
	}
	j.checks++
	note, err := checkpoint.Parse(raw)
	if err != nil {
		return err
	}
	if _, err := j.w.policy.Verify(note, time.Now(), 24*time.Hour); err != nil {
		return fmt.Errorf("what is published lacks the quorum: %w", err)
	}
	if done := j.w.audited.Load(); note.Size > done {
		return fmt.Errorf("size %d has a quorum, but the auditor replayed up to %d", note.Size, done)
	}
	if err := j.read(p, note.Size); err != nil {
		return err
	}
	if note.Size < j.largest {
		return fmt.Errorf("the log went back from size %d to %d", j.largest, note.Size)
	}
	j.largest = note.Size
	root, err := tlog.TreeHash(int64(note.Size), j)
	if err != nil {
		return err
	}
	if name.TreeRoot(root) != note.Root {
		return fmt.Errorf("the published root of size %d is %s; another library computes %x", note.Size, note.Root, root)
	}
	if old, ok := j.notes[note.Size]; ok && old != note.Root {
		return fmt.Errorf("two roots of size %d have a quorum", note.Size)
	}
	j.notes[note.Size] = note.Root
	return nil
}

// read takes the leaves below size. Those that were there before must not change.
func (j *judge) read(p *process, size uint64) error {
	var at uint64
	for n := uint64(0); n*256 < size; n++ {
		width := int(min(256, size-n*256))
		data, err := p.log.Entries(n, width)
		if err != nil {
			return err
		}
		for range width {
			l := binary.BigEndian.Uint16(data)
			leaf := data[2 : 2+l]
			data = data[2+l:]
			if at < uint64(len(j.leaves)) {
				if string(j.leaves[at]) != string(leaf) {
					return fmt.Errorf("leaf %d is not what it was", at)
				}
			} else {
				more, err := tlog.StoredHashes(int64(at), leaf, j)
				if err != nil {
					return err
				}
				j.leaves, j.hashes = append(j.leaves, leaf), append(j.hashes, more...)
			}
			at++
		}
	}
	return nil
}

// look has a client ask about one or two people, and holds what it believes
// against the model.
func (j *judge) look(c *client, history bool, people ...*person) error {
	var questions []verifier.Question
	var atLeast []int
	for _, p := range people {
		questions = append(questions, verifier.Question{Account: p.phone.Account(), History: history})
		atLeast = append(atLeast, 0)
		if j.w.storm == 0 { // else it may be an older answer
			atLeast[len(atLeast)-1] = p.known()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := c.Lookup(ctx, questions...)
	if err != nil {
		if j.w.settled {
			return err
		}
		return nil // nothing is believed
	}
	for i := range r.Accounts {
		if err := people[i].sees(&r.Accounts[i], atLeast[i]); err != nil {
			return fmt.Errorf("a client believes that %s has %w", people[i].phone.Identifier, err)
		}
	}
	return nil
}

// told is nil if the monitor told every event of everybody.
func (j *judge) told() error {
	seen := map[string]bool{}
	d := json.NewDecoder(&j.w.owner.out)
	for d.More() {
		var a monitor.Alert
		if err := d.Decode(&a); err != nil {
			return err
		}
		if a.Kind == monitor.Inserted {
			return fmt.Errorf("the monitor says that a leaf was inserted: %+v", a)
		}
		if a.Seq != nil {
			seen[fmt.Sprint(a.Account, *a.Seq)] = true
		}
	}
	for _, p := range j.w.people {
		for seq := range p.chain {
			if !seen[fmt.Sprint(p.phone.Identifier, seq)] {
				return fmt.Errorf("nobody was told of seq %d of %s", seq, p.phone.Identifier)
			}
		}
	}
	return nil
}
