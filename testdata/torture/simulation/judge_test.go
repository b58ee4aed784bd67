package simulation

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
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
	hashes  []tlog.Hash // as tlog.StoredHashes orders them
	mu      sync.Mutex
	notes   map[uint64]name.TreeRoot // of every checkpoint that anybody believes, by size
	largest uint64
	newest  map[*cosigner]checkpoint.Checkpoint // that each said that it cosigned
}

func newJudge(w *world) *judge {
	return &judge{w: w, notes: map[uint64]name.TreeRoot{}, newest: map[*cosigner]checkpoint.Checkpoint{}}
}

// ReadHashes makes the judge a tlog.HashReader.
func (j *judge) ReadHashes(indexes []int64) (hashes []tlog.Hash, _ error) {
	for _, i := range indexes {
		hashes = append(hashes, j.hashes[i])
	}
	return hashes, nil
}

// afterStep holds what is published now against all that was published before.
func (j *judge) afterStep() error {
	if err := j.cosigners(); err != nil {
		return err
	}
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
	j.w.took.add("judgements")
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
	root, err := j.root(note.Size)
	if err != nil {
		return err
	}
	if root != note.Root {
		return fmt.Errorf("the published root of size %d is %s; another library computes %s", note.Size, note.Root, root)
	}
	if err := j.heard(note.Checkpoint); err != nil {
		return err
	}
	return j.tiles(p, note.Size)
}

func (j *judge) root(size uint64) (name.TreeRoot, error) {
	root, err := tlog.TreeHash(int64(size), j)
	return name.TreeRoot(root), err
}

// cosigners sees that none of them forgets what it cosigned, whatever it went through.
func (j *judge) cosigners() error {
	for _, c := range j.w.cosigners {
		seen, done := c.running()
		if seen == nil {
			continue
		}
		raw := seen.Newest(string(origin))
		done()
		var now checkpoint.Checkpoint
		if raw != nil {
			note, err := checkpoint.Parse(raw)
			if err != nil {
				return err
			}
			now = note.Checkpoint
		}
		if old := j.newest[c]; now.Size < old.Size || now.Size == old.Size && now != old {
			return fmt.Errorf("%s cosigned size %d, root %s, and says %d, root %s", c.url, old.Size, old.Root, now.Size, now.Root)
		}
		j.newest[c] = now
	}
	return nil
}

// tiles holds the hash tiles that are served against the other library's.
func (j *judge) tiles(p *process, size uint64) error {
	for _, t := range tlog.NewTiles(8, 0, int64(size)) {
		have, err := p.log.Tile(t.L, uint64(t.N), t.W)
		if err != nil {
			return err
		}
		want, err := tlog.ReadTileData(t, j)
		if err != nil {
			return err
		}
		if !bytes.Equal(have, want) {
			return fmt.Errorf("tile %s is not what another library computes", t.Path())
		}
		j.w.took.add("tiles compared")
	}
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
		atLeast = append(atLeast, c.seen[p])
		if j.w.storm.Load() == 0 { // else it may be an older answer
			atLeast[len(atLeast)-1] = max(c.seen[p], p.known())
			if p.known() > 0 {
				j.w.took.add("lookups that must show what was acknowledged")
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := c.Lookup(ctx, questions...)
	if err != nil {
		var f *verifier.Failure
		if j.w.settled || j.w.storm.Load() == 0 && errors.As(err, &f) && f.Check != verifier.CheckFreshness {
			return fmt.Errorf("a client refuses what an honest log shows: %w", err)
		}
		j.w.took.add("lookups refused")
		return nil // nothing is believed
	}
	j.w.took.add("lookups believed")
	if err := j.heard(r.Checkpoint); err != nil {
		return err
	}
	for i := range r.Accounts {
		if err := people[i].sees(&r.Accounts[i], atLeast[i]); err != nil {
			return fmt.Errorf("a client believes that %s has %w", people[i].phone.Identifier, err)
		}
		if r.Accounts[i].Status != verifier.Unknown {
			c.seen[people[i]] = int(r.Accounts[i].Seq) + 1
		}
	}
	return nil
}

// told is nil if the monitor told every event of everybody, once and as it is; but for
// those that were erased, perhaps before it looked.
func (j *judge) told() error {
	seen := map[string]string{}
	d := json.NewDecoder(bytes.NewReader(j.w.owner.out.Bytes()))
	for d.More() {
		var a monitor.Alert
		if err := d.Decode(&a); err != nil {
			return err
		}
		if a.Kind == monitor.Inserted {
			return fmt.Errorf("the monitor says that a leaf was inserted: %+v", a)
		}
		if a.Seq != nil {
			key := fmt.Sprint(a.Account, " ", *a.Seq)
			if _, twice := seen[key]; twice {
				return fmt.Errorf("the monitor told this again: %+v", a)
			}
			seen[key] = a.EventID
		}
	}
	for _, p := range j.w.people {
		for seq := range p.chain {
			id, ok := seen[fmt.Sprint(p.phone.Identifier, " ", seq)]
			if !ok && p.erasedAfter(seq) {
				continue
			}
			if want := p.chain[seq].after.Head.String(); id != want {
				return fmt.Errorf("of seq %d of %s, which is event %s, was told: %q", seq, p.phone.Identifier, want, id)
			}
			j.w.took.add("events told by the monitor")
		}
	}
	return nil
}
