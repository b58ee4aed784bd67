// Package evidence is portable proof of misbehaviour: made by whoever catches
// a liar, and verified offline by a stranger who holds one thing, the accused
// party's public key (protocol section 9).
package evidence

import (
	"strings"

	"github.com/musterlog/muster/log/leaf"
	"github.com/musterlog/muster/log/name"
	"github.com/musterlog/muster/log/prefix"
	"github.com/musterlog/muster/log/vrf"
)

// Kind names what an evidence file shows (protocol section 9.3).
type Kind string

const (
	E1  Kind = "E1"  // two roots for one size
	E2  Kind = "E2"  // a tree that does not extend an earlier one
	E3  Kind = "E3"  // two leaves at one position
	E4a Kind = "E4a" // an event that the map lacks, or has with another value
	E4b Kind = "E4b" // an entry of the map that no leaf stands behind
	E4c Kind = "E4c" // a prefix root that does not follow from the one before
	E5  Kind = "E5"  // leaves that break a rule of the log
	E6  Kind = "E6"  // an event that breaks a rule of accounts
	E7  Kind = "E7"  // a promised event that was not logged in time

	WE1 Kind = "W E1" // a cosigner vouched for both trees of an E1
	WE2 Kind = "W E2" // a cosigner vouched for both trees of an E2

	AE4a Kind = "A E4a" // an auditor vouched for the tree under which an E4a lies
	AE4b Kind = "A E4b" // the same of an E4b,
	AE4c Kind = "A E4c" // of an E4c,
	AE5  Kind = "A E5"  // and of an E5
)

// base is the kind that a W or an A builds on; any other kind is its own.
func (k Kind) base() Kind {
	_, after, cosigners := strings.Cut(string(k), " ")
	if cosigners {
		return Kind(after)
	}
	return k
}

// accused is the role of the party that a kind convicts.
func (k Kind) accused() string {
	switch k[0] {
	case 'W':
		return "cosigner"
	case 'A':
		return "auditor"
	}
	return "log"
}

// File is one evidence file: what it claims, of which log, and the lines that
// show it, in the order of protocol section 9.4. Whoever catches a liar fills
// one in and calls Verify before keeping it: what convicts nobody is not written.
type File struct {
	Kind   Kind
	Origin name.Origin
	Lines  []Line
}

// Line is one line of a File: Note, Root, Consistency, Member, Leaf, Prefix,
// Open, VRF or Receipt.
type Line interface{ line() }

type (
	// Note is a signed checkpoint with one signature line, the accused party's;
	// the lines up to the next Note are under it.
	Note []byte

	// Root is R' of E2: the root that the second note's tree has at the first
	// note's size.
	Root name.TreeRoot

	// Consistency is the proof of E2, from R' to the second note.
	Consistency []leaf.Hash

	// Member is what E4b says that the map holds.
	Member struct {
		Index      name.Index
		Position   uint64
		Commitment name.Commitment
	}

	// Leaf is a leaf with its inclusion in the tree of the note above it.
	Leaf struct {
		Position uint64
		Bytes    []byte
		Path     []leaf.Hash
	}

	// Prefix is a proof against the prefix_root of the nearest EPOCH leaf above it.
	Prefix struct{ *prefix.Proof }

	// Open is the opening of the EVENT leaf at a position.
	Open struct {
		Position uint64
		Label    name.Label
		Seq      uint32
		Opening  name.Opening
		Event    []byte
	}

	// VRF is a VRF proof.
	VRF struct {
		Label name.Label
		Seq   uint32
		Proof vrf.Proof
	}

	// Receipt is a signed receipt, verbatim (protocol section 9.1).
	Receipt []byte
)

func (Note) line()        {}
func (Root) line()        {}
func (Consistency) line() {}
func (Member) line()      {}
func (Leaf) line()        {}
func (Prefix) line()      {}
func (Open) line()        {}
func (VRF) line()         {}
func (Receipt) line()     {}
