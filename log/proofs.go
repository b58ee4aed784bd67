package log

import (
	"cmp"
	"slices"

	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/store"
	"github.com/musterlog/muster/log/vrf"
)

// proofs makes VRF proofs for one request. They never change, so those of
// accounts that exist are kept; of unknown accounts nothing is, or asking would
// fill the disk.
type proofs struct {
	*Log
	groups map[proofGroup]*keptProofs
}

type proofGroup struct {
	account name.AccountID
	number  uint32
}

// keptProofs are what the store has of a group, and what is to be kept with it.
type keptProofs struct {
	all   []store.Proof // ascending by seq
	grown bool
}

func (l *Log) proofs() *proofs { return &proofs{l, make(map[proofGroup]*keptProofs)} }

// group is read from the store once.
func (p *proofs) group(id name.AccountID, number uint32) (*keptProofs, error) {
	at := proofGroup{id, number}
	if kept := p.groups[at]; kept != nil {
		return kept, nil
	}
	all, err := p.cfg.Store.Proofs(id, number)
	if err != nil {
		return nil, err
	}
	p.groups[at] = &keptProofs{all: all}
	return p.groups[at], nil
}

// find is where the proof of a seq is, or belongs.
func (k *keptProofs) find(seq uint32) (i int, ok bool) {
	return slices.BinarySearchFunc(k.all, seq, func(a store.Proof, seq uint32) int { return cmp.Compare(a.Seq, seq) })
}

// of is the proof of an account that exists, and the index that it proves.
func (p *proofs) of(id name.AccountID, seq uint32) (vrf.Proof, name.Index, error) {
	kept, err := p.group(id, seq/store.ProofGroup)
	if err != nil {
		return vrf.Proof{}, name.Index{}, err
	}
	i, ok := kept.find(seq)
	if !ok {
		proof, index := p.cfg.VRF.Prove(id.Label().VRFInput(seq))
		kept.all, kept.grown = slices.Insert(kept.all, i, store.Proof{Seq: seq, Proof: proof, Index: index}), true
	}
	return kept.all[i].Proof, kept.all[i].Index, nil
}

// proof is one alone.
func (l *Log) proof(id name.AccountID, seq uint32) (vrf.Proof, name.Index, error) {
	p := l.proofs()
	proof, index, err := p.of(id, seq)
	if err != nil {
		return proof, index, err
	}
	return proof, index, p.keep()
}

// keep writes what was made, unless the log is read-only: its store may be the
// last evidence of what went wrong. Of two requests that do so for one group at once
// the later stays: what the other one made is made again when it is needed.
func (p *proofs) keep() error {
	if p.ReadOnly() != nil {
		return nil
	}
	for group, kept := range p.groups {
		if !kept.grown {
			continue
		}
		if err := p.cfg.Store.PutProofs(group.account, group.number, kept.all); err != nil {
			return err
		}
	}
	return nil
}
