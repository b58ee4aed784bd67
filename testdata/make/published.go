package main

import (
	"bytes"
	"slices"
	"time"

	"github.com/musterlog/muster/log/answer"
	"github.com/musterlog/muster/log/checkpoint"
	"github.com/musterlog/muster/log/event"
	"github.com/musterlog/muster/verifier"
)

type publishedFile struct {
	Policy   string          `json:"policy"`
	VRFKey   hexed           `json:"vrf_public_key"`
	Events   []based         `json:"events"`
	Accepted []publishedCase `json:"accepted"`
	Refused  []publishedCase `json:"refused"`
}

type publishedCase struct {
	Name      string `json:"name"`
	Why       string `json:"why,omitempty"`
	Event     int    `json:"event"`
	Published based  `json:"published"`
}

func receipts() (f publishedFile) {
	w := newWorld()
	w.cosigns("one")
	w.plays("bob.", "|", "alice.", "alice+", "bob+", "|", "alice-1")
	// of is what the log answers who submitted an event.
	of := func(id string, seq uint32) *answer.Published {
		r := w.log.Records[w.account(id)][seq]
		proof, _, _ := w.log.VRF(w.account(id), seq)
		size := uint64(len(w.log.Leaves))
		return &answer.Published{Seq: seq, Position: r.Position, Proof: proof, Opening: r.Opening, Note: w.log.Note, Path: must(answer.Path(r.Position, size, w.log.Node))}
	}
	body := func(id string, seq uint32) []byte { return w.log.Records[w.account(id)][seq].Event }
	key := w.log.VRFKey.Public()
	f.Policy, f.VRFKey = w.policy(), key[:]
	add := func(label, why string, body []byte, data []byte) {
		i := slices.IndexFunc(f.Events, func(b based) bool { return bytes.Equal(b, body) })
		if i < 0 {
			i = len(f.Events)
			f.Events = append(f.Events, body)
		}
		v := &verifier.Verifier{Policy: must(checkpoint.ParsePolicy([]byte(w.policy())))}
		_, err := v.Receipt(key, must(event.Parse(body)), data, w.now().Add(1000*time.Hour))
		agree((err == nil) == (why == ""), "published %q: %v", label, err)
		c := publishedCase{label, why, i, data}
		if why == "" {
			f.Accepted = append(f.Accepted, c)
		} else {
			f.Refused = append(f.Refused, c)
		}
	}
	good := must(of("alice", 1).Bytes())
	add("ADD_DEVICE", "", body("alice", 1), good)
	add("REMOVE_DEVICE, the newest event", "", body("alice", 2), must(of("alice", 2).Bytes()))
	add("the first event of the log", "", body("bob", 0), must(of("bob", 0).Bytes()))

	spoil := func(label, why string, change func(p *answer.Published)) {
		p := of("alice", 1)
		p.Path = append(p.Path[:0:0], p.Path...)
		change(p)
		add(label, why, body("alice", 1), must(p.Bytes()))
	}
	add("a byte too many", "form", body("alice", 1), append(bytes.Clone(good), 0))
	add("for another event of the account", "it is for seq 1", body("alice", 2), good)
	spoil("another seq", "it is for seq 1", func(p *answer.Published) { p.Seq = 2 })
	spoil("seq 2^32 - 1", "form: no event has it", func(p *answer.Published) { p.Seq = 1<<32 - 1 })
	spoil("a note that the log did not sign", "log-signature", func(p *answer.Published) {
		n := must(checkpoint.Parse(p.Note))
		n.Lines[0].Signature[0] ^= 1
		p.Note = n.Bytes()
	})
	spoil("a note without the cosigner", "quorum", func(p *answer.Published) {
		n := must(checkpoint.Parse(p.Note))
		n.Lines = n.Lines[:1]
		p.Note = n.Bytes()
	})
	spoil("the VRF proof of another seq", "vrf", func(p *answer.Published) { p.Proof = of("alice", 2).Proof })
	spoil("the opening of another event", "the commitment is another, so is the leaf", func(p *answer.Published) { p.Opening = of("alice", 2).Opening })
	spoil("another position", "inclusion", func(p *answer.Published) { p.Position++ })
	spoil("a position beyond the tree", "inclusion", func(p *answer.Published) { p.Position = 1 << 62 })
	spoil("position 2^63", "form: positions are below 2^63", func(p *answer.Published) { p.Position = 1 << 63 })
	spoil("a hash too many", "inclusion", func(p *answer.Published) { p.Path = append(p.Path, p.Path[0]) })
	spoil("another hash", "inclusion", func(p *answer.Published) { p.Path[0][0] ^= 1 })
	return f
}
